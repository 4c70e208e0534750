"""The decision, rule by rule, and the same decision put to a query."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from dossier_scene import (
    DAY,
    NOW,
    coordinator,
    daughter,
    doctor,
    home_help,
    nurse,
    reader_as,
)
from hypothesis import given, settings, strategies as st
from sqlalchemy import create_engine, select

from router.dossier.circle import seat_keys
from router.dossier.context import (
    ConsentRecord,
    Context,
    Emergency,
    Granted,
    Reader,
    ReaderKind,
    Seat,
    Thing,
)
from router.dossier.matrix import Condition, default_matrix
from router.dossier.may import Rule, may
from router.dossier.moments import beginning, ending
from router.dossier.visible import Visible, visible
from router.journal import tables
from schemas.circle import Member, MemberState, Preferences, Relative, RoleFamily, family_of, party_keys
from schemas.coding import Coding, Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.dossier import DossierState
from schemas.habilitation import Action, DataCategory, Habilitation, HolderKind, Level
from schemas.visibility import Mark, Restriction, RestrictionKind

READ = Action.READ


def seat(number: int, member: Member) -> Seat:
    end = None if member.end is None else ending(member.end)
    return Seat(number, member, beginning(member.start), end, seat_keys(number, member))


def consent(number: int, kind: ConsentKind = ConsentKind.OPENING, *, at: int = 0, **more: Any) -> ConsentRecord:
    values: dict[str, Any] = {"kind": kind, "at": "2026", "collected_by": "x", "channel": ConsentChannel.ORAL}
    moments = {name: more.pop(name) for name in ("until", "withdrawn") if name in more}
    return ConsentRecord(number, Consent(**values | more), at, **moments)


def context(*members: Member, **more: Any) -> Context:
    values: dict[str, Any] = {
        "now": NOW,
        "state": DossierState.ACTIVE,
        "seats": tuple(seat(number, member) for number, member in enumerate(members, start=1)),
        "consents": (consent(1),),
    }
    values["consents"] += more.pop("agreed", ())
    return Context(**values | more)


def decided(member: Member, thing: Thing | DataCategory, around: Context, action: Action = READ) -> tuple[bool, Rule]:
    asked = thing if isinstance(thing, Thing) else Thing(thing, at=beginning("2026-03-05"))
    found = may(reader_as(member), action, asked, around)
    return found.allowed, found.rule


ALL_FAMILIES = {
    RoleFamily.PHYSICIAN: doctor(),
    RoleFamily.HEALTH: nurse(),
    RoleFamily.MEDICO_SOCIAL: nurse(family=RoleFamily.MEDICO_SOCIAL),
    RoleFamily.SOCIAL: nurse(family=RoleFamily.SOCIAL),
    RoleFamily.RELATIVE: daughter(in_care_team=True, preferences=Preferences(events=True)),
    RoleFamily.COORDINATION: coordinator(),
}
TABLE = {
    "identity": "A R R R R A",
    "events": "R R R R R A",
    "notes": "A A A A R A",
    "documents": "A R - - - R",
    "lab": "R R - - - -",
    "measures": "A A R - - R",
    "plans": "A R A R - A",
    "agenda": "A A A A R A",
    "social": "R R R A - A",
}
"""The fact sheet's table (S29), written out a second time."""


@pytest.mark.parametrize("category", list(DataCategory))
def test_each_cell_of_the_table_is_answered_as_it_stands(category: DataCategory) -> None:
    for (family, member), level in zip(ALL_FAMILIES.items(), TABLE[category.value].split(), strict=True):
        around = context(member)
        for action in Action:
            expected = Level(level).rank >= action.needs.rank
            allowed, rule = decided(member, category, around, action)
            assert allowed is expected, (family, category, action)
            assert rule is Rule.MATRIX
    assert default_matrix().cell(RoleFamily.SOCIAL, DataCategory.NOTES).condition is Condition.NON_HEALTH


