"""TD0.2, does a DMP exist and is it active: HL7 v3 PRPA_IN201307UV02 and its answer 201308. Pure (fact sheet dmp §3).

Written to the schema; read by local names, for the DMP's own answers do not all follow theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from connectors.dmp.answers import Existence
from connectors.dmp.soap import NotAnAnswer
from connectors.dmp.xades import by_default
from schemas.identity import Ins

V3 = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
ACTION = "urn:hl7-org:v3:PRPA_IN201307UV02"
INTERACTION = "2.16.840.1.113883.1.6"
DMP_OID = "1.2.250.1.213.4.1.1.1"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, under which identifiers: two UUIDs, new in each message."""

    oid: str
    software: str
    message: str
    query: str
    at: datetime


def write_existence(ins: Ins, asking: Asking) -> etree._Element:
    """Write the question about one patient."""
    root = etree.Element(f"{{{V3}}}PRPA_IN201307UV02", nsmap=by_default(V3), ITSVersion="XML_1.0")
    _add(root, "id", root=asking.oid, extension=asking.message)
    _add(root, "creationTime", value=asking.at.astimezone(UTC).strftime("%Y%m%d%H%M%S"))
    _add(root, "interactionId", root=INTERACTION, extension="PRPA_IN201307UV02")
    _add(root, "processingCode", code="D")
    _add(root, "processingModeCode", code="T")
    _add(root, "acceptAckCode", code="AL")
    _device(_add(root, "receiver", typeCode="RCV"), DMP_OID, "DMP")
    _device(_add(root, "sender", typeCode="SND"), asking.oid, asking.software)
    _add(root, "attentionLine").set(f"{{{XSI}}}nil", "true")
    act = _add(root, "controlActProcess", classCode="CACT", moodCode="EVN")
    reason = _add(act, "reasonCode", code="TEST_EXST", codeSystem="1.2.250.1.213.1.1.4.11")
    reason.set("displayName", "Test d'existence de dossier")
    query = _add(act, "queryByParameter")
    _add(query, "queryId", root=f"{asking.oid}.2", extension=asking.query)
    _add(query, "statusCode", code="new")
    parameters = _add(query, "parameterList")
    _add(parameters, "dataSource").set(f"{{{XSI}}}nil", "true")
    patient = _add(parameters, "patientIdentifier")
    _add(patient, "value", root=ins.oid, extension=ins.matricule)
    _add(patient, "semanticsText").text = "Patient.id"
    return root


def read_existence(element: etree._Element, ins: Ins) -> Existence | tuple[str, ...]:
    """Read the answer; a tuple of error codes when the DMP did not answer the question. Raises NotAnAnswer.

    An answer about another patient than the one who was asked about is none.
    """
    if etree.QName(element).localname != "PRPA_IN201308UV02":
        raise NotAnAnswer("dmp.answer.other", "the answer is not to the question that was asked")
    acknowledged = {one.get("typeCode") for one in _named(element, "acknowledgement")}
    word = next((one.get("code") for one in _named(element, "queryResponseCode")), None)
    codes = tuple(
        code.get("code") or "" for detail in _named(element, "acknowledgementDetail") for code in _named(detail, "code")
    )
    if word == "NF":
        return Existence(exists=False, active=False)
    if acknowledged != {"AA"} or word != "OK":
        return codes or ("Receiver",)
    patients = list(_named(element, "patient"))
    if len(patients) != 1:
        raise NotAnAnswer("dmp.answer.patient", "the answer is not about one patient")
    ids = {(one.get("root"), one.get("extension")) for one in patients[0] if etree.QName(one).localname == "id"}
    if (ins.oid, ins.matricule) not in ids:
        raise NotAnAnswer("dmp.answer.patient", "the answer is about another patient")
    status = next((one.get("code") for one in patients[0] if etree.QName(one).localname == "statusCode"), None)
    said = dict(_attention(element))
    treating = said.get("STATUT_MT")
    return Existence(
        True, status == "active", said.get("AUTORISATION"), None if treating is None else treating == "true"
    )


def _attention(element: etree._Element) -> Iterator[tuple[str, str]]:
    for line in _named(element, "attentionLine"):
        key = next((one.get("code") for one in _named(line, "keyWordText")), None)
        value = next((one.get("code") or one.get("value") for one in _named(line, "value")), None)
        if key and value:
            yield key, value


def _device(parent: etree._Element, oid: str, software: str) -> None:
    device = _add(parent, "device", classCode="DEV", determinerCode="INSTANCE")
    _add(device, "id", root=oid)
    _add(device, "softwareName").text = software


def _add(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{V3}}}{name}", attributes)


def _named(parent: etree._Element, name: str) -> Iterator[etree._Element]:
    return (one for one in parent.iter() if isinstance(one.tag, str) and etree.QName(one).localname == name)
