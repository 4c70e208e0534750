from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from mappings.contracts import Environment, ReadContext, Reading
from mappings.hprim_sante import FORMAT
from mappings.lab_status import observations_of
from schemas.actors import Professional
from schemas.finding import Severity
from schemas.identity import IdentityStatus, Sex
from schemas.item import IdentityItem, LabReportItem, StayItem
from schemas.lab import CodedValue, LabChapter, LabReport, Observation, QuantityValue, ResultStatus, TextValue
from schemas.stay import StayStatus

pytestmark = pytest.mark.shared_data
LETTERS = {ResultStatus.FINAL: "F", ResultStatus.PRELIMINARY: "P"}
SYSTEMS = {"local": "L", "http://loinc.org": "LN"}


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "hprim" / "sante"


def read(path: Path, **context: object) -> Reading:
    return FORMAT.read(path.read_bytes(), ReadContext(**context))  # type: ignore[arg-type]  # keyword by keyword


def report_of(reading: Reading) -> LabReport:
    (item,) = reading.items
    assert isinstance(item, LabReportItem)
    return item.content


def codes(reading: Reading) -> set[str]:
    return {finding.code for finding in reading.findings}


def sectors(chapter: LabChapter, title: str | None) -> list[tuple[str | None, Observation]]:
    """Results with the title of their outermost chapter: panels are chapters inside it."""
    inner = [pair for one in chapter.chapters for pair in sectors(one, title)]
    return [(title, observation) for observation in chapter.observations] + inner


def as_expected(sector: str | None, observation: Observation) -> dict[str, object]:
    """A result in the words of the expected JSON."""
    first, *others = observation.codes
    found: dict[str, object] = {
        "code": first.code,
        "system": SYSTEMS[first.system or ""],
        "label": observation.label,
        "status": LETTERS[observation.status],
    }
    if others:
        found |= {"altCode": others[0].code, "altSystem": SYSTEMS[others[0].system or ""]}
    match observation.value:
        case QuantityValue() as value:
            found |= {"type": "NM", "value": value.number}
            if value.comparator:
                found["comparator"] = value.comparator
        case CodedValue() as value:
            code = value.codes[0]
            content = {"code": code.code, "text": value.text, "system": SYSTEMS[code.system or ""]}
            found |= {"type": "CE", "value": content}
        case TextValue() as value:
            found |= {"type": "TX", "value": value.text}
    if observation.unit:
        found["unit"] = observation.unit.raw
    if observation.flags:
        found["flags"] = list(observation.flags)
    if observation.reference:
        found |= {side: bound for side in ("low", "high") if (bound := getattr(observation.reference, side))}
        if observation.reference.low is None:
            found["referenceText"] = observation.reference.text
    if sector:
        found["chapter"] = sector
    if observation.comment:
        found["comments"] = [observation.comment]
    if observation.validated_by:
        found["validator"] = observation.validated_by.name
    return found