def test_without_a_dossier_that_is_active_and_agreed_to_nobody_reads() -> None:
    gp = doctor()
    assert decided(gp, DataCategory.LAB, context(gp)) == (True, Rule.MATRIX)
    assert decided(gp, DataCategory.LAB, context(gp, state=None)) == (False, Rule.NO_DOSSIER)
    assert decided(gp, DataCategory.LAB, context(gp, state=DossierState.CLOSED)) == (False, Rule.CLOSED)
    for state in (DossierState.PROPOSED, DossierState.SUSPENDED):
        assert decided(gp, DataCategory.LAB, context(gp, state=state)) == (False, Rule.NOT_ACTIVE)
    assert decided(gp, DataCategory.LAB, context(gp, consents=())) == (False, Rule.NOT_INFORMED)
    withdrawn = (consent(1, withdrawn=NOW - 1),)
    assert decided(gp, DataCategory.LAB, context(gp, consents=withdrawn)) == (False, Rule.NOT_INFORMED)
    refused_later = (consent(1, at=1), consent(2, at=2, given=False))
    assert decided(gp, DataCategory.LAB, context(gp, consents=refused_later)) == (False, Rule.NOT_INFORMED)
    auditor = Reader(ReaderKind.AUDITOR, "auditor")
    closed = context(gp, state=DossierState.CLOSED)
    assert may(auditor, READ, Thing(DataCategory.LAB), closed).allowed
    assert not may(auditor, Action.WRITE, Thing(DataCategory.LAB), closed).allowed


def test_only_a_standing_member_reads_and_only_of_their_period() -> None:
    gp, gone = doctor(), nurse(end="2025-12-31", start="2025-06-01")
    around = context(gp, gone, nurse(professional=doctor().professional, start="2028-01-01"))
    stranger = Reader(ReaderKind.PROFESSIONAL, "x", frozenset({"rpps|10000000000"}))
    assert may(stranger, READ, Thing(DataCategory.LAB), around).rule is Rule.NOT_MEMBER
    assert decided(gone, DataCategory.LAB, around) == (False, Rule.ENDED)
    for state in (MemberState.SUSPENDED, MemberState.INACTIVE, MemberState.ENTERED_IN_ERROR):
        one = nurse(state=state)
        assert decided(one, DataCategory.LAB, context(one)) == (False, Rule.SUSPENDED)
    before = Thing(DataCategory.LAB, at=beginning("2026-01-09"))
    assert decided(gp, before, around) == (False, Rule.OUTSIDE_PERIOD)
    assert decided(doctor(backlog=True), before, context(doctor(backlog=True))) == (True, Rule.MATRIX)
    # Somebody who came back is told by the seat that stands.
    back = context(nurse(start="2025-06-01", end="2025-12-31"), nurse(start="2026-02-01"))
    assert decided(nurse(), Thing(DataCategory.LAB, at=beginning("2026-02-02")), back) == (True, Rule.MATRIX)
    assert decided(nurse(), Thing(DataCategory.LAB, at=beginning("2025-07-01")), back) == (False, Rule.OUTSIDE_PERIOD)


def test_a_structure_reads_through_its_named_staff_and_is_told_as_itself() -> None:
    around = context(home_help())
    assert decided(home_help(), DataCategory.AGENDA, around) == (True, Rule.MATRIX)
    nobody = Reader(ReaderKind.STRUCTURE, "SAAD", structures=party_keys(home_help().identifiers))
    assert may(nobody, READ, Thing(DataCategory.AGENDA), around).rule is Rule.NOT_NAMED
    assert may(nobody, Action.PUSH, Thing(DataCategory.AGENDA), around).allowed
    unnamed = replace(nobody, kind=ReaderKind.PROFESSIONAL, name=" ")
    assert may(unnamed, READ, Thing(DataCategory.AGENDA), around).rule is Rule.NOT_NAMED
    assert not visible(unnamed, around).categories


def test_oppositions_fall_on_whom_and_what_they_name() -> None:
    gp, helper = doctor(), home_help()
    around = context(gp, helper, agreed=(consent(2, ConsentKind.OPPOSITION_MEMBER, members=(2,)),))
    assert decided(helper, DataCategory.AGENDA, around) == (False, Rule.OPPOSED_MEMBER)
    assert decided(gp, DataCategory.AGENDA, around) == (True, Rule.MATRIX)
    # The same service added a second time is still the one that is opposed.
    twice = context(gp, helper, home_help(), agreed=(consent(2, ConsentKind.OPPOSITION_MEMBER, members=(2,)),))
    assert decided(helper, DataCategory.AGENDA, twice) == (False, Rule.OPPOSED_MEMBER)
    social = (DataCategory.SOCIAL,)
    category = context(gp, agreed=(consent(2, ConsentKind.OPPOSITION_CATEGORY, categories=social),))
    assert decided(gp, DataCategory.SOCIAL, category) == (False, Rule.OPPOSED_CATEGORY)
    assert decided(gp, DataCategory.LAB, category) == (True, Rule.MATRIX)
    total = context(gp, agreed=(consent(2, ConsentKind.OPPOSITION_TOTAL),))
    assert decided(gp, DataCategory.LAB, total) == (False, Rule.OPPOSED_TOTAL)
    lifted = context(gp, agreed=(consent(2, ConsentKind.OPPOSITION_TOTAL, withdrawn=NOW),))
    assert decided(gp, DataCategory.LAB, lifted) == (True, Rule.MATRIX)


