"""Making a back-up beside a running router, verifying it, and restoring it into an empty place.

Blobs are copied before the tables and once more after them: one that a row names is never missing, and those that came
after the tables' moment are harmless. The master key is not copied: who finds a back-up must not be able to read it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Column, ColumnElement, Connection, Engine, func, select
from sqlalchemy.engine import make_url

from router.journal import tables
from router.journal.auditing import verify_audit
from router.journal.keyring import JournalRing, load_ring
from router.journal.locking import file_lock
from router.journal.migrate import current
from router.journal.sealing import KeyFault, Sealer, master_id, read_key_file
from router.journal.store import JournalPlace, open_store
from router.keeping.dumping import SQLITE_FILE, dump, is_sound, load, looking
from router.keeping.manifest import (
    FORMAT,
    BackupFault,
    Kept,
    Manifest,
    damaged,
    digest_of,
    read_manifest,
    write_manifest,
)

BLOBS = "blobs"


def back_up(
    place: JournalPlace,
    target: Path,
    now: datetime,
    *,
    programs: Path | None = None,
    between: Callable[[], None] = lambda: None,
) -> Manifest:
    """Make a back-up in a new folder `target`; the router may go on. `between` is called once the tables are copied.

    A folder that was begun and not ended has no manifest and another name. Raises BackupFault, JournalFault, KeyFault.
    """
    if target.exists():
        raise BackupFault(f"{target} is there already; give the name of a new folder")
    begun = target.with_name(f".{target.name}.{secrets.token_hex(4)}.begun")
    begun.mkdir(parents=True, mode=0o700)
    try:
        blobs = place.data / BLOBS
        copied = dict(_copy_blobs(blobs, begun / BLOBS, {}))
        # PostgreSQL is asked before its tables are dumped: what is told of them is in the dump, and perhaps more.
        told = None if place.is_sqlite else _ask(place)
        tables_file = dump(place, begun, programs)
        between()
        copied |= dict(_copy_blobs(blobs, begun / BLOBS, copied))
        manifest = _manifest(place, told or _read(place, tables_file), tables_file, now, copied)
        write_manifest(begun, manifest)
        begun.rename(target)
    except BaseException:
        shutil.rmtree(begun, ignore_errors=True)
        raise
    return manifest


def _copy_blobs(source: Path, target: Path, known: dict[str, Kept]) -> Iterator[tuple[str, Kept]]:
    for path in sorted(source.glob("*/*")):
        name = f"{BLOBS}/{path.parent.name}/{path.name}"
        if name in known:
            continue
        there = target / path.parent.name / path.name
        there.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, there)
        except FileNotFoundError:
            continue  # swept meanwhile: no row names it any more
        found = digest_of(there)
        yield name, Kept(name, found.size, found.sha256)


def _manifest(place: JournalPlace, told: _Told, file: Path, now: datetime, blobs: dict[str, Kept]) -> Manifest:
    return Manifest(
        format=FORMAT,
        version=version("passerelle"),
        made_at=now.isoformat(timespec="seconds"),
        engine="sqlite" if place.is_sqlite else "postgresql",
        revision=told.revision,
        key_id=told.key_id,
        audit_head=told.audit_head,
        messages=told.messages,
        deliveries=told.deliveries,
        waiting=told.waiting,
        files=(digest_of(file), *(blobs[name] for name in sorted(blobs))),
    )


@dataclass(frozen=True, slots=True)
class _Told:
    messages: int
    deliveries: int
    waiting: int
    audit_head: str
    key_id: str
    revision: str


def _read(place: JournalPlace, file: Path) -> _Told:
    with looking(file) as engine:
        return _told(engine, _sealer(engine, place.key_file))


def _ask(place: JournalPlace) -> _Told:
    store = open_store(place, migrate=False)
    try:
        return _told(store.engine, store.sealer.clone())
    finally:
        store.close()


def _told(engine: Engine, sealer: Sealer) -> _Told:
    with engine.connect() as connection:
        return _counted(connection, sealer, current(engine) or "")


def _counted(connection: Connection, sealer: Sealer, revision: str) -> _Told:
    open_states = [state.value for state in tables.OPEN_DELIVERIES]

    def count(column: Column[int], *where: ColumnElement[bool]) -> int:
        return int(connection.execute(select(func.count(column)).where(*where)).scalar_one())

    return _Told(
        messages=count(tables.message.c.id),
        deliveries=count(tables.delivery.c.id),
        waiting=count(tables.delivery.c.id, tables.delivery.c.state.in_(open_states)),
        audit_head=verify_audit(connection, sealer).head,
        key_id=master_id(sealer.master),
        revision=revision,
    )


def verify(folder: Path, key: Path) -> Manifest:
    """Look whether a back-up is whole, sound, and opens with a key file. Raises BackupFault or KeyFault."""
    manifest = read_manifest(folder)
    for trouble in damaged(folder, manifest):
        raise BackupFault(f"the back-up in {folder} cannot be trusted: {trouble}; take another one")
    if master_id(read_key_file(key)) != manifest.key_id:
        raise KeyFault("this key file is not the one of the backed-up journal; bring the right one")
    if manifest.engine == "sqlite":
        if not is_sound(folder / SQLITE_FILE):
            raise BackupFault(f"SQLite finds {folder / SQLITE_FILE} damaged; take another back-up")
        with looking(folder / SQLITE_FILE) as engine, engine.connect() as connection:
            _verify_audit(connection, _sealer(engine, key), manifest)
    return manifest


def restore(folder: Path, place: JournalPlace, key: Path, *, programs: Path | None = None) -> Manifest:
    """Put a back-up into an empty place, its key beside it, and look at it there; gives what it holds.

    What had not ended when the back-up was made is sent again, under the same identities. Nothing is left behind when
    it fails, except in a PostgreSQL whose tables were loaded already. Raises BackupFault, JournalFault or KeyFault.
    """
    manifest = verify(folder, key)
    if (manifest.engine == "sqlite") != place.is_sqlite:
        raise BackupFault(f"the back-up is of a journal on {manifest.engine}, and the configuration names another kind")
    place.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(place.data / "migrate.lock"):
        for taken in _taken(place, key):
            raise BackupFault(f"{taken} is there already: restore into an empty folder, and never over a journal")
        begun = place.data / f".restored.{secrets.token_hex(4)}"
        try:
            for one in manifest.files[1:]:
                there = begun / one.path
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / one.path, there)
            load(folder / manifest.files[0].path, place, programs)
            if (begun / BLOBS).exists():
                (begun / BLOBS).rename(place.data / BLOBS)
            # The key comes last: without it, nothing takes the folder for a journal.
            _place_key(key, place.key_file)
        finally:
            shutil.rmtree(begun, ignore_errors=True)
    store = open_store(place)
    try:
        with store.reading() as connection:
            _verify_audit(connection, store.sealer.clone(), manifest)
    finally:
        store.close()
    return manifest


def _taken(place: JournalPlace, key: Path) -> Iterator[Path]:
    files = [place.data / BLOBS]
    if place.is_sqlite:
        database = make_url(place.url).database or ""
        files += [Path(database), Path(f"{database}-wal")]
    yield from (one for one in files if one.exists())
    if place.key_file.exists() and read_key_file(place.key_file) != read_key_file(key):
        yield place.key_file


def _place_key(source: Path, target: Path) -> None:
    if target.exists():
        return  # the same key: it was looked at
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(source.read_bytes())
    temporary.replace(target)


def _sealer(engine: Engine, key: Path) -> Sealer:
    """Give what opens a dumped journal, whose master key may have been changed."""
    with engine.connect() as connection:
        ring = load_ring(connection)
    return Sealer(JournalRing(read_key_file(key), lambda: ring))


def _verify_audit(connection: Connection, sealer: Sealer, manifest: Manifest) -> None:
    chain = verify_audit(connection, sealer, manifest.audit_head)
    if not chain.whole:
        raise BackupFault("the record of who did what was altered in this back-up; take another one")
