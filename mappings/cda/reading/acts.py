"""What a document is about: the acts (documentationOf) and the encounter (componentOf) (cda-fr §2.5, §2.6)."""

from __future__ import annotations

from typing import NamedTuple

from mappings.cda.reading.actors import organization_of, role
from mappings.cda.reading.datatypes import Span, coding, identifier, point, span, time_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from schemas.actors import Organization, Professional
from schemas.coding import Coding
from schemas.document import Participant


class Event(NamedTuple):
    """The main act (documentationOf) and the codes of all of them."""

    codes: tuple[Coding, ...]
    period: Span
    status: str | None
    performer: Professional | None
    organization: Organization | None
    setting: Coding | None


def codes_of(scribe: Scribe, code: Node | None) -> list[Coding]:
    """Read a code and its translations, each as a coding of its own."""
    if code is None:
        return []
    return [found for one in (code, *code.all("translation")) if (found := coding(scribe, one)) is not None]


def event_of(scribe: Scribe, document: Node) -> Event:
    """Read the acts: the main one is the first with a performer, else the first with a time."""
    acts = [act for one in document.all("documentationOf") if (act := one.first("serviceEvent")) is not None]
    codes: dict[Coding, None] = {}
    for act in acts:
        code = act.first("code")
        for found in codes_of(scribe, code):
            codes.setdefault(found)
    main = next((act for act in acts if act.first("performer") is not None), None)
    main = main or next((act for act in acts if act.first("effectiveTime") is not None), None)
    if main is None:
        return Event(tuple(codes), Span(None, None), None, None, None, None)
    _take_repeated(main, [act for act in acts if act is not main])
    status = main.first("lab:statusCode")
    performer = main.first("performer", "assignedEntity")
    found_role = role(scribe, performer) if performer is not None else None
    return Event(
        codes=tuple(codes),
        period=span(scribe, main.first("effectiveTime"), "documentationOf/serviceEvent/effectiveTime"),
        status=status.get("code") if status is not None else None,
        performer=found_role.professional if found_role else None,
        organization=found_role.organization if found_role else None,
        setting=found_role.setting if found_role else None,
    )


def _take_repeated(main: Node, others: list[Node]) -> None:
    """Take of the further acts what they only repeat of the main one."""
    for act in others:
        for name in ("lab:statusCode", "effectiveTime", "performer", "id"):
            repeated = act.first(name)
            if repeated is not None and repeated.says(main.first(name)):
                repeated.use()


def encounter_of(scribe: Scribe, node: Node) -> dict[str, object]:
    """Read the encounter's number (the first one), kind, and kind of facility as fields of a Document."""
    facility = node.first("location", "healthCareFacility")
    number = node.first("id")
    return {
        "visit": identifier(number, "VN") if number is not None else None,
        "encounter_type": coding(scribe, node.first("code")),
        "facility_type": coding(scribe, facility.first("code")) if facility is not None else None,
    }


def people_of_encounter(scribe: Scribe, node: Node) -> list[Participant]:
    """Read where the encounter was, who is responsible, and the others with what they did (`function`)."""
    people = [_facility(scribe, node)]
    responsible = node.first("responsibleParty", "assignedEntity")
    if responsible is not None:
        found = role(scribe, responsible)
        people.append(
            Participant(kind="responsibleParty", professional=found.professional, organization=found.organization)
        )
    for one in node.all("encounterParticipant"):
        who = one.first("assignedEntity")
        if who is None:
            continue
        found = role(scribe, who)
        kind = one.get("typeCode")
        people.append(
            Participant(
                kind="encounterParticipant",
                function=Coding(code=kind) if kind else None,
                professional=found.professional,
                organization=found.organization,
                at=point(scribe, one.first("time"), "encounterParticipant/time"),
            )
        )
    return [one for one in people if one is not None]


def _facility(scribe: Scribe, node: Node) -> Participant | None:
    """Say where the encounter was and since when: the facility of `location`, by its identifier, name and address."""
    at = time_of(scribe, node.first("effectiveTime", "low"), "encompassingEncounter/effectiveTime")
    at = at or time_of(scribe, node.first("effectiveTime"), "encompassingEncounter/effectiveTime")
    facility = node.first("location", "healthCareFacility")
    place = _place(scribe, facility) if facility is not None else None
    if at is None and place is None:
        return None
    return Participant(kind="location", organization=place, at=at)


def _place(scribe: Scribe, facility: Node) -> Organization | None:
    named = organization_of(scribe, facility)
    location = facility.first("location")
    if location is None:
        return named
    found = organization_of(scribe, location)
    if named is None or found is None:
        return named or found
    return found.model_copy(update={"identifiers": named.identifiers})
