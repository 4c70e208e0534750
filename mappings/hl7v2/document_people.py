"""Who sends a document, who shall get it and where answers go: the PRT after its OBX, and the people of TXA."""

from __future__ import annotations

from typing import NamedTuple

from mappings.hl7v2.datatypes import address, organization, professional, telecom
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.groups import Order
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import NULL
from schemas.actors import Organization, Professional, Recipient, Telecom


class Participants(NamedTuple):
    """What the PRT say: the sender with his organisation, recipients, reply address."""

    sender: Professional | None
    organization: Organization | None
    recipients: tuple[Recipient, ...]
    reply_to: str | None


def read_participants(notes: Notebook, order: Order) -> Participants:
    """Read the PRT: sender (SB), recipients (RCT), reply address (REPLY), by the first component of PRT-4."""
    sender: Professional | None = None
    place: Organization | None = None
    recipients: list[Recipient] = []
    reply_to: str | None = None
    for prt in (prt for result in order.results for prt in result.participants):
        role = prt.code(4)
        person = professional(prt.first(5), notes.syntax) if prt.raw(5) else None
        unit = organization(prt.first(8), notes.syntax) if prt.raw(8) else None
        found = (telecom(raw, notes.syntax) for raw in prt.repetitions(15))
        telecoms = tuple(one for one in found if one is not None)
        if role == "SB":
            sender, place = _sender(person, telecoms), unit
        elif role == "RCT":
            recipients.append(_recipient(notes, prt, person, unit, telecoms))
        elif role == "REPLY":
            reply_to = telecoms[0].value if telecoms else None
        else:
            notes.leave(prt)
    for prt in order.participants:
        notes.leave(prt)
    return Participants(sender, place, tuple(recipients), reply_to)


def _sender(person: Professional | None, telecoms: tuple[Telecom, ...]) -> Professional | None:
    if person is None:
        return Professional(telecoms=telecoms) if telecoms else None
    return person.model_copy(update={"telecoms": telecoms}) if telecoms else person


def _recipient(
    notes: Notebook,
    prt: Segment,
    person: Professional | None,
    unit: Organization | None,
    telecoms: tuple[Telecom, ...],
) -> Recipient:
    where = address(prt.first(14), notes.syntax) if prt.raw(14) else None
    if person is not None:
        person = person.model_copy(update={"telecoms": telecoms, "address": where})
    elif unit is not None:
        unit = unit.model_copy(update={"telecoms": telecoms, "address": where})
    else:
        person = Professional(telecoms=telecoms, address=where)
    return Recipient(professional=person, organization=unit, role=prt.code(4))


def people(notes: Notebook, segment: Segment | None, *fields: int) -> tuple[Professional, ...]:
    """Read the people of the first of these fields that names any; the other fields that do stay unread."""
    if segment is None:
        return ()
    given = [n for n in fields if segment.raw(n) and segment.raw(n) != NULL]
    if given[1:]:
        notes.leave_fields(segment, *given[1:])
    found = (professional(raw, notes.syntax) for raw in segment.repetitions(given[0])) if given else iter(())
    return tuple(one for one in found if one is not None)
