"""`passerelle bench --nodes 1,2,4`: the same load through one router alone, and through clusters of ever more nodes.

Everything is real: PostgreSQL that syncs, three NATS servers, one node that receives, nodes that work. Work nodes are
pinned, each to one processor, in turn. Messages come from several sources, as one source is read by one node. For each
size a closed loop fills a backlog, whose draining tells what the nodes can do; then a paced load tells the delays and
what each kind of process spends on a message.

Two sizes are there to be compared with: one node of all roles tells what the layer of the cluster costs a router that
could do without; one work node whose whole machine (its database, its NATS, who receives) is a single processor tells
what a second machine of the same kind adds.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import psycopg

from connectors.sandbox.people import population
from router.bench.children import Generator, Receiver
from router.bench.figures import percentile
from router.bench.generator import Order, Outcome, read_record
from router.bench.nodes_figures import (
    ALONE,
    ALONE_EMBEDDED,
    KINDS,
    ONE_NODE,
    ONE_PROCESSOR,
    NodesCase,
    NodesFigures,
)
from router.journal.store import WRITE_LOCK
from router.prove.cluster.database import Database
from router.prove.cluster.hosts import Loopback
from router.prove.cluster.nodes import Node, furnish
from router.prove.cluster.queues import Queues
from router.prove.cluster.stage import connect
from router.prove.cluster.watch import LaneBook, watching
from router.trial.patience import Patience
from router.trial.process import TrialFault
from router.trial.usage import family, usage

SOURCES = 4
"""Sources that messages come from: as many nodes at once can read."""

NUMBERS = 1_000_000
"""Numbers of messages that one source has for itself."""

_POLL = 0.05
_STALL = 60.0
_LOCK_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class NodesOptions:
    """How many work nodes to try, one size after the other; seconds and messages a second of the paced load.

    `sizes` names the sizes themselves, when they are not what is compared with and then each of `counts`.
    """

    counts: tuple[int, ...] = (1, 2, 4)
    seconds: float = 20.0
    closed_seconds: float = 6.0
    rate: float = 200.0
    connections: int = 8
    patients: int = 400
    seed: int = 1
    sizes: tuple[str, ...] = ()


def measure_nodes(options: NodesOptions, say: Callable[[str], None] = lambda _: None) -> NodesFigures:
    """Measure every size. Raises TrialFault when the programs are missing, or a node ends."""
    cases = []
    compared = (ALONE_EMBEDDED, ALONE, ONE_NODE, ONE_PROCESSOR)
    for size in options.sizes or (*compared, *(f"{count} work" for count in options.counts)):
        say(f"{size}: starting")
        with tempfile.TemporaryDirectory(prefix="passerelle-nodes-") as scratch:
            cases.append(asyncio.run(_Case(options, size, Path(scratch), say).run()))
    return NodesFigures(os.cpu_count() or 1, options.rate, options.seconds, tuple(cases))


def _configuration(journal: str, queues: Queues | None, fhir: str, lanes: Sequence[str]) -> str:
    cluster = ""
    if queues is not None:
        cluster = f"""
[cluster]
servers = {json.dumps(queues.urls)}
name = "${{NODE_NAME}}"
user = "{queues.user}"
password = "${{NODE_NATS_PASSWORD}}"
"""
    sources = "".join(
        f'\n[sources.labo{rank}]\nconnector = "mllp"\nlisten = "{listen}"\nformat = "hl7v2"\n'
        for rank, listen in enumerate(lanes, start=1)
    )
    blobs = 'blobs = "database"\n' if journal else ""
    return f"""\
[journal]
url = "{journal}"
{blobs}{cluster}
[engine]
workers = 1

[web]
listen = "${{NODE_WEB}}"
{sources}
[destinations.coordination]
connector = "fhir"
url = "{fhir}"
concurrency = 8

