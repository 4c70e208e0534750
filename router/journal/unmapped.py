"""Counting codes that no map answers, in the transaction that keeps the reading in which they were seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import text

from router.journal.unit import Unit

LONGEST_LABEL, LONGEST_UNIT = 160, 120


class UnmappedCode(NamedTuple):
    """A sender's code or unit that a message uses without a standard one, `times` times.

    `label` and `unit` are what stood beside it: an example for whoever maps it. A value is never among them.
    """

    sender: str
    kind: str
    system: str
    code: str
    label: str
    unit: str
    times: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What one message was seen to use; `again` when it was read before, and counted then."""

    message_id: int
    again: bool
    codes: tuple[UnmappedCode, ...]


_COUNT = text(
    "INSERT INTO unmapped_code"
    " (sender, kind, system, code, label, unit, seen, first_at, last_at, last_message_id)"
    " VALUES (:sender, :kind, :system, :code, :label, :unit, :seen, :now, :now, :message)"
    " ON CONFLICT (sender, kind, system, code) DO UPDATE SET seen = unmapped_code.seen + excluded.seen,"
    " label = excluded.label, unit = excluded.unit, last_at = excluded.last_at,"
    " last_message_id = excluded.last_message_id"
)


def count_unmapped(unit: Unit, messages: Iterable[Seen], now: int) -> None:
    """Add up what a batch of messages used, one row a code; `now` is in microseconds."""
    rows: dict[tuple[str, str, str, str], dict[str, object]] = {}
    counts: dict[tuple[str, str, str, str], int] = {}
    for message in messages:
        for one in message.codes:
            key = (one.sender, one.kind, one.system, one.code)
            counts[key] = counts.get(key, 0) + (0 if message.again else one.times)
            rows[key] = {
                "sender": one.sender,
                "kind": one.kind,
                "system": one.system,
                "code": one.code,
                "label": one.label[:LONGEST_LABEL],
                "unit": one.unit[:LONGEST_UNIT],
                "message": message.message_id,
                "now": now,
            }
    if rows:
        # In one order for all: two routers on one PostgreSQL then never wait for each other's rows in a circle.
        unit.connection.execute(_COUNT, [{**rows[key], "seen": counts[key]} for key in sorted(rows)])
