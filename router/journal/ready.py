"""Statements that every request needs: written once for each database, and given to its driver as they are.

To make a statement anew, and to let SQLAlchemy find how it is written and wrap its rows, costs several times what the
database takes for it. These read integers, texts and bytes, which every driver gives as they are.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, Select

_Written = tuple[str, tuple[str, ...] | None, dict[str, Any], Callable[[Iterable[Any]], Any]]
"""SQL, the order of its values (None: by name), the values that it has itself, and what makes a row."""


class Ready:
    """A SELECT whose `bindparam`s are given by name; rows have the names of its columns."""

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement
        self._written: dict[str, _Written] = {}

    def rows(self, connection: Connection, **values: object) -> list[Any]:
        """Run it on a connection, within its transaction if there is one."""
        written = self._written.get(connection.dialect.name) or self._write(connection)
        sql, order, own, row = written
        given = {**own, **values}
        driver: Any = connection.connection.driver_connection
        cursor = driver.execute(sql, given if order is None else [given[name] for name in order])
        return [row(one) for one in cursor.fetchall()]

    def first(self, connection: Connection, **values: object) -> Any | None:
        """Give the first row, None when there is none."""
        found = self.rows(connection, **values)
        return found[0] if found else None

    def _write(self, connection: Connection) -> _Written:
        compiled = self.statement.compile(dialect=connection.dialect)
        names = [column.key or "" for column in self.statement.selected_columns]
        row = namedtuple("row", names)  # type: ignore[misc]
        order = tuple(compiled.positiontup) if compiled.positiontup is not None else None
        written = str(compiled), order, dict(compiled.params), row._make
        self._written[connection.dialect.name] = written
        return written
