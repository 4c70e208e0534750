"""The circle as a tool writes it (CDS cds-ihe-careteam): a CareTeam becomes changes of the dossier's own circle.

A dossier has one circle, which a person opened; a tool adds to it, changes it, and, with the whole CareTeam (PUT), ends
who is no longer named. Somebody new is only invited, and sees nothing before the person agreed, unless the tool says
why they are of the «équipe de soins» (extension `care-team-basis`, L.1110-12 CSP).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from mappings.contracts import PARIS, ReadContext
from mappings.fhir.reading import taking as taken
from mappings.fhir.reading.actors import PEOPLE, read_contact, read_organization, read_professional
from mappings.fhir.reading.source import Source
from router.dossier.api.outcomes import Refused
from router.dossier.circle import STANDING, MemberLine, add_member, change_member, end_member, lines_of
from router.dossier.consents import consents_of
from router.dossier.keeping import SENTENCES, By, dossier_of
from router.dossier.moments import ending
from router.dossier.store.circles import BASIS, project_circle
from router.dossier.store.drafts import Draft
from router.dossier.store.elements import Json, Resource, child, children, codes, said
from router.dossier.store.projection import Means
from router.engine.clock import moment
from router.journal.blobs import BlobStore
from router.journal.unit import Unit
from schemas.circle import Member, MemberState, Relative, RoleFamily, family_of, party_keys
from schemas.coding import Coding

KIND = "CareTeam"
_ROLES = ("2.16.840.1.113883.5.88", "2.16.840.1.113883.5.110", "R259", "R260", "RoleClass", "ParticipationFunction")
_RELATIONS = frozenset({"RelatedPerson"})


@dataclass(frozen=True, slots=True)
class TeamChange:
    """What a CareTeam asks for. `added` are new members, `changed` and `ended` those who are there, by number."""

    added: tuple[Member, ...] = ()
    changed: tuple[tuple[int, Member], ...] = ()
    ended: tuple[tuple[int, str | None], ...] = ()


@dataclass(slots=True)
class _Reading:
    added: list[Member] = field(default_factory=list)
    changed: list[tuple[int, Member]] = field(default_factory=list)
    ended: list[tuple[int, str | None]] = field(default_factory=list)
    named: set[int] = field(default_factory=set)


def understood_team(
    team: Resource, mentioned: Mapping[str, Resource], lines: Sequence[MemberLine], now: int, *, whole: bool
) -> TeamChange:
    """Compare a CareTeam with the circle as it is.

    `mentioned` are the resources that it refers to, by reference; with `whole`, who stands and is not named has left.
    Raises Refused (422) with the place.
    """
    found = _Reading()
    for rank, one in enumerate(children(team, "participant")):
        where = f"CareTeam.participant[{rank}]"
        member = _member(one, team, mentioned, now, where, lines)
        _place(member, found, lines, now)
    standing = [line for line in lines if line.standing]
    left = [(line.seat.id, None) for line in standing if whole and line.seat.id not in found.named]
    return TeamChange(tuple(found.added), tuple(found.changed), (*found.ended, *left))


def _place(member: Member, found: _Reading, lines: Sequence[MemberLine], now: int) -> None:
    """Say what becomes of one participant: known as they stand, or new; a period that is over is nobody's news."""
    keys = party_keys(member.identifiers)
    try:
        until = None if member.end is None else ending(member.end)
    except ValueError:
        raise Refused(422, "This is not a date.", where=("CareTeam.participant.period.end",)) from None
    over = until is not None and until <= now
    for line in lines:
        if not keys & line.seat.keys or line.seat.member.state not in STANDING:
            continue
        found.named.add(line.seat.id)
        if not line.standing:
            if over or line.seat.start > now:
                return  # a former period, or one to come, as it is known
            continue
        known = line.seat.member
        if over or (until is not None and until != line.seat.end):
            found.ended.append((line.seat.id, None if over else member.end))
            return
        if member.is_pcp and not known.is_pcp and known.family is not RoleFamily.PHYSICIAN:
            raise Refused(422, "The general practitioner is a physician.", where=("CareTeam.participant.role",))
        fresh = known.model_copy(
            update={
                "role": member.role or known.role,
                "profession": member.profession or known.profession,
                **({"in_care_team": True, "basis": member.basis} if member.basis else {}),
            }
        )
        if fresh != known:
            found.changed.append((line.seat.id, fresh))
        return
    if not over:
        found.added.append(member)


