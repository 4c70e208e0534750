"""Going back to a moment on PostgreSQL: a base back-up made ready to be played forward, and the journal looked over.

PostgreSQL does the playing itself (its recovery target); what is here writes what it must be told, and afterwards says
in figures what the journal holds: `docs/operations/recovery.md` is the recipe.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, func, select

from router.journal import tables
from router.journal.auditing import Chain, verify_audit
from router.journal.sealing import KeyFault, Sealer
from router.journal.store import Store
from router.keeping.manifest import BackupFault
from router.keeping.resealing import place_of, sealed_columns

SETTINGS = "postgresql.auto.conf"
SIGNAL = "recovery.signal"
SAMPLE = 200
"""Newest values of each sealed column that are opened to see whether the key is the right one."""


def prepare_recovery(base: Path, archive: Path, into: Path, moment: datetime) -> None:
    """Copy a base back-up (`pg_basebackup`, plain) and tell PostgreSQL to play its archive up to `moment`, no further.

    The moment is included. PostgreSQL then opens the journal for writing, on a line of time of its own. Raises
    BackupFault when the base is none, or the place is taken; nothing is left behind then.
    """
    if not (base / "PG_VERSION").is_file() or not (base / "backup_label").is_file():
        raise BackupFault(f"{base} is no base back-up of PostgreSQL: make one with `pg_basebackup --format plain`")
    if not archive.is_dir() or not any(archive.iterdir()):
        raise BackupFault(f"{archive} holds no archived log: without it there is no way to a moment after the back-up")
    if moment.tzinfo is None:
        raise BackupFault("say the moment with its offset from UTC, as 2026-11-26T14:05:00+01:00")
    if into.exists():
        raise BackupFault(f"{into} is there already: restore into a new folder, and never over a database")
    began = _began(base)
    if moment <= began:
        raise BackupFault(f"this base back-up was begun at {began.isoformat()}: take an earlier one")
    begun = into.with_name(f".{into.name}.begun")
    shutil.rmtree(begun, ignore_errors=True)
    try:
        shutil.copytree(base, begun, symlinks=True)
        begun.chmod(0o700)
        quoted = str(archive.resolve()).replace("'", "''")
        at = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        with (begun / SETTINGS).open("a", encoding="utf-8") as out:
            out.write(
                f'\n# Written by `passerelle restore --to`.\nrestore_command = \'cp "{quoted}/%f" "%p"\'\n'
                f"recovery_target_time = '{at}'\nrecovery_target_inclusive = on\nrecovery_target_action = 'promote'\n"
                # The copy must not write into the archive of the database that it comes from, nor wait for its replica.
                "archive_mode = off\nsynchronous_standby_names = ''\n"
            )
        (begun / "standby.signal").unlink(missing_ok=True)
        (begun / SIGNAL).touch()
        begun.rename(into)
    except BaseException:
        shutil.rmtree(begun, ignore_errors=True)
        raise


def _began(base: Path) -> datetime:
    """Say when a base back-up was begun, by its label, whose zone is UTC in all that PostgreSQL writes by default."""
    for line in (base / "backup_label").read_text(encoding="utf-8").splitlines():
        if line.startswith("START TIME: "):
            words = line.removeprefix("START TIME: ").split()
            if words[-1] not in {"UTC", "GMT"}:
                return datetime.min.replace(tzinfo=UTC)  # the server's own zone: PostgreSQL itself will say
            return datetime.fromisoformat(" ".join(words[:2])).replace(tzinfo=UTC)
    raise BackupFault(f"{base / 'backup_label'} does not say when the back-up was begun; take another one")


@dataclass(frozen=True, slots=True)
class State:
    """What a journal holds. `newest_at` is microseconds; `closed` counts values that do not open with the key."""

    messages: int
    newest_at: int | None
    deliveries: dict[str, int]
    missing_blobs: int
    opened: int
    closed: int
    chain: Chain

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or altered."""
        return not self.missing_blobs and not self.closed and self.chain.whole


def look_over(store: Store, known: str = "") -> State:
    """Look a journal over: counts, the newest values opened, contents present, the audit's chain followed.

    `known` is an audit head that was noted earlier.
    """
    sealer = store.sealer.clone()
    with store.reading() as connection:
        message, delivery = tables.message.c, tables.delivery.c
        messages, newest = connection.execute(select(func.count(), func.max(message.received_at))).one()
        states = connection.execute(select(delivery.state, func.count()).group_by(delivery.state)).all()
        opened = Counter(_opened(connection, sealer))
        return State(
            messages,
            newest,
            {one.state: one[1] for one in states},
            sum(not store.blobs.is_there(name) for name in set(_named(connection))),
            opened[True],
            opened[False],
            verify_audit(connection, sealer, known),
        )


def _opened(connection: Connection, sealer: Sealer) -> Iterator[bool]:
    for table, columns in sealed_columns():
        newest = select(*table.columns).order_by(*(one.desc() for one in table.primary_key.columns)).limit(SAMPLE)
        for row in connection.execute(newest):
            for column in columns:
                sealed = row._mapping[column]
                if sealed is None:
                    continue
                try:
                    sealer.open(bytes(sealed), place_of(column, row))
                except KeyFault:
                    yield False
                else:
                    yield True


def _named(connection: Connection) -> Iterator[str]:
    for column in (tables.message.c.blob, tables.delivery.c.blob, tables.item.c.blobs, tables.resource_body.c.blobs):
        for names in connection.execute(select(column).where(column.is_not(None))).scalars():
            yield from names.split()
