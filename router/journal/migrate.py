"""Bringing a journal's tables to the present version, with Alembic migrations kept in the package."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, text

from router.journal.locking import file_lock
from router.journal.store import WRITE_LOCK, JournalFault, JournalPlace

MIGRATIONS = Path(__file__).parent / "migrations"


def configuration() -> Config:
    """Give Alembic's configuration, without any file of its own."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def current(engine: Engine) -> str | None:
    """Say which revision the tables are at; None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, place: JournalPlace) -> None:
    """Bring the tables to the newest revision; several processes may call it at once.

    Each migration is a transaction of its own with the note that it was done: whoever is killed in the middle of one
    has done none of it, and the next call goes on from there. Raises JournalFault when the tables are newer than this
    release.
    """
    config = configuration()
    if _is_current(engine, config):
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    place.data.mkdir(parents=True, exist_ok=True)
    with file_lock(place.data / "migrate.lock"), engine.connect() as connection, _alone(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_current(engine: Engine, config: Config) -> bool:
    found, known = current(engine), ScriptDirectory.from_config(config)
    if found is not None and found not in {one.revision for one in known.walk_revisions()}:
        raise JournalFault(
            f"the journal's tables were brought up by a newer release (to {found}): start that release or a later one"
        )
    return found == known.get_current_head()


@contextlib.contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other processes out, and let each transaction begin at the database itself."""
    if connection.dialect.name == "sqlite":
        # The driver begins none of its own accord (`store.connect`): without this every statement stands alone.
        event.listen(connection, "begin", _begin)
        yield
        return
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": WRITE_LOCK + 1})
    connection.commit()  # the lock is the session's: it outlives the transactions of the migrations
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": WRITE_LOCK + 1})
        connection.commit()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
