"""FHIR that others write: any Bundle, any single resource, and what is broken in them."""

from __future__ import annotations

import contextlib
import copy
import json
from datetime import UTC, datetime

import pytest
from filled_items import EVERY_ITEM
from hypothesis import given, settings, strategies as st

from mappings.contracts import FormatError, ReadContext, WriteContext
from mappings.fhir import FORMAT
from schemas.lab import ResultStatus, TextValue

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="delivery-1")
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:oid:2.999.1", "value": "IPP-1"}],
    "name": [{"family": "TESTROSE", "given": ["Marie", "Zoé"]}],
    "gender": "other",
    "birthDate": "1979-03",
}


def observation(name: str, **more: object) -> dict:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": name}]},
        "subject": {"reference": "Patient/p1"},
        **more,
    }


def bundle(*resources: dict, kind: str = "collection") -> bytes:
    entries = [
        {"fullUrl": f"https://autre.example/fhir/{one['resourceType']}/{one.get('id')}", "resource": one}
        for one in resources
    ]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


def read(content: bytes):
    return FORMAT.read(content, ReadContext())


def test_a_searchset_of_a_flat_report() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "status": "appended",
        "code": {"text": "NFS"},
        "subject": {"reference": "https://autre.example/fhir/Patient/p1/_history/3"},
        "performer": [{"display": "LABO AILLEURS"}],
        "result": [{"reference": "Observation/a"}, {"reference": "Observation/b"}, {"reference": "Observation/gone"}],
    }
    reading = read(
        bundle(
            report,
            observation(
                "a",
                valueQuantity={"value": 13.20, "unit": "g/dL"},
                effectiveDateTime="2026-03-05T08:10:00.1234567+01:00",
            ),
            observation("b", valueInteger=3, note=[{"text": "un"}, {"text": "deux"}]),
            PATIENT,
            kind="searchset",
        )
    )
    (item,) = reading.items
    assert reading.message_type == "searchset lab_report"
    assert item.content.status is ResultStatus.AMENDED
    assert item.content.laboratory.name == "LABO AILLEURS"
    assert (item.patient.family_name, item.patient.given_name, item.patient.sex) == ("TESTROSE", "Marie Zoé", "U")
    (chapter,) = item.content.chapters
    first, second = chapter.observations
    assert (first.label, first.value.number, first.unit.ucum) == ("a", "13.2", "g/dL")
    assert first.effective_at == "2026-03-05T08:10:00.123456+01:00"
    assert (second.value.number, second.comment) == ("3", "un\ndeux")
    assert [one.text for one in reading.unread] == ["Observation/gone"]


def test_numbers_keep_their_digits() -> None:
    content = bundle(observation("a", valueQuantity={"value": 0}), PATIENT).replace(b'"value": 0}', b'"value": 13.200}')
    (item,) = read(content).items
    assert item.content.chapters[0].observations[0].value.number == "13.200"


def test_loose_laboratory_observations_make_one_report_a_patient() -> None:
    other = {**PATIENT, "id": "p2"}
    reading = read(
        bundle(
            observation("a", valueString="x", effectiveDateTime="2026-03-05"),
            observation("b", valueString="y"),
            observation("c", valueString="z", subject={"reference": "Patient/p2"}),
            PATIENT,
            other,
        )
    )
    assert [[one.label for one in item.content.chapters[0].observations] for item in reading.items] == [
        ["a", "b"],
        ["c"],
    ]
    assert reading.items[0].occurred_at == "2026-03-05"
    assert reading.unread == reading.findings == ()


def test_members_and_components_are_results_of_their_own() -> None:
    pressure = observation(
        "ta",
        component=[
            {"code": {"text": "Systolique"}, "valueQuantity": {"value": 120, "unit": "mmHg"}},
            {"code": {"text": "Diastolique"}, "valueQuantity": {"value": 80, "unit": "mmHg"}},
        ],
    )
    panel = observation(
        "p", code={"text": "Panel"}, hasMember=[{"reference": "Observation/ta"}, {"reference": "Observation/p"}]
    )
    (item,) = read(bundle(pressure, panel, PATIENT)).items
    (chapter,) = item.content.chapters
    assert chapter.title == "Panel"
    assert [(one.label, one.value.number, one.unit.ucum) for one in chapter.observations] == [
        ("Systolique", "120", "mm[Hg]"),
        ("Diastolique", "80", "mm[Hg]"),
    ]


