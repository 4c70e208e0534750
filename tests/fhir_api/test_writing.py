"""What tools write: kept, journaled, refused whole; never moved, doubled, or written where they may not."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from dossier_scene import coordinator, nurse
from fhir_samples import VISIBILITY, appointment, letter, note, text, transaction, weight
from sqlalchemy import select

from mappings.contracts import ReadContext
from mappings.registry import format_named
from router.dossier.store.drafts import patient_id
from router.journal import tables
from router.journal.operations import CONTENT_PLACE

Rig = Any
NURSE = "https://rpps.esante.gouv.fr|89900000002"


@pytest.fixture
async def ready(rig: Rig) -> Rig:
    """The dossier's patient is known to the API."""
    rig.scene.add(nurse())
    await rig.follow()
    return rig


async def test_a_note_is_kept_found_and_read_by_another_member(ready: Rig) -> None:
    made = await ready.tool().call("POST", "DocumentReference", note(ready.patient))
    assert made.status == 201, made.text
    assert made.headers["etag"] == 'W/"1"'
    assert ready.changes == 1
    other = ready.tool("autre", user=NURSE)
    for kind in (
        "https://mos.esante.gouv.fr/NOS/TRE_R234-TypeNote/FHIR/TRE-R234-TypeNote|OBS",
        "urn:oid:1.2.250.1.213.1.1.5.98|OBS",
        "OBS",
    ):
        (found,) = await other.found(f"DocumentReference?patient={ready.patient}&type={kind}")
    assert found["description"] == "Pansement"
    assert found["content"][0]["attachment"]["data"] == text("Odeur au pansement.")
    (same,) = await other.found(
        "DocumentReference?author:Practitioner.identifier=https://rpps.esante.gouv.fr|89900000001"
    )
    assert same["id"] == found["id"]


async def test_a_write_is_a_message_of_the_journal_from_which_its_item_is_read(ready: Rig) -> None:
    await ready.tool().call("POST", "DocumentReference", letter(ready.patient))
    with ready.scene.journal.store.reading() as connection:
        row = connection.execute(select(tables.message).where(tables.message.c.source == "dossier")).one()
        sealed = connection.execute(
            select(tables.message_content.c.sealed_content).where(tables.message_content.c.message_id == row.id)
        ).scalar_one()
    assert (row.state, row.message_type) == ("received", "POST DocumentReference")
    content = ready.scene.journal.store.sealer.clone().open(sealed, CONTENT_PLACE)
    reading = format_named("fhir").read(content, ReadContext())
    (item,) = reading.items
    assert (item.kind, item.content.title) == ("document", "Synthèse")
    assert item.patient.identifiers[0].value == "IPP000001"


async def test_s10_a_note_that_a_tool_wrote_is_read_as_a_note_for_the_others(ready: Rig) -> None:
    urgent = {"url": "https://interop.esante.gouv.fr/ig/fhir/cdl/StructureDefinition/cdl-ext-is-emergency"}
    label = {"coding": [{"system": VISIBILITY, "code": "MASQUE_PT"}]}
    sent = note(ready.patient, extension=[{**urgent, "valueBoolean": True}], securityLabel=[label])
    sent["content"].append({"attachment": {"contentType": "image/jpeg", "data": "/9j/4AAQ", "title": "Plaie"}})
    made = await ready.tool().call("POST", "DocumentReference", sent)
    assert made.status == 201, made.text
    with ready.scene.journal.store.reading() as connection:
        sealed = connection.execute(select(tables.message_content.c.sealed_content)).scalar_one()
    reading = format_named("fhir").read(
        ready.scene.journal.store.sealer.clone().open(sealed, CONTENT_PLACE), ReadContext()
    )
    (item,) = reading.items
    content = item.content
    assert (item.kind, content.text, content.subject, content.urgent) == (
        "note",
        "Odeur au pansement.",
        "Pansement",
        True,
    )
    assert [one.code for one in content.visibility] == ["MASQUE_PT"]
    assert [file.title for file in content.attachments] == ["Plaie"]
    assert item.author.family_name == "TESTMEDECIN"


async def test_what_no_item_carries_is_kept_and_said_to_go_no_further(ready: Rig) -> None:
    made = await ready.tool().call("POST", "Observation", weight(ready.patient))
    assert made.status == 201, made.text
    row = ready.rows(tables.message)[-1]
    assert (row.source, row.state, row.worst) == ("dossier", "processed", 1)
    assert len(await ready.tool().found(f"Observation?patient={ready.patient}")) == 1
    made = await ready.tool().call("POST", "Appointment", appointment(ready.patient))
    assert made.status == 201, made.text
    assert ready.rows(tables.message)[-1].state == "received", "an appointment is an item, which routes take on"
    found = await ready.tool().found(f"Appointment?patient={ready.patient}&date=2026-11-20&status=booked")
    assert len(found) == 1


