"""URIs of the FHIR side: FR Core, HL7 terminology, Passerelle's own, and how systems translate both ways.

What only its sender understands gets a system of that sender, so that two laboratories' code `HB` never meet:
`urn:x-passerelle:codes:<sender>` for codes, `urn:x-passerelle:ids:<sender>` for identifiers sent without an authority.
Both are recognised on the way back. `<sender>` is its FINESS number, else its first identifier, else its name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from schemas.actors import Organization
from schemas.coding import LOCAL, Identifier
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.value_sets import V2_IDENTIFIER_TYPES, code_system_url, identifier_types

FR_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition/"
FR_CODES = "https://hl7.fr/ig/fhir/core/CodeSystem/"
HL7_EXT = "http://hl7.org/fhir/StructureDefinition/"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
OUR_EXT = "https://passerelle.example/fhir/StructureDefinition/"

IDENTITY_STATUS = FR_CODES + "fr-core-cs-identity-status"
IDENTITY_STATUS_COMMENT = FR_CODES + "fr-core-cs-identity-status-comment"
IDENTITY_0445 = FR_CODES + "fr-core-cs-v2-0445"
METHOD_COLLECTION = FR_CODES + "fr-core-cs-method-collection"
RELIABILITY = FR_CORE + "fr-core-identity-reliability"
BIRTH_LIST = FR_CORE + "fr-core-patient-birth-list-given-name"
BIRTH_DATE_UPDATED = FR_CORE + "fr-core-patient-birthdate-update-indicator"
INSEE_CODE = FR_CORE + "fr-core-address-insee-code"
EMAIL_TYPE = FR_CORE + "fr-core-contact-point-email-type"
ESTIMATED_DISCHARGE = FR_CORE + "fr-core-encounter-estimated-discharge-date"
BIRTH_PLACE = HL7_EXT + "patient-birthPlace"
CITIZENSHIP = HL7_EXT + "patient-citizenship"
REPORT_NOTE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DiagnosticReport.note"

DOCUMENT_VERSION = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.version"
NOT_TO_BE_SHARED = "not-to-be-shared"
VISIBILITY_UPDATE = "visibility-update"
"""Names of Passerelle's extensions for who submits a document: the patient is opposed, only its visibility changes."""
PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
LIST_TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
CONTENT_TYPES = "urn:oid:1.2.250.1.213.2.2"
"""TRE_R209, the kinds of care that a submission comes from."""

LIAISON_NOTE = "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/cdl-document-reference"
NOTE_IS_URGENT = "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/cdl-ext-is-emergency"
NOTE_TYPES = "https://mos.esante.gouv.fr/NOS/TRE_R234-TypeNote/FHIR/TRE-R234-TypeNote"
NOTE_TYPE_SYSTEMS = frozenset(
    {NOTE_TYPES, "urn:oid:1.2.250.1.213.1.1.4.334", "urn:oid:1.2.250.1.213.1.1.5.98", "1.2.250.1.213.1.1.4.334"}
)
"""TRE_R234, also by its OID, and by that of its value set JDV_J23, which published examples write."""

COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
MAILBOXES = "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
CONFIDENTIALITY = TERMINOLOGY + "v3-Confidentiality"
ACT_CODE = TERMINOLOGY + "v3-ActCode"
ACT_REASON = TERMINOLOGY + "v3-ActReason"
NULL_FLAVOR = TERMINOLOGY + "v3-NullFlavor"
PARTICIPATION = TERMINOLOGY + "v3-ParticipationType"
DIAGNOSTIC_SERVICE = TERMINOLOGY + "v2-0074"
PATIENT_CLASS = TERMINOLOGY + "v2-0004"
OBSERVATION_CATEGORY = TERMINOLOGY + "observation-category"
DATA_ABSENT = TERMINOLOGY + "data-absent-reason"

RPPS = "https://rpps.esante.gouv.fr"
FINESS = "https://finess.esante.gouv.fr"
RPPS_RANK = "https://rppsrang.esante.gouv.fr"
URI = "urn:ietf:rfc:3986"

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_UNESCAPED = re.compile(r"\\([\\,|$])")
_CODES = "urn:x-passerelle:codes:"
_IDS = "urn:x-passerelle:ids:"
_NAMED = "urn:x-passerelle:system:"
DOCUMENT_DELETED = "document.deleted"
"""Event of a Bundle whose documents were taken back where they were, whatever their status says."""
EVENT_TAG = "urn:x-passerelle:event"
TRIGGER_TAG = "urn:x-passerelle:trigger"
BUNDLE_IDS = "urn:x-passerelle:delivery"

