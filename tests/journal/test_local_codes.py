"""Codes that no map answers, maps and what they concern, on both databases."""

from __future__ import annotations

from dataclasses import replace

from web_journal import MINUTE, Journal, person, report

from mappings.concept_map import MapEntry, Term, TermKind, target_of
from router.codes.changes import map_terms
from router.codes.maps import CodeMaps
from router.codes.reading import code_token
from router.codes.worklist import affected, find_decision, find_unmapped, senders, unmapped_codes
from router.engine.housekeeping import purge_codes
from router.journal.actions import replay_messages
from router.journal.operations import Change, CommitReadings, PreparedMessage
from router.journal.tables import MessageState
from router.journal.unmapped import UnmappedCode
from router.journal.view import viewing
from schemas.coding import LOCAL

GLY, HB = Term(TermKind.CODE, LOCAL, "GLY"), Term(TermKind.CODE, LOCAL, "HB")


def read(journal: Journal, number: int, sender: str, at: int, *terms: Term, label: str = "Analyse") -> None:
    sealer = journal.store.sealer
    item = journal.item(report(person(0), f"{number:032d}"), line="", to=())
    tokens = tuple(sorted({code_token(sealer, sender, term) for term in terms}))
    codes = tuple(UnmappedCode(sender, one.kind.value, one.system, one.code, label, "g/L", 2) for one in terms)
    prepared = PreparedMessage(
        number, MessageState.PROCESSED, "hl7v2", 0, 0, None, (replace(item, tokens=tokens),), unmapped=codes
    )
    journal.apply(CommitReadings([prepared], at))


def test_codes_are_counted_by_sender_and_their_example_is_the_last(journal: Journal, now: int) -> None:
    first, second = (journal.message(now, control=f"L{rank}") for rank in range(2))
    read(journal, first, "SUD", now - MINUTE, GLY, HB, label="Glycémie")
    read(journal, second, "SUD", now, GLY, label="Glycémie à jeun")
    third = journal.message(now, control="L3")
    read(journal, third, "NORD", now, GLY)
    with viewing(journal.store) as view:
        maps = CodeMaps()
        maps.refresh(view.connection)
        found = unmapped_codes(view, maps)
        assert [(one.sender, one.term.code, one.seen) for one in found] == [
            ("SUD", "GLY", 4),
            ("NORD", "GLY", 2),
            ("SUD", "HB", 2),
        ]
        assert (found[0].label, found[0].first_at, found[0].last_at) == ("Glycémie à jeun", now - MINUTE, now)
        assert found[0].last_message_id == second
        assert [one.term.code for one in unmapped_codes(view, maps, sender="NORD")] == ["GLY"]
        assert len(unmapped_codes(view, maps, limit=2)) == 2
        assert senders(view) == ["NORD", "SUD"]


def test_a_replayed_message_is_not_counted_again(journal: Journal, now: int) -> None:
    number = journal.message(now, control="L0")
    read(journal, number, "SUD", now, GLY)
    assert journal.apply(replay_messages([number], actor="marie", now=now)) == 1
    read(journal, number, "SUD", now + 1, GLY, HB)
    with viewing(journal.store) as view:
        seen = {term.code: found.seen for term in (GLY, HB) if (found := find_unmapped(view, "SUD", term))}
    assert seen == {"GLY": 2, "HB": 0}, "what a newer reading finds is listed all the same"


def test_maps_change_by_one_number_and_only_when_they_change(journal: Journal, now: int) -> None:
    entry = MapEntry("SUD", GLY, target_of(TermKind.CODE, "53049-3", display="Glucose à jeun"))
    other = MapEntry("SUD", HB, target_of(TermKind.CODE, "718-7"))
    maps = CodeMaps()
    with viewing(journal.store) as view:
        maps.refresh(view.connection)
    assert maps.of("SUD").targets == {}
    assert journal.apply(map_terms([entry, other], actor="marie", now=now)) == 2
    assert journal.apply(map_terms([entry, other], actor="paul", now=now + 1)) == 0
    with viewing(journal.store) as view:
        maps.refresh(view.connection)
        made = find_decision(view, "SUD", GLY)
    assert maps.of("SUD").targets == {GLY: entry.target, HB: other.target}
    assert made is not None
    assert (made.author, made.at) == ("marie", now), "what was not changed keeps its author"


def test_messages_with_a_term_and_without_its_target_are_found_by_their_tokens(journal: Journal, now: int) -> None:
    target = target_of(TermKind.CODE, "53049-3")
    numbers = [journal.message(now, control=f"L{rank}") for rank in range(4)]
    for number in numbers[:3]:
        read(journal, number, "SUD", now, GLY)
    read(journal, numbers[3], "NORD", now, GLY)
    journal.apply(replay_messages([numbers[1]], actor="marie", now=now))
    item = journal.item(report(person(0), "f" * 32), line="", to=())
    sealer = journal.store.sealer
    tokens = tuple(sorted((code_token(sealer, "SUD", GLY), code_token(sealer, "SUD", GLY, target))))
    prepared = PreparedMessage(numbers[1], MessageState.PROCESSED, "hl7v2", 0, 0, None, (replace(item, tokens=tokens),))
    journal.apply(CommitReadings([prepared], now))
    with viewing(journal.store) as view:
        assert affected(view, "SUD", GLY, target, limit=9).ids == (numbers[0], numbers[2])
        assert affected(view, "SUD", GLY, None, limit=9).ids == tuple(numbers[:3])
        assert affected(view, "SUD", GLY, target, limit=1).more


def test_codes_unseen_for_the_retention_are_forgotten(journal: Journal, now: int) -> None:
    old, new = (journal.message(now, control=f"L{rank}") for rank in range(2))
    read(journal, old, "SUD", now - MINUTE, HB)
    read(journal, new, "SUD", now, GLY)
    assert journal.apply(Change(lambda unit: purge_codes(unit, now))) == 1
    with viewing(journal.store) as view:
        assert find_unmapped(view, "SUD", HB) is None
        assert find_unmapped(view, "SUD", GLY) is not None
