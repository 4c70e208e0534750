"""Bringing a journal's tables to the present version, with Alembic migrations kept in the package."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from router.journal.locking import file_lock
from router.journal.store import WRITE_LOCK, JournalPlace

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
    """Bring the tables to the newest revision; several processes may call it at once."""
    config = configuration()
    head = ScriptDirectory.from_config(config).get_current_head()
    if current(engine) == head:
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    place.data.mkdir(parents=True, exist_ok=True)
    with file_lock(place.data / "migrate.lock"), engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": WRITE_LOCK + 1})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": WRITE_LOCK + 1})
        connection.commit()
