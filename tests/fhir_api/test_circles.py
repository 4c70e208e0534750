"""The circle and the consents of a dossier, read as CareTeam and Consent."""

from __future__ import annotations

from typing import Any

from dossier_scene import daughter, home_help, nurse

from router.dossier.circle import end_member
from schemas.consent import ConsentKind

Rig = Any
NURSE = "https://rpps.esante.gouv.fr|89900000002"


async def test_s22_two_tools_read_the_same_circle_and_its_former_versions(rig: Rig) -> None:
    scene = rig.scene
    await rig.follow()
    number = scene.add(nurse())
    scene.add(home_help())
    scene.add(daughter())
    await rig.follow()
    path = (
        "CareTeam?patient.identifier=urn:oid:1.2.250.1.999.35.1|IPP000001&status=active"
        "&_include=CareTeam:participant&_include:iterate=PractitionerRole:practitioner"
    )
    first = (await rig.tool().get(path)).json()
    team = first["entry"][0]["resource"]
    kinds = [one["resource"]["resourceType"] for one in first["entry"] if one["search"]["mode"] == "include"]
    assert sorted(kinds) == ["Organization", "Practitioner", "Practitioner", "PractitionerRole", "RelatedPerson"]
    assert len(team["participant"]) == 4
    assert team["participant"][0]["role"][0]["coding"][0]["code"] == "PCP"
    second = (await rig.tool("autre", user=NURSE).get(path)).json()
    assert second["entry"][0]["resource"] == team
    assert scene.journal.apply(end_member(scene.patient, number, by=scene.by())).refusal is None
    await rig.follow()
    changed = (await rig.tool().get(f"CareTeam/{team['id']}")).json()
    assert int(changed["meta"]["versionId"]) == int(team["meta"]["versionId"]) + 1
    ended = [one for one in changed["participant"] if "end" in one["period"]]
    assert len(ended) == 1
    history = (await rig.tool().get(f"CareTeam/{team['id']}/_history")).json()
    assert {one["resource"]["meta"]["versionId"] for one in history["entry"]} >= {
        team["meta"]["versionId"],
        changed["meta"]["versionId"],
    }
    assert (await rig.tool("autre", user=NURSE).get(f"CareTeam/{team['id']}")).status == 403


async def test_consents_say_what_they_permit_and_deny(rig: Rig) -> None:
    rig.scene.consent(ConsentKind.HOSPITAL, given=False)
    await rig.follow()
    found = await rig.tool().found(f"Consent?patient={rig.patient}&status=active")
    said = {one["category"][0]["coding"][1]["code"]: one["provision"]["type"] for one in found}
    assert said == {"opening-information": "permit", "hospital-notification": "deny"}