async def test_a_bundle_with_one_bad_entry_leaves_nothing(ready: Rig) -> None:
    before = len(ready.rows())
    bad = weight(ready.patient, unit="cm")
    bundle = transaction(("POST", "DocumentReference", note(ready.patient)), ("POST", "Observation", bad))
    answer = await ready.tool().call("POST", "", bundle)
    assert answer.status == 422
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.Observation.valueQuantity.code"]
    hidden = {**weight(ready.patient), "subject": {"reference": "Patient/nobody"}}
    bundle = transaction(("POST", "DocumentReference", note(ready.patient)), ("POST", "Observation", hidden))
    assert (await ready.tool().call("POST", "", bundle)).status == 422
    assert len(ready.rows()) == before
    assert ready.rows(tables.message) == []


async def test_a_transaction_links_its_entries_and_uses_the_patient_and_professional_that_are_there(ready: Rig) -> None:
    person = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2.250.1.999.35.1", "value": "IPP000001"}],
    }
    role = {
        "resourceType": "Practitioner",
        "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": "89900000001"}],
        "name": [{"family": "TESTMEDECIN"}],
    }
    written = note("urn:uuid:p", author="89900000001", contained=[], author_=None)
    written = {name: value for name, value in written.items() if name not in {"contained", "author_"}}
    written["author"] = [{"reference": "urn:uuid:d"}]
    bundle = transaction(
        ("POST", "Patient", person),
        ("POST", "Practitioner", role),
        ("POST", "DocumentReference", written),
        urls=("urn:uuid:p", "urn:uuid:d", "urn:uuid:n"),
    )
    first = await ready.tool().call("POST", "", bundle)
    assert first.status == 200, first.text
    places = [one["response"]["location"] for one in first.json()["entry"]]
    assert places[0].startswith(ready.patient)
    (found,) = await ready.tool().found("DocumentReference?author.family=testmed")
    assert found["subject"]["reference"] == ready.patient
    assert places[1].startswith(found["author"][0]["reference"])
    written["masterIdentifier"]["value"] = "NOTE-2"
    again = await ready.tool().call("POST", "", bundle)
    assert again.json()["entry"][1]["response"]["location"] == places[1]
    assert len(await ready.tool().found("Practitioner?identifier=89900000001")) == 1


async def test_creating_again_under_a_condition_gives_what_is_there(ready: Rig) -> None:
    tool = ready.tool()
    condition = "identifier=urn:oid:2.999.67.5|NOTE-1"
    first = await tool.call("POST", "DocumentReference", note(ready.patient), If_None_Exist=condition)
    second = await tool.call("POST", "DocumentReference", note(ready.patient), If_None_Exist=condition)
    assert (first.status, second.status) == (201, 200)
    assert len(await tool.found(f"DocumentReference?patient={ready.patient}")) == 1


async def test_an_update_needs_the_version_that_was_read_and_the_same_patient(ready: Rig) -> None:
    tool = ready.tool()
    made = (await tool.call("POST", "DocumentReference", note(ready.patient))).json()
    path = f"DocumentReference/{made['id']}"
    changed = {**note(ready.patient), "id": made["id"], "description": "Pansement refait"}
    updated = await tool.call("PUT", path, changed, If_Match='W/"1"')
    assert (updated.status, updated.json()["meta"]["versionId"]) == (200, "2")
    stale = await tool.call("PUT", path, changed, If_Match='W/"1"')
    assert stale.status == 412
    other = ready.scene.know(2)
    await ready.follow()
    moved = {**changed, "subject": {"reference": f"Patient/{patient_id(other)}"}}
    assert (await tool.call("PUT", path, moved)).status == 422
    assert (await tool.call("PUT", path, {**changed, "id": "another"})).status == 400
    assert (await tool.call("PUT", "DocumentReference/nothing-here", note(ready.patient))).status == 403


async def test_a_note_is_changed_and_deleted_by_its_author_alone(ready: Rig) -> None:
    made = (await ready.tool().call("POST", "DocumentReference", note(ready.patient))).json()
    path = f"DocumentReference/{made['id']}"
    other = ready.tool("autre", user=NURSE)
    assert (await other.call("PUT", path, {**note(ready.patient), "id": made["id"]})).status == 403
    assert (await other.call("DELETE", path)).status == 403
    gone = await ready.tool().call("DELETE", "DocumentReference?identifier=urn:oid:2.999.67.5|NOTE-1")
    assert gone.status == 200
    (left,) = await other.found(f"DocumentReference?patient={ready.patient}")
    assert left["status"] == "entered-in-error"
    assert "description" not in left
    assert (await other.get(f"{path}/_history/1")).status == 403


