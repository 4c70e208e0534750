"""Maps at work in a router: what is mapped and counted, changes without a restart, replays of what they concern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from local_codes import GLUCOSE, HAEMOGLOBIN, LABORATORY, POTASSIUM, TSH, codes_of, observations

from mappings.concept_map import MapEntry, Term, TermKind, target_of
from router.codes.changes import map_terms, unmap_term
from router.codes.maps import CodeMaps
from router.codes.worklist import affected, count_affected, decided_codes, unmapped_codes
from router.journal.actions import replay_messages
from schemas.coding import LOCAL, LOINC

Rig = Any
GLY = Term(TermKind.CODE, LOCAL, "GLY")
FASTING, ANY_TIME = target_of(TermKind.CODE, "53049-3"), target_of(TermKind.CODE, "14749-6")


def mapping(term: Term, target: str) -> MapEntry:
    return MapEntry(LABORATORY, term, target_of(term.kind, target))


def worklist(rig: Rig) -> dict[str, int]:
    with rig.view() as view:
        maps = CodeMaps()
        maps.refresh(view.connection)
        return {one.term.code: one.seen for one in unmapped_codes(view, maps)}


def to_replay(rig: Rig, term: Term, target: Any) -> list[int]:
    with rig.view() as view:
        return list(affected(view, LABORATORY, term, target, limit=100).ids)


async def test_what_no_map_answers_is_counted_with_an_example_and_no_value(rig: Rig) -> None:
    await rig.receive(HAEMOGLOBIN, GLUCOSE, TSH, POTASSIUM)
    await rig.receive(HAEMOGLOBIN)
    await rig.until_sent(2)
    assert worklist(rig) == {"HB": 2, "GLY": 1, "TSH": 1, "mUI par L": 1}
    with rig.view() as view:
        maps = CodeMaps()
        maps.refresh(view.connection)
        first = unmapped_codes(view, maps)[0]
        stored = view.connection.exec_driver_sql("SELECT * FROM unmapped_code").all()
    assert (first.sender, first.label, first.unit, first.last_message_id) == (LABORATORY, "Hémoglobine", "g/dL", 2)
    assert not any(value in str(row) for row in stored for value in ("13.2", "1.02", "2.2,", "TESTROSE"))


async def test_a_mapping_is_taken_up_without_a_restart_and_stands_beside_the_senders_code(rig: Rig) -> None:
    await rig.receive(GLUCOSE)
    await rig.until_sent(1)
    unit = Term(TermKind.UNIT, "", "mUI par L")
    await rig.engine.submit(map_terms([mapping(GLY, "53049-3"), mapping(unit, "m[IU]/L")], actor="marie", now=5))

    async def mapped() -> dict[str, Any]:
        await rig.receive(GLUCOSE, TSH)
        return observations((await rig.until_sent(len(rig.sent) + 1))[-1])

    found = await mapped()
    while len(codes_of(found["Glycémie"])) == 1:
        found = await mapped()
    assert codes_of(found["Glycémie"]) == [(LOCAL, "GLY"), (LOINC, "53049-3")]
    assert found["TSH"]["unit"] == {"raw": "mUI par L", "ucum": "m[IU]/L"}
    assert codes_of(found["TSH"]) == [(LOCAL, "TSH")]
    assert set(worklist(rig)) == {"TSH"}


async def test_the_messages_that_a_mapping_concerns_are_replayed_and_then_no_longer_found(rig: Rig) -> None:
    await rig.receive(GLUCOSE)
    await rig.receive(HAEMOGLOBIN)
    await rig.receive(GLUCOSE, HAEMOGLOBIN)
    await rig.until_sent(3)
    await rig.engine.submit(map_terms([mapping(GLY, "14749-6")], actor="marie", now=5))
    assert to_replay(rig, GLY, ANY_TIME) == [1, 3]
    await rig.engine.submit(replay_messages([1, 3], actor="marie", now=6))
    rig.engine.wake()
    sent = await rig.until_sent(5)
    assert all((LOINC, "14749-6") in codes_of(observations(one)["Glycémie"]) for one in sent[3:])
    await rig.until(lambda: to_replay(rig, GLY, ANY_TIME) == [])
    assert rig.seen() == {"GLY": 2, "HB": 2}, "what is read again is not counted again"


@pytest.mark.usefixtures("looking_each_time")
async def test_a_wrong_mapping_is_corrected_by_another_and_a_replay(rig: Rig) -> None:
    await rig.engine.submit(map_terms([mapping(GLY, "14749-6")], actor="marie", now=5))
    await rig.receive(GLUCOSE)
    sent = await rig.until_sent(1)
    assert codes_of(observations(sent[0])["Glycémie"])[1:] == [(LOINC, "14749-6")]
    assert to_replay(rig, GLY, ANY_TIME) == []
    await rig.engine.submit(map_terms([mapping(GLY, "53049-3")], actor="paul", now=6))
    assert to_replay(rig, GLY, FASTING) == [1]
    await rig.engine.submit(replay_messages([1], actor="paul", now=7))
    rig.engine.wake()
    again = await rig.until_sent(2)
    assert codes_of(observations(again[1])["Glycémie"]) == [(LOCAL, "GLY"), (LOINC, "53049-3")]


async def test_a_mapping_taken_back_is_work_again(rig: Rig) -> None:
    await rig.receive(GLUCOSE)
    await rig.until_sent(1)
    await rig.engine.submit(map_terms([mapping(GLY, "53049-3")], actor="marie", now=5))
    assert worklist(rig) == {}
    with rig.view() as view:
        (made,) = decided_codes(view)
    assert (made.author, made.at) == ("marie", 5)
    assert await rig.engine.submit(unmap_term(made.id, actor="marie", now=6))
    assert not await rig.engine.submit(unmap_term(made.id, actor="marie", now=7)), "it is gone already"
    assert worklist(rig) == {"GLY": 1}
    assert rig.count("SELECT count(*) FROM audit WHERE action IN ('map code', 'unmap code')") == 2


async def test_files_of_the_configuration_serve_and_what_they_have_wrong_is_told(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(maps=("labo-sud.csv",))
    file = rig.place.data / "labo-sud.csv"
    file.write_text(f"sender,code,target\n{LABORATORY},GLY,14749-6\n", encoding="utf-8")
    await rig.start()
    try:
        await rig.receive(GLUCOSE)
        sent = await rig.until_sent(1)
        assert codes_of(observations(sent[0])["Glycémie"])[1:] == [(LOINC, "14749-6")]
        assert rig.seen() == {}
        file.write_text(f"sender,code,target\n{LABORATORY},GLY,14749-5\n{LABORATORY},HB,718-7\n", encoding="utf-8")
        told = "SELECT message FROM notice WHERE code = 'codes.file'"
        await rig.until(lambda: rig.count(told) is not None)
        assert rig.count(told) == (
            "labo-sud.csv, line 2: the target is not a LOINC code: its check digit does not agree"
        )
        while True:
            await rig.receive(HAEMOGLOBIN)
            found = observations((await rig.until_sent(len(rig.sent) + 1))[-1])
            if (LOINC, "718-7") in codes_of(found["Hémoglobine"]):
                break
    finally:
        await rig.stop()


@pytest.mark.usefixtures("looking_each_time")
async def test_what_a_person_decides_goes_before_a_file(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(maps=("labo-sud.csv",))
    text = f"sender,code,target\n{LABORATORY},GLY,14749-6\n"
    (rig.place.data / "labo-sud.csv").write_text(text, encoding="utf-8")
    await rig.start()
    try:
        await rig.engine.submit(map_terms([mapping(GLY, "53049-3")], actor="marie", now=5))
        await rig.receive(GLUCOSE)
        sent = await rig.until_sent(1)
        assert codes_of(observations(sent[0])["Glycémie"])[1:] == [(LOINC, "53049-3")]
    finally:
        await rig.stop()


async def test_counts_of_messages_stop_at_their_cap(rig: Rig) -> None:
    for _ in range(5):
        await rig.receive(GLUCOSE)
    await rig.until_sent(5)
    with rig.view() as view:
        capped = count_affected(view, LABORATORY, GLY, None, cap=3)
        some = affected(view, LABORATORY, GLY, None, limit=3)
        every = affected(view, LABORATORY, GLY, None, limit=5)
    assert (capped.count, capped.more) == (3, True)
    assert (some.ids, some.more) == ((3, 4, 5), True), "the newest are taken first"
    assert (every.ids, every.more) == ((1, 2, 3, 4, 5), False)
