"""A unit of work: one write transaction's worth of rows, gathered and written with few statements."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Executable, Table, bindparam, func, select, update

from router.journal import tables
from router.journal.sealing import Sealer

INSERT_ORDER: tuple[Table, ...] = (
    tables.message,
    tables.message_content,
    tables.reading,
    tables.item,
    tables.item_token,
    tables.delivery,
    tables.delivery_content,
    tables.attempt,
    tables.notice,
)
"""Parents before children, whatever the order in which operations asked."""

_INSERTS = {table: table.insert() for table in INSERT_ORDER}

PROCESS_MESSAGE = (
    update(tables.message)
    .where(tables.message.c.id == bindparam("b_id"))
    .values(
        state=bindparam("state"),
        processed_at=bindparam("processed_at"),
        format=bindparam("format"),
        worst=bindparam("worst"),
        unread=bindparam("unread"),
    )
)
END_DELIVERY = (
    update(tables.delivery)
    .where(tables.delivery.c.id == bindparam("b_id"))
    .values(
        state=bindparam("state"),
        ended_at=bindparam("ended_at"),
        next_attempt_at=bindparam("next_attempt_at"),
        attempts=bindparam("attempts"),
        attempts_before=bindparam("attempts_before"),
        detail=bindparam("detail"),
    )
)
_UPDATES: tuple[Executable, ...] = (PROCESS_MESSAGE, END_DELIVERY)


class Unit:
    """Gathers the rows of one transaction. `next_id` numbers rows from the greatest committed one on."""

    def __init__(self, connection: Connection, sealer: Sealer) -> None:
        self.connection = connection
        self.sealer = sealer
        self._inserts: dict[Table, list[dict[str, Any]]] = defaultdict(list)
        self._updates: dict[Executable, list[dict[str, Any]]] = defaultdict(list)
        self._last: dict[Table, int] = {}

    def next_id(self, table: Table) -> int:
        """Give the next identifier of `message`, `item` or `delivery`."""
        last = self._last.get(table)
        if last is None:
            last = self.connection.execute(_LAST[table]).scalar() or 0
        self._last[table] = last + 1
        return last + 1

    def add(self, table: Table, row: dict[str, Any]) -> None:
        """Insert a row at the end of the transaction; rows of one table all have the same columns."""
        self._inserts[table].append(row)

    def change(self, statement: Executable, row: dict[str, Any]) -> None:
        """Run one of this module's updates at the end of the transaction."""
        self._updates[statement].append(row)

    def flush(self) -> None:
        """Write what was gathered: inserts, parents first, then updates."""
        for table in INSERT_ORDER:
            rows = self._inserts.pop(table, None)
            if rows:
                self.connection.execute(_INSERTS[table], rows)
        for statement in _UPDATES:
            rows = self._updates.pop(statement, None)
            if rows:
                self.connection.execute(statement, rows)


_LAST = {table: select(func.max(table.c.id)) for table in (tables.message, tables.item, tables.delivery)}
