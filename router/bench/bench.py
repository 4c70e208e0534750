"""The bench itself: the floor, the closed loops, then a paced load end to end, all in one run on one machine."""

from __future__ import annotations

import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.sandbox.people import population
from router.bench.children import Floor, Generator, Receiver
from router.bench.figures import Figures, Rate, percentile, rate_of
from router.bench.generator import Order, Outcome, read_record
from router.trial.folder import journal_size, make_folder, register
from router.trial.patience import Patience
from router.trial.process import RouterProcess, TrialFault
from router.trial.usage import PeakMemory, Usage, usage

COMPARED = 32
"""The number of connections whose closed-loop figures are compared, and of the paced load."""

ENOUGH = 20_000
"""Messages after which a closed loop ends, however short it was: all of them are delivered before the next measurement
begins, which takes about ten times as long as acknowledging them."""

_POLL = 0.05
_TELLING = 5.0
"""Seconds between two words about a drain."""
_STALL = 120.0
"""Seconds without one new delivery after which a drain is given up, and said."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure.

    `seconds` and `rate` are of the paced load; `closed_seconds` of the floor and, at most, of each closed loop (which
    ends after `ENOUGH` messages). `preload` fills
    the journal with that many rows first. `folder` keeps the router's folder there; without it, it is temporary.
    `workers` None leaves their number to the router. `url` puts the journal on PostgreSQL: its size is then not
    measured.
    """

    seconds: float = 60.0
    rate: float = 1100.0
    closed_seconds: float = 4.0
    connections: tuple[int, ...] = (1, 8, 32, 128)
    patients: int = 1000
    workers: int | None = None
    concurrency: int = 8
    preload: int = 0
    seed: int = 1
    folder: Path | None = None
    url: str = ""


def run_bench(options: BenchOptions, say: Callable[[str], None] = lambda _: None) -> Figures:
    """Measure everything; `say` is told each step. Raises TrialFault when the router or a child process fails."""
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as scratch:
        folder = options.folder or Path(scratch) / "router"
        with Generator(options.patients, options.seed) as generator, Receiver() as receiver:
            say(f"floor: {COMPARED} connections, {options.closed_seconds:.0f} s")
            floor = _floor(options, generator, Path(scratch))
            say(f"a fresh router with {options.patients:,} patients")
            make_folder(folder, configuration(options, receiver.url), url=options.url)
            register(folder, population(options.patients, options.seed))
            if options.preload:
                say(f"filling the journal with {options.preload:,} messages")
                _preload(folder, options.preload)
            with RouterProcess(folder) as router:
                listening = router.start()
                run = _Run(options, generator, receiver, router, folder, Path(scratch), listening.sources["labo"], say)
                figures = run.measure(floor)
                router.stop()
    return figures


def configuration(options: BenchOptions, fhir_url: str) -> str:
    """Write the configuration of the router under test: one MLLP source, one FHIR destination, one route."""
    return f"""\
[journal]
url = "{options.url}"

[engine]
workers = {'"auto"' if options.workers is None else options.workers}

[web]
listen = "127.0.0.1:0"

[sources.labo]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

[destinations.coordination]
connector = "fhir"
url = "{fhir_url}"
concurrency = {options.concurrency}

[[routes]]
name = "laboratory results to the dossier"
when = "item.kind == 'lab_report' && patient.in_coordination"
to = ["coordination"]
"""


def _preload(folder: Path, rows: int) -> None:
    from router.journal.preload import preload

    preload(folder, rows)


def _floor(options: BenchOptions, generator: Generator, scratch: Path) -> Rate:
    with Floor(scratch / "floor.db") as floor:
        order = Order("127.0.0.1", floor.port, COMPARED, options.closed_seconds, 0, 0.0, str(scratch / "record"))
        return _rate(order, generator.load(order))


def _rate(order: Order, outcome: Outcome) -> Rate:
    _, sent, answered = read_record(Path(order.record), outcome.sent)
    latencies = (end - begin for begin, end in zip(sent, answered, strict=True) if end)
    seconds = (outcome.ended - outcome.began) / 1e9
    return rate_of(order.connections, latencies, seconds, refused=outcome.refused, lost=outcome.lost)