async def test_who_may_not_write_a_category_writes_nothing_and_is_noted(ready: Rig) -> None:
    ready.scene.add(coordinator())
    tool = ready.tool(user="urn:oid:2.999.67.7|COORD-1")
    answer = await tool.call("POST", "DocumentReference", letter(ready.patient))
    assert answer.status == 403
    assert ready.rows(tables.message) == []
    (denied,) = [row for row in ready.rows(tables.dossier_access) if not row.allowed]
    assert (denied.action, denied.category, denied.rule) == ("write", "documents", "matrix")
    unsigned = {name: value for name, value in note(ready.patient).items() if name != "contained"}
    unsigned["author"] = [{"display": "TESTCOORD"}]
    assert (await tool.call("POST", "DocumentReference", unsigned)).status == 201


async def test_nobody_writes_a_note_in_the_name_of_another(ready: Rig) -> None:
    tool = ready.tool("autre", user=NURSE)
    assert (await tool.call("POST", "DocumentReference", note(ready.patient))).status == 403
    assert (await tool.call("POST", "DocumentReference", note(ready.patient, author="89900000002"))).status == 201


async def test_a_stranger_cannot_tell_a_dossier_from_nothing_by_writing(ready: Rig) -> None:
    stranger = ready.tool(user="https://rpps.esante.gouv.fr|89900000099")
    there = await stranger.call("POST", "DocumentReference", note(ready.patient))
    nothing = await stranger.call("POST", "DocumentReference", note("Patient/nobody"))
    assert (there.status, there.body) == (nothing.status, nothing.body) == (422, nothing.body)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"docStatus": "final"}, "DocumentReference.docStatus"),
        ({"custodian": {"display": "x"}}, "DocumentReference.custodian"),
        ({"meta": {"profile": ["https://example.org/unknown"]}}, "DocumentReference.meta.profile"),
        ({"author": []}, "DocumentReference.author"),
        ({"surprise": 1}, "DocumentReference"),
        ({"content": [{"attachment": {"data": "pas du base64"}}]}, "DocumentReference.content[0].attachment.data"),
        ({"securityLabel": [{"text": "a"}, {"text": "b"}]}, "DocumentReference.securityLabel"),
    ],
)
async def test_a_note_that_is_none_is_refused_with_the_place(ready: Rig, change: dict[str, Any], place: str) -> None:
    answer = await ready.tool().call("POST", "DocumentReference", {**note(ready.patient), **change})
    assert answer.status == 422
    assert place in [expression for issue in answer.json()["issue"] for expression in issue.get("expression", [])]


async def test_wrong_units_are_refused_and_right_ones_kept_with_their_digits(ready: Rig) -> None:
    tool = ready.tool()
    assert (await tool.call("POST", "Observation", weight(ready.patient, unit="cm"))).status == 422
    body = b'{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org",' + (
        b'"code":"29463-7"}]},"category":[{"coding":[{"code":"vital-signs"}]}],"subject":{"reference":"%s"},'
        b'"valueQuantity":{"value":62.50,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}'
        % ready.patient.encode()
    )
    made = await tool.call("POST", "Observation", body)
    assert made.status == 201, made.text
    assert '"value":62.50' in (await tool.get(f"Observation/{made.json()['id']}")).text


