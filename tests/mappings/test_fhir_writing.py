"""What every Bundle that Passerelle writes must hold, whatever the Item."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from filled_items import COMMON, DOCUMENT_ITEM, EVERY_ITEM, PDF, REPORT_ITEM
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from connectors.sandbox.fhir_store import FhirStore
from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.fhir import FORMAT
from mappings.fhir.writing.actors import professional
from mappings.fhir.writing.bundle import BundleBuilder
from schemas.actors import Organization, Professional
from schemas.coding import LOCAL, Coding, Identifier
from schemas.document import Document
from schemas.identity import PatientIdentity
from schemas.item import ITEM, DocumentItem, LabReportItem
from schemas.lab import LabChapter, LabReport, Observation, QuantityValue, ResultStatus, TextValue

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="delivery-1")
ODD = [
    "",
    " ",
    "\x00",
    "a\x07b",
    "a\nb",
    "|",
    "$,\\",
    "é" * 40,
    "\u2028",
    "\ufeff",
    "urn:x",
    "2026-02-31",
    "0000",
    "1e5",
]


def written(item, context: WriteContext = CONTEXT) -> dict:
    return json.loads(FORMAT.write(item, context).content)


def resources(document: dict, kind: str) -> list[dict]:
    return [entry["resource"] for entry in document["entry"] if entry["resource"]["resourceType"] == kind]


def walk(node: object, path: str = ""):
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{path}[{index}]")


def well_formed(document: dict) -> None:
    """The rules of FHIR's JSON that no model checks: nothing empty, references that resolve, one entry an identity."""
    urls = [entry["fullUrl"] for entry in document["entry"]]
    assert len(urls) == len(set(urls))
    requests = [json.dumps(entry["request"], sort_keys=True) for entry in document["entry"]]
    assert len(requests) == len(set(requests))
    for entry in document["entry"]:
        contained = {"#" + one["id"] for one in entry["resource"].get("contained", [])}
        mentioned = set()
        for path, node in walk(entry["resource"]):
            assert node not in ("", [], {}, None), path
            if isinstance(node, str):
                assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", node), path
            if isinstance(node, dict) and isinstance(node.get("reference"), str):
                mentioned.add(node["reference"])
        assert mentioned <= contained | set(urls)
        assert contained <= mentioned


@pytest.mark.parametrize("item", EVERY_ITEM, ids=lambda item: item.kind)
def test_filled_items_make_well_formed_bundles(item) -> None:
    well_formed(written(item))


def leaves_of(node: object, path: tuple = ()) -> list[tuple]:
    if isinstance(node, str):
        return [path]
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in entries for found in leaves_of(value, (*path, key))]


DUMPS = [item.model_dump(mode="json") for item in EVERY_ITEM]
LEAVES = [leaves_of(dump) for dump in DUMPS]


@given(st.integers(0, len(DUMPS) - 1), st.data())
@settings(max_examples=150, deadline=None)
def test_odd_texts_make_well_formed_bundles_too(which: int, data: st.DataObject) -> None:
    dump = copy.deepcopy(DUMPS[which])
    for _ in range(data.draw(st.integers(1, 5))):
        *path, last = data.draw(st.sampled_from(LEAVES[which]))
        node = dump
        for step in path:
            node = node[step]
        before, node[last] = node[last], data.draw(st.sampled_from(ODD))
        try:
            ITEM.validate_python(dump)
        except ValidationError:
            node[last] = before
    item = ITEM.validate_python(dump)
    rendition = FORMAT.write(item, CONTEXT)
    well_formed(json.loads(rendition.content))
    FORMAT.read(rendition.content, ReadContext())


def report(*observations: Observation, **more: object) -> LabReportItem:
    chapters = (LabChapter(observations=observations),)
    return LabReportItem(id="1", content=LabReport(report_id="R1", chapters=chapters, **more), **COMMON)


def test_the_same_item_gives_the_same_bytes() -> None:
    again = ITEM.validate_json(ITEM.dump_json(REPORT_ITEM))
    assert FORMAT.write(again, CONTEXT).content == FORMAT.write(REPORT_ITEM, CONTEXT).content


def test_a_correction_updates_what_was_sent() -> None:
    potassium = Observation(
        label="Potassium", codes=(Coding(system=LOCAL, code="K"),), value=QuantityValue(number="7.1")
    )
    first = written(report(potassium))
    corrected = potassium.model_copy(update={"value": QuantityValue(number="4.1"), "status": ResultStatus.CORRECTED})
    later = WriteContext(now=datetime(2026, 3, 6, tzinfo=UTC), identity="delivery-2")
    second = written(report(corrected, Observation(label="Sodium")), later)
    before = {entry["fullUrl"]: entry["request"] for entry in first["entry"]}
    after = {entry["fullUrl"]: entry["request"] for entry in second["entry"]}
    assert before.items() <= after.items()
    assert after[resources_url(second, "DiagnosticReport")]["method"] == "PUT"
    assert after[resources_url(second, "Patient")]["method"] == "POST"


def resources_url(document: dict, kind: str) -> str:
    return next(entry["fullUrl"] for entry in document["entry"] if entry["resource"]["resourceType"] == kind)


