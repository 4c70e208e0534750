"""What the sandbox writes by hand, our readers understand whole: two independent views of each format agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

import orjson
import pytest

from connectors.sandbox.adt import CARDIOLOGY, STRUCTURES, Movement, Visit, adt
from connectors.sandbox.analyses import PANELS
from connectors.sandbox.fhir_store import FhirStore
from connectors.sandbox.hprim import hprim_medecin, hprim_sante
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.oru import oru
from connectors.sandbox.people import INS_TEST_OID, ROSE, population
from connectors.sandbox.registration import import_bundle, import_file
from connectors.sandbox.reports import LABORATORY_AUTHORITY, Report, draw_report
from mappings.contracts import ReadContext, WriteContext
from mappings.registry import detect, format_named
from router.identity.importing import read_patients
from schemas.finding import Severity
from schemas.identity import IdentityStatus
from schemas.item import LabReportItem
from schemas.lab import LabChapter, Observation, QuantityValue, ResultStatus

AT = datetime(2026, 3, 5, 9, 30, tzinfo=PARIS)
WRITERS: dict[str, Callable[[Report], bytes]] = {
    "hl7v2": lambda report: oru(report, control_id="1", visit="SEJ1"),
    "hprim-medecin": hprim_medecin,
    "hprim-sante": lambda report: hprim_sante(report, "LABO0001.HPR"),
}


def observations(chapters: tuple[LabChapter, ...]) -> list[Observation]:
    found: list[Observation] = []
    for chapter in chapters:
        found += [*chapter.observations, *observations(chapter.chapters)]
    return found


def read_report(name: str, report: Report) -> LabReportItem:
    content = WRITERS[name](report)
    assert detect(content).name == name
    reading = format_named(name).read(content, ReadContext(received_at=AT))
    assert [finding for finding in reading.findings if finding.severity is not Severity.INFO] == []
    (item,) = reading.items
    assert isinstance(item, LabReportItem)
    return item


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("seed", range(5))
def test_every_result_is_read_with_its_number_unit_bounds_and_flag(name: str, seed: int) -> None:
    report = draw_report(random.Random(seed), ROSE, seed, AT, panels=PANELS)
    item = read_report(name, report)
    assert item.content.report_id == report.report_id
    assert item.content.status is ResultStatus.FINAL
    read = {code.code: one for one in observations(item.content.chapters) for code in one.codes}
    for measure in report.measures:
        one = read[measure.analysis.code]
        assert isinstance(one.value, QuantityValue)
        assert (one.value.number, one.value.comparator or "") == (measure.number, measure.comparator)
        assert one.unit is not None
        assert one.unit.raw == measure.analysis.unit
        assert one.flags == ((measure.flag,) if measure.flag else ())
        assert one.reference is not None
        assert (one.reference.low, one.reference.high) == (measure.analysis.low, measure.analysis.high)


@pytest.mark.parametrize("name", WRITERS)
def test_a_correction_is_read_as_one(name: str) -> None:
    report = draw_report(random.Random(1), ROSE, 1, AT, panels=PANELS)
    corrected = read_report(name, report.corrected("K", "5.6", issued_at=AT, comment="Contrôlé"))
    assert corrected.content.report_id == report.report_id
    statuses = {code.code: one.status for one in observations(corrected.content.chapters) for code in one.codes}
    assert statuses["K"] is ResultStatus.CORRECTED
    assert statuses["NA"] is ResultStatus.FINAL


@pytest.mark.parametrize("event", sorted(STRUCTURES))
def test_every_movement_and_identity_event_is_read_without_complaint(event: str) -> None:
    visit = Visit("SEJ1", "DOS1", AT)
    content = adt(
        event, ROSE, control_id="1", at=AT, visit=visit, movement=Movement("MVT1", AT, CARDIOLOGY), absorbed="X"
    )
    reading = format_named("hl7v2").read(content, ReadContext(received_at=AT))
    assert [finding for finding in reading.findings if finding.severity is not Severity.INFO] == []
    (item,) = reading.items
    assert item.patient.identifiers[0].value == ROSE.ipp
    withdrawn = event == "A47"
    assert (item.patient.ins is None) is withdrawn
    assert item.patient.status is (IdentityStatus.VALIDATED if withdrawn else IdentityStatus.QUALIFIED)


def test_the_tool_keeps_what_our_writer_makes_of_it_and_a_resend_changes_nothing() -> None:
    report = draw_report(random.Random(3), ROSE, 3, AT, panels=PANELS)
    rendition = format_named("fhir").write(read_report("hl7v2", report), WriteContext(now=AT, identity="one"))
    store = FhirStore()
    bundle = orjson.loads(rendition.content)
    store.apply(bundle)
    kept = set(store.resources)
    store.apply(bundle)
    assert set(store.resources) == kept
    assert [version["status"] for version in store.known_by("DiagnosticReport", report.report_id)] == ["final", "final"]
    assert len(store.search("Patient", {"identifier": f"urn:oid:{INS_TEST_OID}|{ROSE.matricule}"})) == 1


def test_registration_files_are_read_whole_and_alike() -> None:
    people = population(30)
    from_csv = read_patients(import_file(people).encode())
    from_bundle = read_patients(orjson.dumps(import_bundle(people, LABORATORY_AUTHORITY)))
    assert from_csv.problems == from_bundle.problems == ()
    for person, one, other in zip(people, from_csv.identities, from_bundle.identities, strict=True):
        assert one.ins == other.ins
        assert one.ins is not None
        assert one.ins.matricule == person.matricule
        assert one.status is other.status is IdentityStatus.QUALIFIED
        assert one.birth_given_names == other.birth_given_names == person.birth_given_names
        assert (one.birth_name, one.birth_date, one.sex) == (other.birth_name, other.birth_date, other.sex)
        assert other.identifiers[-1].value == person.laboratory_number