LAB_REPORT_CODE = "11502-2"
"""LOINC, *CR d'examens biologiques*: a report whose sender gave no code."""
UNTITLED_CHAPTER_CODE = "26436-6"
"""LOINC, *Biologie polyvalente*: a chapter whose sender gave neither title nor code."""
UNCODED_TEST_CODE = "19146-0"
"""LOINC, *Test de laboratoire*: a result that has no code at all."""


def sender_key(sender: Organization | None) -> str:
    """Name a sender for use in a URI: its FINESS number, else its first identifier, else its name, else `unknown`."""
    if sender is None:
        return "unknown"
    for identifier in sender.identifiers:
        if identifier.type in {"FINEG", "FINEJ"}:
            return f"finess-{quote(identifier.value, safe='')}"
    first = sender.identifiers[0].value if sender.identifiers else sender.name
    return quote(first, safe="") if first else "unknown"


def is_uri(system: str) -> bool:
    """Tell a URI from a mere name."""
    return ":" in system and not any(character.isspace() for character in system)


@lru_cache(maxsize=512)
def code_system_out(system: str, sender: str, local_codes: str | None) -> str:
    """Translate a canonical code system for FHIR; `local_codes` is the URI that a partner wants for local codes."""
    if system == LOCAL:
        return local_codes or _CODES + sender
    return code_system_url(system) if is_uri(system) or system[:1].isdigit() else _NAMED + quote(system, safe="")


def code_system_in(system: str, local_codes: str | None) -> str:
    """Translate a FHIR code system back: Passerelle's own local systems become `local`."""
    if system == local_codes or system.startswith(_CODES):
        return LOCAL
    return unquote(system.removeprefix(_NAMED)) if system.startswith(_NAMED) else system


def identifier_system_out(identifier: Identifier, sender: str) -> str:
    """Give the FHIR system of an identifier: RPPS and FINESS by their own URL, an unknown authority by its sender."""
    system, kind = identifier.system, identifier.type
    if system in {None, PROFESSIONALS} and kind == "RPPS":
        return RPPS
    if system in {None, STRUCTURES} and kind in {"FINEG", "FINEJ"} and len(identifier.value) == 9:
        return FINESS
    if system is None:
        return _IDS + sender
    return system if is_uri(system) else _NAMED + quote(system, safe="")


def number_system(authority: str | None, kind: str, sender: str) -> str:
    """Give the system of a number that is not an Identifier: `kind` is `report`, `order` or `document`."""
    if authority is None:
        return f"{_IDS}{sender}:{kind}"
    return authority if is_uri(authority) else _NAMED + quote(authority, safe="")


def document_number_out(document_id: str, sender: str) -> tuple[str, str]:
    """Give the FHIR system and value of a document's id: an OID or UUID is a URI, an extension belongs to its root."""
    root, _, extension = document_id.partition("^")
    if _OID.fullmatch(root):
        return (f"urn:oid:{root}", extension) if extension else (URI, f"urn:oid:{root}")
    if _UUID.fullmatch(document_id):
        return URI, f"urn:uuid:{document_id}"
    return (URI if document_id.startswith("urn:") else number_system(None, "document", sender)), document_id


def document_number_in(system: str | None, value: str) -> str:
    """Give a document's id (`root` or `root^extension`) from a FHIR system and value."""
    if system is not None and _OID.fullmatch(root := system.removeprefix("urn:oid:")):
        return f"{root}^{value}"
    bare = value.removeprefix("urn:oid:").removeprefix("urn:uuid:")
    return bare if _OID.fullmatch(bare) or _UUID.fullmatch(bare) else value


def searched_patient(reference: str) -> tuple[str, str] | None:
    """Give system and value of a reference that searches its patient (`Patient?identifier=system|value`)."""
    _, found, criterion = reference.partition("Patient?identifier=")
    system, bar, value = unquote(criterion).partition("|")
    return (system, _UNESCAPED.sub(r"\1", value)) if found and bar and value else None


def identifier_system_in(system: str | None, kind: str | None) -> tuple[str | None, str | None]:
    """Give the canonical system and type of an identifier read from FHIR."""
    if system is None or system.startswith(_IDS):
        return None, kind
    if system == RPPS:
        return PROFESSIONALS, kind or "RPPS"
    if system == FINESS:
        return STRUCTURES, kind
    return (unquote(system.removeprefix(_NAMED)) if system.startswith(_NAMED) else system), kind


@lru_cache(maxsize=256)
def type_concept(kind: str) -> dict[str, object]:
    """Write an identifier type (table 0203) as a CodeableConcept: the French codes have their own system."""
    known = identifier_types().get(kind)
    if known is None:
        return {"text": kind} if not kind.isalnum() else {"coding": [{"system": V2_IDENTIFIER_TYPES, "code": kind}]}
    return {"coding": [{"system": known.system, "code": kind}]}
