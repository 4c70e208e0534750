"""S24 to S28: requests, evaluations, plans and the agenda."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from dossier_scene import G15, coordinator, doctor, nurse, professional
from rose_messages import adt
from rose_scene import (
    COORDINATOR,
    GP,
    HELPER,
    NURSE,
    RPPS,
    STRUCTURE,
    RoseScene,
    rose_scene,
    whole_circle,
)

from connectors.sandbox.tools import ServerRefused, Tool, resources
from mappings.contracts import PARIS
from router.journal import tables
from schemas.circle import RoleFamily
from schemas.coding import Coding
from schemas.consent import ConsentKind
from schemas.habilitation import DataCategory

SSIAD = f"{RPPS}|89900000006"
AGGIR = "urn:oid:1.2.250.1.213.1.1.5.322"
Resource = dict[str, Any]
PI = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PI"}
GIR = "urn:oid:1.2.250.1.213.1.1.4.322"


FEED = """
[sources.trajectoire]
connector = "http"
listen = "127.0.0.1:0"
api_keys = ["cle-fictive-de-la-plateforme"]
format = "fhir"
"""


async def orient(scene: RoseScene, state: str, at: datetime) -> None:
    """Let the orientation platform say how far its request is, as it does: a Bundle to a source of the router."""
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:2.999.67.1", "value": "IPP-ROSE-1", "type": {"coding": [PI]}}],
        "name": [{"use": "official", "family": "FICTIVE-ROSE", "given": ["MIREILLE"]}],
        "gender": "female",
        "birthDate": "1979-03-05",
    }
    moment = at.isoformat(timespec="seconds")
    asked = resources.task(
        "urn:uuid:1", "Orientation SSIAD", number=("urn:oid:2.999.67.90", "VT-1"), at=at, status=state
    )
    asked |= {"lastModified": moment, "code": {"coding": [{"system": "urn:oid:2.999.67.91", "code": "orientation"}]}}
    entries = [{"fullUrl": "urn:uuid:1", "resource": patient}, {"fullUrl": "urn:uuid:2", "resource": asked}]
    body = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    headers = {"Authorization": "Bearer cle-fictive-de-la-plateforme", "Content-Type": "application/fhir+json"}
    url = f"{scene.engine.address_of('trajectoire')}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        assert answer.status == 202, await answer.text()


async def test_s24_an_orientation_changes_state(template: Path, tmp_path: Path) -> None:
    async with rose_scene(template, tmp_path / "router", FEED) as scene:
        await scene.open(*whole_circle(), ("coordinator", coordinator()))
        spico = await scene.tool("spico", COORDINATOR, as_profile="spico")
        gp = await scene.tool("globule", GP)
        for tool in (spico, gp):
            await tool.subscribe([f"CommunicationRequest?patient={scene.patient}"])
            await scene.until(lambda tool=tool: [one for one in tool.notices if one.kind == "handshake"])
        await orient(scene, "requested", scene.now())
        await scene.until(lambda: scene.told("TASK"))
        moment = scene.now() + timedelta(minutes=5)
        await orient(scene, "accepted", moment)
        await scene.until(lambda: len(scene.told("TASK")) == 2, 5)
        await scene.processed()
        [kept] = await spico.client.search("Task", patient=scene.patient)
        assert (kept["status"], kept["meta"]["versionId"]) == ("accepted", "2")
        assert datetime.fromisoformat(kept["lastModified"]) == moment.replace(microsecond=0)
        assert scene.told() == [("TASK", "coordinator")] * 2
        await scene.until(lambda: len([one for one in spico.notices if one.focus]) == 2, 5)
        assert [one for one in gp.notices if one.focus] == []
        # The same state told again is no news.
        await orient(scene, "accepted", moment)
        await scene.processed()
        assert len(scene.told()) == 2


def request_of_gp(scene: RoseScene, number: tuple[str, str]) -> Resource:
    """Mission 1: the general practitioner's office asks the coordination for support, about somebody new to it."""
    gp = {
        "resourceType": "Practitioner",
        "id": "gp",
        "identifier": [{"system": RPPS, "value": "89900000001"}],
        "name": [{"family": "TESTMEDECIN"}],
    }
    person = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": "urn:oid:2.999.67.1", "value": "IPP-ROSE-1", "type": {"coding": [PI]}}],
        "name": [{"use": "official", "family": "FICTIVE-ROSE", "given": ["MIREILLE"]}],
        "gender": "female",
        "birthDate": "1979-03-05",
    }
    made = resources.task("#p", "Mission 1 : appui au maintien à domicile", number=number, at=scene.now())
    owner = {"type": "Practitioner", "identifier": {"system": "urn:oid:2.999.67.7", "value": "COORD-1"}}
    return {**made, "contained": [gp, person], "requester": {"reference": "#gp"}, "owner": owner}


