"""Each reading notes the mappings that it was made with; a message can be read with those of then."""

from __future__ import annotations

from typing import Any

import pytest
from local_codes import GLUCOSE, LABORATORY, codes_of, observations
from sqlalchemy import select

from mappings.concept_map import MapEntry, Term, TermKind, target_of
from router.codes.changes import map_terms
from router.journal import tables
from router.journal.actions import replay_messages
from router.journal.mapping_versions import MappingsKept, keep_mappings, mapping_versions, mappings_of, pack, unpack
from router.journal.operations import Change
from router.journal.readers import ReaderChoice
from router.web.rereading import reread_many
from schemas.coding import LOCAL, LOINC

Rig = Any
GLY = Term(TermKind.CODE, LOCAL, "GLY")


def mapping(target: str) -> MapEntry:
    return MapEntry(LABORATORY, GLY, target_of(TermKind.CODE, target))


def read_with(rig: Rig) -> list[int | None]:
    column = tables.message.c
    with rig.view() as view:
        return list(view.connection.execute(select(column.mappings).order_by(column.id)).scalars())


@pytest.mark.usefixtures("looking_each_time")
async def test_a_message_is_read_again_with_the_mappings_of_then(rig: Rig) -> None:
    await rig.receive(GLUCOSE)
    await rig.until_sent(1)
    await rig.engine.submit(map_terms([mapping("14749-6")], actor="marie", now=5))
    await rig.receive(GLUCOSE)
    await rig.receive(GLUCOSE)
    await rig.until_sent(3)
    assert read_with(rig) == [1, 2, 2], "a set is kept once, a changed one is another"
    await rig.engine.submit(map_terms([mapping("53049-3")], actor="paul", now=6))
    for number in (1, 2):
        await rig.engine.submit(replay_messages([3], actor="paul", now=7, mappings=number))
        rig.engine.wake()
        sent = await rig.until_sent(3 + number)
        codes = codes_of(observations(sent[-1])["Glycémie"])
        assert codes == ([(LOCAL, "GLY")] if number == 1 else [(LOCAL, "GLY"), (LOINC, "14749-6")])
        assert read_with(rig) == [1, 2, number]
    (present,) = await rig.engine.read_again([3], ReaderChoice(), None)
    (same,) = await rig.engine.read_again([3], None, 2)
    with rig.view() as view:
        assert reread_many(view, [present]).changed == 1
        assert reread_many(view, [same]).changed == 0
    await rig.engine.submit(replay_messages([3], actor="paul", now=8))
    rig.engine.wake()
    sent = await rig.until_sent(6)
    assert (LOINC, "53049-3") in codes_of(observations(sent[-1])["Glycémie"]), "a version is chosen for one replay"
    assert read_with(rig) == [1, 2, 3]
    assert await rig.engine.submit(replay_messages([3], actor="paul", now=9, mappings=44)) == 0
    with rig.view() as view:
        kept = mappings_of(view.connection, view.sealer, 2)
        assert [one.id for one in mapping_versions(view.connection)] == [3, 2, 1]
    assert kept is not None
    assert kept.maps == (mapping("14749-6"),)
    assert unpack(pack(kept).packed) == kept


async def test_sets_are_kept_in_one_order_at_every_node(rig: Rig) -> None:
    """Two nodes that keep the same new sets at once wait for one another in a row, and never in a circle."""
    packed = [pack(MappingsKept(f"{number}.0", "Europe/Paris", {}, {}, ())) for number in range(6)]
    numbers = await rig.engine.submit(Change(lambda unit: keep_mappings(unit, packed, 5)))
    again = await rig.engine.submit(Change(lambda unit: keep_mappings(unit, reversed(packed), 6)))
    assert sorted(numbers, key=lambda digest: numbers[digest]) == sorted(one.digest for one in packed)
    assert again == numbers


@pytest.mark.usefixtures("looking_each_time")
async def test_former_mappings_read_by_another_software_are_another_version(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.receive(GLUCOSE)
    await rig.until_sent(1)
    for place in ("router.engine.versioned", "router.journal.mapping_versions"):
        monkeypatch.setattr(f"{place}.software_version", lambda: "99.0")
    await rig.engine.submit(replay_messages([1], actor="paul", now=7, mappings=1))
    rig.engine.wake()
    await rig.until_sent(2)
    assert read_with(rig) == [2]
    with rig.view() as view:
        newest, oldest = mapping_versions(view.connection)
        assert [one.of_this_software for one in (newest, oldest)] == [True, False]