def test_outside_the_team_only_what_was_consented_is_read() -> None:
    invited = nurse(in_care_team=False, state=MemberState.PROPOSED)
    assert decided(invited, DataCategory.NOTES, context(invited)) == (False, Rule.OUTSIDE_TEAM)
    notes = consent(2, ConsentKind.SHARE, members=(1,), categories=(DataCategory.NOTES,))
    around = context(invited, agreed=(notes,))
    assert decided(invited, DataCategory.NOTES, around) == (True, Rule.MATRIX)
    assert decided(invited, DataCategory.LAB, around) == (False, Rule.OUTSIDE_TEAM)
    assert decided(daughter(), DataCategory.AGENDA, context(daughter())) == (False, Rule.OUTSIDE_TEAM)
    ended = consent(2, ConsentKind.SHARE, members=(1,), until=NOW)
    assert decided(invited, DataCategory.NOTES, context(invited, agreed=(ended,))) == (False, Rule.OUTSIDE_TEAM)


@pytest.mark.parametrize(
    ("mark", "member", "rule"),
    [
        (Mark.VERY_RESTRICTED, nurse(), Rule.VERY_RESTRICTED),
        (Mark.MASQUE_PS, nurse(), Rule.MASKED_HEALTH),
        (Mark.MASQUE_PS, coordinator(), Rule.MASKED_HEALTH),
        (Mark.MASQUE_PSOCIAL, nurse(family=RoleFamily.SOCIAL), Rule.MASKED_SOCIAL),
        (Mark.MEDICAL, nurse(family=RoleFamily.SOCIAL), Rule.NON_HEALTH),
        (Mark.MASQUE_PT, daughter(in_care_team=True), Rule.MASKED_THIRD),
        (Mark.INVISIBLE_PATIENT, daughter(in_care_team=True), Rule.MASKED_PATIENT),
        (
            Mark.INVISIBLE_REPRESENTANTS_LEGAUX,
            daughter(in_care_team=True, relative=Relative(family_name="TESTROSE", legal_representative=True)),
            Rule.MASKED_REPRESENTATIVE,
        ),
    ],
)
def test_marks_keep_a_note_from_those_whom_they_name(mark: Mark, member: Member, rule: Rule) -> None:
    around = context(member, doctor())
    at = beginning("2026-03-05")
    reader = reader_as(member)
    if not reader.keys:
        reader = Reader(reader.kind, reader.name, frozenset({"member|1"}))
    assert may(reader, READ, Thing(DataCategory.NOTES, mark, at), around).rule is rule
    assert may(reader, READ, Thing(DataCategory.NOTES, Mark.RESTRICTED, at), around).allowed
    assert decided(doctor(), Thing(DataCategory.NOTES, mark, at), around) == (True, Rule.MATRIX)


def test_an_author_reads_what_they_restricted_themselves() -> None:
    around = context(nurse())
    own = Thing(DataCategory.NOTES, Mark.VERY_RESTRICTED | Mark.MASQUE_PS, beginning("2026-03-05"), author=7)
    writer = reader_as(nurse(), tokens=frozenset({7}))
    assert may(writer, READ, own, around).allowed
    assert visible(writer, around).shows(own)
    assert not visible(reader_as(nurse()), around).shows(own)


def test_restrictions_hide_from_all_from_some_or_from_all_but_some() -> None:
    gp, one = doctor(), nurse()
    thing = Thing(DataCategory.NOTES, at=beginning("2026-03-05"), thing=5)

    def allowed(*decisions: Restriction) -> tuple[bool, bool]:
        around = context(gp, one, restrictions={5: decisions})
        return decided(gp, thing, around)[0], decided(one, thing, around)[0]

    hidden, audience = RestrictionKind.HIDDEN, RestrictionKind.AUDIENCE
    assert allowed(Restriction(kind=hidden)) == (False, False)
    assert allowed(Restriction(kind=hidden, members=(2,))) == (True, False)
    assert allowed(Restriction(kind=hidden, families=(RoleFamily.PHYSICIAN,))) == (False, True)
    assert allowed(Restriction(kind=audience, members=(1,))) == (True, False)
    assert allowed(Restriction(kind=audience, members=(1,)), Restriction(kind=hidden, members=(1,))) == (False, False)


