"""The URNs of XDS metadata in ebRIM, and the French code tables that give what a CDA header does not say.

(IHE ITI TF-3 §4.3; classCode by type: table ASS_X04 of the CI-SIS; contentTypeCode by kind of stay: volet
*Transmission d'un document CDA-R2 en HL7v2*.)
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from mappings.cda.oids import CONFIDENTIALITY_OID, LOCAL_CODES_OID, code_system_of_oid, oid_of_code_system
from mappings.xds.model import Code
from schemas.coding import LOCAL, Coding

LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
XDS_B = "urn:ihe:iti:xds-b:2007"
XOP = "http://www.w3.org/2004/08/xop/include"

_UUID = "urn:uuid:"
STABLE_DOCUMENT = _UUID + "7edca82f-054d-47f2-a032-9b2a5b5186c1"
SUBMISSION_SET_NODE = _UUID + "a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
FOLDER_NODE = _UUID + "d9d542f3-6cc4-48b6-8870-ea235fbc94c2"

DOCUMENT_AUTHOR = _UUID + "93606bcf-9494-43ec-9b4e-a7748d1a838d"
SUBMISSION_AUTHOR = _UUID + "a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
CLASS_CODE = _UUID + "41a5887f-8865-4c09-adf7-e362475b143a"
CONFIDENTIALITY_CODE = _UUID + "f4f85eac-e6cb-4883-b524-f2705394840f"
EVENT_CODE = _UUID + "2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
FORMAT_CODE = _UUID + "a09d5840-386c-46f2-b5ad-9c3699a4309d"
FACILITY_CODE = _UUID + "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
PRACTICE_SETTING_CODE = _UUID + "cccf5598-8b07-4b77-a05e-ae952c785ead"
TYPE_CODE = _UUID + "f0306f51-975f-434e-a61c-c59651d33983"
CONTENT_TYPE_CODE = _UUID + "aa543740-bdda-424e-8c96-df4873be8500"

DOCUMENT_PATIENT = _UUID + "58a6f841-87b3-4a3e-92fd-a8ffeff98427"
DOCUMENT_UNIQUE = _UUID + "2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SUBMISSION_PATIENT = _UUID + "6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SUBMISSION_UNIQUE = _UUID + "96fdda7c-d067-4183-912e-bf5ee74998a8"
SUBMISSION_SOURCE = _UUID + "554ac39e-e3fe-47fe-b233-965d2a147832"
IDENTIFIER_NAMES = {
    DOCUMENT_PATIENT: "XDSDocumentEntry.patientId",
    DOCUMENT_UNIQUE: "XDSDocumentEntry.uniqueId",
    SUBMISSION_PATIENT: "XDSSubmissionSet.patientId",
    SUBMISSION_UNIQUE: "XDSSubmissionSet.uniqueId",
    SUBMISSION_SOURCE: "XDSSubmissionSet.sourceId",
}

HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
REPLACES = "urn:ihe:iti:2007:AssociationType:RPLC"
TRANSFORMS = "urn:ihe:iti:2007:AssociationType:XFRM"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
REFERENCE_IDS = "urn:ihe:iti:xds:2013:referenceIdList"

VISIBILITY_OID = "1.2.250.1.213.1.1.4.13"
CI_SIS_FORMATS = "1.2.250.1.213.1.1.4.2.282"
OUTSIDE_PROFILES = Code("urn:asipSante:modelesHorsProfils:2011", CI_SIS_FORMATS, "Modèles hors profils")
"""formatCode of a document that follows no model of the CI-SIS."""

CONTENT_TYPES = "1.2.250.1.213.2.2"
_CONTENT_TYPE_BY_ENCOUNTER = {"IMP": "03", "AMB": "07", "EMER": "07", "SEANCE": "19"}
_NO_STAY = "97"

_KIND_BY_SCHEME = {
    "1.2.250.1.213.1.1.4.1": CLASS_CODE,
    CONFIDENTIALITY_OID: CONFIDENTIALITY_CODE,
    VISIBILITY_OID: CONFIDENTIALITY_CODE,
    "1.2.250.1.71.4.2.4": FACILITY_CODE,
    "1.2.250.1.213.1.1.4.9": PRACTICE_SETTING_CODE,
    "1.3.6.1.4.1.19376.1.2.3": FORMAT_CODE,
    CI_SIS_FORMATS: FORMAT_CODE,
    "2.16.840.1.113883.6.1": TYPE_CODE,
    "1.2.250.1.213.1.1.4.12": TYPE_CODE,
    CONTENT_TYPES: CONTENT_TYPE_CODE,
}


def kind_of_scheme(scheme: str) -> str | None:
    """Guess what a Classification without a classificationScheme classifies, from its codingScheme."""
    return _KIND_BY_SCHEME.get(scheme)


@cache
def _types() -> dict[str, dict[str, str]]:
    return {row["code"]: row for row in _rows("type_codes.csv")}


@cache
def _codes() -> dict[tuple[str, str], Code]:
    return {(row["set"], row["code"]): Code(row["code"], row["scheme"], row["label"]) for row in _rows("codes.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("mappings.xds") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def class_of_type(code: str) -> Code | None:
    """Give the classCode of a typeCode (ASS_X04); None for a type that the table does not know, or leaves open."""
    row = _types().get(code)
    return _codes().get(("class", row["class"])) if row else None


def type_label(code: str) -> str | None:
    """Give the French label of a typeCode (JDV_J07)."""
    row = _types().get(code)
    return row["label"] if row else None


def known_type(code: str) -> Code | None:
    """Give a typeCode (JDV_J07) with its label; None for one that the table does not have."""
    row = _types().get(code)
    return Code(row["code"], row["scheme"], row["label"]) if row else None


def known_code(value_set: str, code: str) -> Code | None:
    """Give a code of the sets `class`, `practice_setting` (JDV_J04), `confidentiality` (JDV_J08), `content_type`."""
    return _codes().get((value_set, code))


def content_type_of_encounter(encounter: str | None) -> Code:
    """Give the contentTypeCode of a submission from the kind of stay (CDA encounter code); 97 is no stay at all."""
    return content_type(_CONTENT_TYPE_BY_ENCOUNTER.get(encounter or "", _NO_STAY))


def content_type(code: str) -> Code:
    """Give a contentTypeCode (TRE_R209), with its label where it is known: the DMP wants one."""
    return _codes().get(("content_type", code)) or Code(code, CONTENT_TYPES, code)


def code_of(coding: Coding) -> Code:
    """Write a canonical coding as an XDS code; a system without an OID stands as it is."""
    scheme = oid_of_code_system(coding.system)
    if scheme == LOCAL_CODES_OID and coding.system not in (None, LOCAL):
        scheme = coding.system or scheme
    return Code(coding.code, scheme, coding.display)


def coding_of(code: Code) -> Coding:
    """Read an XDS code as a canonical coding."""
    return Coding(system=code_system_of_oid(code.scheme), code=code.code, display=code.label)