def apply_team(unit: Unit, patient: int, asked: TeamChange, by: By) -> None:
    """Do it, in the transaction of the request. Raises Refused (422), and nothing of the request stays."""
    done = [end_member(patient, number, by=by, on=on).apply(unit) for number, on in asked.ended]
    done += [change_member(patient, number, member, by=by).apply(unit) for number, member in asked.changed]
    done += [add_member(patient, member, by=by).apply(unit) for member in asked.added]
    refused = next((one.refusal for one in done if one.refusal is not None), None)
    if refused is not None:
        raise Refused(422, f"The circle is not changed: {SENTENCES[refused]}.", where=("CareTeam.participant",))


def circle_drafts(unit: Unit, blobs: BlobStore, patient: int, now: int) -> list[Draft]:
    """Give the circle as resources, as it is now."""
    line = dossier_of(unit.connection, unit.sealer, patient)
    if line is None:
        return []
    members = lines_of(unit.connection, unit.sealer, line, now=now)
    consents = consents_of(unit.connection, unit.sealer, line.id)
    return project_circle(line, members, consents, Means(unit.sealer, blobs, None, PARIS), moment(now))


def lines_for(unit: Unit, patient: int, now: int) -> list[MemberLine]:
    """Give the circle of a patient's dossier; empty where there is none."""
    line = dossier_of(unit.connection, unit.sealer, patient)
    return [] if line is None else lines_of(unit.connection, unit.sealer, line, now=now)


# --- one participant


def _member(
    one: Resource,
    team: Resource,
    mentioned: Mapping[str, Resource],
    now: int,
    where: str,
    lines: Sequence[MemberLine],
) -> Member:
    source = _source(one, team, mentioned)
    node = source.entries[0].resource
    reference = taken.child(taken.children(node, "participant")[0], "member")
    person = place = relative = None
    if reference is not None:
        entry = source.find(reference, node)
        kind = entry.kind if entry is not None else taken.said(reference, "type")
        if kind in PEOPLE:
            person = read_professional(reference, node, source)
        elif entry is not None and kind in _RELATIONS:
            contact = read_contact(entry, source)
            relative = Relative(
                identifiers=contact.identifiers,
                family_name=contact.family_name or "",
                given_name=contact.given_name,
                relation=contact.relation,
                telecoms=contact.telecoms,
            )
        elif kind == "Organization":
            place = read_organization(reference, node, source)
    party = person or place or relative
    if party is None or not party_keys(party.identifiers):
        raise Refused(
            422, "A member is named by a number (RPPS, FINESS, or one of their own).", where=(f"{where}.member",)
        )
    role, profession = _roles(one)
    basis = _basis(one)
    known = next((line.seat.member for line in lines if party_keys(party.identifiers) & line.seat.keys), None)
    family = RoleFamily.RELATIVE if relative is not None else family_of(profession, role)
    family = family or (known.family if known is not None else None)
    if family is None:
        sentence = "Say what this member does, by a profession (TRE_G15, R85, R94, R95) or as médecin traitant (PCP)."
        raise Refused(422, sentence, where=(f"{where}.role",), code="required")
    period = child(one, "period") or {}
    try:
        return Member(
            state=MemberState.ACTIVE if basis else MemberState.PROPOSED,
            family=family,
            role=role,
            profession=profession,
            professional=person,
            organization=place if place is not None else person.organization if person is not None else None,
            relative=relative,
            start=said(period, "start") or moment(now).isoformat(timespec="seconds"),
            end=said(period, "end") or None,
            in_care_team=bool(basis),
            basis=basis or None,
        )
    except ValidationError:
        raise Refused(422, "A participant has a period with a beginning.", where=(f"{where}.period",)) from None


def _source(one: Resource, team: Resource, mentioned: Mapping[str, Resource]) -> Source:
    """Give one participant with what it refers to, as the format reads it."""
    alone: Resource = {"resourceType": KIND, "participant": [one], "contained": team.get("contained", [])}
    entries: list[Json] = [{"resource": alone}]
    entries += [{"fullUrl": key, "resource": found} for key, found in mentioned.items()]
    content = orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
    return Source(content, ReadContext())


def _roles(one: Resource) -> tuple[Coding | None, Coding | None]:
    """Give the role (TRE_R259, R260) and the profession among the codes of a participant."""
    role = profession = None
    for concept in children(one, "role"):
        for system, code in codes(concept):
            coding = Coding(system=system or None, code=code)
            if family_of(coding) is not None:
                profession = profession or coding
            elif any(name in system for name in _ROLES):
                role = role or coding
    return role, profession


def _basis(one: Resource) -> str:
    found = (said(each, "valueString") for each in children(one, "extension") if said(each, "url") == BASIS)
    return next((text.strip()[:200] for text in found if text.strip()), "")
