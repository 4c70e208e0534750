"""S20 to S22: tools that poll, whose webhook is down, and that read the same circle."""

from __future__ import annotations

from typing import Any

from rose_messages import adt
from rose_scene import GP, NURSE, RoseScene

from router.dossier.circle import change_member
from schemas.coding import Coding


async def test_s20_pages_hold_everything_once_whatever_arrives(scene: RoseScene) -> None:
    gp, parcours = await scene.tool("globule", GP), await scene.tool("parcours", NURSE, as_profile="parcours")
    made = [await gp.post_note(scene.patient, "message", f"Note {rank}", "Texte.") for rank in range(7)]
    path = (
        "DocumentReference?patient.identifier=urn:oid:2.999.67.1|IPP-ROSE-1&status=current"
        "&_lastUpdated=gt2026-03-05T00:00:00Z&_count=3"
    )
    seen: list[str] = []
    pages = 0
    while path:
        bundle = await parcours.client.expect("GET", path)
        seen += [one["resource"]["id"] for one in bundle["entry"]]
        pages += 1
        if pages == 1:
            made.append(await gp.post_note(scene.patient, "message", "Pendant", "Arrivée entre deux pages."))
        links = {one["relation"]: one["url"] for one in bundle["link"]}
        path = links.get("next", "").partition("/fhir/")[2]
        assert "IPP-ROSE-1" not in path
    assert sorted(seen) == sorted(one["id"] for one in made)
    assert pages == 3
    await parcours.pull()
    assert {line.word for line in parcours.feed} == {"note de visite"}
    assert await parcours.pull() == [], "what was taken once is not taken again"


async def test_s21_a_webhook_that_is_down(scene: RoseScene) -> None:
    gp = await scene.tool("globule", GP)
    await gp.subscribe([f"Encounter?patient={scene.patient}&class=EMER"])
    await scene.until(lambda: [one for one in gp.notices if one.kind == "handshake"])
    gp.answers = [500, 500, 500]
    await scene.send(adt())
    left = "20260305171000+0100"
    await scene.processed()
    await scene.send(adt("A03", "MSG0000002", at=left, movement="MVT-0002", left=left))
    await scene.processed()
    for wait in (1.1, 5.1, 30.1):
        await scene.until(lambda: told(gp))
        count = len(told(gp))
        scene.later(seconds=wait)
        scene.engine.wake()
        await scene.until(lambda count=count: len(told(gp)) > count)
    first = told(gp)[0]
    attempts = [one for one in told(gp) if one.identity == first.identity]
    assert [one.status for one in attempts] == [500, 500, 500, 200]
    await scene.until(lambda: len({one.identity for one in told(gp) if one.status == 200}) >= 2)
    accepted = [one.events[0] for one in told(gp) if one.status == 200]
    assert accepted == sorted(set(accepted)), "each once, and in the order of the dossier"


def told(tool: Any) -> list[Any]:
    return [one for one in tool.notices if one.kind == "event-notification"]


async def test_s22_two_tools_read_the_same_circle(scene: RoseScene) -> None:
    one, other = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    asked = {"patient__identifier": "urn:oid:2.999.67.1|IPP-ROSE-1", "status": "active"}
    asked["_include"] = "CareTeam:participant"
    (team,), people = await one.client.search_all("CareTeam", **asked)
    (same,), same_people = await other.client.search_all("CareTeam", **asked)
    assert team == same
    assert [member["id"] for member in people] == [member["id"] for member in same_people]
    assert len(team["participant"]) == 5
    assert all("start" in member["period"] for member in team["participant"])
    # A circle is decided about by people (dashboard, API of the router), never by a tool's message.
    refused = await one.client.call("POST", "CareTeam", {**team, "id": "x"})
    assert refused.status == 405
    role = Coding(system="urn:oid:2.16.840.1.113883.5.110", code="AGNT")
    moved = scene.whole["nurse"].model_copy(update={"role": role})
    done = await scene.apply(change_member(scene.patient_number, scene.members["nurse"], moved, by=scene.by()))
    assert done.refusal is None
    scene.engine.wake()
    changed = await scene.until_found(lambda: newer(other, team))
    roles = [str(one.get("role")) for one in changed["participant"]]
    assert "AGNT" in roles[1]
    history = await other.client.expect("GET", f"CareTeam/{team['id']}/_history")
    versions = {entry["resource"]["meta"]["versionId"] for entry in history["entry"]}
    assert {team["meta"]["versionId"], changed["meta"]["versionId"]} <= versions


async def newer(tool: Any, team: dict[str, Any]) -> dict[str, Any] | None:
    found = await tool.client.expect("GET", f"CareTeam/{team['id']}")
    return found if int(found["meta"]["versionId"]) > int(team["meta"]["versionId"]) else None