async def test_s25_a_request_before_any_dossier(empty: RoseScene) -> None:
    scene = empty
    office, parcours = await scene.tool("globule", GP), await scene.tool("parcours", COORDINATOR, as_profile="parcours")
    outsider = await scene.tool("spico", NURSE, as_profile="spico")
    for tool in (office, parcours, outsider):
        await tool.subscribe(["Task?code:not=x"])
        await scene.until(lambda tool=tool: [one for one in tool.notices if one.kind == "handshake"])
    asked = await office.client.expect("POST", "Task", request_of_gp(scene, office.number()))
    path = f"Task/{asked['id']}"
    # No dossier comes of it: it waits at the identity desk, and is seen by its two parties.
    await scene.until(lambda: scene.rows(tables.item))
    assert [(row.kind, row.state, row.patient_id) for row in scene.rows(tables.item)] == [("task", "held", None)]
    assert scene.rows(tables.dossier) == []
    assert scene.told() == []
    [seen] = await parcours.client.search("Task", status="requested")
    assert seen["contained"][1]["name"][0]["family"] == "FICTIVE-ROSE"
    await scene.until(lambda: [one for one in parcours.notices if path in one.focus], 5)
    assert await outsider.client.search("Task") == []
    assert (await outsider.client.call("GET", path)).status == 403
    assert [one for one in outsider.notices if one.focus] == []
    # Answered.
    answered = await parcours.client.expect("PUT", path, {**seen, "status": "accepted"}, If_Match='W/"1"')
    await scene.until(lambda: len([one for one in office.notices if path in one.focus]) == 2, 5)
    assert (await office.client.expect("GET", path))["status"] == "accepted"
    # Mission 2: the referent opens the dossier with the person's consent, and the coordinator says whose it was.
    await scene.open(("gp", doctor()), ("coordinator", coordinator()))
    await office.subscribe([f"CommunicationRequest?patient={scene.patient}"])
    [consent] = await parcours.client.search("Consent", patient=scene.patient)
    assert consent["category"][0]["coding"][1]["code"] == "opening-information"
    moment = scene.now().isoformat(timespec="seconds")
    done = {**answered, "for": {"reference": scene.patient}, "status": "completed", "lastModified": moment}
    await parcours.client.expect("PUT", path, done)
    await scene.until(lambda: ("ENDED", "gp") in scene.told(), 5)
    assert scene.told("ENDED") == [("ENDED", "gp"), ("ENDED", "coordinator")]
    assert {who for _, who in scene.told("TASK")} == {"coordinator"}
    [kept] = await office.client.search("Task", patient=scene.patient)
    assert (kept["id"], kept["status"]) == (asked["id"], "completed")
    history = await office.client.expect("GET", f"{path}/_history")
    assert [entry["resource"]["status"] for entry in history["entry"]] == ["completed", "accepted", "requested"]
    assert await outsider.client.search("Task") == []