def test_two_senders_local_codes_never_meet() -> None:
    one = report(Observation(label="Hb", codes=(Coding(system=LOCAL, code="HB"),)))
    other = one.model_copy(update={"sender": Organization(name="LABO B")})
    systems = [resources(written(item), "Observation")[0]["code"]["coding"][0]["system"] for item in (one, other)]
    assert systems == ["urn:x-passerelle:codes:finess-990000017", "urn:x-passerelle:codes:LABO%20B"]
    agreed = WriteContext(now=CONTEXT.now, identity="d", options={"local_codes": "https://labo.example/codes"})
    content = FORMAT.write(one, agreed).content
    assert b"https://labo.example/codes" in content
    (again,) = FORMAT.read(content, ReadContext(options=agreed.options)).items
    assert again.content.chapters[0].observations[0].codes[0].system == LOCAL


def test_an_observation_shows_its_value_as_sent() -> None:
    observation = Observation(
        label="CRP", value=QuantityValue(number="0.50", comparator="<", text="<0.50"), flags=("L",)
    )
    content = FORMAT.write(report(observation), CONTEXT).content
    assert b'"valueQuantity":{"value":0.50,"comparator":"<"}' in content
    (shown,) = resources(json.loads(content), "Observation")
    assert shown["code"] == {"coding": [{"system": "http://loinc.org", "code": "19146-0"}], "text": "CRP"}
    assert shown["interpretation"][0]["coding"][0]["code"] == "L"


def test_a_result_that_will_not_come_says_why() -> None:
    observation = Observation(label="CRP", status=ResultStatus.CANCELLED)
    (shown,) = resources(written(report(observation)), "Observation")
    assert shown["status"] == "cancelled"
    assert shown["dataAbsentReason"]["coding"][0]["code"] == "not-performed"


def test_times_without_an_offset_are_legal_time() -> None:
    item = report(Observation(label="x", value=TextValue(text="y")), collected_at="2026-07-05T08:10", issued_at="2026")
    (shown,) = resources(written(item), "DiagnosticReport")
    assert shown["effectiveDateTime"] == "2026-07-05T08:10:00+02:00"
    assert "issued" not in shown
    far = WriteContext(now=CONTEXT.now, identity="d", timezone=ZoneInfo("Indian/Reunion"))
    assert resources(written(item, far), "DiagnosticReport")[0]["effectiveDateTime"] == "2026-07-05T08:10:00+04:00"


def test_control_characters_are_left_out_and_said() -> None:
    item = report(Observation(label="x", value=TextValue(text="a\x07\x08b\\u0007 \\b")))
    rendition = FORMAT.write(item, CONTEXT)
    assert [finding.code for finding in rendition.findings] == ["fhir.text.control"]
    assert resources(json.loads(rendition.content), "Observation")[0]["valueString"] == "ab\\u0007 \\b"


def test_a_test_bundle_says_so() -> None:
    context = WriteContext(now=CONTEXT.now, identity="d", environment=Environment.TEST)
    rendition = FORMAT.write(DOCUMENT_ITEM, context)
    assert FORMAT.read(rendition.content, ReadContext()).test is True
    assert FORMAT.read(FORMAT.write(DOCUMENT_ITEM, CONTEXT).content, ReadContext()).test is None


def test_a_professional_met_twice_is_one_entry() -> None:
    sender = Organization(name="LABO", identifiers=(Identifier(system="urn:oid:2.999", value="1"),))
    laboratory = sender.model_copy(update={"name": None})
    item = report(laboratory=laboratory).model_copy(update={"sender": sender, "patient": PatientIdentity()})
    organizations = resources(written(item), "Organization")
    assert [one["name"] for one in organizations] == ["LABO"]


def test_the_file_name_is_safe() -> None:
    context = WriteContext(now=CONTEXT.now, identity="../é /x")
    item = DocumentItem(id="1", content=Document(attachments=(PDF,)), **COMMON)
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.json", FORMAT.write(item, context).filename)


@pytest.mark.parametrize(
    ("content", "score"),
    [
        (b'{"resourceType":"Bundle"', 0.9),
        (b'\xef\xbb\xbf {\n "id": "x", "resourceType" : "Patient"}', 0.9),
        (b'{"id": "' + b"x" * 5000 + b'", "resourceType": "Patient"}', 0.5),
        (b'{"items": []}', 0.0),
        (b"H|~^\\&", 0.0),
        (b"", 0.0),
    ],
)
def test_sniffing(content: bytes, score: float) -> None:
    assert FORMAT.sniff(content) == score


@pytest.mark.parametrize("item", EVERY_ITEM, ids=lambda item: item.kind)
def test_a_receiver_that_gets_it_twice_keeps_one_of_each(item) -> None:
    store = FhirStore()
    store.apply(written(item))
    before = set(store.resources)
    store.apply(written(item, WriteContext(now=datetime(2026, 3, 6, tzinfo=UTC), identity="delivery-2")))
    assert set(store.resources) == before
    assert len(before) == len(written(item)["entry"])


def test_a_professional_made_for_the_moment_never_gets_the_reference_of_another() -> None:
    """Objects that live for one call share a place in memory; their references must not."""
    builder = BundleBuilder(CONTEXT, "unknown")
    model = Professional(name="TESTINFIRMIERE")
    given = []
    for number in range(100):
        rpps = Identifier(system="https://rpps.esante.gouv.fr", value=f"8990000{number:04}")
        given.append(professional(builder, model.model_copy(update={"identifiers": (rpps,)}), {})["reference"])
    assert len(set(given)) == 100
