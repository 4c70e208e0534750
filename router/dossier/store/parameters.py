"""Search parameters: which ones each resource type has, and where in the resource their values stand.

A path goes down elements, through lists. `ext(url)` is an extension of that URL; `->Type` follows a reference to a
contained resource of that type. Names come from FHIR R4, IHE MHD (ITI-66, ITI-67), PDSm, and the ANS guides of the
"cahier de liaison", the "cercle de soins" and the notification of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

NDE = "https://interop.esante.gouv.fr/ig/fhir/nde/StructureDefinition/"
ARCHIVED = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
DESIGNATION = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"


class Kind(StrEnum):
    """How values are compared (FHIR R4 §3.1.1.4)."""

    TOKEN = "token"  # noqa: S105 - a kind of search parameter
    STRING = "string"
    REFERENCE = "reference"
    DATE = "date"
    BIRTH = "birth"
    """A date that identifies somebody: only whole days are compared, blindly."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type. `targets` are the types that a reference may point at."""

    name: str
    kind: Kind
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()

    @property
    def fhir_type(self) -> str:
        """The type that the CapabilityStatement says."""
        return "date" if self.kind is Kind.BIRTH else self.kind.value


_ACTORS = ("Practitioner", "PractitionerRole", "Organization", "RelatedPerson", "Patient", "Device")

_SPECS: dict[str, str] = {
    "Patient": """
        identifier token identifier
        family string name.family
        given string name.given
        name string name.family name.given
        birthdate birth birthDate
        gender token gender
        address string address.city address.postalCode address.line
        birthplace string ext(BIRTH_PLACE).valueAddress.city ext(BIRTH_PLACE).valueAddress.extension.valueCoding.code
        """,
    "RelatedPerson": """
        identifier token identifier
        patient reference patient
        name string name.family name.given
        """,
    "Practitioner": """
        identifier token identifier
        family string name.family
        given string name.given
        name string name.family name.given name.text
        """,
    "PractitionerRole": """
        identifier token identifier
        practitioner reference practitioner
        organization reference organization
        role token code
        specialty token specialty
        """,
    "Organization": """
        identifier token identifier
        name string name
        type token type
        """,
    "Device": """
        identifier token identifier
        """,
    "Location": """
        identifier token identifier
        name string name
        """,
    "CareTeam": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        category token category
        date date period
        start date period.start
        end date period.end
        participant reference participant.member
        participant-start date participant.period.start
        participant-end date participant.period.end
        managingOrganization reference managingOrganization
        """,
    "DocumentReference": """
        identifier token masterIdentifier identifier
        patient reference subject
        subject reference subject
        status token status
        type token type
        category token category
        facility token context.facilityType
        setting token context.practiceSetting
        event token context.event
        security-label token securityLabel
        format token content.format
        is-emergency token ext(EMERGENCY)
        isArchived token ext(ARCHIVED)
        date date date
        creation date content.attachment.creation
        period date context.period
        period-start date context.period.start
        period-end date context.period.end
        author reference author
        author:Practitioner.identifier token author->Practitioner.identifier
        author:Practitioner.family string author->Practitioner.name.family
        author:Practitioner.given string author->Practitioner.name.given
        author:Practitioner.name string author->Practitioner.name.family author->Practitioner.name.given
        author:Organization.identifier token author->Organization.identifier
        author:RelatedPerson.name string author->RelatedPerson.name.family author->RelatedPerson.name.given
        author:Device.identifier token author->Device.identifier
        encounter reference context.encounter
        related reference context.related
        relatesto reference relatesTo.target
        relation token relatesTo.code
        """,
    "List": """
        identifier token identifier
        patient reference subject
        subject reference subject
        code token code
        status token status
        date date date
        title string title
        source reference source
        designationType token ext(DESIGNATION)
        item reference entry.item
        """,
    "DiagnosticReport": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        category token category
        code token code
        date date effectiveDateTime effectivePeriod
        issued date issued
        encounter reference encounter
        performer reference performer
        result reference result
        specimen reference specimen
        """,
    "Observation": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        category token category
        code token code
        date date effectiveDateTime effectivePeriod
        encounter reference encounter
        has-member reference hasMember
        specimen reference specimen
        """,
    "Specimen": """
        identifier token identifier
        patient reference subject
        subject reference subject
        type token type
        collected date collection.collectedDateTime
        """,
    "ServiceRequest": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        """,
    "Encounter": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        class token class
        date date period
        part-of reference partOf
        service-provider reference serviceProvider
        """,
    "Communication": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        category token category
        sent date sent
        part-of reference partOf
        sender reference sender
        """,
    "CommunicationRequest": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        event-type token ext(EVENT_TYPE)
        authored date authoredOn
        requester reference requester
        recipient reference recipient
        based-on reference basedOn
        encounter reference encounter
        """,
    "Appointment": """
        identifier token identifier
        patient reference participant.actor
        actor reference participant.actor
        status token status
        date date start
        start date start
        created date created
        service-type token serviceType
        slot reference slot
        away.tag token meta.tag
        """,
    "Schedule": """
        identifier token identifier
        actor reference actor
        active token active
        date date planningHorizon
        """,
    "Slot": """
        identifier token identifier
        schedule reference schedule
        status token status
        start date start
        """,
    "CarePlan": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        category token category
        date date period
        """,
    "QuestionnaireResponse": """
        identifier token identifier
        patient reference subject
        subject reference subject
        status token status
        questionnaire reference questionnaire
        authored date authored
        author reference author
        """,
    "Consent": """
        identifier token identifier
        patient reference patient
        status token status
        scope token scope
        category token category
        date date dateTime
        """,
    "Task": """
        identifier token identifier
        patient reference for
        subject reference for
        status token status
        code token code
        owner reference owner
        requester reference requester
        authored-on date authoredOn
        modified date lastModified
        """,
    "Subscription": """
        status token status
        """,
    "Binary": "",
}

_URLS = {
    "BIRTH_PLACE": BIRTH_PLACE,
    "ARCHIVED": ARCHIVED,
    "DESIGNATION": DESIGNATION,
    "EVENT_TYPE": NDE + "event-type",
    "EMERGENCY": "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/cdl-ext-is-emergency",
}
_TARGETS = {"patient": ("Patient",), "subject": ("Patient",), "encounter": ("Encounter",)}

TYPES: tuple[str, ...] = tuple(_SPECS)
"""The resource types that the dossier holds."""

OF_NOBODY = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Device", "Location", "Schedule", "Slot", "Subscription"}
)
"""Types that are about no patient: a directory, calendars, and what tools subscribed to (each sees its own)."""


@cache
def parameters(kind: str) -> dict[str, Parameter]:
    """Give the search parameters of a resource type by name. Raises KeyError for a type that there is not."""
    found: dict[str, Parameter] = {}
    for line in _SPECS[kind].split("\n"):
        if not line.strip():
            continue
        name, what, *paths = line.split()
        for short, url in _URLS.items():
            paths = [path.replace(f"ext({short})", f"ext({url})") for path in paths]
        targets = _TARGETS.get(name, _ACTORS if what == "reference" else ())
        found[name] = Parameter(name, Kind(what), tuple(paths), targets)
    return found


def is_hidden(parameter: Parameter) -> bool:
    """Say whether a parameter only answers a chain (`author:Practitioner.identifier`), and has no name of its own."""
    return "." in parameter.name
