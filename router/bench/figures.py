"""What a bench measured: the figures that are compared, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table


def percentile(sorted_values: list[float], share: float) -> float:
    """Give the value under which `share` (0 to 1) of the sorted values lie (nearest rank); 0 when there are none."""
    if not sorted_values:
        return 0.0
    rank = max(1, -int(-share * len(sorted_values) // 1))
    return sorted_values[min(rank, len(sorted_values)) - 1]


@dataclass(frozen=True, slots=True)
class Rate:
    """One load: connections, messages acknowledged a second, latency of an acknowledgement in milliseconds."""

    connections: int
    ack_per_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    acknowledged: int
    refused: int
    lost_connections: int
    drain_seconds: float = 0.0
    drain_per_s: float = 0.0


def rate_of(connections: int, latencies_ns: Iterable[int], seconds: float, *, refused: int = 0, lost: int = 0) -> Rate:
    """Sum up the latencies of the positive acknowledgements of one load."""
    sorted_ms = sorted(latency / 1e6 for latency in latencies_ns)
    return Rate(
        connections=connections,
        ack_per_s=round(len(sorted_ms) / seconds, 1) if seconds else 0.0,
        ack_p50_ms=round(percentile(sorted_ms, 0.50), 2),
        ack_p99_ms=round(percentile(sorted_ms, 0.99), 2),
        acknowledged=len(sorted_ms),
        refused=refused,
        lost_connections=lost,
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """The whole result. None where this system cannot tell (processor time and memory need /proc).

    `ack_*` are of the closed loop over 32 connections; `delivered_per_s`, `end_to_end_*` and `backlog_seconds` of the
    paced load, whose own acknowledgements are in `paced`. `delivered_per_s` counts what arrived while the load lasted;
    end to end runs from the moment that a message fell due to the arrival of its report; `backlog_seconds` from the
    last acknowledgement to the last arrival. `journal_rows_before` is the preload.
    """

    floor_ack_per_s: float
    ack_per_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    delivered_per_s: float
    end_to_end_p50_ms: float
    end_to_end_p99_ms: float
    backlog_seconds: float
    rss_mb: float | None
    cpu_ms_per_message: float | None
    journal_bytes_per_message: float
    journal_rows_before: int
    messages: int
    delivered_again: int
    undelivered: int
    bundles: int
    paced: Rate
    paced_rate: float
    paced_seconds: float
    paced_late_ms: float
    generator_cpu_seconds: float | None
    receiver_cpu_seconds: float | None
    router_cpu_seconds: float | None
    router_processes: int | None
    floor: Rate
    closed_loop: list[Rate] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """True when every message was acknowledged and arrived: otherwise the figures describe a broken run."""
        rates = [self.paced, *self.closed_loop]
        return self.undelivered == 0 and not any(rate.refused or rate.lost_connections for rate in rates)

    def as_json(self) -> dict[str, object]:
        """Give everything as plain values, the compared keys first."""
        return {**asdict(self), "ack_share_of_floor": round(self.share_of_floor, 3), "sound": self.sound}

    @property
    def share_of_floor(self) -> float:
        """The acknowledged rate at 32 connections as a share of the floor's."""
        return self.ack_per_s / self.floor_ack_per_s if self.floor_ack_per_s else 0.0


def print_figures(figures: Figures, console: Console) -> None:
    """Print the tables that people read."""
    loads = Table(title="Acknowledged, closed loop", title_justify="left")
    for heading in ("connections", "msg/s", "ACK p50", "ACK p99", "drained at"):
        loads.add_column(heading, justify="right")
    for rate in figures.closed_loop:
        drain = f"{rate.drain_per_s:,.0f}/s in {rate.drain_seconds:.1f} s" if rate.drain_seconds else ""
        loads.add_row(
            str(rate.connections), f"{rate.ack_per_s:,.0f}", _ms(rate.ack_p50_ms), _ms(rate.ack_p99_ms), drain
        )
    floor = figures.floor
    loads.add_row(
        f"floor, {floor.connections}", f"{floor.ack_per_s:,.0f}", _ms(floor.ack_p50_ms), _ms(floor.ack_p99_ms), ""
    )
    console.print(loads)
    console.print(f"At 32 connections: {figures.share_of_floor:.0%} of the floor.\n")
    whole = Table(
        title=f"End to end, {figures.paced_rate:,.0f} msg/s for {figures.paced_seconds:.0f} s over "
        f"{figures.paced.connections} connections",
        title_justify="left",
        show_header=False,
    )
    for label, value in (
        ("delivered", f"{figures.delivered_per_s:,.1f} msg/s"),
        ("end to end p50 · p99", f"{_ms(figures.end_to_end_p50_ms)} · {_ms(figures.end_to_end_p99_ms)}"),
        ("ACK p50 · p99 meanwhile", f"{_ms(figures.paced.ack_p50_ms)} · {_ms(figures.paced.ack_p99_ms)}"),
        ("backlog after the last ACK", f"{figures.backlog_seconds:.2f} s"),
        ("router: CPU a message", _or_unavailable(figures.cpu_ms_per_message, "{:.3f} ms")),
        ("router: peak memory, all processes", _or_unavailable(figures.rss_mb, "{:,.0f} MB")),
        ("CPU: router · generator · receiver", _cpu(figures)),
        ("journal a message", f"{figures.journal_bytes_per_message:,.0f} bytes"),
        ("journal rows before the bench", f"{figures.journal_rows_before:,}"),
        (
            "messages · delivered again · never",
            f"{figures.messages:,} · {figures.delivered_again} · {figures.undelivered}",
        ),
    ):
        whole.add_row(label, value)
    console.print(whole)
    if not figures.sound:
        console.print(
            "Not sound: some messages were refused, or never arrived. Do not compare these figures.", style="bold"
        )


def _ms(value: float) -> str:
    return f"{value:,.1f} ms"


def _or_unavailable(value: float | None, shape: str) -> str:
    return "unavailable on this system" if value is None else shape.format(value)


def _cpu(figures: Figures) -> str:
    parts = (figures.router_cpu_seconds, figures.generator_cpu_seconds, figures.receiver_cpu_seconds)
    return " · ".join(_or_unavailable(part, "{:.1f} s") for part in parts)
