from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from mappings.contracts import FormatError, ReadContext, Reading
from mappings.hprim_medecin import FORMAT
from mappings.lab_status import observations_of
from schemas.item import DocumentItem, LabReportItem
from schemas.lab import DateTimeValue, LabReport, Observation, QuantityValue, ResultStatus, TextValue

pytestmark = pytest.mark.shared_data
SAME_AS_M01 = (
    "m01-nominal-cp1252-crlf.hpm",
    "m02-utf8-lf-13th-line.hpr",
    "m03-macroman-cr-only.hpr",
    "m04-cp850-crlf.hpr",
    "m05-utf16le-bom.hpm",
    "m09-trailer-after-finfichier.hpm",
)
CHARSETS = ("cp1252", "utf-8", "mac_roman", "cp850", "utf-16-le", "cp1252")


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "hprim" / "medecin"


def read(path: Path, context: ReadContext | None = None) -> Reading:
    return FORMAT.read(path.read_bytes(), context or ReadContext())


def report_of(reading: Reading) -> LabReport:
    item = reading.items[0]
    assert isinstance(item, LabReportItem)
    return item.content


def codes(reading: Reading) -> set[str]:
    return {finding.code for finding in reading.findings}


def as_expected(chapter: str | None, observation: Observation) -> dict[str, object]:
    """An observation in the words of the expected JSON."""
    value, second = observation.value, observation.second
    quantity = isinstance(value, QuantityValue)
    found: dict[str, object] = {
        "chapter": chapter,
        "label": observation.label,
        "code": observation.codes[0].code,
        "codeSystem": observation.codes[0].system,
        "valueType": "numeric" if quantity else "text",
        "value": value.number if isinstance(value, QuantityValue) else value.text if value else None,
        "unit": observation.unit.raw if observation.unit else None,
        "flag": next(iter(observation.flags or (second.flags if second else ())), None),
        "status": {ResultStatus.FINAL: "F"}.get(observation.status),
    }
    if quantity and not (value.comparator if isinstance(value, QuantityValue) else None):
        found["low"] = observation.reference.low if observation.reference else None
        found["high"] = observation.reference.high if observation.reference else None
    if isinstance(value, QuantityValue) and value.comparator:
        found |= {"comparator": value.comparator, "rawType": "A", "rawValue": value.text}
    if second is not None:
        assert isinstance(second.value, QuantityValue)
        assert second.unit is not None
        assert second.reference is not None
        bounds = {"low": second.reference.low, "high": second.reference.high}
        found["second"] = {"value": second.value.number, "unit": second.unit.raw, **bounds}
        if second.flags:
            found["flagAppliesTo"] = "second"
    if observation.comment:
        found["comments"] = observation.comment.split("\n")
    return found


@pytest.mark.parametrize(("name", "charset"), list(zip(SAME_AS_M01, CHARSETS, strict=True)))
def test_the_nominal_report_in_every_charset(folder: Path, name: str, charset: str) -> None:
    expected = json.loads((folder / "m01-nominal-cp1252-crlf.expected.json").read_text(encoding="utf-8"))["reports"][0]
    reading = read(folder / name)
    report, item = report_of(reading), reading.items[0]
    observations = [as_expected(chapter.title, one) for chapter in report.chapters for one in chapter.observations]
    assert observations == expected["observations"]
    assert reading.charset == charset
    assert "hprim.charset.guessed" in codes(reading)
    patient, insured = item.patient, expected["patient"]["insuredNumber"] + expected["patient"]["insuredNumberKey"]
    assert (patient.family_name, patient.given_name) == (expected["patient"]["name"], expected["patient"]["given"])
    assert patient.birth_date == expected["patient"]["birthDate"]
    assert patient.ins is None
    assert {(one.type, one.value) for one in patient.identifiers} == {("PI", "TEST000123"), ("SB", insured)}
    assert list(patient.addresses[0].lines) == expected["patient"]["addressLines"]
    assert (patient.addresses[0].postal_code, patient.addresses[0].city) == ("99999", "VILLE-TEST")
    assert (report.report_id, report.collected_at) == (expected["reportId"], expected["reportDate"])
    assert item.sender is not None
    assert (item.sender.identifiers[0].value, item.sender.name) == tuple(expected["sender"].values())
    recipient = item.recipients[0].professional
    assert recipient is not None
    assert (recipient.identifiers[0].value, recipient.name) == tuple(expected["recipient"].values())
    assert report.status is ResultStatus.FINAL


def test_m06_two_patients_are_two_items(folder: Path) -> None:
    reading = read(folder / "m06-two-reports-one-file.hpm")
    first, second = reading.items
    assert isinstance(first, LabReportItem)
    assert isinstance(second, DocumentItem)
    assert first.id != second.id
    assert (second.patient.family_name, second.patient.birth_date) == ("SECONDPATIENT", "1948-11-01")
    assert second.patient.addresses[0].lines == ()
    assert [one.type for one in second.patient.identifiers] == ["PI"]
    text = base64.b64decode(second.content.attachments[0].data or "").decode()
    assert text.startswith("Compte rendu sans section codée.")
    assert "hprim.date.short_year" in codes(reading)


