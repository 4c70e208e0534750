"""`passerelle demo`, `cluster-demo`, `bench`, `prove-no-loss`: the router at work, measured, and put to the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from router.cli.base import Failed

if TYPE_CHECKING:
    from rich.console import Console

    from router.prove.cluster.campaign import CampaignOptions


@click.command("demo")
@click.option("--once", is_flag=True, help="Play the story once, print what arrived where, exit 0 if all of it did.")
@click.option("--port", default=8080, show_default=True, help="Port of the dashboard; a free one if it is taken.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep the router's folder here.")
def command_demo(once: bool, port: int, folder: Path | None) -> int:
    """Play the story of Mme Rose with a real router between a simulated hospital, laboratory and coordination tool.

    Everything runs on this machine, with fictitious people, and nothing has to be installed or configured first.

    \b
    Examples:
      passerelle demo
      passerelle demo --once
    """
    from router.demo import run_demo

    return run_demo(once=once, port=port, folder=folder, say=click.echo)


@click.command("cluster-demo")
@click.option("--once", is_flag=True, help="Play it once, print what became of every message, exit 0 if all arrived.")
@click.option("--port", default=8080, show_default=True, help="Port of the first dashboard; a free one if it is taken.")
def command_cluster_demo(once: bool, port: int) -> int:
    """Run three routers on this machine as one cluster, load them, kill one, and show that nothing is lost.

    Three NATS servers and a PostgreSQL are started beside them, from the wheels that `make dev` installs; nothing has
    to be installed or configured first, and no right is needed.

    \b
    Exit status: 0 nothing was lost and the order held, 1 otherwise.
    \b
    Examples:
      passerelle cluster-demo
      passerelle cluster-demo --once
    """
    from router.prove.cluster.demo import run_cluster_demo

    return run_cluster_demo(once=once, port=port, say=click.echo)


@click.command("bench")
@click.option("--seconds", default=60.0, show_default=True, help="Length of the paced load.")
@click.option("--rate", default=1100.0, show_default=True, help="Messages a second of the paced load.")
@click.option(
    "--closed-seconds", default=4.0, show_default=True, help="Length of the floor and, at most, of each closed loop."
)
@click.option("--patients", default=1000, show_default=True, help="Registered patients that the messages are about.")
@click.option("--workers", type=int, help="Worker processes of the router.  [default: what the router takes here]")
@click.option("--concurrency", default=8, show_default=True, help="Deliveries under way at once.")
@click.option("--preload", default=0, show_default=True, help="Messages put into the journal first.")
@click.option("--url", default="", help="Journal on this PostgreSQL (an empty database) instead of SQLite.")
@click.option("--mappings", is_flag=True, help="Measure the translations instead, each format to each, no server.")
@click.option("--patients-index", default=0, help="Measure look-ups among this many patients instead, no server.")
@click.option("--directory", default=0, help="Measure indexing this many lines of the directory instead, no server.")
@click.option("--mail", default=0, help="Measure this many mails of 300 kB instead, in and out of a real Dovecot.")
@click.option("--dmp", is_flag=True, help="Measure submissions to the sandbox DMP instead.")
@click.option("--dossier", "documents", default=0, help="Search a dossier store of this many documents instead.")
@click.option("--alerts", is_flag=True, help="Measure from an admission to the webhook of every member instead.")
@click.option("--dossiers", default=0, help="Dossiers of that store.  [default: one for 20 documents]")
@click.option(
    "--dashboard",
    "pages",
    is_flag=False,
    flag_value=1_000_000,
    default=0,
    metavar="[MESSAGES]",
    help="Time every page of the dashboard instead, on a journal of so many messages.  [1000000]",
)
@click.option("--nodes", default="", metavar="N,N…", help="Measure clusters of so many work nodes instead.")
@click.option("--journal-rows", default=0, help="Look at what pages read of this many narrow messages (--url).")
@click.option("--imagined-rows", default=100_000_000, show_default=True, help="And by the plans of this many.")
@click.option("--cold", is_flag=True, help="Of --dashboard: have each page read from the disk anew.")
@click.option(
    "--purge",
    type=click.IntRange(1),
    help="Time commits while so many messages are erased instead, on the journal that --url says, else on SQLite.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the filled store or journal in this folder, and take it again the next time.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command_bench(
    seconds: float,
    rate: float,
    closed_seconds: float,
    patients: int,
    workers: int | None,
    concurrency: int,
    preload: int,
    url: str,
    mappings: bool,
    patients_index: int,
    directory: int,
    mail: int,
    dmp: bool,
    documents: int,
    alerts: bool,
    dossiers: int,
    pages: int,
    nodes: str,
    journal_rows: int,
    imagined_rows: int,
    purge: int | None,
    cold: bool,
    keep: Path | None,
    as_json: bool,
) -> int:
    """Load a real `passerelle serve` over MLLP and measure it, beside the floor of this machine in the same run.

    \b
    Exit status: 0 measured, 1 measured but not everything arrived (of pages: not all were quick).
    \b
    Examples:
      passerelle bench
      passerelle bench --seconds 10 --json
      passerelle bench --preload 1000000
      passerelle bench --mappings
      passerelle bench --patients-index 1000000
      passerelle bench --directory 500000
      passerelle bench --mail 1000
      passerelle bench --dmp
      passerelle bench --dossier 1000000 --dossiers 50000 --rate 50 --seconds 60 --keep filled
      passerelle bench --alerts --rate 50 --seconds 30
      passerelle bench --dashboard 1000000 --keep filled
      passerelle bench --purge 100000
      passerelle bench --dashboard 1000000 --keep filled --cold
      passerelle bench --nodes 1,2,4 --rate 200 --seconds 20
      passerelle bench --journal-rows 10000000 --url postgresql+psycopg://postgres@localhost/bench
    """
    if nodes:
        return _bench_nodes(nodes, rate, seconds, closed_seconds, as_json=as_json)
    if journal_rows:
        return _bench_growth(journal_rows, imagined_rows, url, as_json=as_json)
    if purge:
        return _bench_purge(purge, url, as_json=as_json)
    if pages:
        return _bench_dashboard(pages, keep, cold=cold, as_json=as_json)
    if mappings:
        return _bench_mappings(as_json=as_json)
    if dmp:
        return _bench_dmp(as_json=as_json)
    if patients_index:
        return _bench_index(patients_index, as_json=as_json)
    if directory:
        return _bench_directory(directory, as_json=as_json)
    if mail:
        return _bench_mail(mail, as_json=as_json)
    if alerts:
        return _bench_alerts(rate, seconds, as_json=as_json)
    if documents:
        return _bench_dossier(documents, dossiers or max(1, documents // 20), rate, seconds, keep, as_json=as_json)
    from router.bench.bench import BenchOptions, run_bench
    from router.bench.figures import print_figures

    options = BenchOptions(
        seconds=seconds,
        rate=rate,
        closed_seconds=closed_seconds,
        patients=patients,
        workers=workers,
        concurrency=concurrency,
        preload=preload,
        url=url,
    )
    figures = run_bench(options, _to_standard_error)
    _show(figures, print_figures, as_json=as_json)
    return 0 if figures.sound else 1


def _bench_dossier(
    documents: int, dossiers: int, rate: float, seconds: float, keep: Path | None, *, as_json: bool
) -> int:
    from router.bench.dossier import measure

    figures = measure(dossiers, documents, min(rate, 200.0), seconds, _to_standard_error, keep)
    if as_json:
        _print_json(figures.as_json())
    else:
        click.echo(
            f"{figures.documents:,} documents, {figures.dossiers:,} dossiers, {figures.journal_bytes / 1e6:,.0f} MB\n"
            f"{figures.answered:,} searches at {figures.rate:g}/s: p50 {figures.p50_ms} ms, p95 {figures.p95_ms} ms, "
            f"p99 {figures.p99_ms} ms, longest {figures.longest_ms} ms, {figures.failed} failed"
            + (f"; {figures.cpu_ms_per_search} ms of processor time a search" if figures.cpu_ms_per_search else "")
        )
    return 1 if figures.failed else 0


def _bench_alerts(rate: float, seconds: float, *, as_json: bool) -> int:
    from router.bench.alerts import measure_alerts

    figures = measure_alerts(min(rate, 200.0), seconds, _to_standard_error)
    if as_json:
        _print_json(figures.as_json())
    else:
        click.echo(
            f"{figures.admissions} admissions, circles of {figures.members}, {figures.reports} reports meanwhile: "
            f"p50 {figures.p50_ms} ms, p99 {figures.p99_ms} ms, longest {figures.longest_ms} ms; "
            f"{figures.missed} not told to everybody, {figures.doubled} told twice"
        )
    return 1 if figures.missed or figures.doubled else 0


class _Figures(Protocol):
    """Figures of a bench."""

    def as_json(self) -> object:
        """Give what `--json` prints."""


F = TypeVar("F", bound=_Figures)


def _show(figures: F, draw: Callable[[F, Console], None], *, as_json: bool) -> None:
    """Print figures as JSON, or drawn."""
    from rich.console import Console

    if as_json:
        _print_json(figures.as_json())
    else:
        draw(figures, Console())


def _print_json(value: object) -> None:
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _bench_mappings(*, as_json: bool) -> int:
    from rich.console import Console

    from router.bench.mappings import measure, print_costs

    costs = measure(_to_standard_error)
    if as_json:
        _print_json([one.as_json() for one in costs])
    else:
        print_costs(costs, Console())
    return 0


def _bench_dmp(*, as_json: bool) -> int:
    from router.bench.dmp import measure_dmp, print_dmp

    figures = measure_dmp(say=_to_standard_error)
    _show(figures, print_dmp, as_json=as_json)
    return 0 if figures.delivered == figures.submissions else 1


def _bench_index(patients: int, *, as_json: bool) -> int:
    from router.bench.patients import measure_index, print_index

    figures = measure_index(patients, say=_to_standard_error)
    _show(figures, print_index, as_json=as_json)
    return 0


def _bench_directory(lines: int, *, as_json: bool) -> int:
    from router.bench.directory import measure_directory, print_directory

    figures = measure_directory(lines, say=_to_standard_error)
    _show(figures, print_directory, as_json=as_json)
    return 0


def _bench_purge(messages: int, url: str, *, as_json: bool) -> int:
    import tempfile

    from router.bench.purging import measure_purge

    with tempfile.TemporaryDirectory() as folder:
        found = measure_purge(Path(folder), messages, url)
    if as_json:
        import orjson

        click.echo(orjson.dumps(asdict(found) | {"rate": found.rate}))
    else:
        for name, times in (("without", found.quiet), ("during", found.purging)):
            click.echo(
                f"Commit {name} a purge: p50 {times[0]:.1f} ms, p99 {times[1]:.1f} ms, longest {times[2]:.1f} ms"
            )
        click.echo(f"{found.erased} of {found.messages} messages erased in {found.seconds:.1f} s: {found.rate:.0f}/s")
        click.echo(f"{found.size} messages in a transaction at the end")
    return 0 if found.erased == found.messages else 1


def _bench_dashboard(messages: int, keep: Path | None, *, cold: bool, as_json: bool) -> int:
    from router.bench.dashboard import COLD_ROUNDS, ROUNDS, measure_dashboard, print_dashboard

    figures = measure_dashboard(
        messages,
        keep=keep,
        cold=cold,
        rounds=COLD_ROUNDS if cold else ROUNDS,
        say=_to_standard_error,
    )
    _show(figures, print_dashboard, as_json=as_json)
    return 0 if figures.quick else 1


def _bench_mail(mails: int, *, as_json: bool) -> int:
    from router.bench.mail import print_mail, run_mail_bench

    figures = run_mail_bench(mails, _to_standard_error)
    _show(figures, print_mail, as_json=as_json)
    return 0 if figures.sound else 1


@click.command("prove-no-loss")
@click.option("--kills", default=10, show_default=True, help="How often the router is killed.")
@click.option("--connections", default=8, show_default=True, help="Senders at work at once.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same choices.")
@click.option("--url", default="", help="Journal on this PostgreSQL (an empty database) instead of SQLite.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the router's folder here; of a cluster, its logs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--nodes", type=click.IntRange(1), help="Prove a cluster instead, with so many nodes that work.")
@click.option("--seconds", default=300.0, show_default=True, help="Of a cluster: length of the load.")
@click.option("--faults", default="", metavar="LIST", help="Of a cluster: KIND[:HOST][@SECOND],…  [default: drawn]")
@click.option("--rate", default=20.0, show_default=True, help="Of a cluster: messages a second.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Of a cluster: write JSON here too.")
@click.option("--no-namespaces", is_flag=True, help="Of a cluster: all on 127.0.0.x, without what cuts or slows links.")
@click.option("--postgres", default="", metavar="URL", help="Of a cluster: use this empty database.")
def command_prove_no_loss(
    kills: int,
    connections: int,
    seed: int,
    url: str,
    folder: Path | None,
    as_json: bool,
    nodes: int | None,
    seconds: float,
    faults: str,
    rate: float,
    report: Path | None,
    no_namespaces: bool,
    postgres: str,
) -> int:
    """Kill a loaded router with SIGKILL at random moments, restart it, and compare acknowledged with delivered.

    With --nodes: a cluster of three NATS servers, a PostgreSQL, two nodes that receive, so many that work and one with
    the dashboard, each on a host of its own (a network namespace: needs root), under a load and these faults: kill,
    freeze, cut, cut-nats, kill-leader, pg-fast, pg-immediate, disk-full, skew, slow.

    \b
    Exit status: 0 nothing was lost and the order held (of a cluster: and each lane had one owner, and every failover
    kept within 10 s), 1 otherwise.
    \b
    Examples:
      passerelle prove-no-loss
      passerelle prove-no-loss --kills 50 --seed 7
      passerelle prove-no-loss --nodes 3 --seconds 300 --report campaign.json
      passerelle prove-no-loss --nodes 2 --faults kill:work1@10,pg-fast@40 --no-namespaces
    """
    from router.prove.proof import ProofOptions, prove
    from router.prove.verdict import print_verdict

    if nodes is not None:
        from router.prove.cluster.campaign import CampaignOptions

        campaign = CampaignOptions(
            nodes=nodes,
            seconds=seconds,
            faults=faults,
            seed=seed,
            rate=rate,
            connections=connections,
            with_namespaces=not no_namespaces,
            postgres=postgres,
            folder=folder,
        )
        return _prove_cluster(campaign, report, as_json=as_json)
    options = ProofOptions(kills=kills, connections=connections, seed=seed, url=url, folder=folder)
    verdict = prove(options, _to_standard_error)
    _show(verdict, print_verdict, as_json=as_json)
    return 0 if verdict.holds else 1


def _bench_nodes(nodes: str, rate: float, seconds: float, closed_seconds: float, *, as_json: bool) -> int:
    from router.bench.nodes import NodesOptions, measure_nodes
    from router.bench.nodes_figures import print_nodes

    counts = tuple(int(word) if word.isdecimal() else 0 for word in nodes.split(","))
    if not all(1 <= count <= 16 for count in counts):
        raise Failed("write --nodes as numbers of work nodes from 1 to 16, like 1,2,4")
    options = NodesOptions(counts, seconds, closed_seconds, rate)
    figures = measure_nodes(options, _to_standard_error)
    _show(figures, print_nodes, as_json=as_json)
    return 0 if figures.sound else 1


def _bench_growth(messages: int, imagined: int, url: str, *, as_json: bool) -> int:
    from router.bench.growth import measure_growth, print_growth

    figures = measure_growth(messages, imagined, url, _to_standard_error)
    _show(figures, print_growth, as_json=as_json)
    return 0 if figures.bounded else 1


def _prove_cluster(options: CampaignOptions, report: Path | None, *, as_json: bool) -> int:
    import orjson

    from router.prove.cluster.campaign import run_campaign
    from router.prove.cluster.verdict import print_cluster_verdict

    verdict = run_campaign(options, _to_standard_error)
    if report is not None:
        report.write_bytes(orjson.dumps(verdict.as_json(), option=orjson.OPT_INDENT_2))
    _show(verdict, print_cluster_verdict, as_json=as_json)
    return 0 if verdict.holds else 1


def _to_standard_error(said: str) -> None:
    click.echo(said, err=True)
