"""ADT about identities: A28, A31, A40, A47, A24, A37 (ITI-30 of IHE PAM France)."""

from __future__ import annotations

from collections.abc import Iterable

from mappings.hl7v2.contacts import contacts_of
from mappings.hl7v2.datatypes import identifier
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.ins import is_ins
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.triggers import Trigger
from schemas.coding import Identifier
from schemas.identity_event import IdentityEvent

_PAIRS = frozenset({"A24", "A37"})
_NEEDS_MRG = frozenset({"A40", "A47"})


class Person:
    """One PID with the segments that follow it, up to the next PID."""

    __slots__ = ("around", "contacts", "mrg", "pd1", "pid", "zfd")

    def __init__(self, pid: Segment) -> None:
        self.pid = pid
        self.pd1: Segment | None = None
        self.mrg: list[Segment] = []
        self.zfd: Segment | None = None
        self.around: list[Segment] = []
        self.contacts: list[Segment] = []


def people_of(notes: Notebook, segments: Iterable[Segment]) -> list[Person]:
    """Group the segments of an ADT by person: A40 may merge several pairs, A24 links two."""
    people: list[Person] = []
    visit = False
    for segment in segments:
        name = segment.name
        if name == "PID":
            people.append(Person(segment))
            visit = False
        elif not people:
            continue
        elif name == "PD1" and people[-1].pd1 is None:
            people[-1].pd1 = segment
        elif name == "MRG":
            people[-1].mrg.append(segment)
        elif name == "NK1":
            people[-1].contacts.append(segment)
        elif name == "ZFD" and people[-1].zfd is None:
            people[-1].zfd = segment
            people[-1].around.append(segment)
        elif name == "PV1":
            visit = True
        elif name == "ROL" and (not visit or segment.code(3) == "ODRP"):
            people[-1].around.append(segment)
        elif name in ("PD1", "ZFD"):
            notes.leave(segment)
    return people


def read_events(
    notes: Notebook, trigger: Trigger, people: list[Person], event: str | None = None
) -> list[tuple[Person, IdentityEvent]]:
    """Read the identity events of one message, each with the person who survives it.

    A link or unlink (A24, A37) is one event about the first person; the second one's identifiers are in `absorbed`.
    """
    name = event or trigger.event
    if trigger.trigger in _PAIRS:
        if len(people) < 2:
            notes.error("hl7v2.pid.missing", "PID[2]", "the message does not say with whom the patient is linked")
            return [(person, _event(notes, name, trigger, person, ())) for person in people]
        others = tuple(one for person in people[1:] for one in _identifiers(notes, person.pid, 3))
        for person in people[1:]:
            notes.leave_fields(person.pid, *range(4, len(person.pid.fields)))
        return [(people[0], _event(notes, name, trigger, people[0], others))]
    events = []
    for person in people:
        if trigger.trigger not in _NEEDS_MRG:
            for mrg in person.mrg:
                notes.leave(mrg)
            events.append((person, _event(notes, name, trigger, person, ())))
            continue
        absorbed = tuple(one for mrg in person.mrg for one in _identifiers(notes, mrg, 1))
        if not absorbed:
            where = person.mrg[0].where(1) if person.mrg else "MRG-1"
            notes.error("hl7v2.mrg.missing", where, "the message does not say which identifier disappears")
        events.append((person, _event(notes, name, trigger, person, absorbed)))
    return events


def _identifiers(notes: Notebook, segment: Segment, n: int) -> list[Identifier]:
    found = (identifier(raw, notes.syntax) for raw in segment.repetitions(n))
    return [one for one in found if one is not None]


def _event(
    notes: Notebook, name: str, trigger: Trigger, person: Person, absorbed: tuple[Identifier, ...]
) -> IdentityEvent:
    zfd = person.zfd
    return IdentityEvent(
        event=name,
        trigger=trigger.trigger,
        absorbed=absorbed,
        ins_removed=_ins_removed(notes, person.pid),
        obtained_by=(zfd.code(5) or None) if zfd is not None else None,
        obtained_on=notes.time(zfd, 6) if zfd is not None else None,
        contacts=contacts_of(notes, person.contacts),
    )


def _ins_removed(notes: Notebook, pid: Segment) -> bool:
    """Say whether PID-3 holds `""` under the INS, and no INS beside."""
    syntax = notes.syntax
    removed = kept = False
    for raw in pid.repetitions(3):
        found = identifier(raw, syntax)
        if found is not None:
            kept = kept or is_ins(found)
        else:
            parts = syntax.components(raw)
            removed = removed or (len(parts) > 4 and syntax.code(parts[4]).startswith("INS"))
    return removed and not kept