@pytest.mark.parametrize("name", ["s01-oru-h22-nominal.hpr", "s02-oru-hl7-like-delimiters.hpr"])
def test_the_nominal_message_with_either_delimiters(folder: Path, name: str) -> None:
    expected = json.loads((folder / "s01-oru-h22-nominal.expected.json").read_text(encoding="utf-8"))
    reading = read(folder / name)
    (item,) = reading.items
    report, patient = report_of(reading), item.patient
    person, order = expected["patients"][0], expected["patients"][0]["orders"][0]
    assert (reading.control_id, reading.message_type, reading.test) == (expected["file"], expected["context"], False)
    assert item.sender is not None
    assert (item.sender.identifiers[0].value, item.sender.name) == tuple(expected["sender"].values())
    receiver = item.recipients[0].organization
    assert receiver is not None
    assert (receiver.identifiers[0].value, receiver.name) == tuple(expected["receiver"].values())
    assert [one.value for one in patient.identifiers] == [person["requesterId"], person["labId"]]
    assert report.visit is not None
    assert report.visit.value == person["stay"]
    assert (patient.used_name, patient.used_given_name) == (person["name"], person["given"])
    assert (patient.civility, patient.birth_name) == (person["civility"], person["birthName"])
    assert (patient.birth_date, patient.sex) == (person["birthDate"], Sex(person["sex"]))
    samples = {one.type: one.value for one in report.specimens[0].identifiers}
    assert samples == {"PLAC": order["requesterSample"], "FILL": order["labSample"]}
    assert (report.order_id, report.report_id) == (order["requesterOrder"], order["labOrder"])
    assert report.collected_at == f"{order['collected']}+02:00"
    assert report.received_at == f"{order['received']}+02:00"
    assert report.issued_at == f"{order['reported']}+02:00"
    assert report.status is ResultStatus.PARTIAL  # OBR.25 says F, and one result is P
    assert "hprim.report.partial" in codes(reading)
    assert isinstance(report.validated_by, Professional)
    number = report.validated_by.identifiers[0]
    assert (number.value, number.type) == (order["interpreter"]["id"], order["interpreter"]["idType"])
    assert (report.validated_by.family_name, report.validated_by.given_name) == ("BIOLOGISTE", "Alex")
    results = [pair for chapter in report.chapters for pair in sectors(chapter, chapter.title)]
    wanted = [
        {key: value for key, value in one.items() if key != "natureOfNormal"} for one in order["observations"]
    ]  # OBX.10 has no place in the model: it is unread
    assert [as_expected(*pair) for pair in results] == wanted
    assert "OBX[2]-10" in {one.where for one in reading.unread}
    panel = report.chapters[0].chapters[0]
    assert (panel.title, panel.codes[0].code) == ("Numération formule", "NFS")
    roles = [(one.role, one.professional and one.professional.name) for one in item.recipients[1:]]
    assert roles == [("doctor", "TESTEUR Camille"), ("copy", "COPIE Docteur")]
    assert report.prescriber is not None
    assert report.prescriber.name == "DR TESTEUR Camille"  # the cut falls inside the name, before its blank
    assert report.prescriber.organization is not None
    assert report.prescriber.organization.name == "Service de médecine fictif"


def test_s03_backslash_as_sub_field_separator(folder: Path) -> None:
    reading = read(folder / "s03-oru-h20-backslash-delimiters.hpr")
    report = report_of(reading)
    results = {one.codes[0].code: one for one in observations_of(report.chapters)}
    assert report.report_id == "1204256414"
    assert results["GRS"].value == QuantityValue(number="4.51", text="4.51")
    leucocytes = results["N    020"]
    assert leucocytes.label == "globules blancs"
    assert leucocytes.reference is not None
    assert (leucocytes.reference.low, leucocytes.reference.high) == ("4", "10000")
    assert leucocytes.status is ResultStatus.UNKNOWN
    assert results["N    010"].value is None
    assert report.status is ResultStatus.UNKNOWN
    assert report.prescriber is not None
    assert report.prescriber.identifiers == ()  # zeros alone stand for nothing


def test_s04_corrections_name_what_they_replace(folder: Path) -> None:
    reading = read(folder / "s04-oru-corrections.hpr")
    report = report_of(reading)
    assert {one.codes[0].code: one.status for one in observations_of(report.chapters)} == {
        "HB": ResultStatus.CORRECTED,
        "CREA": ResultStatus.ENTERED_IN_ERROR,
        "TSH": ResultStatus.CANCELLED,
        "ABO": ResultStatus.FINAL,
        "K": ResultStatus.REGISTERED,
    }
    assert report.status is ResultStatus.CORRECTED
    assert reading.items[0].replaces == report.report_id == "FICT240001"


def test_s05_a_file_beside_the_message(folder: Path) -> None:
    path, pdf = folder / "s05-oru-fic-pdf-reference.hpr", (folder / "FICT0005.PDF").read_bytes()
    for name in ("FICT0005.PDF", "fict0005.pdf"):
        (attachment,) = report_of(read(path, siblings={name: pdf})).attachments
        assert (attachment.media_type, attachment.size) == ("application/pdf", len(pdf))
        assert base64.b64decode(attachment.data or "") == pdf
    missing = read(path)
    (attachment,) = report_of(missing).attachments
    assert (attachment.filename, attachment.data) == ("FICT0005.PDF", None)
    assert "hprim.attachment.missing" in codes(missing)


