"""A unit of work: one write transaction's worth of rows, gathered and written with few statements.

The statements are SQLAlchemy's, compiled once for the journal's dialect and given to the driver with all their rows:
these tables hold integers, texts and bytes, which every driver takes as they are; what SQLAlchemy does to each
value of each row would be half the cost of an acknowledgement.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update, bindparam, update

from router.journal import tables
from router.journal.asking import ANY_DOSSIER
from router.journal.sealing import Sealer
from router.journal.store import Question as Question

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

_INSERTS: dict[Table, Insert] = {table: table.insert() for table in INSERT_ORDER}

PROCESS_MESSAGE = (
    update(tables.message)
    .where(tables.message.c.id == bindparam("b_id"))
    .values(
        state=bindparam("state"),
        processed_at=bindparam("processed_at"),
        format=bindparam("format"),
        worst=bindparam("worst"),
        unread=bindparam("unread"),
        mappings=bindparam("mappings"),
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
_UPDATES: tuple[Update, ...] = (PROCESS_MESSAGE, END_DELIVERY)


Rows = list[tuple[Any, ...]]


class Unit:
    """Gathers the rows of one transaction. `next_id` numbers rows from the greatest committed one on.

    `answers` are those to questions that were asked as the transaction began, all at once: they hold until something is
    written, which whoever speaks to `connection` itself may do.
    """

    def __init__(
        self,
        connection: Connection,
        sealer: Sealer,
        last_ids: dict[str, int] | None = None,
        answers: Mapping[Question, Rows] | None = None,
    ) -> None:
        self._connection = connection
        self._answers = dict(answers or {})
        self.sealer = sealer
        self._driver: Any = connection.connection.driver_connection
        self._positional = connection.dialect.positional
        self._inserts: dict[Table, list[dict[str, Any]]] = defaultdict(list)
        self._updates: dict[Update, list[dict[str, Any]]] = defaultdict(list)
        self._last = {} if last_ids is None else last_ids

    @property
    def connection(self) -> Connection:
        """The connection itself, for what is not gathered."""
        self._answers.clear()
        return self._connection

    def next_id(self, table: Table) -> int:
        """Give the next identifier of `message`, `item`, `delivery` or `resource`."""
        last = self._last.get(table.name)
        if last is None:
            last = self.query(*last_id(table))[0][0] or 0
        self._last[table.name] = last + 1
        return last + 1

    def query(self, sql: str, values: Sequence[object] = ()) -> Rows:
        """Run a query of ours on the driver itself; `?` stands for a value."""
        if self._answers:
            known = self._answers.get((sql, tuple(values)))
            if known is not None:
                return known
        text = sql if self._positional else sql.replace("?", "%s")
        rows: Rows = self._driver.execute(text, tuple(values)).fetchall()
        return rows

    def waiting(self, numbers: Sequence[int]) -> dict[int, int]:
        """Give those of these messages that are still `received`, with how often each was replayed."""
        return {row[0]: row[1] for row in self.query(*messages_waiting(numbers))}

    def patients_changed(self, numbers: Sequence[int]) -> dict[int, int]:
        """Give when each of these patients last changed."""
        return {row[0]: row[1] for row in self.query(*patients_changed(numbers))}

    def settled(self, numbers: Sequence[int]) -> dict[int, str]:
        """Give those of these Deliveries that wait for no sending, with their state.

        What was cancelled, or ended, within this transaction counts as well.
        """
        question = deliveries_settled(numbers)
        ended = {row["b_id"] for row in self._updates.get(END_DELIVERY, ())}
        if question not in self._answers or not ended.isdisjoint(numbers):
            self.flush()
        return {row[0]: row[1] for row in self.query(*question)}

    def has_dossiers(self) -> bool:
        """Say whether anybody has, or had, a dossier."""
        return bool(self.query(ANY_DOSSIER))

    def known_identities(self, messages: Sequence[tuple[str, bytes]]) -> dict[bytes, int]:
        """Give the messages that have one of these control ids with its identity, by identity."""
        return {bytes(identity): number for identity, number in self.query(*identities_known(messages))}

    def add(self, table: Table, row: dict[str, Any]) -> None:
        """Insert a row at the end of the transaction; rows of one table all have the same columns."""
        self._inserts[table].append(row)

    def change(self, statement: Update, row: dict[str, Any]) -> None:
        """Run one of this module's updates at the end of the transaction."""
        self._updates[statement].append(row)

    def flush(self) -> None:
        """Write what was gathered before the transaction goes on; PostgreSQL is sent all of it at once."""
        if self._inserts or self._updates:
            self._answers.clear()
            with contextlib.nullcontext() if self._positional else self._driver.pipeline():
                self.write()

    def write(self) -> None:
        """Write what was gathered: inserts, parents first, then updates."""
        for table in INSERT_ORDER:
            rows = self._inserts.pop(table, None)
            if rows:
                self._run(_INSERTS[table], rows)
        for statement in _UPDATES:
            rows = self._updates.pop(statement, None)
            if rows:
                self._run(statement, rows)

    def _run(self, statement: Insert | Update, rows: list[dict[str, Any]]) -> None:
        if not self._positional:
            self._run_by_name(statement, rows)
            return
        if isinstance(statement, Update):
            # Of two changes of one row in one transaction, the last one counts.
            rows = list({row["b_id"]: row for row in rows}.values())
        names = tuple(rows[0])
        at = 0
        for size in CHUNKS:
            while len(rows) - at >= size:
                chunk = rows[at : at + size]
                values = itertools.chain.from_iterable(map(itemgetter(*names), chunk))
                self._driver.execute(many_rows(statement, names, size), tuple(values)).close()
                at += size

    def _run_by_name(self, statement: Insert | Update, rows: list[dict[str, Any]]) -> None:
        dialect = self.connection.dialect
        names = tuple(rows[0])
        inserted = list(names) if isinstance(statement, Insert) else None
        key = (dialect.name, statement, names)
        sql = _BY_NAME.get(key)
        if sql is None:
            sql = _BY_NAME[key] = str(statement.compile(dialect=dialect, column_keys=inserted))
        with self._driver.cursor() as cursor:
            cursor.executemany(sql, rows)