def test_an_observation_shared_by_two_reports_is_in_both() -> None:
    reports = [
        {
            "resourceType": "DiagnosticReport",
            "id": name,
            "status": "final",
            "code": {"text": name},
            "subject": {"reference": "Patient/p1"},
            "result": [{"reference": "Observation/a"}],
        }
        for name in ("r1", "r2")
    ]
    specimen = {"resourceType": "Specimen", "id": "s", "type": {"text": "Sang"}}
    shared = observation("a", valueString="x", specimen={"reference": "Specimen/s"})
    reading = read(bundle(*reports, shared, specimen, PATIENT))
    for item in reading.items:
        (one,) = item.content.chapters[0].observations
        assert one.value == TextValue(text="x")
        assert item.content.specimens[0].id == one.specimen
    assert reading.unread == ()


def test_a_single_patient_is_an_identity() -> None:
    reading = read(json.dumps(PATIENT).encode())
    (item,) = reading.items
    assert (item.kind, item.content.event, item.patient.birth_date) == ("identity", "patient.updated", "1979-03")
    assert reading.control_id == "p1"


def test_a_single_observation_whose_patient_is_elsewhere() -> None:
    reading = read(
        json.dumps(
            observation("a", valueBoolean=True, subject={"reference": "https://autre.example/fhir/Patient/9"})
        ).encode()
    )
    (item,) = reading.items
    assert item.patient.identifiers[0].value == "9"
    reading = read(json.dumps(observation("a", valueBoolean=True)).encode())
    assert "fhir.subject.missing" in {finding.code for finding in reading.findings}
    assert [one.text for one in reading.unread] == ["Patient/p1"]


def test_what_is_not_read_is_said() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "code": {"text": "Diabète"},
        "subject": {"reference": "Patient/p1"},
    }
    vital = observation("v", category=[{"coding": [{"code": "vital-signs"}]}], valueQuantity={"value": 37})
    modified = observation(
        "m", valueString="x", modifierExtension=[{"url": "https://autre.example/nie", "valueBoolean": True}]
    )
    reading = read(bundle(condition, vital, modified, PATIENT))
    assert {(finding.code, finding.where) for finding in reading.findings} == {
        ("fhir.resource.not_read", "Bundle.entry[0]"),
        ("fhir.resource.not_read", "Bundle.entry[1]"),
        ("fhir.modifier", "Bundle.entry[2]"),
    }
    assert {one.text for one in reading.unread} >= {"Diabète", "37", "https://autre.example/nie"}
    assert "Diabète" not in repr(reading.findings)


def test_an_ins_that_is_not_asserted_is_kept_aside() -> None:
    number = {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "180017505600004"}
    reading = read(json.dumps({**PATIENT, "identifier": [number]}).encode())
    assert reading.items[0].patient.ins is None
    assert reading.items[0].patient.identifiers[0].value == "180017505600004"
    assert [finding.code for finding in reading.findings] == ["fhir.ins.not_qualified"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{}", "fhir.resource_type"),
        (b"[]", "fhir.resource_type"),
        (b'{"resourceType": 3}', "fhir.resource_type"),
        (b'{"resourceType": "Bundle"}', "fhir.bundle.empty"),
        (b'{"resourceType": "Bundle", "entry": [3, {"resource": []}]}', "fhir.bundle.empty"),
        (b"MSH|", "json.syntax"),
        (b"\xff", "json.charset"),
    ],
)
def test_what_is_not_fhir_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        read(content)
    assert refused.value.code == code


REPLACEMENTS = [
    None,
    True,
    "",
    " ",
    "x",
    "2026-02-31",
    12,
    -1.5,
    [],
    [None],
    [[]],
    {},
    {"a": []},
    {"reference": "#"},
    ["é"],
    [{"code": 1}],
]


def spots(node: object, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        found.extend(spots(value, (*path, key)))
    return found


DOCUMENTS = [json.loads(FORMAT.write(item, CONTEXT).content) for item in EVERY_ITEM]
SPOTS = [spots(document) for document in DOCUMENTS]


@given(st.integers(0, len(DOCUMENTS) - 1), st.data())
@settings(max_examples=150, deadline=None)
def test_nothing_in_a_broken_bundle_makes_the_reader_fail(which: int, data: st.DataObject) -> None:
    document = copy.deepcopy(DOCUMENTS[which])
    for _ in range(data.draw(st.integers(1, 4))):
        *path, last = data.draw(st.sampled_from(SPOTS[which]))
        node = document
        try:
            for step in path:
                node = node[step]
            node[last] = copy.deepcopy(data.draw(st.sampled_from(REPLACEMENTS)))
        except (LookupError, TypeError):
            continue
    content = json.dumps(document).encode()
    with contextlib.suppress(FormatError):
        assert all(item.id for item in read(content).items)
