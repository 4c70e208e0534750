"""The master key changed beside the traffic: what is sealed anew, what opens meanwhile, kills, the former key's end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update
from web_journal import Journal, open_journal

from router.cli.base import passerelle
from router.journal import tables
from router.journal.auditing import verify_audit
from router.journal.keyring import FRESH_SECONDS, JournalRing, next_key_file, ring_reader
from router.journal.pacing import Pace
from router.journal.sealing import KeyFault, Sealer, key_number, make_key_file, master_id, read_key_file
from router.journal.store import Store, open_store
from router.keeping.backup import back_up, verify
from router.keeping.resealing import SETTLED_MICROS, Resealing, find_rotation, place_of, sealed_columns
from router.keeping.rotation import RotationFault, begin, masters_of, prepare, retire

LARGE = b"x" * 300_000
START = 1_000_000_000_000_000


def values(store: Store) -> dict[tuple[str, str], list[bytes]]:
    """Every sealed value, opened, by column, in the order of the rows."""
    found: dict[tuple[str, str], list[bytes]] = {}
    sealer = store.sealer.clone()
    with store.reading() as connection:
        for table, columns in sealed_columns():
            for row in connection.execute(select(table).order_by(*table.primary_key.columns)):
                for column in columns:
                    if (sealed := row._mapping[column]) is not None:
                        found.setdefault((table.name, column.name), []).append(
                            sealer.open(bytes(sealed), place_of(column, row))
                        )
    return found


def numbers(store: Store) -> set[int]:
    with store.reading() as connection:
        return {
            key_number(bytes(sealed))
            for table, columns in sealed_columns()
            for column in columns
            for sealed in connection.execute(select(column).where(column.is_not(None))).scalars()
        }


def walk(journal: Journal, resealing: Resealing, now: int, most: int = 10_000) -> int:
    """Seal anew until the change is over or `most` groups were put in; gives how many were."""
    for count in range(most):
        rotation = resealing.under_way()
        if rotation is None:
            return count
        journal.apply(resealing.keep(rotation, resealing.group(rotation.position), now))
    return most


def test_every_column_is_sealed_anew_and_opens_all_the_while(journal: Journal, tmp_path: Path) -> None:
    store, name = journal.store, journal.store.blobs.put(LARGE)
    held, former = values(store), read_key_file(store.place.key_file)
    token, identity = store.sealer.token("ins", "279035121518989"), store.sealer.digest(b"message", b"x")
    begun = begin(store, actor="claire", now=START)
    assert begun.former == master_id(former)
    assert begun.kept.read_bytes().strip() == former.hex().encode()
    other = open_store(store.place)  # as another process does, that finds the new key file
    resealing = Resealing(other, Pace(7))
    while (rotation := resealing.under_way()) is not None and rotation.pass_number == 1:
        journal.apply(resealing.keep(rotation, resealing.group(rotation.position), START + 1))
        assert values(store) == held
    assert numbers(store) == {1}
    assert store.blobs.get(name) == LARGE
    assert store.blobs.put(LARGE) == name
    with pytest.raises(RotationFault, match="are left"):
        retire(other, actor="claire", now=START + 2)
    walk(journal, resealing, START + SETTLED_MICROS)
    assert retire(other, actor="claire", now=START + SETTLED_MICROS + 1).changed >= len(held)
    assert masters_of(store) == [begun.master]
    other.close()
    with pytest.raises(KeyFault, match="its master key was changed"):
        open_store(replace(store.place, data=tmp_path / "none"), master=former)
    again = open_store(store.place)
    try:
        assert values(again) == held
        slept = Sealer(former).seal(b"by who slept through it", b"here")
        assert again.sealer.open(slept, b"here") == b"by who slept through it"
        assert again.sealer.token("ins", "279035121518989") == token
        assert again.sealer.digest(b"message", b"x") == identity
        with again.reading() as connection:
            assert verify_audit(connection, again.sealer.clone()).whole
            check = connection.execute(select(tables.setting.c.value).where(tables.setting.c.name == "key_check"))
            assert key_number(bytes.fromhex(check.scalar_one())) == 1
    finally:
        again.close()


def test_a_walk_that_is_killed_goes_on_where_it_was(journal: Journal) -> None:
    begin(journal.store, actor="claire", now=START)
    assert walk(journal, Resealing(journal.store, Pace(2)), START + 1, most=3) == 3
    with journal.store.reading() as connection:
        rotation = find_rotation(connection)
    assert rotation is not None
    assert rotation.where
    fresh = Resealing(journal.store, Pace(2))
    assert fresh.under_way() == rotation
    walk(journal, fresh, START + SETTLED_MICROS)
    assert numbers(journal.store) == {1}


def test_what_is_changed_meanwhile_is_not_undone_and_what_was_late_is_found(journal: Journal) -> None:
    column = tables.patient.c
    old = Sealer(read_key_file(journal.store.place.key_file))
    begin(journal.store, actor="claire", now=START)
    resealing = Resealing(journal.store, Pace(1000))
    rotation = resealing.under_way()
    assert rotation is not None
    while "patient" not in (rotation.where, _table_of(group := resealing.group(rotation.position))):
        journal.apply(resealing.keep(rotation, group, START + 1))
        rotation = resealing.under_way()
        assert rotation is not None
    late = old.seal(b'{"birth_name": "TESTROSE"}', b"patient.sealed_identity")
    with journal.store.writing() as connection:  # by a process that does not know of the change yet
        connection.execute(update(tables.patient).values(sealed_identity=late))
    journal.apply(resealing.keep(rotation, group, START + 1))
    with journal.store.reading() as connection:
        assert {bytes(one) for one in connection.execute(select(column.sealed_identity)).scalars()} == {late}
    walk(journal, resealing, START + SETTLED_MICROS)
    assert numbers(journal.store) == {1}


def _table_of(group: Any) -> str:
    return group.rows[0].column.table.name if group.rows else ""


def test_a_damaged_value_stays_and_is_counted(journal: Journal) -> None:
    with journal.store.writing() as connection:
        connection.execute(update(tables.item).where(tables.item.c.id == 1).values(sealed_body=b"\x01" + b"x" * 40))
    begin(journal.store, actor="claire", now=START)
    walk(journal, Resealing(journal.store), START + SETTLED_MICROS)
    with journal.store.reading() as connection:
        rotation = find_rotation(connection)
    assert rotation is not None
    assert (rotation.state, rotation.damaged) == ("resealed", 1)
    assert retire(journal.store, actor="claire", now=START + SETTLED_MICROS + 1).state == "resealed"


@pytest.mark.parametrize("moment", ["before the ring", "after the ring"])
def test_a_change_that_is_killed_at_its_beginning_is_ended_when_asked_again(
    journal: Journal, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = journal.store

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    name = "apply_at_once" if moment == "before the ring" else "_take"
    with monkeypatch.context() as patched:
        patched.setattr(f"router.keeping.rotation.{name}", killed)
        with pytest.raises(KeyboardInterrupt):
            begin(store, actor="claire", now=START)
    _, coming = prepare(store.place)
    open_store(store.place).close()  # either order of events opens
    begun = begin(store, actor="claire", now=START)
    assert begun.master == coming == master_id(read_key_file(store.place.key_file))
    assert not next_key_file(store.place.key_file).exists()
    with pytest.raises(RotationFault, match="not over"):
        begin(store, actor="claire", now=START)


def test_a_process_knows_of_a_change_in_time_and_never_what_its_key_does_not_open(journal: Journal) -> None:
    store, clock = journal.store, [0.0]
    former = read_key_file(store.place.key_file)
    running = Sealer(JournalRing(former, ring_reader(store.engine), store.place.key_file, clock=lambda: clock[0]))
    stranger = Sealer(JournalRing(former, ring_reader(store.engine), clock=lambda: clock[0]))
    begin(store, actor="claire", now=START)
    assert key_number(running.seal(b"now", b"here")) == 0
    sealed = store.sealer.seal(b"secret", b"here")
    assert running.open(sealed, b"here") == b"secret"
    assert key_number(running.seal(b"then", b"here")) == 1
    clock[0] = FRESH_SECONDS + 1
    with pytest.raises(KeyFault):
        stranger.open(sealed, b"here")
    with pytest.raises(KeyFault, match="was changed"):
        stranger.seal(b"what nobody may be able to read", b"here")
    assert stranger.open(Sealer(former).seal(b"before", b"here"), b"here") == b"before"
    with pytest.raises(KeyFault, match="was changed"):
        JournalRing(former, ring_reader(store.engine))


def test_a_second_change_follows_the_first_and_a_back_up_knows_its_key(journal: Journal, tmp_path: Path) -> None:
    store = journal.store
    held = values(store)
    for number in (1, 2):
        at = START * number
        begin(store, actor="claire", now=at)
        walk(journal, Resealing(store), at + SETTLED_MICROS)
        retire(store, actor="claire", now=at + SETTLED_MICROS + 1)
        assert numbers(store) == {number}
    assert values(store) == held
    if store.place.is_sqlite:
        from datetime import UTC, datetime

        made = back_up(store.place, tmp_path / "one", datetime(2026, 11, 26, tzinfo=UTC))
        assert made.key_id == master_id(store.sealer.master)
        assert verify(tmp_path / "one", store.place.key_file) == made
        make_key_file(tmp_path / "other")
        with pytest.raises(KeyFault):
            verify(tmp_path / "one", tmp_path / "other")


def test_a_group_is_as_long_as_its_time_allows() -> None:
    clock = iter([0.0, 0.001, 1.0, 1.002, 2.0, 2.08, 3.0, 4.0])
    pace, sizes = Pace(10, 30, wanted=0.02, clock=lambda: next(clock)), []
    for _ in range(4):
        with pace.timed() as size:
            sizes.append(size)
    assert [*sizes, pace.size] == [10, 20, 30, 7, 1]


def test_by_the_command_line(tmp_path: Path) -> None:
    made = open_journal(tmp_path / "data", "")
    made.message(START)
    made.store.close()
    (tmp_path / "passerelle.toml").write_text("")

    def said(*words: str) -> str:
        result = CliRunner().invoke(passerelle, ["keys", *words, "--config", str(tmp_path)])
        return result.output if result.exception is None else str(result.exception)

    assert "It was never changed." in said("status")
    assert "no change of the master key is under way" in said("retire")
    coming = said("prepare").split()[4].rstrip(",")
    text = said("rotate", "--here")
    assert f"Key {coming} seals from now on" in text
    assert "values are sealed anew" in text
    assert "The pass that proves that nothing is left begins at" in said("status")
    assert "values sealed by the former key are left" in said("retire")
