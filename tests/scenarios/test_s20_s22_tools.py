"""S20 to S22: tools that poll, whose webhook is down, and that read the same circle."""

from __future__ import annotations

from typing import Any

from dossier_scene import SAAD, doctor
from rose_messages import adt
from rose_scene import GP, NURSE, RPPS, RoseScene

from router.dossier.store.circles import BASIS
from router.journal import tables


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
        # The wait begins when the router has noted the refusal: time that passes before that would only be added to it.
        await scene.until(lambda: noted(scene) >= len(told(gp)))
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


def noted(scene: RoseScene) -> int:
    """Count the sendings of notices of which the router has noted what came."""
    return sum(row.attempts for row in scene.rows(tables.subscription_event))


def told(tool: Any) -> list[Any]:
    return [one for one in tool.notices if one.kind == "event-notification"]


def circle_of(scene: RoseScene) -> dict[str, Any]:
    """A circle as a tool creates it (cds-bundle-transaction-creation): a nurse, the home help service, the daughter."""
    number = {"system": "urn:oid:2.999.67.1", "value": "IPP-ROSE-1"}
    own = {"system": "urn:oid:2.999.67.8", "value": "FILLE-1"}
    since = {"start": "2026-03-01"}
    basis = [{"url": BASIS, "valueString": "prescription de soins infirmiers"}]
    role = {"coding": [{"system": "urn:oid:1.2.250.1.71.1.2.7", "code": "60"}]}
    home_help = {"coding": [{"system": "urn:oid:1.2.250.1.213.1.6.1.4", "code": "41"}]}
    resources = {
        "patient": {"resourceType": "Patient", "identifier": [number]},
        "nurse": {
            "resourceType": "Practitioner",
            "identifier": [{"system": RPPS, "value": "89900000002"}],
            "name": [{"family": "TESTINFIRMIERE", "given": ["Test"]}],
        },
        "saad": {
            "resourceType": "Organization",
            "identifier": [{"system": "http://finess.esante.gouv.fr", "value": SAAD.identifiers[0].value}],
            "name": "SAAD FICTIF",
        },
        "daughter": {
            "resourceType": "RelatedPerson",
            "identifier": [own],
            "patient": {"reference": "urn:uuid:patient"},
            "name": [{"family": "FICTIVE-FILLE", "given": ["Anne"]}],
            "telecom": [{"system": "phone", "value": "0600000000"}],
        },
        "team": {
            "resourceType": "CareTeam",
            "identifier": [{"system": "urn:oid:2.999.67.40", "value": "CERCLE-1"}],
            "status": "active",
            "name": "Cercle de soins",
            "subject": {"reference": "urn:uuid:patient"},
            "period": since,
            "participant": [
                {"member": {"reference": "urn:uuid:nurse"}, "role": [role], "period": since, "extension": basis},
                {"member": {"reference": "urn:uuid:saad"}, "role": [home_help], "period": since},
                {"member": {"reference": "urn:uuid:daughter"}, "period": since},
            ],
        },
    }
    entries = [
        {
            "fullUrl": f"urn:uuid:{name}",
            "resource": one,
            "request": {"method": "POST", "url": one["resourceType"]},
        }
        for name, one in resources.items()
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def test_s22_two_tools_keep_the_same_circle(empty: RoseScene) -> None:
    scene = empty
    await scene.open(("gp", doctor()))
    one, other = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    done = await one.client.call("POST", "", circle_of(scene))
    assert (done.status, done.resource["type"]) == (200, "transaction-response"), done.content
    locations = [entry["response"]["location"] for entry in done.resource["entry"]]
    team, people = await circle_seen_by(one, scene)
    assert f"CareTeam/{team['id']}/_history/{team['meta']['versionId']}" == locations[4]
    assert f"RelatedPerson/{people[3]['id']}/_history/1" == locations[3]
    # The nurse is of the care team, as the tool says why, and reads the same; who was only named waits for a consent.
    same, same_people = await circle_seen_by(other, scene)
    assert (team, people) == (same, same_people)
    assert [member["resourceType"] for member in people] == [
        "PractitionerRole", "Practitioner", "Organization", "RelatedPerson"
    ]  # fmt: skip
    assert [row.state for row in scene.rows(tables.dossier_member)] == ["active", "active", "proposed", "proposed"]
    assert all("start" in member["period"] for member in team["participant"])
    refused = await other.client.call("PUT", f"CareTeam/{team['id']}", team)
    assert refused.status == 403, "a nurse reads who is in the circle, and decides nothing about it"
    # Edited in one tool: the nurse's role changes, and the home help service leaves.
    nurse, saad = team["participant"][1], team["participant"][2]
    nurse["role"].append({"coding": [{"system": "urn:oid:2.16.840.1.113883.5.110", "code": "AGNT"}]})
    edited = {**team, "participant": [one_ for one_ in team["participant"] if one_ is not saad]}
    version = team["meta"]["versionId"]
    put = await one.client.call("PUT", f"CareTeam/{team['id']}", edited, If_Match=f'W/"{version}"')
    assert put.status == 200, put.content
    stale = await one.client.call("PUT", f"CareTeam/{team['id']}", edited, If_Match=f'W/"{version}"')
    assert stale.status == 412
    changed, _ = await circle_seen_by(other, scene)
    assert int(changed["meta"]["versionId"]) > int(version)
    assert "AGNT" in str(changed["participant"][1]["role"])
    assert "end" in changed["participant"][2]["period"]
    history = await other.client.expect("GET", f"CareTeam/{team['id']}/_history")
    versions = {entry["resource"]["meta"]["versionId"] for entry in history["entry"]}
    assert {version, changed["meta"]["versionId"]} <= versions
    # What was done is in the dossier's own history, with the tool and its user.
    done_by = {(row.action, row.actor) for row in scene.rows(tables.dossier_history)}
    assert {action for action, _ in done_by} >= {"add member", "change member", "end member"}


async def circle_seen_by(tool: Any, scene: RoseScene) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The one circle that a tool reads of her, and its members."""
    asked = {"patient__identifier": "urn:oid:2.999.67.1|IPP-ROSE-1", "status": "active"}
    (team,), people = await tool.client.search_all("CareTeam", **asked, _include="CareTeam:participant")
    return team, people


async def test_s22_a_circle_that_says_nothing_of_somebody_is_refused(scene: RoseScene) -> None:
    gp = await scene.tool("globule", GP)
    team, _ = await circle_seen_by(gp, scene)
    stranger = {"member": {"display": "Quelqu'un"}, "period": {"start": "2026-03-01"}}
    promoted = [{**one} for one in team["participant"]]
    promoted[1]["role"] = [{"coding": [{"system": "urn:oid:2.16.840.1.113883.5.88", "code": "PCP"}]}]
    for participants, words in (
        ([*team["participant"], stranger], "named by a number"),
        (promoted, "is a physician"),
    ):
        reply = await gp.client.call("PUT", f"CareTeam/{team['id']}", {**team, "participant": participants})
        assert reply.status == 422
        assert words in reply.resource["issue"][0]["diagnostics"], reply.content
    same, _ = await circle_seen_by(gp, scene)
    assert same == team
