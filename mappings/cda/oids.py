"""OIDs and template ids of CI-SIS documents, and how they translate to the canonical systems and back.

A CDA names every authority and every code system by its OID (or a UUID); the canonical model by a URI. What has an
official URI gets it (`schemas/data/code_systems.csv`), the rest is `urn:oid:…` or `urn:uuid:…`.
"""

from __future__ import annotations

import csv
import re
from functools import cache, lru_cache
from importlib.resources import files
from urllib.parse import quote, unquote

from mappings.authority import FINESS, NAMED
from schemas.coding import LOCAL, Coding, Identifier
from schemas.identifiers import IDNPS_OID, IDNST_OID
from schemas.value_sets import code_system_oid, code_system_url

V3 = "urn:hl7-org:v3"
"""The namespace of CDA R2."""
LAB = "urn:oid:1.3.6.1.4.1.19376.1.3.2"
"""The namespace of `lab:statusCode` (IHE XD-LAB)."""
SDTC = "urn:hl7-org:sdtc"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

# --- the header
TYPE_ID = ("2.16.840.1.113883.1.3", "POCD_HD000040")
HL7_FRANCE = "2.16.840.1.113883.2.8.2.1"
CI_SIS_HEADER = "1.2.250.1.213.1.1.1.1"
N1 = "1.3.6.1.4.1.19376.1.2.20"
"""Template of a document whose body is a file (level 1)."""
PROFESSIONAL_IDS = IDNPS_OID
STRUCTURE_IDS = IDNST_OID
PATIENT_OF_ONE_DOCUMENT = "2.25.93941533673691875317086753597665363797"
"""Root of the number that we give a patient who has none of his own: it is the document's, and links no two of them."""
PATIENT_DOCUMENTS_HOST = "1.2.250.1.213.4.1"
"""Root of the custodian of documents that a patient made: it names no health structure."""

# --- code systems
LOINC_OID = "2.16.840.1.113883.6.1"
SNOMED_OID = "2.16.840.1.113883.6.96"
CONFIDENTIALITY_OID = "2.16.840.1.113883.5.25"
INTERPRETATION_OID = "2.16.840.1.113883.5.83"
GENDER_OID = "2.16.840.1.113883.5.1"
PARTICIPATION_FUNCTION_OID = "2.16.840.1.113883.5.88"
SPECIMEN_TYPE_OID = "2.16.840.1.113883.18.311"
METHOD_OID = "1.2.250.1.213.2.3.5"
WAITING_CODES_OID = "1.2.250.1.213.1.1.5.130"
"""National codes of analyses that wait for a LOINC code."""
XDS_FORMATS_IHE = "1.3.6.1.4.1.19376.1.2.3"
SPECIMEN_RECEIVED_OID = "1.3.5.1.4.1.19376.1.5.3.2"
"""`1.3.5…` is how the ANS schematron wants the system of SPRECEIVE; `1.3.6…` is what IHE meant."""
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"

LOCAL_CODES_OID = "2.25.160527798195926559966933773203284820638"
"""Of ours: the code system of codes that only the sender understands and names no OID for (canonical `local`)."""
LOCAL_IDS_OID = "2.25.335292736149269360771631430118651521409"
"""Of ours: the root of identifiers whose authority has no OID; `named_root` keeps the authority in the extension."""
SUB_ID_OID = "2.25.285553031663013198624615109084272330398"
"""Of ours: the root under which an observation's sub-id (OBX-4) is written; other ids of observations are no sub-id."""

# --- CR-BIO (IHE XD-LAB and CI-SIS)
CR_BIO = "1.3.6.1.4.1.19376.1.3.3"
CR_BIO_CI_SIS = "1.2.250.1.213.1.1.1.55"
CR_BIO_CODE = "11502-2"
CHAPTER = "1.2.250.1.213.1.1.2.70"
SUB_CHAPTER = "1.2.250.1.213.1.1.2.71"
COMMENT_SECTION = "1.2.250.1.213.1.1.2.73"
PDF_COPY_SECTION = "1.2.250.1.213.1.1.2.243"
SECOND_INTENTION_SECTION = "1.2.250.1.213.1.1.2.60"
REASON_SECTION = "1.2.250.1.213.1.1.2.128"
ENTRY = "1.2.250.1.213.1.1.3.21"
SPECIMEN = "1.2.250.1.213.1.1.3.77"
BATTERY = "1.2.250.1.213.1.1.3.78"
ISOLATE = "1.2.250.1.213.1.1.3.79"
RESULT = "1.2.250.1.213.1.1.3.80"
COMMENT_SECTION_CODE = "55112-7"
REASON_SECTION_CODE = "42349-1"
PDF_COPY_CODE = "55108-5"
SECOND_INTENTION_CODE = "101792-0"
ATTACHED_DOCUMENT_CODE = "55107-7"
DOCUMENT_TYPE_CODE = "69764-9"
COMMENT_CODE = "48767-8"
CONCLUSION_TITLE = "Conclusion"
COMMENT_TITLE = "Commentaire"
CLINICAL_INFORMATION_TITLE = "Renseignements cliniques"
REPORT_TEXT_TITLE = "Texte du compte rendu"
"""Titles of the comment sections that we write; by them, in small letters too, a comment is read as what it is."""
ANTIBIOGRAM_CODE = "18769-0"
SPECIMEN_RECEIVED = "SPRECEIVE"

