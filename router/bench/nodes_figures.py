"""What the bench of nodes measured: figures by size of the cluster, what they say together, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

ALONE_EMBEDDED, ALONE = "alone, SQLite", "alone, PostgreSQL"
"""One `passerelle serve` without a cluster, on each database."""

ONE_NODE = "1 node of all roles"
"""One `passerelle serve` that is a cluster of its own, on PostgreSQL: what it costs more than alone is the layer."""

ONE_PROCESSOR = "1 work, one processor"
"""A node that receives and one that works, with all that they need, on a single processor."""

KINDS = ("router", "receive", "work", "postgres", "nats", "generator", "receiver")
"""Kinds of processes; the last two are the bench's own."""

OURS = KINDS[:-2]
OVERHEAD_LIMIT, SPEEDUP_WANTED = 0.20, 1.6


@dataclass(frozen=True, slots=True)
class NodesCase:
    """One size.

    `ack_per_s` is of the closed loop; `drain_per_s` what left once nothing came in any more, which is what the nodes
    can do, with `drain_lock_share` the share of that time that somebody wrote and `drain_cpu_ms` what a message cost
    meanwhile (milliseconds of processor time, by kind of process). All that follows is of the paced load:
    `cpu_ms` milliseconds of processor time a message by kind of process, `lock_share` and `lock_ms` the share of the
    time and the milliseconds a message that the write lock was held, `waiting` how many waited for it; bytes are a
    message's, `network_bytes` all that went over the loopback, the generator's and the receiver's share included.
    """

    name: str
    ack_per_s: float
    drain_per_s: float
    drain_lock_share: float
    drain_cpu_ms: Mapping[str, float]
    delivered_per_s: float
    end_to_end_p50_ms: float
    end_to_end_p99_ms: float
    cpu_ms: Mapping[str, float]
    lock_share: float
    lock_ms: float
    waiting: float
    wal_bytes: int
    table_bytes: int
    network_bytes: int
    messages: int
    undelivered: int
    again: int

    @property
    def own_cpu_ms(self) -> float:
        """Milliseconds of a message in routers, database and queues together."""
        return sum(self.cpu_ms.get(kind, 0.0) for kind in OURS)


@dataclass(frozen=True, slots=True)
class NodesFigures:
    """All sizes, in one run on one machine of so many `cores`."""

    cores: int
    rate: float
    seconds: float
    cases: tuple[NodesCase, ...]

    def case(self, name: str) -> NodesCase | None:
        """Give the figures of one size."""
        return next((one for one in self.cases if one.name == name), None)

    @property
    def overhead(self) -> float | None:
        """How much more processor time a message costs in a cluster of one node than alone, as a share."""
        return self._more(ONE_NODE)

    @property
    def overhead_apart(self) -> float | None:
        """The same for a node that receives beside one that works: what goes through the journal between the two."""
        return self._more("1 work")

    def _more(self, name: str) -> float | None:
        one, alone = self.case(name), self.case(ALONE)
        return None if one is None or alone is None else one.own_cpu_ms / max(alone.own_cpu_ms, 1e-9) - 1

    @property
    def slowdown(self) -> float | None:
        """How much longer a cluster of one node takes to drain a backlog than a router alone, as a share."""
        one, alone = self.case(ONE_NODE), self.case(ALONE)
        return None if one is None or alone is None else alone.drain_per_s / max(one.drain_per_s, 1e-9) - 1

    @property
    def speedup(self) -> float | None:
        """How much faster two work nodes drain a backlog than one, all on the same processors."""
        return self._faster("1 work")

    @property
    def speedup_by_processor(self) -> float | None:
        """How much faster two work nodes on two processors drain than one on one, each with all that they need."""
        return self._faster(ONE_PROCESSOR)

    def _faster(self, name: str) -> float | None:
        one, two = self.case(name), self.case("2 work")
        return None if one is None or two is None else two.drain_per_s / max(one.drain_per_s, 1e-9)

    @property
    def sound(self) -> bool:
        """Whether all that was acknowledged arrived."""
        return not any(one.undelivered for one in self.cases)

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        together = ("overhead", "overhead_apart", "slowdown", "speedup", "speedup_by_processor", "sound")
        return {**asdict(self), **{name: getattr(self, name) for name in together}}


def print_nodes(figures: NodesFigures, console: Console) -> None:
    """Print one line a size, then what a message costs where."""
    title = f"{figures.cores} processors; paced: {figures.rate:,.0f} msg/s for {figures.seconds:.0f} s"
    table = Table("size", title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("ACK/s", "drained/s", "lock", "delivered/s", "p50, ms", "p99, ms", "lock", "waiting"):
        table.add_column(column, justify="right")
    for one in figures.cases:
        table.add_row(
            one.name,
            f"{one.ack_per_s:,.0f}",
            f"{one.drain_per_s:,.0f}",
            f"{one.drain_lock_share:.0%}",
            f"{one.delivered_per_s:,.0f}",
            f"{one.end_to_end_p50_ms:,.0f}",
            f"{one.end_to_end_p99_ms:,.0f}",
            f"{one.lock_share:.0%}",
            f"{one.waiting:.2f}",
        )
    console.print(table)
    table = Table("a message", box=SIMPLE_HEAD)
    for column in (*KINDS, "lock", "WAL", "tables", "network"):
        table.add_column(column, justify="right")
    for one in figures.cases:
        cpu = (f"{one.cpu_ms[kind]:.2f} ms" if kind in one.cpu_ms else "" for kind in KINDS)
        sizes = (f"{size / 1000:.1f} kB" for size in (one.wal_bytes, one.table_bytes, one.network_bytes))
        table.add_row(one.name, *cpu, f"{one.lock_ms:.2f} ms", *sizes)
    console.print(table)
    table = Table("a message of a backlog", box=SIMPLE_HEAD)
    for column in KINDS:
        table.add_column(column, justify="right")
    for one in figures.cases:
        table.add_row(one.name, *(f"{one.drain_cpu_ms.get(kind, 0.0):.2f} ms" for kind in KINDS))
    console.print(table)
    for said, figure in (
        (f"wanted {OVERHEAD_LIMIT:+.0%} at most; a cluster of one node costs {{:+.0%}} a message", figures.overhead),
        ("it takes {:+.0%} of the time to drain a backlog", figures.slowdown),
        ("a node that receives beside one that works cost {:+.0%}", figures.overhead_apart),
    ):
        if figure is not None:
            console.print(said.format(figure))
    if figures.speedup is not None:
        console.print(f"two work nodes drain {figures.speedup:.2f} times as fast as one on the same processors")
    if figures.speedup_by_processor is not None:
        console.print(
            f"and {figures.speedup_by_processor:.2f} times as fast as one whose machine is a single processor"
        )
    if not figures.sound:
        console.print("Not sound: some messages never arrived. Do not compare these figures.", style="bold")
