"""What the bench of nodes measured: figures by size of the cluster, what they say together, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

ALONE_EMBEDDED, ALONE = "alone, SQLite", "alone, PostgreSQL"
"""One `passerelle serve` without a cluster, on each database."""

KINDS = ("router", "receive", "work", "postgres", "nats", "generator", "receiver")
"""Kinds of processes; the last two are the bench's own."""

OURS = KINDS[:-2]
OVERHEAD_LIMIT, SPEEDUP_WANTED = 0.20, 1.6


@dataclass(frozen=True, slots=True)
class NodesCase:
    """One size.

    `ack_per_s` is of the closed loop; `drain_per_s` what left once nothing came in any more, which is what the nodes
    can do, with `drain_lock_share` the share of that time that somebody wrote. All that follows is of the paced load:
    `cpu_ms` milliseconds of processor time a message by kind of process, `lock_share` and `lock_ms` the share of the
    time and the milliseconds a message that the write lock was held, `waiting` how many waited for it; bytes are a
    message's, `network_bytes` all that went over the loopback, the generator's and the receiver's share included.
    """

    name: str
    ack_per_s: float
    drain_per_s: float
    drain_lock_share: float
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
        """How much more processor time a message costs in a cluster of one work node than alone, as a share."""
        one, alone = self.case("1 work"), self.case(ALONE)
        return None if one is None or alone is None else one.own_cpu_ms / max(alone.own_cpu_ms, 1e-9) - 1

    @property
    def speedup(self) -> float | None:
        """How much faster two work nodes drain a backlog than one."""
        one, two = self.case("1 work"), self.case("2 work")
        return None if one is None or two is None else two.drain_per_s / max(one.drain_per_s, 1e-9)

    @property
    def sound(self) -> bool:
        """Whether all that was acknowledged arrived."""
        return not any(one.undelivered for one in self.cases)

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        return {**asdict(self), "overhead": self.overhead, "speedup": self.speedup, "sound": self.sound}


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
    if figures.overhead is not None:
        console.print(f"a cluster of one work node costs {figures.overhead:+.0%} of processor time a message")
    if figures.speedup is not None:
        console.print(f"two work nodes drain {figures.speedup:.2f} times as fast as one")
    if not figures.sound:
        console.print("Not sound: some messages never arrived. Do not compare these figures.", style="bold")