async def test_a_patch_masks_archives_and_supersedes_and_nothing_else(ready: Rig) -> None:
    tool = ready.tool()
    await tool.call("POST", "DocumentReference", letter(ready.patient))
    query = "DocumentReference?identifier=urn:ietf:rfc:3986|urn:oid:2.999.5.1"
    label = [{"coding": [{"system": VISIBILITY, "code": "MASQUE_PS"}]}]
    patch = [{"op": "add", "path": "/securityLabel", "value": label}]
    masked = await tool.call("PATCH", query, patch, media_type="application/json-patch+json")
    assert masked.status == 200, masked.text
    assert await ready.tool("autre", user=NURSE).found(f"DocumentReference?patient={ready.patient}") == []
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "DocumentReference.status"},
        {"name": "value", "valueCode": "superseded"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    assert (await tool.call("PATCH", query, parameters)).json()["status"] == "superseded"
    wrong = [{"op": "replace", "path": "/description", "value": "autre"}]
    assert (await tool.call("PATCH", query, wrong, media_type="application/json-patch+json")).status == 405
    odd = [{"op": "replace", "path": "/status", "value": {"current": []}}]
    assert (await tool.call("PATCH", query, odd, media_type="application/json-patch+json")).status == 422


async def test_scopes_bind_a_tool(ready: Rig) -> None:
    reader = ready.tool("lecteur", "read")
    assert (await reader.call("POST", "DocumentReference", note(ready.patient))).status == 403
    narrow = ready.tool("etroit", "read/Patient")
    assert (await narrow.get(ready.patient)).status == 200
    assert (await narrow.get(f"DocumentReference?patient={ready.patient}")).status == 403


async def test_people_decide_about_patients_and_consents(ready: Rig) -> None:
    tool = ready.tool()
    for kind in ("Patient", "Consent"):
        assert (await tool.call("POST", kind, {"resourceType": kind})).status == 405


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"<xml/>", "application/fhir+xml", 415),
        (b"{", "application/fhir+json", 400),
        (b'{"resourceType":"Patient"}', "application/fhir+json", 400),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "application/fhir+json", 400),
        (b'{"resourceType":"DocumentReference","status":NaN}', "application/fhir+json", 400),
        (b'{"resourceType":"DocumentReference","status":"\\ud800"}', "application/fhir+json", 400),
        (b'{"resourceType":"DocumentReference","x":99999999999999999999}', "application/fhir+json", 400),
    ],
)
async def test_bodies_that_are_no_resource(ready: Rig, body: bytes, media_type: str, status: int) -> None:
    answer = await ready.tool().call("POST", "DocumentReference", body, media_type=media_type)
    assert (answer.status, answer.json()["resourceType"]) == (status, "OperationOutcome")


async def test_a_large_photo_is_kept_apart_and_given_back(ready: Rig) -> None:
    photo = bytes(range(256)) * 2000
    sent = note(ready.patient)
    sent["content"].append({"attachment": {"contentType": "image/jpeg", "data": base64.b64encode(photo).decode()}})
    made = await ready.tool().call("POST", "DocumentReference", sent)
    assert made.status == 201, made.text
    form = made.json()["content"][1]["attachment"]
    assert (await ready.tool("autre", user=NURSE).get(form["url"])).body == photo


def shared(patient: str, file: str) -> dict[str, Any]:
    """A document whose file is an entry of its own (ITI-65)."""
    made = letter(patient)
    made["content"][0]["attachment"] = {"contentType": "application/pdf", "title": "Lettre", "url": file}
    return made


FILE = {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(b"%PDF-1.4").decode()}
URNS = ("urn:uuid:0c1ba3f8-0000-4000-8000-000000000001", "urn:uuid:0c1ba3f8-0000-4000-8000-000000000002")


async def test_a_file_of_a_transaction_is_kept_with_the_document_that_points_at_it(ready: Rig) -> None:
    tool = ready.tool("spico", "write/DocumentReference", "read")
    bundle = transaction(
        ("POST", "Binary", FILE), ("POST", "DocumentReference", shared(ready.patient, URNS[0])), urls=URNS
    )
    answer = await tool.call("POST", "", bundle)
    assert answer.status == 200, answer.text
    file, document = (one["response"]["location"] for one in answer.json()["entry"])
    (found,) = await tool.found(f"DocumentReference?patient={ready.patient}")
    assert document.startswith(f"DocumentReference/{found['id']}/")
    assert found["content"][0]["attachment"]["url"].endswith(file)
    assert file.startswith("Binary/")
    assert (await tool.call("GET", file, Accept="application/pdf")).body == b"%PDF-1.4"


@pytest.mark.parametrize(
    ("entries", "where"),
    [
        ((("POST", "Binary", FILE),), "Bundle.entry[0]"),
        ((("POST", "Binary", {**FILE, "data": ""}),), "Bundle.entry[0].resource.data"),
        (
            (("POST", "DocumentReference", shared("Patient/x", URNS[1])),),
            "Bundle.entry[0].resource.DocumentReference.content[0].attachment.url",
        ),
    ],
)
async def test_a_file_without_a_document_and_a_document_without_its_file_are_refused(
    ready: Rig, entries: tuple[tuple[str, str, dict[str, Any]], ...], where: str
) -> None:
    before = len(ready.rows())
    answer = await ready.tool().call("POST", "", transaction(*entries, urls=URNS))
    assert (answer.status, answer.json()["issue"][0]["expression"]) == (422, [where])
    assert len(ready.rows()) == before


async def test_a_file_is_written_in_no_other_way(ready: Rig) -> None:
    assert (await ready.tool().call("POST", "Binary", FILE)).status == 405
    assert (await ready.tool().call("PUT", "Binary/1", {**FILE, "id": "1"})).status == 405