CIVILITIES = frozenset({"M", "MME", "MLLE"})
"""Prefix of a person's name (JDV_J245 and an older one)."""
TITLES = frozenset({"DR", "PR", "MC", "MG", "PC", "PG"})
"""Suffix of a person's name (JDV_J246). Canonical `civility` holds both: `M DR`."""

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_URI = re.compile(r"(?:urn|https?):\S")
_ENCODED = re.compile(r"[\s%]")
_IN_CODES = "".join(chr(one) for one in range(33, 127) if chr(one) != "%")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


def is_oid(text: str) -> bool:
    """Tell whether a text is an OID."""
    return _OID.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID, in capitals or not."""
    return _UUID.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def system_of_root(root: str) -> str:
    """Give the canonical system of an identifier's root: `urn:oid:…`, `urn:uuid:…` (small letters), else as sent."""
    if is_oid(root):
        return f"urn:oid:{root}"
    return f"urn:uuid:{root.lower()}" if is_uuid(root) else root


def root_of_system(system: str | None) -> str | None:
    """Give the root that names a canonical system in a CDA; None when it has neither OID nor UUID."""
    bare = (system or "").removeprefix("urn:oid:").removeprefix("urn:uuid:")
    return bare if is_oid(bare) or is_uuid(bare) else None


@lru_cache(maxsize=4096)
def code_system_of_oid(oid: str | None, name: str | None = None) -> str | None:
    """Give the canonical system of a CDA `codeSystem`: its URL where it has one, `local` for ours, else `urn:oid:…`.

    A system that has no OID stands under ours with its URI as its name (`codeSystemName`).
    """
    if not oid:
        return None
    if oid == LOCAL_CODES_OID:
        return name if name is not None and _URI.match(name) else LOCAL
    return code_system_url(f"urn:oid:{oid}") if is_oid(oid) else oid


@lru_cache(maxsize=4096)
def oid_of_code_system(system: str | None) -> str:
    """Give the OID by which a CDA names a canonical code system; ours when it is local or has none."""
    if system is None or system == LOCAL:
        return LOCAL_CODES_OID
    known = code_system_oid(system)
    if known is not None:
        return known
    bare = system.removeprefix("urn:oid:")
    return bare if is_oid(bare) else LOCAL_CODES_OID


def code_in(oid: str, code: str) -> str:
    """Write a code in a code system: CDA has no blanks in codes, so those of local ones are percent-encoded."""
    return quote(code, safe=_IN_CODES) if oid == LOCAL_CODES_OID and _ENCODED.search(code) else code


def code_from(oid: str | None, code: str) -> str:
    """Read a code of a code system: what `code_in` wrote comes back."""
    return unquote(code) if oid == LOCAL_CODES_OID and "%" in code else code


def identifier_of(root: str, extension: str | None, kind: str | None = None, assigner: str | None = None) -> Identifier:
    """Read an II: root and extension; a root alone is an identifier of system `urn:ietf:rfc:3986` (a URI)."""
    if not extension:
        return Identifier(system="urn:ietf:rfc:3986", value=system_of_root(root), type=kind, assigner=assigner)
    if root == LOCAL_IDS_OID:
        authority, mark, value = extension.partition("^")
        if mark:
            return Identifier(system=unquote(authority) or None, value=value, type=kind, assigner=assigner)
    return Identifier(system=system_of_root(root), value=extension, type=kind, assigner=assigner)


def root_and_extension(identifier: Identifier) -> tuple[str, str | None]:
    """Write an identifier as an II; what has no OID stands under ours, with its authority in the extension."""
    if identifier.system == "urn:ietf:rfc:3986":
        root = root_of_system(identifier.value)
        if root is not None:
            return root, None
    root = root_of_system(identifier.system)
    if root is not None:
        return root, identifier.value
    return LOCAL_IDS_OID, f"{quote(identifier.system or '', safe=':')}^{identifier.value}"


def document_identity(root: str, extension: str | None) -> str:
    """Write a document's identity as XDS does: `root`, or `root^extension`."""
    return f"{root}^{extension}" if extension else root


def is_named_authority(system: str | None) -> bool:
    """Tell a system that stands for an authority known by a name or a FINESS number only."""
    return system is not None and system.startswith((NAMED, FINESS))


@cache
def _formats() -> dict[tuple[str, str], Coding]:
    text = (files("mappings.cda") / "data" / "format_codes.csv").read_text(encoding="utf-8")
    return {
        (row["template"], row["media_type"]): Coding(
            system=code_system_of_oid(row["scheme"]), code=row["format"], display=row["label"] or None
        )
        for row in csv.DictReader(text.splitlines())
    }


def format_of(templates: tuple[str, ...], media_type: str | None = None) -> Coding | None:
    """Give the XDS formatCode of a document by its template ids, and by the media type of its body at level 1."""
    known = _formats()
    for template in reversed(templates):
        found = known.get((template, media_type or "")) or known.get((template, ""))
        if found is not None:
            return found
    return None