CHUNKS = (64, 32, 16, 8, 4, 2, 1)
"""Rows in one statement: few sizes, so that the driver keeps them all prepared."""


@cache
def many_rows(statement: Insert | Update, names: tuple[str, ...], size: int) -> str:
    """Write a statement for several rows at once, for SQLite.

    Its driver gives the interpreter up and takes it back for each statement it steps through: row by row, a
    transaction would spend most of its time waiting for the thread that serves the sockets.
    """
    table = statement.table.description
    row = f"({', '.join(['?'] * len(names))})"
    values = ", ".join([row] * size)
    columns = ", ".join(names)
    if isinstance(statement, Insert):
        return f"INSERT INTO {table} ({columns}) VALUES {values}"  # noqa: S608 - names of our own tables
    changes = ", ".join(f"{name} = given.{name}" for name in names if name != "b_id")
    given = f"WITH given ({columns}) AS (VALUES {values})"
    return f"{given} UPDATE {table} SET {changes} FROM given WHERE id = given.b_id"  # noqa: S608 - the same


_BY_NAME: dict[tuple[str, Insert | Update, tuple[str, ...]], str] = {}


_BY_IDENTITY = (
    "WITH given (control_id, identity) AS (VALUES GIVEN) SELECT message.identity, message.id "
    "FROM given CROSS JOIN message "
    "WHERE message.control_id = given.control_id AND message.identity = given.identity"
)
_WAITING = "SELECT id, replays FROM message WHERE state = 'received' AND id IN "
_CHANGED = "SELECT id, updated_at FROM patient WHERE id IN "
_SETTLED = "SELECT id, state FROM delivery WHERE state NOT IN ('pending', 'retrying') AND id IN "
_LAST = {
    "message": "SELECT max(id) FROM message",
    "item": "SELECT max(id) FROM item",
    "delivery": "SELECT max(id) FROM delivery",
    "resource": "SELECT max(id) FROM resource",
}


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["?"] * len(values))


def last_id(table: Table) -> Question:
    """Ask for the greatest identifier of a table."""
    return _LAST[table.name], ()


def messages_waiting(numbers: Sequence[int]) -> Question:
    """Ask which of these messages are still `received`, and how often each was replayed."""
    return f"{_WAITING}({_marks(numbers)})", tuple(numbers)


def patients_changed(numbers: Sequence[int]) -> Question:
    """Ask when each of these patients last changed."""
    return f"{_CHANGED}({_marks(numbers)})", tuple(numbers)


def deliveries_settled(numbers: Sequence[int]) -> Question:
    """Ask which of these Deliveries wait for no sending."""
    return f"{_SETTLED}({_marks(numbers)})", tuple(numbers)


def identities_known(messages: Sequence[tuple[str, bytes]]) -> Question:
    """Ask for the messages that have one of these control ids with its identity."""
    given = ", ".join(["(?, ?)"] * len(messages))
    return _BY_IDENTITY.replace("GIVEN", given), tuple(itertools.chain.from_iterable(messages))
