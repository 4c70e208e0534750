"""A dossier's circle and consents as FHIR resources: CareTeam (CDS cds-ihe-careteam) and Consent (FR Core).

They are made from what people decided in the dossier; a tool that writes a CareTeam changes the circle itself
(`router.dossier.api.care_teams`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mappings.contracts import WriteContext
from mappings.fhir import systems
from mappings.fhir.writing.actors import organization, professional
from mappings.fhir.writing.bundle import BundleBuilder, Resource as Written
from mappings.fhir.writing.datatypes import concept, identifier, telecom, usable
from router.dossier.circle import MemberLine
from router.dossier.context import ConsentRecord
from router.dossier.keeping import DossierLine
from router.dossier.store.drafts import Draft, name_id, patient_id
from router.dossier.store.elements import children, loaded
from router.dossier.store.projection import Means, drafts_of
from router.engine.clock import moment
from schemas.circle import Member
from schemas.consent import ConsentKind
from schemas.dossier import DossierState

CARE_TEAM = "https://interop.esante.gouv.fr/ig/fhir/cds/StructureDefinition/cds-ihe-careteam"
KINDS = "https://passerelle.example/fhir/CodeSystem/consent-kind"
CATEGORIES = "https://passerelle.example/fhir/CodeSystem/data-category"
BASIS = "https://passerelle.example/fhir/StructureDefinition/care-team-basis"
"""Extension of a participant: why they are of the «équipe de soins» (L.1110-12 CSP)."""

_STATUS = {
    DossierState.PROPOSED: "proposed",
    DossierState.ACTIVE: "active",
    DossierState.SUSPENDED: "suspended",
    DossierState.CLOSED: "inactive",
}
_OPPOSITIONS = frozenset({ConsentKind.OPPOSITION_TOTAL, ConsentKind.OPPOSITION_MEMBER, ConsentKind.OPPOSITION_CATEGORY})


def project_circle(
    line: DossierLine, members: Sequence[MemberLine], consents: Sequence[ConsentRecord], means: Means, now: datetime
) -> list[Draft]:
    """Give the CareTeam of a dossier, its members, and a Consent for each record."""
    context = WriteContext(now=now, identity="", timezone=means.timezone, environment=means.environment)
    builder = BundleBuilder(context, "unknown")
    subject: Written = {"reference": f"Patient/{patient_id(line.patient_id)}"}
    team: Written = {"resourceType": "CareTeam", "meta": {"profile": [CARE_TEAM]}}
    own: Written = {"system": systems.URI, "value": f"urn:uuid:{line.body.key}"}
    team["identifier"] = [own, *(identifier(one, builder) for one in usable(line.body.identifiers))]
    team["status"] = _STATUS[line.state]
    # No name of a person: the team's name is shown in lists.
    team["name"] = "Cercle de soins"
    team["subject"] = subject
    period: Written = {"start": moment(line.opened_at).isoformat(timespec="seconds")}
    if line.closed_at is not None:
        period["end"] = moment(line.closed_at).isoformat(timespec="seconds")
    team["period"] = period
    references: dict[int, Written] = {}
    participants = []
    for one in members:
        member = one.seat.member
        reference = references[one.seat.id] = _reference(builder, one.seat.id, member, subject, team)
        time: Written = {"start": moment(one.seat.start).isoformat(timespec="seconds")}
        if one.seat.end is not None:
            time["end"] = moment(one.seat.end).isoformat(timespec="seconds")
        participant: Written = {"member": reference, "period": time}
        roles = [concept((code,), None, builder) for code in (member.role, member.profession) if code is not None]
        if roles:
            participant["role"] = roles
        if member.in_care_team and member.basis:
            participant["extension"] = [{"url": BASIS, "valueString": member.basis}]
        participants.append(participant)
    if participants:
        team["participant"] = participants
    manager = organization(builder, line.body.owner, team)
    if manager:
        team["managingOrganization"] = [manager]
    builder.put(team, f"care-team|{line.body.key}")
    for record in consents:
        _consent(builder, line, record, references, subject)
    return drafts_of(children(loaded(builder.finish()), "entry"), line.patient_id, means)


def _reference(builder: BundleBuilder, number: int, member: Member, subject: Written, team: Written) -> Written:
    if member.professional is not None:
        acting = member.professional.model_copy(
            update={"organization": member.organization or member.professional.organization}
        )
        return professional(builder, acting, team)
    if member.relative is None:
        return {} if member.organization is None else organization(builder, member.organization, team)
    relative = member.relative
    person: Written = {"resourceType": "RelatedPerson", "active": True, "patient": subject}
    numbers = usable(relative.identifiers)
    if numbers:
        person["identifier"] = [identifier(one, builder) for one in numbers]
    name: Written = {"family": relative.family_name}
    if relative.given_name:
        name["given"] = [relative.given_name]
    person["name"] = [name]
    if relative.telecoms:
        person["telecom"] = [telecom(one) for one in relative.telecoms]
    if relative.relation is not None:
        person["relationship"] = [concept((relative.relation,), None, builder)]
    return builder.put(person, f"relative|{name_id('member', str(number))}")


def _consent(
    builder: BundleBuilder,
    line: DossierLine,
    record: ConsentRecord,
    references: dict[int, Written],
    subject: Written,
) -> None:
    given = record.consent
    denies = (given.kind in _OPPOSITIONS) == given.given
    out: Written = {"resourceType": "Consent"}
    out["status"] = "inactive" if record.withdrawn is not None else "active"
    out["scope"] = {"coding": [{"system": systems.TERMINOLOGY + "consentscope", "code": "patient-privacy"}]}
    out["category"] = [
        {"coding": [{"system": "http://loinc.org", "code": "59284-0"}, {"system": KINDS, "code": given.kind.value}]}
    ]
    out["patient"] = subject
    out["dateTime"] = moment(record.at).isoformat(timespec="seconds")
    out["performer"] = [{"display": given.collected_by}] if given.collected_by else []
    out["policyRule"] = {"text": "L.1110-4 CSP"}
    provision: Written = {"type": "deny" if denies else "permit"}
    period: Written = {"start": moment(record.at).isoformat(timespec="seconds")}
    ends = [one for one in (record.until, record.withdrawn) if one is not None]
    if ends:
        period["end"] = moment(min(ends)).isoformat(timespec="seconds")
    provision["period"] = period
    role = {"coding": [{"system": systems.PARTICIPATION, "code": "IRCP"}]}
    provision["actor"] = [
        {"role": role, "reference": references[number]} for number in given.members if references.get(number)
    ]
    provision["class"] = [{"system": CATEGORIES, "code": one.value} for one in given.categories]
    out["provision"] = provision
    builder.put(out, f"consent|{line.body.key}|{record.id}")
