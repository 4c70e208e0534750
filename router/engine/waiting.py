"""The Deliveries of one destination that wait in the journal: all of them, or those of the lanes that this node has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import bindparam, exists, select, text

from router.engine.lanes import Entry
from router.journal import tables
from router.journal.store import Store

ENTRY_COLUMNS = (
    tables.delivery.c.id,
    tables.delivery.c.lane,
    tables.delivery.c.identity,
    tables.delivery.c.media_type,
    tables.delivery.c.filename,
    tables.delivery.c.blob,
    tables.delivery.c.created_at,
    tables.delivery.c.attempts,
    tables.delivery.c.attempts_before,
    tables.delivery.c.next_attempt_at,
    tables.delivery.c.route,
)
"""What an Entry is made of."""

# Written out, not bound: the partial indexes of the open states are chosen only for a literal condition.
_OPEN_STATES = "state IN ('pending', 'retrying')"
_OPEN = (
    select(*ENTRY_COLUMNS)
    .where(
        tables.delivery.c.destination == bindparam("destination"),
        tables.delivery.c.id > bindparam("after"),
        text(_OPEN_STATES),
    )
    .order_by(tables.delivery.c.id)
    .limit(bindparam("count"))
)
_LANE = _OPEN.where(tables.delivery.c.lane == bindparam("lane"))
# A database's remainder has the sign of what is divided; ours has that of the divisor.
_OURS = _OPEN.where(
    ((tables.delivery.c.lane % bindparam("lanes") + bindparam("lanes")) % bindparam("lanes")).in_(
        bindparam("ours", expanding=True)
    )
)


class Waiting:
    """Reads what waits for a destination, in order. `durable` says what is known to be on the disk already."""

    def __init__(self, store: Store, destination: str, durable: Callable[[int], bool] = lambda _: False) -> None:
        self._store = store
        self._destination = destination
        self._durable = durable

    def after(self, cursor: int, count: int) -> list[Entry]:
        """Give the next Deliveries after one. Raises JournalFault."""
        return self._read(_OPEN, {"after": cursor, "count": count})

    def of_lane(self, lane: int, after: int, count: int) -> list[Entry]:
        """Give the next ones of one patient. Raises JournalFault."""
        return self._read(_LANE, {"lane": lane, "after": after, "count": count})

    def of_lanes(self, lanes: int, ours: Sequence[int], after: int, count: int) -> list[Entry]:
        """Give the next ones whose patient falls into one of our lanes, of so many. Raises JournalFault."""
        if not ours:
            return []
        return self._read(_OURS, {"lanes": lanes, "ours": list(ours), "after": after, "count": count})

    def was_held(self, number: int) -> bool:
        """Say whether a person let a Delivery go that was held. Raises JournalFault."""
        column = tables.attempt.c
        held = exists().where(column.delivery_id == number, column.outcome == "held")
        with self._store.reading() as connection:
            return bool(connection.execute(select(held)).scalar())

    def _read(self, statement: Any, parameters: dict[str, Any]) -> list[Entry]:
        with self._store.reading() as connection:
            rows = connection.execute(statement, {"destination": self._destination, **parameters})
            found = [Entry(**dict(row._mapping)) for row in rows]
        if not all(self._durable(one.id) for one in found):
            self._store.sync()  # what is sent must not be forgotten, nor its number given to another message
        return found
