"""Small messages for the tests: fictitious people, one segment a line."""

from __future__ import annotations

import base64

from mappings.contracts import ReadContext, Reading
from mappings.hl7v2.reader import read
from schemas.finding import Severity
from schemas.item import DocumentItem, IdentityItem, LabReportItem, StayItem
from schemas.lab import Observation

MSH = "MSH|^~\\&|SGL-FICTIF|LABO-FICTIF|PASSERELLE|CH-FICTIF|20260105101500+0100||{}|CTRL-1|P|2.5|||||FRA|UNICODE UTF-8"
INS = "199017599999948^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"
PID = f"PID|1||IPP-1^^^CH-FICTIF&990000001&M^PI~{INS}||FICTIVE^ALEX^ALEX^^^^L||19900112|M" + "|" * 24 + "VALI"
OBX = "OBX|1|NM|718-7^Hb^LN||13.2|g/dL|||||F"


def message(*lines: str, kind: str = "ORU^R01^ORU_R01") -> bytes:
    """Join segments after an MSH of this MSH-9."""
    return ("\r".join((MSH.format(kind), *lines)) + "\r").encode()


def reading(*lines: str, kind: str = "ORU^R01^ORU_R01", context: ReadContext | None = None) -> Reading:
    """Read such a message."""
    return read(message(*lines, kind=kind), context or ReadContext())


def codes(result: Reading) -> list[str]:
    """List the codes of the findings that are more than information."""
    return [finding.code for finding in result.findings if finding.severity is not Severity.INFO]


def report(result: Reading, at: int = 0) -> LabReportItem:
    item = result.items[at]
    assert isinstance(item, LabReportItem)
    return item


def stay(result: Reading) -> StayItem:
    item = result.items[0]
    assert isinstance(item, StayItem)
    return item


def identity(result: Reading, at: int = 0) -> IdentityItem:
    item = result.items[at]
    assert isinstance(item, IdentityItem)
    return item


def document(result: Reading) -> DocumentItem:
    item = result.items[0]
    assert isinstance(item, DocumentItem)
    return item


def observations(result: Reading, at: int = 0) -> tuple[Observation, ...]:
    """List the results of the first chapter of a report."""
    return report(result, at).content.chapters[0].observations


def result_of(obx: str, *lines: str) -> tuple[Reading, Observation]:
    """Read one OBX (from OBX-2 on) under a plain order."""
    found = reading(
        PID, "OBR|1||F-1|X^Panel^L|||20260105083000|||||||||||||||20260105100000|||F", f"OBX|1|{obx}", *lines
    )
    return found, observations(found)[0]


CDA_INS = '<id root="1.2.250.1.213.1.4.10" extension="199017599999948"/>'


def cda(
    *,
    number: str = '<id root="1.2.3" extension="D-1"/>',
    replaces: str = '<id root="1.2.3" extension="D-0"/>',
    code: str = "11502-2",
    family: str = "FICTIVE",
    ins: str = CDA_INS,
    body: bytes = b"%PDF-1.4 fictif",
) -> bytes:
    """Make a small CDA of level 1 about the patient of `PID`."""
    related = (
        f'<relatedDocument typeCode="RPLC"><parentDocument>{replaces}</parentDocument></relatedDocument>'
        if replaces
        else ""
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3">'
        '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
        f'{number}<code code="{code}" codeSystem="2.16.840.1.113883.6.1" displayName="CR fictif"/>'
        '<title>Document fictif</title><effectiveTime value="20260105090000+0100"/>'
        '<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="fr-FR"/>'
        '<setId root="1.2.3" extension="SERIE"/><versionNumber value="2"/>'
        f"<recordTarget><patientRole>{ins}<patient>"
        f'<name><family qualifier="BR">{family}</family><given>ALEX</given><given qualifier="BR">ALEX</given></name>'
        '<administrativeGenderCode code="M" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19900112"/>'
        "<birthplace><place><addr><county>75056</county></addr></place></birthplace></patient></patientRole></recordTarget>"
        f"{related}<component><nonXMLBody>"
        f'<text mediaType="application/pdf" representation="B64">{base64.b64encode(body).decode()}</text>'
        "</nonXMLBody></component></ClinicalDocument>"
    ).encode()