def test_m07_a_letter_is_a_document(folder: Path) -> None:
    (letter,) = read(folder / "m07-letter-no-lab.hpm").items
    assert isinstance(letter, DocumentItem)
    assert letter.content.attachments[0].media_type.startswith("text/plain")
    assert base64.b64decode(letter.content.attachments[0].data or "").decode().splitlines()[0] == "Cher confrère,"
    assert letter.sender is not None
    assert (letter.sender.identifiers, letter.sender.name) == ((), "secretariat.test")


def test_m08_a_mixture_of_dialects(folder: Path) -> None:
    reading = read(folder / "m08-dialect-mix-no-finfichier.hpr")
    report, patient = report_of(reading), reading.items[0].patient
    found = {one.label: one for one in observations_of(report.chapters)}
    assert patient.identifiers[0].type == "SB"  # line 1 is a routing line
    assert report.collected_at == "2024-06-07"
    assert report.text is not None
    assert "Expéditeur LBM FICTIF             Tél:00.00.00.00.00<br />" in report.text
    assert found["HEMATIES"].value == QuantityValue(number="4.58", text="4,58")
    assert found["HEMATIES"].codes[0].code == "NFE  020"
    assert found["TCMH"].value == QuantityValue(number="32.5", text="*32.5*")
    assert found["TCMH"].status is ResultStatus.UNKNOWN
    base_excess, calcium = found["BASE EXCESS"].reference, found["CALCIUM"].reference
    assert base_excess is not None
    assert (base_excess.low, base_excess.high) == ("-2", "2")
    assert calcium is not None
    assert (calcium.low, calcium.high, calcium.text) == ("2.20", "2.60", "2.20-2.60")
    assert found["Patient à jeun"].value == TextValue(text="Oui")
    assert found["CHOLESTEROL"].second is not None
    assert found["CHOLESTEROL"].second.value == QuantityValue(number="4.22", text="4.22")
    hdl = found["CHOLESTEROL HDL"]
    assert hdl.second is not None
    assert hdl.second.unit is not None
    assert hdl.second.unit.raw == "mmol/L"
    assert hdl.reference is not None
    assert hdl.reference.high == "9999.00"
    assert found["D.F.G."].value == QuantityValue(number="120", comparator=">", text=">120")
    assert found["Plaquettes"].value == QuantityValue(number="301000", text="301 000")
    assert found["Date de recueil"].value == DateTimeValue(at="2024-06-05", text="05062024")
    assert "soit" not in found
    assert report.status is ResultStatus.UNKNOWN
    assert {"hprim.res.placeholder", "hprim.tag.finfichier_missing", "hprim.flag.unknown"} <= codes(reading)
    assert {"line 1", "RES[13]", "RES[4]-09"} <= {one.where for one in reading.unread}


def test_m09_what_follows_the_end_is_kept_apart(folder: Path) -> None:
    reading = read(folder / "m09-trailer-after-finfichier.hpm")
    assert [one.where for one in reading.unread] == ["line 36", "line 37"]


@pytest.mark.parametrize("name", ["m10-finfichier-only.hpm", "m12-empty-first-line.hpm"])
def test_text_without_tags_and_a_shifted_header(folder: Path, name: str) -> None:
    (document,) = read(folder / name).items
    assert isinstance(document, DocumentItem)
    assert (document.patient.family_name, document.patient.birth_date) == ("EXEMPLENOM", "1957-03-14")
    assert document.content.report_id == "FICT240001"


def test_m11_a_truncated_header_is_refused(folder: Path) -> None:
    with pytest.raises(FormatError) as refusal:
        read(folder / "m11-truncated-header.hpm")
    assert refusal.value.code == "hprim.header.truncated"
    assert "7 lines" in refusal.value.message


@pytest.mark.parametrize("name", ["hprimtool-pipes.hpr", "hprimtool-tags.hpr"])
def test_lines_without_header_are_read_for_nobody(folder: Path, name: str) -> None:
    reading = read(folder.parent / "thirdparty" / name)
    assert reading.items[0].patient.family_name is None
    assert "hprim.header.missing" in codes(reading)
    assert len(list(observations_of(report_of(reading).chapters))) >= 3


def test_every_sample_is_recognised_and_addressed(folder: Path) -> None:
    for path in sorted(folder.glob("m*.hp*")):
        content = path.read_bytes()
        assert FORMAT.sniff(content) >= 0.25, path.name
        for position in FORMAT.positions(content):
            assert 0 <= position.start < position.end <= len(content)
    for path in sorted((folder.parent / "sante").glob("*.hpr")):
        assert FORMAT.sniff(path.read_bytes()) == 0.0, path.name
