"""`passerelle demo`, `bench`, `prove-no-loss`: the router at work, measured, and put to the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from router.cli.base import Failed

if TYPE_CHECKING:
    from rich.console import Console


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
    """
    if pages:
        return _bench_dashboard(pages, keep, as_json=as_json)
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
    from router.trial.process import TrialFault

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
    try:
        figures = run_bench(options, lambda said: click.echo(said, err=True))
    except TrialFault as problem:
        raise Failed(str(problem)) from None
    _show(figures, print_figures, as_json=as_json)
    return 0 if figures.sound else 1


def _bench_dossier(
    documents: int, dossiers: int, rate: float, seconds: float, keep: Path | None, *, as_json: bool
) -> int:
    import orjson

    from router.bench.dossier import measure
    from router.trial.process import TrialFault

    try:
        figures = measure(dossiers, documents, min(rate, 200.0), seconds, lambda said: click.echo(said, err=True), keep)
    except TrialFault as problem:
        raise Failed(str(problem)) from None
    if as_json:
        click.echo(orjson.dumps(figures.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(
            f"{figures.documents:,} documents, {figures.dossiers:,} dossiers, {figures.journal_bytes / 1e6:,.0f} MB\n"
            f"{figures.answered:,} searches at {figures.rate:g}/s: p50 {figures.p50_ms} ms, p95 {figures.p95_ms} ms, "
            f"p99 {figures.p99_ms} ms, longest {figures.longest_ms} ms, {figures.failed} failed"
            + (f"; {figures.cpu_ms_per_search} ms of processor time a search" if figures.cpu_ms_per_search else "")
        )
    return 1 if figures.failed else 0


def _bench_alerts(rate: float, seconds: float, *, as_json: bool) -> int:
    import orjson

    from router.bench.alerts import measure_alerts
    from router.trial.process import TrialFault

    try:
        figures = measure_alerts(min(rate, 200.0), seconds, lambda said: click.echo(said, err=True))
    except TrialFault as problem:
        raise Failed(str(problem)) from None
    if as_json:
        click.echo(orjson.dumps(figures.as_json(), option=orjson.OPT_INDENT_2).decode())
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
    import orjson
    from rich.console import Console

    if as_json:
        click.echo(orjson.dumps(figures.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        draw(figures, Console())


def _bench_mappings(*, as_json: bool) -> int:
    import orjson
    from rich.console import Console

    from router.bench.mappings import measure, print_costs

    costs = measure(lambda said: click.echo(said, err=True))
    if as_json:
        click.echo(orjson.dumps([one.as_json() for one in costs], option=orjson.OPT_INDENT_2).decode())
    else:
        print_costs(costs, Console())
    return 0


def _bench_dmp(*, as_json: bool) -> int:
    from router.bench.dmp import measure_dmp, print_dmp

    figures = measure_dmp(say=lambda said: click.echo(said, err=True))
    _show(figures, print_dmp, as_json=as_json)
    return 0 if figures.delivered == figures.submissions else 1


def _bench_index(patients: int, *, as_json: bool) -> int:
    from router.bench.patients import measure_index, print_index

    figures = measure_index(patients, say=lambda said: click.echo(said, err=True))
    _show(figures, print_index, as_json=as_json)
    return 0


def _bench_directory(lines: int, *, as_json: bool) -> int:
    from router.bench.directory import measure_directory, print_directory

    figures = measure_directory(lines, say=lambda said: click.echo(said, err=True))
    _show(figures, print_directory, as_json=as_json)
    return 0


def _bench_dashboard(messages: int, keep: Path | None, *, as_json: bool) -> int:
    from router.bench.dashboard import measure_dashboard, print_dashboard
    from router.trial.process import TrialFault

    try:
        figures = measure_dashboard(messages, keep=keep, say=lambda said: click.echo(said, err=True))
    except TrialFault as problem:
        raise Failed(str(problem)) from None
    _show(figures, print_dashboard, as_json=as_json)
    return 0 if figures.quick else 1


def _bench_mail(mails: int, *, as_json: bool) -> int:
    from router.bench.mail import print_mail, run_mail_bench
    from router.trial.process import TrialFault

    try:
        figures = run_mail_bench(mails, lambda said: click.echo(said, err=True))
    except TrialFault as problem:
        raise Failed(str(problem)) from None
    _show(figures, print_mail, as_json=as_json)
    return 0 if figures.sound else 1


@click.command("prove-no-loss")
@click.option("--kills", default=10, show_default=True, help="How often the router is killed.")
@click.option("--connections", default=8, show_default=True, help="Senders at work at once.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same choices.")
@click.option("--url", default="", help="Journal on this PostgreSQL (an empty database) instead of SQLite.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep the router's folder here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command_prove_no_loss(kills: int, connections: int, seed: int, url: str, folder: Path | None, as_json: bool) -> int:
    """Kill a loaded router with SIGKILL at random moments, restart it, and compare acknowledged with delivered.

    \b
    Exit status: 0 nothing was lost and the order held, 1 otherwise.
    \b
    Examples:
      passerelle prove-no-loss
      passerelle prove-no-loss --kills 50 --seed 7
    """
    from router.prove.proof import ProofOptions, prove
    from router.prove.verdict import print_verdict
    from router.trial.process import TrialFault

    options = ProofOptions(kills=kills, connections=connections, seed=seed, url=url, folder=folder)
    try:
        verdict = prove(options, lambda said: click.echo(said, err=True))
    except TrialFault as problem:
        raise Failed(str(problem)) from None
    _show(verdict, print_verdict, as_json=as_json)
    return 0 if verdict.holds else 1