def test_s06_the_ins_is_as_received(folder: Path) -> None:
    reading = read(folder / "s06-oru-h25-ins.hpr")
    patient = reading.items[0].patient
    assert reading.test is True
    assert patient.ins is not None
    assert (patient.ins.matricule, patient.ins.oid) == ("257039999999982", "1.2.250.1.213.1.4.10")
    assert patient.status is IdentityStatus.VALIDATED
    assert (patient.birth_name, patient.first_given_name) == ("NOMNAISSANCE", "Fictive")
    assert patient.birth_given_names == ("Fictive", "Marie")
    assert (patient.birth_place, patient.birth_place_name) == ("99999", "VILLE-TEST")
    assert patient.telecoms[0].value == "fictive@example.org"
    production = read(folder / "s06-oru-h25-ins.hpr", environment=Environment.PRODUCTION)
    assert "hprim.ins.test_oid" in codes(production)


def test_s07_admission_and_merge(folder: Path) -> None:
    stay, merge = read(folder / "s07-adm-h23-with-merge.hpr").items
    assert isinstance(stay, StayItem)
    assert (stay.content.event, stay.content.status) == ("stay.started", StayStatus.IN_PROGRESS)
    assert stay.content.visit is not None
    assert (stay.content.visit.value, stay.content.patient_class) == ("SEJ0001", "IP")
    assert stay.content.admitted_at == "2024-06-05T07:00+02:00"
    assert (stay.content.discharged_at, stay.content.expected_discharge_at) == (None, "2024-06-08T00:00+02:00")
    assert stay.content.location is not None
    assert (stay.content.location.bed, stay.content.location.room, stay.content.location.unit) == ("3", "12", "MED1")
    assert stay.patient.ins is None
    assert "SB" in {one.type for one in stay.patient.identifiers}
    assert isinstance(merge, IdentityItem)
    assert merge.content.event == "patient.merged"
    assert [one.value for one in merge.content.absorbed] == ["IPP0099"]
    assert [one.value for one in merge.patient.identifiers] == ["IPP0002"]


def test_s08_and_s09_answers(folder: Path) -> None:
    refused = read(folder / "s08-err-partial.hpr")
    (finding,) = [one for one in refused.findings if one.severity is Severity.ERROR]
    assert (refused.items, refused.message_type) == ((), "ERR")
    assert (finding.code, finding.where) == ("hprim.answer.refused_in_part", "ERR[1]")
    assert "P.2" in finding.message
    assert "IPP0001" not in finding.message
    assert "ERR[1]-10" in {one.where for one in refused.unread}
    accepted = read(folder / "s09-err-empty-is-ok.hpr")
    assert (accepted.items, codes(accepted)) == ((), {"hprim.answer.accepted"})


def test_s10_is_refused_with_precise_errors(folder: Path) -> None:
    reading = read(folder / "s10-bad-no-P-no-L-bad-codes.hpr")
    places = {(one.code, one.where) for one in reading.findings}
    assert reading.items == ()
    assert places >= {
        ("hprim.patient.missing", "OBR[1]"),
        ("hprim.trailer.missing", "L"),
        ("hprim.value.not_numeric", "OBX[1]-5"),
        ("hprim.flag.unknown", "OBX[1]-8"),
        ("hprim.status.unknown", "OBX[1]-11"),
    }
    assert {"OBX[1]-5", "OBR[1]-3"} <= {one.where for one in reading.unread}


def test_the_public_sample_of_2_1(folder: Path) -> None:
    reading = read(folder.parent / "thirdparty" / "libhprim-test1-oru-h21.hpr")
    report = report_of(reading)
    assert [chapter.title for chapter in report.chapters] == ["HEMAT", "BIOCH"]  # by the ranks of OBX.15
    assert report.collected_until == "2012-04-28"
    assert report.prescriber is not None
    assert report.prescriber.organization is not None
    assert report.prescriber.organization.name == "Clinique HP"  # cut inside a word


def test_every_sample_is_recognised_and_addressed(folder: Path) -> None:
    for path in sorted(folder.glob("*.hpr")):
        content = path.read_bytes()
        assert FORMAT.sniff(content) == 1.0, path.name
        positions = FORMAT.positions(content)
        assert len(positions) > 10
        for position in positions:
            assert 0 <= position.start < position.end <= len(content)
        assert FORMAT.pieces(content)[0].where == "H[1]"
    for path in sorted((folder.parent / "medecin").glob("m*.hp*")):
        assert FORMAT.sniff(path.read_bytes()) == 0.0, path.name
