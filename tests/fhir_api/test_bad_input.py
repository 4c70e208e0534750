"""What is sent by mistake or with intent: ids of another dossier, and more asked for at once than is given."""

from __future__ import annotations

from typing import Any

import pytest
from dossier_scene import DAC, INFORMED, doctor, nurse, professional
from fhir_samples import letter, note, transaction
from fhir_subscriber import subscription
from sqlalchemy import event, insert

from router.dossier.circle import add_member
from router.dossier.dossiers import open_dossier
from router.dossier.store import searching
from router.dossier.store.drafts import draft, patient_id
from router.dossier.store.writing import rows_of
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit

Rig = Any
NURSE = "https://rpps.esante.gouv.fr|89900000002"
STRANGER = "https://rpps.esante.gouv.fr|89900000008"
NOTHING = "0" * 8 + "-0000-4000-8000-" + "0" * 12


@pytest.fixture
async def two(rig: Rig) -> tuple[Rig, str, str]:
    """Two dossiers that have no member in common: a patient and a note of the one that the tool may not see."""
    scene = rig.scene
    other = scene.know(2)
    member = doctor(professional=professional("89900000008", "TESTAILLEURS"))
    for change in (
        open_dossier(other, DAC, by=scene.by(), consent=INFORMED),
        add_member(other, member, by=scene.by()),
    ):
        assert scene.journal.apply(change).refusal is None
    await rig.follow()
    hers = f"Patient/{patient_id(other)}"
    made = await rig.tool("ailleurs", user=STRANGER).call(
        "POST", "DocumentReference", note(hers, "NOTE-9", author="89900000008")
    )
    assert made.status == 201, made.text
    return rig, hers, f"DocumentReference/{made.json()['id']}"


async def test_ids_of_another_dossier_are_answered_as_ids_of_nothing(two: tuple[Rig, str, str]) -> None:
    rig, _, hers = two
    tool = rig.tool()
    patch = [{"op": "replace", "path": "/status", "value": "superseded"}]
    bodies = rig.rows(tables.resource_body)
    for method, path, body, media_type in (
        ("GET", "{}", None, ""),
        ("GET", "{}/_history", None, ""),
        ("GET", "{}/_history/1", None, ""),
        ("GET", "{}/$read-by", None, ""),
        ("POST", "{}/$mark-read", None, ""),
        ("PUT", "{}", note(rig.patient), "application/fhir+json"),
        ("PATCH", "{}", patch, "application/json-patch+json"),
        ("DELETE", "{}", None, ""),
    ):
        answers = []
        for key in (hers, f"DocumentReference/{NOTHING}"):
            sent = {**body, "id": key.partition("/")[2]} if isinstance(body, dict) else body
            answer = await tool.call(method, path.format(key), sent, media_type=media_type or "application/fhir+json")
            answers.append((answer.status, answer.text))
        assert answers[0] == answers[1], (method, path)
        assert answers[0][0] == 403, (method, path, answers[0])
    assert rig.rows(tables.resource_body) == bodies


async def test_whatever_was_tried_with_what_may_not_be_seen_is_kept_in_its_dossier(two: tuple[Rig, str, str]) -> None:
    rig, patient, hers = two
    tool = rig.tool()
    (dossier,) = (one.id for one in rig.rows(tables.dossier) if f"Patient/{patient_id(one.patient_id)}" == patient)
    patch = [{"op": "replace", "path": "/status", "value": "superseded"}]
    for method, path, category in (
        ("GET", hers, "notes"),
        ("GET", f"{hers}/_history", "notes"),
        ("GET", f"{hers}/$read-by", "notes"),
        ("GET", f"{hers}/$sent", "notes"),
        ("POST", f"{hers}/$mark-read", "notes"),
        ("PATCH", hers, "notes"),
        ("DELETE", hers, "notes"),
        ("GET", f"{patient}/$agenda", "identity"),
    ):
        before = rig.rows(tables.dossier_access)
        sent = (patch, "application/json-patch+json") if method == "PATCH" else (None, "application/fhir+json")
        assert (await tool.call(method, path, sent[0], media_type=sent[1])).status == 403
        kept = rig.rows(tables.dossier_access)[len(before) :]
        told = [(one.dossier_id, one.category, one.action, one.allowed, one.rule, one.tool) for one in kept]
        assert told == [(dossier, category, "read", False, "not_in_circle", "spico")], (method, path)
    before = rig.rows(tables.dossier_access)
    assert (await tool.call("DELETE", f"DocumentReference/{NOTHING}")).status == 403
    assert rig.rows(tables.dossier_access) == before, "of what is not there, nothing is kept"


