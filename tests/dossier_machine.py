"""A dossier that people change in whatever order while things arrive, for the stateful tests of what anybody sees.

An oracle of its own keeps what was said in the plainest way and repeats the fact sheet's algorithm on it; the list, the
total and the single thing are compared with it after each step, for everybody, over everything.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dossier_scene import DAY, Scene, coordinator, daughter, doctor, document, home_help, nurse, stay
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from web_journal import Journal, hasten, open_journal

from router.dossier.circle import end_member
from router.dossier.consents import open_emergency, withdraw_consent
from router.dossier.doors import entries_shown, entry_opened
from router.dossier.dossiers import change_state
from router.dossier.matrices import bring_matrix
from router.dossier.matrix import default_text
from router.dossier.may import may
from router.dossier.moments import beginning
from router.dossier.restrictions import lift_restriction, restrict
from router.identity.flows_keeping import patient_now
from router.identity.flows_merge import merge, undo_merge
from router.identity.flows_published import Cause
from router.journal import tables
from router.journal.operations import Change
from router.journal.store import JournalPlace, open_store
from router.journal.unit import Unit
from router.journal.view import viewing
from schemas.attachment import Attachment
from schemas.circle import Member, RoleFamily, party_keys
from schemas.consent import ConsentKind
from schemas.dossier import DossierState
from schemas.habilitation import Action, DataCategory
from schemas.visibility import Restriction, RestrictionKind

PEOPLE: dict[str, Member] = {
    "gp": doctor(),
    "nurse": nurse(),
    "helper": home_help(),
    "daughter": daughter(),
    "coordinator": coordinator(),
}
TABLE = {
    DataCategory.EVENTS: {"gp", "nurse", "helper", "coordinator"},
    DataCategory.DOCUMENTS: {"gp", "nurse", "coordinator"},
    DataCategory.LAB: {"gp", "nurse"},
    DataCategory.SOCIAL: {"gp", "nurse", "helper", "coordinator"},
}
"""Who reads what by the shipped matrix, among the categories that are received here."""

LABELS = st.sampled_from([(), (), ("V",), ("MASQUE_PS",), ("MASQUE_PSOCIAL",), ("MASQUE_PT",), ("INVISIBLE_PATIENT",)])
_TEMPLATES: list[Path] = []


def _journal(folder: Path) -> Journal:
    if not _TEMPLATES:
        template = Path(tempfile.mkdtemp())
        made = open_journal(template)
        Scene(made).know(1)
        made.store.close()
        _TEMPLATES.append(template)
    shutil.copytree(_TEMPLATES[0], folder, dirs_exist_ok=True)
    return Journal(hasten(open_store(JournalPlace.at(folder), migrate=False)))


@dataclass
class _Seat:
    number: int
    who: str
    in_team: bool
    ended: bool = False


@dataclass
class _Thing:
    number: int
    category: DataCategory
    labels: tuple[str, ...]
    author: str | None
    at: int
    versions: int
    patient: int


@dataclass
class _Record:
    number: int
    kind: ConsentKind
    given: bool
    member: int | None
    category: DataCategory | None
    withdrawn: bool = False


@dataclass
class _Oracle:
    """What was said, and nothing else."""

    active: bool = False
    seats: list[_Seat] = field(default_factory=list)
    things: list[_Thing] = field(default_factory=list)
    records: list[_Record] = field(default_factory=list)
    hidden: dict[int, tuple[int, set[str] | None]] = field(default_factory=dict)
    emergency: str | None = None
    merged: bool = False
    lab_for_helpers: bool = False

    def agreed(self, kind: ConsentKind, member: int | None = None, category: DataCategory | None = None) -> bool:
        said = False
        for one in self.records:
            mine = one.member is None or member is None or one.member == member
            of_category = one.category is None or category is None or one.category is category
            if one.kind is kind and not one.withdrawn and mine and of_category:
                said = one.given
        return said

    def opposed(self) -> set[str]:
        return {seat.who for seat in self.seats if self.agreed(ConsentKind.OPPOSITION_MEMBER, seat.number)}

    def sees(self, who: str, thing: _Thing) -> bool:
        if not self.active or not self.agreed(ConsentKind.OPENING) or self.agreed(ConsentKind.OPPOSITION_TOTAL):
            return False
        if who in self.opposed() or (thing.patient != 1 and not self.merged):
            return False
        return any(self._through(who, seat, thing) for seat in self.seats) or self._by_emergency(who, thing)

    def _through(self, who: str, seat: _Seat, thing: _Thing) -> bool:
        if seat.who != who or seat.ended or thing.at < beginning(PEOPLE[who].start):
            return False
        if self.agreed(ConsentKind.OPPOSITION_CATEGORY, seat.number, thing.category):
            return False
        if not seat.in_team and not self.agreed(ConsentKind.SHARE, seat.number, thing.category):
            return False
        allowed = who in TABLE[thing.category] or (
            self.lab_for_helpers and who == "helper" and thing.category is DataCategory.LAB
        )
        return allowed and self._unmasked(who, thing) and not self._hidden_from(who, thing)

    def _by_emergency(self, who: str, thing: _Thing) -> bool:
        if self.emergency != who or self.agreed(ConsentKind.OPPOSITION_CATEGORY, None, thing.category):
            return False
        everybody = any(one[0] == thing.versions and one[1] is None for one in self.hidden.values())
        by_family = any(one[0] == thing.versions and one[1] == {"nurse"} for one in self.hidden.values())
        masked = {"V", "MASQUE_PS"} & set(thing.labels)
        return not everybody and not by_family and not (masked and thing.author != who)

    def _unmasked(self, who: str, thing: _Thing) -> bool:
        labels = set(thing.labels)
        if who in {"gp", thing.author}:
            labels -= {"V", "MASQUE_PS"}
        if who != "helper":
            labels.discard("MASQUE_PSOCIAL")
        if who != "daughter":
            labels -= {"MASQUE_PT", "INVISIBLE_PATIENT"}
        return not labels

    def _hidden_from(self, who: str, thing: _Thing) -> bool:
        return any(
            versions == thing.versions and (from_whom is None or who in from_whom)
            for versions, from_whom in self.hidden.values()
        )


class Dossiers(RuleBasedStateMachine):
    """A dossier that people change while things arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.scene = Scene(_journal(Path(self.folder.name)))
        self.oracle = _Oracle()
        self.count = 0
        self.merge_id = 0

    def teardown(self) -> None:
        self.scene.journal.store.close()
        self.folder.cleanup()

    def apply(self, change: Any) -> Any:
        return self.scene.journal.apply(change)

    @initialize()
    def begin(self) -> None:
        assert self.scene.know(2) == 2
        assert self.scene.open().refusal is None
        self.oracle.active = True
        self.oracle.records.append(_Record(1, ConsentKind.OPENING, True, None, None))
        self.join("gp", True)
        self.join("nurse", True)

    # --- what people do ---------------------------------------------------------------------------------------------

    @rule(who=st.sampled_from(sorted(PEOPLE)), in_team=st.booleans())
    def join(self, who: str, in_team: bool) -> None:
        if any(seat.who == who and not seat.ended for seat in self.oracle.seats):
            return
        member = PEOPLE[who].model_copy(update={"in_care_team": in_team})
        self.oracle.seats.append(_Seat(self.scene.add(member), who, in_team))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        seat = data.draw(st.sampled_from(self.oracle.seats))
        self.apply(end_member(1, seat.number, by=self.scene.by()))
        seat.ended = True

    @rule(data=st.data(), kind=st.sampled_from(ConsentKind), given=st.booleans(), narrow=st.booleans())
    def say(self, data: st.DataObject, kind: ConsentKind, given: bool, narrow: bool) -> None:
        seat = data.draw(st.sampled_from(self.oracle.seats)).number
        category = data.draw(st.sampled_from(sorted(TABLE)))
        member = seat if kind is ConsentKind.OPPOSITION_MEMBER or (kind is ConsentKind.SHARE and narrow) else None
        of = category if kind is ConsentKind.OPPOSITION_CATEGORY or (kind is ConsentKind.SHARE and not narrow) else None
        number = self.scene.consent(
            kind,
            given=given,
            at="2027-02-01",
            members=(member,) if member is not None else (),
            categories=(of,) if of is not None else (),
        )
        self.oracle.records.append(_Record(number, kind, given, member, of))

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        record = data.draw(st.sampled_from(self.oracle.records))
        self.apply(withdraw_consent(1, record.number, by=self.scene.by()))
        record.withdrawn = True

    @precondition(lambda self: self.oracle.things)
    @rule(data=st.data(), how=st.sampled_from(["all", "member", "family", "audience"]))
    def hide(self, data: st.DataObject, how: str) -> None:
        mine = [one for one in self.oracle.things if one.patient == 1]
        if not mine:
            return
        thing = data.draw(st.sampled_from(mine))
        seat = data.draw(st.sampled_from(self.oracle.seats))
        hidden, audience = RestrictionKind.HIDDEN, RestrictionKind.AUDIENCE
        nurses = (RoleFamily.HEALTH,)
        decided, from_whom = {
            "all": (Restriction(kind=hidden), None),
            "family": (Restriction(kind=hidden, families=nurses), {"nurse"}),
            "member": (Restriction(kind=hidden, families=(PEOPLE[seat.who].family,)), {seat.who}),
            "audience": (Restriction(kind=audience, families=nurses), set(PEOPLE) - {"nurse"}),
        }[how]
        done = self.apply(restrict(1, thing.number, decided, by=self.scene.by()))
        self.oracle.hidden[done.number] = (thing.versions, from_whom)

    @precondition(lambda self: self.oracle.hidden)
    @rule(data=st.data())
    def unhide(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.oracle.hidden)))
        assert self.apply(lift_restriction(1, number, by=self.scene.by())).refusal is None
        del self.oracle.hidden[number]

    @rule(active=st.booleans())
    def suspend_or_activate(self, active: bool) -> None:
        state = DossierState.ACTIVE if active else DossierState.SUSPENDED
        done = self.apply(change_state(1, state, by=self.scene.by()))
        if done.refusal is None:
            self.oracle.active = active

    @rule(who=st.sampled_from(["gp", "nurse"]))
    def break_the_glass(self, who: str) -> None:
        keys = party_keys(PEOPLE[who].identifiers)
        done = self.apply(open_emergency(1, keys, "garde", by=self.scene.by(why="urgence"), hours=24))
        if done.refusal is None and self.oracle.emergency is None:
            self.oracle.emergency = who
        elif done.refusal is None and self.oracle.emergency != who:
            # Two at once are one too many for the oracle: the second one's time is let pass.
            self.scene.now += 25 * DAY
            self.oracle.emergency = None

    @rule()
    def time_passes(self) -> None:
        self.scene.now += 2 * DAY
        self.oracle.emergency = None

    @rule(more=st.booleans())
    def change_the_matrix(self, more: bool) -> None:
        text = default_text().replace("lab,R,R,-,-", "lab,R,R,-,R") if more else default_text()
        self.apply(bring_matrix(text, by=self.scene.by()))
        self.oracle.lab_for_helpers = more

    @precondition(lambda self: not self.oracle.merged)
    @rule()
    def merge_another_into_her(self) -> None:
        def change(unit: Unit) -> None:
            one, other = patient_now(unit, 1), patient_now(unit, 2)
            assert one is not None
            assert other is not None
            merge(unit, one, other, [], Cause(self.scene.by().now, "merged"))

        self.apply(Change(change, note="merge"))
        self.merge_id = self.scene.rows(tables.patient_merge)[-1].id
        self.oracle.merged = True

    @precondition(lambda self: self.oracle.merged)
    @rule()
    def undo_the_merge(self) -> None:
        assert self.apply(undo_merge(self.merge_id, actor="x", why="", now=self.scene.by().now)).refusal is None
        self.oracle.merged = False

    # --- what arrives -----------------------------------------------------------------------------------------------

    @rule(
        labels=LABELS,
        kind=st.sampled_from(["letter", "social", "stay", "lab"]),
        author=st.sampled_from([None, "gp", "nurse"]),
        old=st.booleans(),
        other=st.booleans(),
    )
    def arrive(self, labels: tuple[str, ...], kind: str, author: str | None, old: bool, other: bool) -> None:
        self.count += 1
        key = f"{self.count:032x}"
        at = "2025-11-22T08:10:00+01:00" if old else "2026-11-22T08:10:00+01:00"
        patient = 2 if other and not self.oracle.merged else 1
        category = {
            "letter": DataCategory.DOCUMENTS,
            "social": DataCategory.SOCIAL,
            "stay": DataCategory.EVENTS,
            "lab": DataCategory.LAB,
        }[kind]
        numbers = {"gp": "89900000001", "nurse": "89900000002", None: None}
        if kind == "stay":
            number = self.scene.receive(stay(key, visit=key, occurred_at=at), patient=patient)
            labels, author = (), None
        elif kind == "lab":
            number, labels, author = self.scene.lab(key, number=key), (), None
            at, patient = "2026-11-22T08:10:00+01:00", 1
        else:
            more = {"type": None, "category": None} if kind == "letter" else {}
            file = Attachment(media_type="application/pdf", filename="lettre.pdf", data=f"JVBERi0xLjQK{self.count:04d}")
            letter = document(key, labels=labels, author=numbers[author], occurred_at=at, attachments=(file,), **more)
            if kind == "social":
                code = letter.content.type.model_copy(update={"code": "28653-4"}) if letter.content.type else None
                letter = letter.model_copy(update={"content": letter.content.model_copy(update={"type": code})})
            number = self.scene.receive(letter, patient=patient)
        thing = _Thing(number, category, labels, author, beginning(at), self.count, patient)
        self.oracle.things.append(thing)

    @precondition(lambda self: any(one.category is DataCategory.DOCUMENTS for one in self.oracle.things))
    @rule(data=st.data(), labels=LABELS)
    def a_new_version_arrives(self, data: st.DataObject, labels: tuple[str, ...]) -> None:
        letters = [one for one in self.oracle.things if one.category is DataCategory.DOCUMENTS and one.patient == 1]
        if not letters:
            return
        former = data.draw(st.sampled_from(letters))
        self.count += 1
        replaced = next(row.name for row in self.scene.rows(tables.dossier_entry) if row.item_id == former.number)
        letter = document(f"{self.count:032x}", labels=labels, replaces_id="x", occurred_at="2026-11-22T08:10:00+01:00")
        # What it replaces is named as the former was: its token is looked up, as only the journal has its name.
        assert replaced
        key = next(row.item_key for row in self.scene.rows(tables.item) if row.id == former.number)
        content = letter.content.model_copy(update={"replaces_id": f"2.999.1^{key}"})
        number = self.scene.receive(letter.model_copy(update={"content": content}))
        thing = replace(former, number=number, labels=labels, author=None, at=beginning("2026-11-22T08:10:00+01:00"))
        self.oracle.things.append(thing)

    # --- what everybody sees ----------------------------------------------------------------------------------------

    @invariant()
    def nobody_sees_what_they_may_not(self) -> None:
        context = self.scene.context()
        with viewing(self.scene.journal.store) as view:
            for who, member in PEOPLE.items():
                reader = self.scene.reader(member)
                expected = [one.number for one in self.oracle.things if self.oracle.sees(who, one)]
                found = entries_shown(view, reader, 1, now=self.scene.now, limit=500)
                assert [one.item_id for one in found.entries] == expected, who
                assert found.total == len(expected)
                assert all(may(reader, Action.READ, one.thing, context).allowed for one in found.entries)
                for thing in self.oracle.things[-4:]:
                    opened = entry_opened(view, reader, 1, thing.number, now=self.scene.now)
                    assert (opened.entry is not None) == (thing.number in expected), who