async def test_s25_a_request_that_nobody_could_answer_is_refused(empty: RoseScene) -> None:
    scene = empty
    office = await scene.tool("globule", GP)
    asked = request_of_gp(scene, office.number())
    for task, status, words in (
        ({**asked, "owner": {"display": "la coordination"}}, 422, "who is to answer"),
        ({**asked, "requester": asked["owner"]}, 403, "who asks or who answers"),
        ({**asked, "for": {"reference": "Patient/00000000-0000-0000-0000-000000000000"}}, 422, "no such patient"),
    ):
        with pytest.raises(ServerRefused, match=words) as refused:
            await office.client.expect("POST", "Task", task)
        assert refused.value.status == status
    assert scene.rows(tables.item) == []


async def test_s26_an_evaluation(scene: RoseScene) -> None:
    ssiad = nurse(
        professional=professional("89900000006", "TESTSSIAD"),
        family=RoleFamily.MEDICO_SOCIAL,
        profession=Coding(system=G15, code="60"),
    )
    await scene.join("ssiad", ssiad)
    parcours = await scene.tool("parcours", SSIAD, as_profile="parcours")
    answer = {"valueCoding": {"system": GIR, "code": "MED-342", "display": "GIR 4"}}
    grid = resources.evaluation(
        scene.patient, AGGIR, [("GIR", "Groupe iso-ressources", answer)], author=parcours.author, at=scene.now()
    )
    kept = await parcours.client.expect("POST", "QuestionnaireResponse", grid)
    await parcours.post_document(scene.patient, "BIL_AUTO", "52", "Bilan d'autonomie", b"%PDF-1.4 GIR 4 fictif")
    gp, health = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    family = await scene.tool("famille", "urn:oid:2.999.67.8|FILLE-1", as_profile="mespatients")
    for tool, seen in ((gp, 1), (health, 1), (parcours, 1), (family, 0)):
        found = await tool.client.search("QuestionnaireResponse", patient=scene.patient)
        assert len(found) == seen, tool.name
        assert len(await tool.client.search("DocumentReference", patient=scene.patient, type="BIL_AUTO")) == seen
        if seen:
            assert found[0]["item"][0]["answer"][0]["valueCoding"]["code"] == "MED-342"
            assert found[0]["id"] == kept["id"]


async def test_s27_a_new_version_of_the_plan(scene: RoseScene) -> None:
    gp, health = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    first = await gp.post_plan(scene.patient, "PSI", b"%PDF-1.4 plan fictif 1")
    await scene.until(lambda: scene.told("DOC"))
    before = len(scene.told("DOC"))
    assert scene.told("DOC") == [("DOC", "gp"), ("DOC", "nurse"), ("DOC", "saad")]
    second = await gp.post_plan(
        scene.patient, "PSI", b"%PDF-1.4 plan fictif 2", replaces=f"DocumentReference/{first['id']}"
    )
    await scene.until(lambda: len(scene.told("DOC")) > before)
    await scene.processed()
    assert scene.told("DOC")[before:] == [("DOC", "gp"), ("DOC", "nurse"), ("DOC", "saad")]
    found = {
        one["id"]: one for one in await health.client.search("DocumentReference", patient=scene.patient, type="18776-5")
    }
    assert {number: one["status"] for number, one in found.items()} == {
        first["id"]: "superseded",
        second["id"]: "current",
    }
    assert found[second["id"]]["category"][0]["coding"][0]["code"] == "44"


def visit(scene: RoseScene, tool: Tool, start: datetime, words: str = "Aide à la toilette") -> Resource:
    made = resources.appointment(scene.patient, start, start + timedelta(hours=1), number=tool.number(), words=words)
    return dict(made)


def flags(appointment: Resource) -> list[str]:
    """What an appointment is marked with."""
    return [one["display"] for one in appointment.get("meta", {}).get("tag", [])]