async def test_a_condition_that_goes_through_too_much_is_refused(
    two: tuple[Rig, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, _, _ = two
    monkeypatch.setattr(searching, "MOST_CHAINED", 0)
    tool = rig.tool()
    for method, path in (
        ("GET", "DocumentReference?patient.family=FICTIVAL"),
        ("DELETE", "DocumentReference?patient.family=FICTIVAL"),
    ):
        answer = await tool.call(method, path)
        assert (answer.status, "narrow it" in answer.text) == (400, True), (method, answer.text)


async def test_nothing_is_written_into_another_dossier_nor_about_its_patient(two: tuple[Rig, str, str]) -> None:
    rig, patient, hers = two
    tool = rig.tool()
    bodies = rig.rows(tables.resource_body)
    nobody, nothing = f"Patient/{NOTHING}", f"DocumentReference/{NOTHING}"
    for make in (
        lambda whom: ("POST", "DocumentReference", note(whom)),
        lambda whom: ("POST", "", transaction(("POST", "DocumentReference", letter(whom)))),
        lambda whom: ("POST", "", transaction(("DELETE", hers if whom == patient else nothing, None))),
    ):
        mine = await tool.call(*make(patient))
        none = await tool.call(*make(nobody))
        assert mine.status == none.status
        assert mine.status in {403, 422}
        assert mine.text == none.text
    assert rig.rows(tables.resource_body) == bodies


async def test_a_reference_into_another_dossier_brings_nothing_of_it_along(two: tuple[Rig, str, str]) -> None:
    rig, _, hers = two
    tool = rig.tool()
    answer_to = {"relatesTo": [{"code": "appends", "target": {"reference": hers}}]}
    made = await tool.call("POST", "DocumentReference", note(rig.patient, "NOTE-2", **answer_to))
    assert made.status in {201, 403, 422}
    bundle = (await tool.get(f"DocumentReference?patient={rig.patient}&_include=*&_include:iterate=*")).json()
    assert hers.partition("/")[2] not in {one["resource"]["id"] for one in bundle.get("entry", [])}
    theirs = await rig.tool("ailleurs", user=STRANGER).get(f"{hers}/$read-by")
    assert "NOTE-2" not in theirs.text


async def test_a_subscription_to_another_dossier_is_told_nothing(two: tuple[Rig, str, str]) -> None:
    rig, patient, _ = two
    answer = await rig.tool().call("POST", "Subscription", subscription(f"DocumentReference?patient={patient}"))
    none = await rig.tool().call("POST", "Subscription", subscription(f"DocumentReference?patient=Patient/{NOTHING}"))
    assert answer.status == none.status


async def test_of_ten_thousand_at_once_a_thousand_are_given_with_the_way_to_the_others(rig: Rig) -> None:
    await rig.follow()
    there = 1003

    def fill(unit: Unit) -> None:
        sealer, first = unit.sealer, max(row.id for row in rig.rows()) + 1
        ready = [
            draft(sealer, {**letter(rig.patient, f"2.999.8.{number}"), "id": f"lettre-{number}"}, rig.scene.patient)
            for number in range(there)
        ]
        for table, rows in rows_of(ready, first, rig.scene.now + 1).items():
            unit.connection.execute(insert(table), rows)

    rig.scene.now += 1_000_000
    rig.scene.journal.apply(Change(fill))
    rig.scene.now += 1_000_000
    tool = rig.tool()
    bundle = (await tool.get(f"DocumentReference?patient={rig.patient}&_count=10000")).json()
    assert (bundle["total"], len(bundle["entry"])) == (there, 1000)
    links = {one["relation"]: one["url"] for one in bundle["link"]}
    rest = (await tool.get(links["next"].partition("/fhir/")[2])).json()
    seen = {one["resource"]["id"] for one in (*bundle["entry"], *rest["entry"])}
    assert len(seen) == there


async def test_a_search_by_number_goes_through_no_type_as_a_whole(rig: Rig) -> None:
    rig.scene.add(nurse())
    await rig.follow()
    tool = rig.tool(user=NURSE)
    engine = rig.scene.journal.store.engine
    plans: list[str] = []

    @event.listens_for(engine, "after_cursor_execute")
    def explain(connection: Any, _cursor: Any, sql: str, values: Any, _context: Any, _many: bool) -> None:
        if sql.startswith("SELECT") and "resource_token" in sql:
            driver = connection.connection.driver_connection
            plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", values))

    for asked in (
        "DocumentReference?patient.identifier=urn:oid:1.2|IPP-1",
        "DocumentReference?identifier=urn:oid:2.999.5.1",
        "Patient?identifier=urn:oid:1.2|IPP-1",
    ):
        assert (await tool.get(asked)).status == 200
    event.remove(engine, "after_cursor_execute", explain)
    assert plans
    assert not [one for one in plans if "ix_resource_updated" in one or one.startswith("SCAN")], plans