class _Run:
    """One run against one router: `_first` is the number of the next message, `_expected` how many must arrive."""

    def __init__(
        self,
        options: BenchOptions,
        generator: Generator,
        receiver: Receiver,
        router: RouterProcess,
        folder: Path,
        scratch: Path,
        address: str,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._generator = generator
        self._receiver = receiver
        self._router = router
        self._folder = folder
        self._record = scratch / "record"
        self._arrivals = scratch / "arrivals"
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._say = say
        self._first = 0
        self._expected = 0

    def measure(self, floor: Rate) -> Figures:
        """Run the closed loops, then the paced load."""
        options = self._options
        before = journal_size(self._folder)
        closed = []
        with PeakMemory(self._router.pid) as memory:
            for connections in options.connections:
                self._say(f"closed loop: {connections} connections, {options.closed_seconds:.0f} s")
                closed.append(self._closed_loop(connections))
            self._say(f"end to end: {options.rate:,.0f} msg/s for {options.seconds:.0f} s")
            figures = self._paced(floor)
        compared = next((rate for rate in closed if rate.connections == COMPARED), figures.paced)
        grown = journal_size(self._folder) - before
        return replace(
            figures,
            ack_per_s=compared.ack_per_s,
            ack_p50_ms=compared.ack_p50_ms,
            ack_p99_ms=compared.ack_p99_ms,
            rss_mb=round(memory.peak / 1e6, 1) if memory.peak else None,
            journal_bytes_per_message=round(grown / max(self._expected, 1), 1),
            messages=self._expected,
            closed_loop=closed,
        )

    def _send(self, connections: int, seconds: float, rate: float, most: int = 0) -> tuple[Order, Outcome]:
        order = Order(self._host, self._port, connections, seconds, self._first, rate, str(self._record), most)
        outcome = self._generator.load(order)
        self._first += outcome.sent
        self._expected += outcome.acknowledged
        if not self._router.running:
            raise TrialFault(f"the router ended during the bench: {self._router.last_words()}")
        return order, outcome

    def _closed_loop(self, connections: int) -> Rate:
        order, outcome = self._send(connections, self._options.closed_seconds, 0.0, ENOUGH)
        left = self._expected - self._receiver.count()["distinct"]
        drained = self._drain()
        began = outcome.ended
        seconds = max(0.0, (drained["last"] - began) / 1e9)
        rate = _rate(order, outcome)
        return replace(rate, drain_seconds=round(seconds, 2), drain_per_s=round(left / seconds, 1) if seconds else 0.0)

    def _drain(self) -> dict[str, int]:
        """Wait until all that was acknowledged has arrived, or nothing new did for `_STALL` seconds."""
        count = self._receiver.count()
        progress, patience, told = count["distinct"], Patience(_STALL), time.monotonic()
        while count["distinct"] < self._expected and not patience.ended:
            time.sleep(_POLL)
            count = self._receiver.count()
            if time.monotonic() - told >= _TELLING:
                told = time.monotonic()
                self._say(f"delivering what was acknowledged: {self._expected - count['distinct']:,} to go")
            if count["distinct"] != progress:
                progress = count["distinct"]
                patience.renew()
        return count

    def _paced(self, floor: Rate) -> Figures:
        options = self._options
        at_first = self._first
        used = self._usages()
        order, outcome = self._send(COMPARED, options.seconds, options.rate)
        drained = self._drain()
        after = self._usages()
        cpu = [
            None if old is None or new is None else new.cpu_seconds - old.cpu_seconds
            for old, new in zip(used, after, strict=True)
        ]
        due, sent, _ = read_record(self._record, outcome.sent)
        self._receiver.record(self._arrivals)
        arrived = array("q")
        arrived.frombytes(self._arrivals.read_bytes())
        moments = [arrived[number] if number < len(arrived) else 0 for number in range(at_first, self._first)]
        trips = sorted((end - begin) / 1e6 for begin, end in zip(due, moments, strict=True) if end)
        closing = outcome.began + int(options.seconds * 1e9)
        in_time = sum(1 for end in moments if 0 < end <= closing)
        return Figures(
            floor_ack_per_s=floor.ack_per_s,
            ack_per_s=0.0,
            ack_p50_ms=0.0,
            ack_p99_ms=0.0,
            delivered_per_s=round(in_time / options.seconds, 1),
            end_to_end_p50_ms=round(percentile(trips, 0.50), 1),
            end_to_end_p99_ms=round(percentile(trips, 0.99), 1),
            backlog_seconds=round(max(0.0, (max(moments, default=0) - outcome.ended) / 1e9), 3),
            rss_mb=None,
            cpu_ms_per_message=None if cpu[0] is None else round(1000 * cpu[0] / max(outcome.acknowledged, 1), 3),
            journal_bytes_per_message=0.0,
            journal_rows_before=options.preload,
            messages=0,
            delivered_again=drained["again"],
            undelivered=self._expected - drained["distinct"],
            bundles=drained["bundles"],
            paced=_rate(order, outcome),
            paced_rate=options.rate,
            paced_seconds=options.seconds,
            paced_late_ms=round(
                max((begin - moment for moment, begin in zip(due, sent, strict=True)), default=0) / 1e6, 1
            ),
            router_cpu_seconds=cpu[0],
            generator_cpu_seconds=cpu[1],
            receiver_cpu_seconds=cpu[2],
            router_processes=after[0].processes if after[0] else None,
            floor=floor,
        )

    def _usages(self) -> tuple[Usage | None, Usage | None, Usage | None]:
        return usage(self._router.pid), usage(self._generator.pid), usage(self._receiver.pid)