[[routes]]
name = "laboratory results to the dossier"
when = "item.kind == 'lab_report' && patient.in_coordination"
to = ["coordination"]
"""


class _Case:
    """One size: set up, loaded, measured, taken down."""

    def __init__(self, options: NodesOptions, size: str, folder: Path, say: Callable[[str], None]) -> None:
        self._options = options
        self._size = size
        self._folder = folder
        self._say = say
        self._network = Loopback()
        self._firsts = [rank * NUMBERS for rank in range(SOURCES)]
        self._sent: list[range] = []
        self._expected = 0

    async def run(self) -> NodesCase:
        async with AsyncExitStack() as stack:
            generators = [
                stack.enter_context(Generator(self._options.patients, self._options.seed)) for _ in range(SOURCES)
            ]
            receiver = stack.enter_context(Receiver())
            alone = self._size in {ALONE, ALONE_EMBEDDED}
            database = None
            if self._size != ALONE_EMBEDDED:
                database = Database(self._network, self._folder, disk=False)
                stack.callback(database.remove)
                database.make()
            queues = None
            if not alone:
                queues = Queues(self._network, self._folder)
                stack.callback(queues.stop_all)
                queues.start_all()
                await queues.ready()
            nodes = self._nodes(database, queues, receiver)
            for node in nodes:
                stack.callback(node.process.kill)
                node.start()
            listening = [await node.listening() for node in nodes]
            if queues is not None and database is not None:
                book, url = LaneBook(), database.url
                async with watching(book, lambda: connect(url), queues.urls, queues.user, queues.password):
                    await _all_owned(book)
            workers = [one.pid for one, node in zip(listening, nodes, strict=True) if node.role == "work"]
            cores = sorted(os.sched_getaffinity(0))
            for rank, pid in enumerate(workers):
                _pin(pid, cores[rank % len(cores)])
            pids: dict[str, list[int]] = {}
            for one, node in zip(listening, nodes, strict=True):
                pids.setdefault("router" if node.role == "all" else node.role, []).append(one.pid)
            if database is not None:
                pids["postgres"] = [database.server.pid]
            if queues is not None:
                pids["nats"] = [server.pid for server in queues.servers.values()]
            pids["receiver"] = [receiver.pid]
            if self._size == ONE_PROCESSOR:
                for pid in [pid for those in pids.values() for pid in those]:
                    _pin(pid, cores[0])
            pids["generator"] = [one.pid for one in generators]
            addresses = [listening[0].sources[f"labo{rank}"] for rank in range(1, SOURCES + 1)]
            return await asyncio.to_thread(self._measure, generators, receiver, addresses, pids, database, nodes)

    def _nodes(self, database: Database | None, queues: Queues | None, receiver: Receiver) -> list[Node]:
        secret = queues.password if queues is not None else ""
        cast = [("alone", "all")]
        if queues is not None and self._size != ONE_NODE:
            count = int(self._size.split()[0])
            cast = [("receive1", "receive"), *((f"work{rank}", "work") for rank in range(1, count + 1))]
        nodes = [Node(self._network, self._folder, name, role, secret=secret) for name, role in cast]
        host = nodes[0].host
        listen = [f"{host.address}:{self._network.port(host, 2600 + rank)}" for rank in range(SOURCES)]
        url = database.url if database is not None else ""
        text = _configuration(url, queues, receiver.url, listen)
        furnish(nodes, text, url, list(population(self._options.patients, self._options.seed)))
        return nodes

    def _measure(
        self,
        generators: Sequence[Generator],
        receiver: Receiver,
        addresses: Sequence[str],
        pids: dict[str, list[int]],
        database: Database | None,
        nodes: Sequence[Node],
    ) -> NodesCase:
        options = self._options
        self._say(f"{self._size}: warming")
        self._load(generators, addresses, 2.0, 0.0)
        self._drain(receiver, nodes)
        self._say(f"{self._size}: closed loop, {options.closed_seconds:.0f} s")
        loaded = self._load(generators, addresses, options.closed_seconds, 0.0)
        acknowledged = sum(one.acknowledged for one in loaded)
        began, left = time.monotonic_ns(), self._expected - receiver.count()["distinct"]
        full = _cpu(pids)
        with _lock_watched(database) as draining:
            drained = self._drain(receiver, nodes)
        emptied = _cpu(pids)
        seconds = max(1e-9, (drained["last"] - began) / 1e9)
        self._say(f"{self._size}: {options.rate:,.0f} msg/s for {options.seconds:.0f} s")
        before, sizes = _cpu(pids), _sizes(database)
        with _lock_watched(database) as pacing:
            paced = self._load(generators, addresses, options.seconds, options.rate)
            total = sum(one.acknowledged for one in paced)
            closing = max(one.ended for one in paced)
            count = self._drain(receiver, nodes)
        after, grown = _cpu(pids), _sizes(database)
        trips, in_time = self._trips(receiver, closing)
        wall = (max(count["last"], closing) - min(one.began for one in paced)) / 1e9
        return NodesCase(
            name=self._size,
            ack_per_s=round(acknowledged / options.closed_seconds, 1),
            drain_per_s=round(left / seconds, 1) if left > 0 else 0.0,
            drain_lock_share=round(draining.share, 3),
            delivered_per_s=round(in_time / options.seconds, 1),
            end_to_end_p50_ms=round(percentile(trips, 0.5), 1),
            end_to_end_p99_ms=round(percentile(trips, 0.99), 1),
            drain_cpu_ms=_spent(full, emptied, left),
            cpu_ms=_spent(before, after, total),
            lock_share=round(pacing.share, 3),
            lock_ms=round(1000 * pacing.share * wall / max(1, total), 3),
            waiting=round(pacing.waiting, 2),
            wal_bytes=round((grown[0] - sizes[0]) / max(1, total)),
            table_bytes=round((grown[1] - sizes[1]) / max(1, total)),
            network_bytes=round((grown[2] - sizes[2]) / max(1, total)),
            messages=self._expected,
            undelivered=self._expected - count["distinct"],
            again=count["again"],
        )

    def _load(
        self, generators: Sequence[Generator], addresses: Sequence[str], seconds: float, rate: float
    ) -> list[Outcome]:
        """Have every generator load its source at once."""
        outcomes: dict[int, Outcome] = {}

        def one(rank: int) -> None:
            host, _, port = addresses[rank].rpartition(":")
            record = str(self._folder / f"record{rank}")
            order = Order(
                host, int(port), self._options.connections, seconds, self._firsts[rank], rate / SOURCES, record
            )
            outcomes[rank] = generators[rank].load(order)

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(SOURCES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(outcomes) < SOURCES:
            raise TrialFault("a generator ended in the middle of the bench")
        self._sent = [range(first, first + outcomes[rank].sent) for rank, first in enumerate(self._firsts)]
        for rank, outcome in outcomes.items():
            self._firsts[rank] += outcome.sent
            self._expected += outcome.acknowledged
        return [outcomes[rank] for rank in range(SOURCES)]

    def _drain(self, receiver: Receiver, nodes: Sequence[Node]) -> dict[str, int]:
        count = receiver.count()
        progress, patience = count["distinct"], Patience(_STALL)
        while count["distinct"] < self._expected and not patience.ended:
            for node in nodes:
                if not node.process.alive:
                    raise TrialFault(f"{node.name} ended during the bench: {node.process.last_words()}")
            time.sleep(_POLL)
            count = receiver.count()
            if count["distinct"] != progress:
                progress = count["distinct"]
                patience.renew()
        return count

    def _trips(self, receiver: Receiver, closing: int) -> tuple[list[float], int]:
        """Give the milliseconds of each message of the last load, and how many arrived before its end."""
        file = self._folder / "arrivals"
        receiver.record(file)
        arrived = array("q")
        arrived.frombytes(file.read_bytes())
        trips, in_time = [], 0
        for rank, numbers in enumerate(self._sent):
            due, _, _ = read_record(self._folder / f"record{rank}", len(numbers))
            for begin, number in zip(due, numbers, strict=True):
                end = arrived[number] if number < len(arrived) else 0
                if end:
                    trips.append((end - begin) / 1e6)
                    in_time += end <= closing
        return sorted(trips), in_time


def _pin(root: int, core: int) -> None:
    """Keep a process, its descendants and all their threads on one processor; what they start later stays there too."""
    for pid in family(root):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), {core})


async def _all_owned(book: LaneBook) -> None:
    patience = Patience(60.0)
    while True:
        owners = book.owners()
        if len(owners) > SOURCES and all(len(names) == 1 for names in owners.values()):
            return
        if patience.ended:
            raise TrialFault("the nodes did not share the lanes out within 60 s")
        await asyncio.sleep(0.1)


@dataclass(slots=True)
class _Lock:
    """What was seen of the write lock: the share of looks at which somebody held it, and how many waited."""

    held: list[bool]
    waited: list[int]

    @property
    def share(self) -> float:
        """The share of the time that it was held, 0 to 1."""
        return fmean(self.held) if self.held else 0.0

    @property
    def waiting(self) -> float:
        """How many waited for it, on the average."""
        return fmean(self.waited) if self.waited else 0.0


_LOCKS = """SELECT coalesce(bool_or(granted), false), count(*) FILTER (WHERE NOT granted) FROM pg_locks
WHERE locktype = 'advisory' AND classid = 0 AND objid = %s"""


@contextmanager
def _lock_watched(database: Database | None) -> Iterator[_Lock]:
    """Look at PostgreSQL's write lock while the block runs."""
    seen, ended = _Lock([], []), threading.Event()

    def watch(connection: psycopg.Connection[tuple[object, ...]]) -> None:
        with connection:
            while not ended.wait(_LOCK_EVERY):
                row = connection.execute(_LOCKS, (WRITE_LOCK,)).fetchone()
                if row is not None:
                    seen.held.append(bool(row[0]))
                    seen.waited.append(int(str(row[1])))

    thread = None
    if database is not None:
        thread = threading.Thread(target=watch, args=(connect(database.url),), name="write-lock", daemon=True)
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        if thread is not None:
            thread.join()


def _cpu(pids: dict[str, list[int]]) -> dict[str, float]:
    found = {}
    for kind, those in pids.items():
        used = [usage(pid) for pid in those]
        if all(one is not None for one in used):
            found[kind] = sum(one.cpu_seconds for one in used if one is not None)
    return found


def _spent(before: Mapping[str, float], after: Mapping[str, float], messages: int) -> dict[str, float]:
    """Give milliseconds of processor time a message, by kind."""
    return {
        kind: round(1000 * (after[kind] - before[kind]) / max(1, messages), 3)
        for kind in KINDS
        if kind in after and kind in before
    }


def _sizes(database: Database | None) -> tuple[int, int, int]:
    """Give WAL bytes written so far, bytes of the tables, bytes that went over this machine's loopback."""
    loopback = 0
    for line in Path("/proc/net/dev").read_text(encoding="ascii").splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            loopback = int(counts.split()[0])
    if database is None:
        return 0, 0, loopback
    with connect(database.url) as connection:
        row = connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_database_size(current_database())"
        ).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM gives one row
    return int(str(row[0])), int(str(row[1])), loopback
