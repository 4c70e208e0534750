"""New journals for tests, without their whole history: every migration takes its turn, and its syncs, in each of them.

The first new journal of a test process is migrated for real, on either database; later ones are made alike in one go.
Processes that a test starts migrate for themselves.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, inspect

from router.journal import migrate
from router.journal.locking import file_lock
from router.journal.migrate import Step
from router.journal.store import JournalPlace

migrated = migrate.upgrade
"""What brings a journal's tables to the newest revision, step by step."""


class NewJournals:
    """Stands for `router.journal.migrate.upgrade`: the same tables, for a new journal in one step."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "new.db"
        self._said: list[tuple[str, Any]] = []

    def upgrade(self, engine: Engine, place: JournalPlace, *, asked: bool = False) -> list[Step]:
        """Bring the tables to the newest revision."""
        if not inspect(engine).get_table_names():
            place.data.mkdir(parents=True, exist_ok=True)
            with file_lock(place.data / "new.lock"):
                if not inspect(engine).get_table_names():
                    self._make(engine, place)
        return migrated(engine, place, asked=asked)

    def _make(self, engine: Engine, place: JournalPlace) -> None:
        if not place.is_sqlite:
            self._repeat(engine, place)
        elif self._template.exists():
            _copy(self._template, engine, back=False)
        else:
            migrated(engine, place)
            _copy(self._template, engine, back=True)

    def _repeat(self, engine: Engine, place: JournalPlace) -> None:
        if not self._said:
            with _listening(engine, self._said):
                migrated(engine, place)
            return
        with engine.begin() as connection:
            for statement, values in self._said:
                connection.exec_driver_sql(statement, values)


def _copy(template: Path, engine: Engine, *, back: bool) -> None:
    """Copy a template into an engine's own database, or `back`."""
    with engine.connect() as connection, contextlib.closing(sqlite3.connect(template)) as kept:
        own: Any = connection.connection.driver_connection
        if back:
            own.backup(kept)
        else:
            kept.backup(own)


@contextlib.contextmanager
def _listening(engine: Engine, said: list[tuple[str, Any]]) -> Iterator[None]:
    """Note every statement that changes something."""

    def hear(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "SHOW")):
            said.append((statement, values))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", hear)
