"""Bringing a journal's tables to the present version, with Alembic migrations kept in the package.

Migrations expand first and contract later: after each one the version before it still works on the tables, so that
the nodes of a cluster change version one by one (`docs/operations/upgrades.md`). One that takes away what the version
before still used says which is the oldest that may go on (`oldest`), and the journal remembers it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, delete, event, insert, select, text

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

    `title` is what it is for; `oldest` the first revision whose version may work on the tables after it, empty where
    the one before it may.
    """

    revision: str
    title: str
    oldest: str


def steps(engine: Engine) -> list[Step]:
    """Give the migrations that bring the tables to this version, in their order.

    Raises JournalFault when the tables are of a later version than this one can work on.
    """
    order, found = _order(), current(engine)
    if found is not None and found not in order:
        _may_work_on_later(engine, found, order)
        return []
    scripts = ScriptDirectory.from_config(configuration())
    coming = [scripts.get_revision(one) for one in order[0 if found is None else order.index(found) + 1 :]]
    return [
        Step(one.revision, one.doc.splitlines()[0], getattr(one.module, "oldest", ""))
        for one in coming
        if one is not None
    ]


def _order() -> list[str]:
    """Give the revisions that this version knows, the first one first: their numbers need not grow."""
    scripts = ScriptDirectory.from_config(configuration())
    return [one.revision for one in reversed(list(scripts.walk_revisions()))]


def _may_work_on_later(engine: Engine, found: str, order: list[str]) -> None:
    """Let a version work on tables of a later one, which said when they were made that it may."""
    with engine.connect() as connection:
        oldest = connection.execute(select(setting.c.value).where(setting.c.name == OLDEST)).scalar() or found
    if oldest not in order:
        raise JournalFault(
            f"the journal's tables were brought up by a newer release (to {found}), which this one cannot work on: "
            "start that release or a later one, or restore a back-up from before it"
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

    Each migration is a transaction of its own with the note that it was done: whoever is killed in the middle of one
    has done none of it, and the next call goes on from there. Beside a router that is at work it is only done when it
    is `asked` for: an older version may be what works, and its tables change only when somebody knows of it. Raises
    JournalFault otherwise, and when the tables are newer than this release can work on.
    """
    found = current(engine)
    todo = steps(engine)
    if not todo:
        return []
    if not asked and found is not None and is_at_work(engine, place):
        raise JournalFault(
            f"the journal's tables are of an earlier version ({len(todo)} step(s) behind) and a router works on them: "
            "run `passerelle migrate` first"
        )
    config = configuration()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    place.data.mkdir(parents=True, exist_ok=True)
    with file_lock(place.data / "migrate.lock"), engine.connect() as connection, _alone(connection):
        config.attributes["connection"] = connection
        if found is not None:
            _keep_oldest(connection, found, todo)
        command.upgrade(config, "head")
    return todo


def _keep_oldest(connection: Connection, found: str, coming: list[Step]) -> None:
    """Note which versions may work on the tables from now on: from `found` on, unless a step says a later one."""
    order = _order()
    oldest = max([found, *(step.oldest for step in coming if step.oldest)], key=order.index)
    connection.execute(delete(setting).where(setting.c.name == OLDEST))
    connection.execute(insert(setting).values(name=OLDEST, value=oldest))
    connection.commit()


@contextlib.contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other processes out, and let each transaction begin at the database itself."""
    if connection.dialect.name == "sqlite":
        # The driver begins none of its own accord (`store.connect`): without this every statement stands alone.
        event.listen(connection, "begin", _begin)
        yield
        return
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATE_LOCK})
    connection.commit()  # the lock is the session's: it outlives the transactions of the migrations
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATE_LOCK})
        connection.commit()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