def test_an_emergency_opens_what_a_health_professional_reads_and_nothing_masked() -> None:
    duty = Reader(ReaderKind.PROFESSIONAL, "garde", frozenset({"rpps|89900000009"}))
    access = Emergency(1, duty.keys, NOW - 1, NOW + DAY)
    around = context(doctor(), emergencies=(access,))
    old = Thing(DataCategory.LAB, at=1)
    found = may(duty, READ, old, around)
    assert (found.allowed, found.rule) == (True, Rule.EMERGENCY)
    assert not may(duty, READ, Thing(DataCategory.LAB, Mark.MASQUE_PS, 1), around).allowed
    assert not may(duty, Action.WRITE, old, around).allowed
    over = context(doctor(), emergencies=(Emergency(1, duty.keys, NOW - 2, NOW),))
    assert may(duty, READ, old, over).rule is Rule.NOT_MEMBER
    opposed = context(doctor(), emergencies=(access,), agreed=(consent(2, ConsentKind.OPPOSITION_TOTAL),))
    assert may(duty, READ, old, opposed).rule is Rule.OPPOSED_TOTAL


def granted(holder: HolderKind, **more: Any) -> Granted:
    one = Habilitation(**{"holder": holder, "name": "x", "start": "2026", **more})
    tied: frozenset[str] = frozenset().union(*(party_keys(each.identifiers) for each in one.structures))
    end = None if one.end is None else ending(one.end)
    return Granted(1, one, party_keys(one.identifiers), tied, beginning(one.start), end)


def test_habilitations_are_ceilings_and_a_tool_needs_one() -> None:
    gp = doctor()
    thing = Thing(DataCategory.LAB, at=beginning("2026-03-05"))
    by_tool = reader_as(gp, tool="spico")
    assert may(by_tool, READ, thing, context(gp)).rule is Rule.TOOL
    tool = granted(HolderKind.TOOL, name="spico", categories=(DataCategory.LAB,), level=Level.READ)
    assert may(by_tool, READ, thing, context(gp, habilitations=(tool,))).allowed
    assert may(by_tool, READ, Thing(DataCategory.NOTES), context(gp, habilitations=(tool,))).rule is Rule.TOOL
    tied = granted(HolderKind.TOOL, name="spico", structures=(home_help().organization,))
    assert may(by_tool, READ, thing, context(gp, habilitations=(tied,))).rule is Rule.TOOL
    person = granted(HolderKind.PROFESSIONAL, identifiers=gp.identifiers, end="2026-02-01")
    assert may(reader_as(gp), READ, thing, context(gp, habilitations=(person,))).rule is Rule.PROFESSIONAL
    assert gp.organization is not None
    structure = granted(HolderKind.STRUCTURE, identifiers=gp.organization.identifiers, level=Level.EVENT)
    assert may(reader_as(gp), READ, thing, context(gp, habilitations=(structure,))).rule is Rule.STRUCTURE


def test_hospital_events_are_told_unless_the_person_refused_it() -> None:
    gp = doctor()
    refused = context(gp, agreed=(consent(2, ConsentKind.HOSPITAL, given=False),))
    assert decided(gp, DataCategory.EVENTS, refused, Action.TELL) == (False, Rule.HOSPITAL)
    assert decided(gp, DataCategory.EVENTS, refused) == (True, Rule.MATRIX)


# --- the query agrees -----------------------------------------------------------------------------------------------

MEMBERS = st.sampled_from(list(ALL_FAMILIES.values()))
MARKS = st.sets(st.sampled_from(list(Mark)), max_size=2).map(lambda found: Mark(sum(found)))
THINGS = st.builds(
    Thing,
    st.sampled_from(DataCategory),
    MARKS,
    st.none() | st.integers(NOW - 400 * DAY, NOW + 800 * DAY),
    st.none() | st.integers(1, 2),
    st.none() | st.integers(1, 4),
)
KINDS = st.sampled_from(ConsentKind)
SCOPES = st.sets(st.integers(1, 3), max_size=2).map(lambda found: tuple(sorted(found)))
CATEGORIES = st.sets(st.sampled_from(DataCategory), max_size=2).map(lambda found: tuple(sorted(found)))
RESTRICTIONS = st.builds(
    Restriction,
    kind=st.sampled_from(RestrictionKind),
    members=SCOPES,
    families=st.sets(st.sampled_from(RoleFamily), max_size=2).map(lambda found: tuple(sorted(found))),
)


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    """Give any circle with anything decided in it; mostly one in which something may be read."""
    people = [
        one.model_copy(
            update={
                "in_care_team": draw(st.booleans() | st.just(True)),
                "backlog": draw(st.booleans()),
                "state": draw(st.sampled_from([MemberState.ACTIVE, MemberState.ACTIVE, MemberState.PROPOSED])),
                "end": draw(st.sampled_from([None, None, "2026-06-01", "2028-01-01"])),
            }
        )
        for one in draw(st.lists(MEMBERS, max_size=3))
    ]
    agreed = tuple(
        consent(
            number,
            draw(KINDS),
            at=draw(st.integers(0, NOW)),
            members=draw(SCOPES),
            categories=draw(CATEGORIES),
            given=draw(st.booleans()),
        )
        for number in range(2, 2 + draw(st.integers(0, 4)))
    )
    return context(
        *people,
        agreed=agreed,
        state=draw(st.sampled_from([DossierState.ACTIVE] * 4 + list(DossierState))),
        restrictions=draw(st.dictionaries(st.integers(1, 4), st.tuples(RESTRICTIONS), max_size=2)),
        emergencies=draw(st.sampled_from([(), (Emergency(1, nurse_keys(), 0, NOW + 1),)])),
    )


