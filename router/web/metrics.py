"""`/metrics` for Prometheus: the overview's own figures, derived from the journal at each scrape.

Labels are names of the configuration and words of ours, never anything of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import func, select

from router.journal import tables
from router.journal.view import View
from router.web.access import Office, Watcher
from router.web.boards import Board, FlowLine
from router.web.states import DOWN

router = APIRouter()

MICROS = 1_000_000


@router.get("/metrics")
async def metrics(desk: Office, _caller: Watcher) -> Response:
    """Give the figures in Prometheus' text form; the scraper sends an API key as its bearer token."""
    now = desk.now()

    def ask(view: View) -> bytes:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Figures(desk.boards.board(view, now), *_totals(view)))
        return generate_latest(registry)

    return Response(await desk.look(ask), media_type=CONTENT_TYPE_LATEST)


def _totals(view: View) -> tuple[int, int]:
    """Give how many messages and Deliveries there ever were: their numbers are never used twice."""
    newest = (select(func.max(table.c.id)) for table in (tables.message, tables.delivery))
    messages, deliveries = (view.connection.execute(statement).scalar() or 0 for statement in newest)
    return messages, deliveries


class _Figures:
    """Collects one board."""

    def __init__(self, board: Board, messages: int, deliveries: int) -> None:
        self._board = board
        self._messages = messages
        self._deliveries = deliveries

    def collect(self) -> Iterator[Metric]:
        """Give every family of figures."""
        board, found = self._board, self._board.situation
        yield CounterMetricFamily("passerelle_messages", "Messages received since the journal began.", self._messages)
        yield CounterMetricFamily("passerelle_deliveries", "Deliveries made since the journal began.", self._deliveries)
        yield _gauge("passerelle_messages_unread", "Messages acknowledged and not yet read.", found.unread.count.count)
        yield _gauge("passerelle_unread_age_seconds", "Age of the oldest of them.", self._age(found.unread.oldest_at))
        yield _gauge("passerelle_items_held", "Items that wait for a person.", found.held.count.count)
        yield _gauge("passerelle_held_age_seconds", "Age of the oldest of them.", self._age(found.held.oldest_at))
        yield _gauge("passerelle_messages_rejected_day", "Messages rejected in 24 hours.", found.rejected.count)
        yield from self._flows("source", board.sources)
        yield from self._flows("destination", board.destinations)
        backlog = GaugeMetricFamily("passerelle_backlog", "Deliveries that wait.", labels=("destination",))
        age = GaugeMetricFamily("passerelle_backlog_age_seconds", "Age of the oldest.", labels=("destination",))
        for line in board.destinations:
            backlog.add_metric((line.status.name,), line.backlog.pending.count.count)
            age.add_metric((line.status.name,), self._age(line.backlog.pending.oldest_at))
        yield from (backlog, age)
        yield _gauge("passerelle_journal_bytes", "Size of the journal's tables.", board.storage.tables)
        yield _gauge("passerelle_blobs_bytes", "Size of what is beside the tables.", board.storage.blobs)
        yield _gauge("passerelle_disk_free_bytes", "Room left on the journal's disk.", board.storage.free)
        ends = GaugeMetricFamily(
            "passerelle_certificate_end_timestamp_seconds",
            "End of each certificate that is about to end, or has.",
            labels=("owner", "trouble"),
        )
        for note in board.certificates:
            ends.add_metric((note.owner, note.trouble.value), note.until.timestamp() if note.until else 0.0)
        yield ends

    def _flows(self, side: str, lines: Iterable[FlowLine]) -> Iterator[Metric]:
        per_minute = GaugeMetricFamily(
            f"passerelle_{side}_per_minute", "Mean of the last five minutes.", labels=(side, "connector")
        )
        failures = GaugeMetricFamily(
            f"passerelle_{side}_failures",
            "Messages rejected in 24 hours." if side == "source" else "Deliveries that are dead.",
            labels=(side,),
        )
        up = GaugeMetricFamily(f"passerelle_{side}_up", "0 when it does not work, 1 otherwise.", labels=(side,))
        last = GaugeMetricFamily(
            f"passerelle_{side}_last_timestamp_seconds", "When something last went through.", labels=(side,)
        )
        for line in lines:
            name = line.status.name
            per_minute.add_metric((name, line.status.connector), line.per_minute)
            failures.add_metric((name,), line.failures)
            up.add_metric((name,), 0.0 if line.status.state in DOWN else 1.0)
            if line.last_at is not None:
                last.add_metric((name,), line.last_at / MICROS)
        yield from (per_minute, failures, up, last)

    def _age(self, since: int | None) -> float:
        return 0.0 if since is None else max(0.0, (self._board.at - since) / MICROS)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value)
