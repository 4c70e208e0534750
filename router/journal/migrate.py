"""Bringing a journal's tables to the present version, with Alembic migrations kept in the package.

Migrations expand first and contract later: after each one the version before it still works on the tables, so that
the nodes of a cluster change version one by one (`docs/operations/upgrades.md`). One that takes away what the version before
still used says which is the oldest that may go on (`oldest`), and the journal remembers it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, delete, insert, select, text

from router.journal.locking import ROUTER_LOCK, AlreadyRunning, file_lock
from router.journal.store import JournalFault, JournalPlace
from router.journal.tables import setting

OLDEST = "oldest_revision"
"""The setting that says what revision a version must know at least to work on the tables."""

MIGRATE_LOCK = 0x7061_736D
"""Key of the PostgreSQL advisory lock of whoever changes tables (`pasm` in ASCII); apart from a router's own, which it
may be held beside."""

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


def head() -> str:
    """Give the newest revision that this version knows."""
    return ScriptDirectory.from_config(configuration()).get_current_head() or ""


@dataclass(frozen=True, slots=True)
class Step:
    """A migration that is still to be made.

    `title` is what it is for; `oldest` the first revision whose version may work on the tables after it, empty where the
    one before it may.
    """

    revision: str
    title: str
    oldest: str


def steps(engine: Engine) -> list[Step]:
    """Give the migrations that bring the tables to this version, in their order.

    Raises JournalFault when the tables are of a later version than this one can work on.
    """
    scripts, found = ScriptDirectory.from_config(configuration()), current(engine)
    try:
        walked = list(scripts.iterate_revisions("head", found or "base"))
    except (CommandError, ResolutionError):
        _may_work_on_later(engine, found or "", head())
        return []
    return [
        Step(one.revision, (one.doc or "").splitlines()[0], getattr(one.module, "oldest", ""))
        for one in reversed(walked)
        if one.revision != found
    ]


def _may_work_on_later(engine: Engine, found: str, own: str) -> None:
    """Let a version work on tables of a later one, which said when they were made that it may."""
    with engine.connect() as connection:
        oldest = connection.execute(select(setting.c.value).where(setting.c.name == OLDEST)).scalar() or found
    if own < oldest:
        raise JournalFault(
            f"the journal's tables are of a later version (revision {found}, this version knows {own}): "
            "run the later version of Passerelle, or restore a back-up from before it"
        )


def is_at_work(engine: Engine, place: JournalPlace) -> bool:
    """Whether a router works on this journal at the moment, on this machine or, on PostgreSQL, on any."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            held = text(
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = :key"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1"
            )
            return connection.execute(held, {"key": ROUTER_LOCK}).first() is not None
    path = place.data / "router.lock"
    if not path.exists():
        return False
    try:
        with file_lock(path, wait=False):
            return False
    except AlreadyRunning:
        return True


def upgrade(engine: Engine, place: JournalPlace, *, asked: bool = False) -> list[Step]:
    """Bring the tables to the newest revision, and give what was done; several processes may call it at once.

    Beside a router that is at work it is only done when it is `asked` for: an older version may be what works, and its
    tables change under it only when somebody knows of it. Raises JournalFault otherwise.
    """
    if current(engine) == head():
        return []
    todo = steps(engine)
    if not todo:
        return []
    if not asked and current(engine) is not None and is_at_work(engine, place):
        raise JournalFault(
            f"the journal's tables are of an earlier version ({len(todo)} step(s) behind) and a router works on them: "
            "run `passerelle migrate` first"
        )
    config = configuration()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    place.data.mkdir(parents=True, exist_ok=True)
    with file_lock(place.data / "migrate.lock"), engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATE_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATE_LOCK})
        _keep_oldest(connection, todo)
        connection.commit()
    return todo


def _keep_oldest(connection: Connection, done: list[Step]) -> None:
    """Note which versions may work on these tables: from the one before the steps on, unless a step says later."""
    before = done[0].revision
    scripts = ScriptDirectory.from_config(configuration())
    first = scripts.get_revision(before)
    down = first.down_revision if first is not None else None
    oldest = max([down if isinstance(down, str) else before, *(step.oldest for step in done)])
    connection.execute(delete(setting).where(setting.c.name == OLDEST))
    connection.execute(insert(setting).values(name=OLDEST, value=oldest))