def nurse_keys() -> frozenset[str]:
    return party_keys(nurse().identifiers)


READERS = st.sampled_from(
    [
        *(reader_as(one, tokens=frozenset({1})) for one in ALL_FAMILIES.values()),
        Reader(ReaderKind.PATIENT, "patient"),
        Reader(ReaderKind.AUDITOR, "auditor"),
        Reader(ReaderKind.STRUCTURE, "SAAD", structures=party_keys(home_help().identifiers)),
    ]
)


@settings(max_examples=250, deadline=None)
@given(contexts(), READERS, st.lists(THINGS, max_size=8))
def test_what_a_query_shows_is_what_may_says(around: Context, reader: Reader, things: list[Thing]) -> None:
    shown = visible(reader, around)
    for thing in things:
        assert shown.shows(thing) == may(reader, READ, thing, around).allowed


ENGINE = create_engine("sqlite://")
ENTRIES = tables.dossier_entry


def in_database(shown: Visible, things: list[Thing]) -> set[int]:
    """Give which of these things a query shows, by their places in the list."""
    rows = [
        {
            "item_id": number,
            "category": thing.category.value,
            "marks": int(thing.marks),
            "at": thing.at,
            "author": thing.author,
            "name": 0,
            "thing": thing.thing,
        }
        for number, thing in enumerate(things)
    ]
    with ENGINE.begin() as connection:
        ENTRIES.create(connection, checkfirst=True)
        connection.execute(ENTRIES.delete())
        connection.execute(ENTRIES.insert(), rows)
        return set(connection.execute(select(ENTRIES.c.item_id).where(shown.where())).scalars())


@settings(max_examples=150, deadline=None)
@given(contexts(), READERS, st.lists(THINGS, min_size=1, max_size=8))
def test_the_database_shows_what_may_says(around: Context, reader: Reader, things: list[Thing]) -> None:
    dated = [replace(thing, at=thing.at or 0, thing=thing.thing or 0) for thing in things]
    expected = {number for number, thing in enumerate(dated) if may(reader, READ, thing, around).allowed}
    assert in_database(visible(reader, around), dated) == expected


def test_the_database_keeps_an_author_from_what_is_masked_to_them_and_ends_with_the_period() -> None:
    helper = nurse(family=RoleFamily.SOCIAL, end="2028-01-01")
    at = beginning("2026-03-05")
    own = Thing(DataCategory.NOTES, Mark.MASQUE_PS, at, author=7, thing=1)
    things = [own, replace(own, marks=Mark.MASQUE_PS | Mark.MASQUE_PSOCIAL), replace(own, at=beginning("2028-01-02"))]
    writer = reader_as(helper, tokens=frozenset({7}))
    assert in_database(visible(writer, context(helper)), things) == {0}


def test_families_come_from_professions() -> None:
    g15 = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
    assert family_of(Coding(system=g15, code="10")) is RoleFamily.PHYSICIAN
    assert family_of(Coding(system="1.2.250.1.71.1.2.7", code="60")) is RoleFamily.HEALTH
    assert family_of(Coding(system="urn:oid:1.2.250.1.213.1.6.1.107", code="309")) is RoleFamily.COORDINATION
    assert family_of(Coding(system="urn:oid:1.2.250.1.213.1.6.1.107", code="312")) is None
    assert family_of(None, Coding(code="PCP")) is RoleFamily.PHYSICIAN
    assert family_of(Coding(system="local", code="10")) is None


def test_one_number_is_recognised_however_it_is_written() -> None:
    idnps = Identifier(system="urn:oid:1.2.250.1.71.4.2.1", value="899900000001")
    plain = Identifier(value="99900000001", type="RPPS")
    assert party_keys([idnps]) == party_keys([plain]) == {"rpps|99900000001"}