async def test_s28_visits_of_the_next_two_days_are_flagged(scene: RoseScene) -> None:
    saad = await scene.tool("saad", HELPER, structure=STRUCTURE)
    nurse_tool = await scene.tool("spico", NURSE, as_profile="spico")
    monday = datetime(2026, 3, 6, 8, 30, tzinfo=PARIS)
    made = await saad.client.expect("POST", "Appointment", visit(scene, saad, monday))
    await saad.client.expect("POST", "Appointment", visit(scene, saad, monday + timedelta(days=3), "Dans trois jours"))
    await nurse_tool.subscribe([f"Appointment?patient={scene.patient}"])
    await scene.until(lambda: [one for one in nurse_tool.notices if one.kind == "handshake"])
    assert (await scene.send(adt())).code == "AA"
    await scene.until(lambda: ("ADM", "saad") in scene.told(), 5)
    await scene.processed()
    found = {one["description"]: one for one in await saad.client.search("Appointment", patient=scene.patient)}
    kept = found["Aide à la toilette"]
    # Not cancelled: who planned it decides what becomes of it.
    assert (kept["id"], kept["status"], flags(kept)) == (made["id"], "booked", ["patient hospitalisé"])
    assert flags(found["Dans trois jours"]) == []
    # The change is in the feed of whoever follows the agenda, and in their calendar.
    await scene.until(lambda: [one for one in nurse_tool.notices if f"Appointment/{made['id']}" in one.focus], 5)
    seen = await nurse_tool.client.expect("GET", f"Appointment/{made['id']}")
    assert (flags(seen), version(seen)) == (["patient hospitalisé"], "2")
    calendar = await saad.client.call("GET", f"{scene.patient}/$agenda")
    assert "SUMMARY:[Patient hospitalisé] Aide à la toilette" in calendar.content.decode()
    # One that is booked while she is away is marked at once, and what a tool sends back of a mark says nothing.
    later = await saad.client.expect("POST", "Appointment", visit(scene, saad, monday + timedelta(hours=4), "Repas"))
    assert flags(later) == ["patient hospitalisé"]
    moved = {**later, "start": "2026-03-20T12:30:00+01:00", "end": "2026-03-20T13:30:00+01:00"}
    changed = await saad.client.expect("PUT", f"Appointment/{later['id']}", moved, If_Match=f'W/"{version(later)}"')
    assert (flags(changed), version(changed)) == ([], "2")
    left = "20260305171000+0100"
    await scene.send(adt("A03", "MSG0000002", at=left, movement="MVT-0002", left=left))
    await scene.until_found(lambda: unmarked(saad, scene))


def version(resource: Resource) -> str:
    return str(resource["meta"]["versionId"])


async def unmarked(tool: Tool, scene: RoseScene) -> bool:
    """Whether no visit is marked any more."""
    return not any(flags(one) for one in await tool.client.search("Appointment", patient=scene.patient))


async def test_s28_who_may_not_know_of_stays_sees_no_flag(scene: RoseScene) -> None:
    saad, gp = await scene.tool("saad", HELPER, structure=STRUCTURE), await scene.tool("globule", GP)
    start = datetime(2026, 3, 6, 8, 30, tzinfo=PARIS)
    await saad.client.expect("POST", "Appointment", visit(scene, saad, start))
    await scene.consent(
        ConsentKind.OPPOSITION_CATEGORY, members=(scene.members["saad"],), categories=(DataCategory.EVENTS,)
    )
    await scene.send(adt())
    await scene.processed()
    [seen] = await scene.until_found(lambda: gp.client.search("Appointment", patient=scene.patient))
    assert flags(seen) == ["patient hospitalisé"]
    [seen] = await saad.client.search("Appointment", patient=scene.patient)
    assert (seen["status"], flags(seen)) == ("booked", [])
    assert "hospitalisé" not in str(await saad.client.expect("GET", f"Appointment/{seen['id']}/_history"))
    for name in ("_tag", "away.tag"):
        assert (await saad.client.call("GET", f"Appointment?{name}=hospitalised")).status == 400
