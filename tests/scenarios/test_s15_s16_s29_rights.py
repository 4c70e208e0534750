"""S15, S16 and S29: oppositions, consents for outsiders, and the matrix, cell by cell."""

from __future__ import annotations

import asyncio
from typing import Any

from dossier_scene import G15, SAAD, coordinator, daughter, doctor, home_help, nurse, professional
from fhir_samples import appointment, letter, weight
from rose_messages import adt, oru
from rose_scene import COORDINATOR, DAUGHTER, GP, HELPER, NURSE, RPPS, STRUCTURE, RoseScene

from connectors.sandbox.tools import Tool
from router.dossier.matrix import default_matrix
from router.journal import tables
from schemas.actors import Organization
from schemas.circle import Member, MemberState, Preferences, RoleFamily
from schemas.coding import Coding, Identifier
from schemas.consent import ConsentKind
from schemas.habilitation import DataCategory, Level

SSIAD = f"{RPPS}|89900000006"
CCAS = "urn:oid:2.999.67.6|AS-1"


async def test_s15_an_opposition_shuts_at_once(scene: RoseScene) -> None:
    saad = await scene.tool("saad", HELPER, structure=STRUCTURE)
    gp = await scene.tool("globule", GP)
    await scene.send(adt(control="MSG0000001"))
    await scene.until(lambda: ("ADM", "saad") in scene.told())
    await scene.processed()
    assert len(await saad.client.search("Encounter", patient=scene.patient)) > 0
    await scene.consent(ConsentKind.OPPOSITION_MEMBER, members=(scene.members["saad"],))
    assert await saad.client.search("Encounter", patient=scene.patient) == []
    left = "20260305171000+0100"
    await scene.send(adt("A03", "MSG0000002", at=left, movement="MVT-0002", left=left))
    await scene.until(lambda: scene.told("SOR"))
    await scene.processed()
    assert scene.told("SOR") == [("SOR", name) for name in ("gp", "nurse", "daughter")]
    assert len(await gp.client.search("Encounter", patient=scene.patient)) > 0
    assert "opposition_member" in {row.rule for row in scene.rows(tables.dossier_access) if not row.allowed}


async def test_s16_an_outsider_sees_nothing_before_the_consent(scene: RoseScene) -> None:
    invited = Member(
        family=RoleFamily.SOCIAL,
        state=MemberState.PROPOSED,
        professional=professional("89900000007", "TESTCCAS").model_copy(
            update={"identifiers": (Identifier(system="urn:oid:2.999.67.6", value="AS-1"),)}
        ),
        organization=Organization(name="CCAS FICTIF", identifiers=(Identifier(value="670000007", type="FINEG"),)),
        start="2026-03-01",
        in_care_team=False,
    )
    await scene.join("ccas", invited)
    outsider, gp = await scene.tool("ccas", CCAS), await scene.tool("globule", GP)
    await gp.client.expect("POST", "Appointment", appointment(scene.patient, "2026-03-09T08:30:00+01:00"))
    await gp.post_note(scene.patient, "message", "Suivi", "Elle va bien.")
    await scene.processed()
    assert await outsider.client.search("Appointment", patient=scene.patient) == []
    await scene.send(adt())
    await scene.until(lambda: scene.told("ADM"))
    assert ("ADM", "ccas") not in scene.told()
    number = scene.members["ccas"]
    await scene.consent(ConsentKind.SHARE, members=(number,), categories=(DataCategory.AGENDA,))
    await scene.until_found(lambda: outsider.client.search("Appointment", patient=scene.patient))
    assert await outsider.client.search("DocumentReference", patient=scene.patient) == []
    assert await outsider.client.search("Encounter", patient=scene.patient) == []


SEARCHES: dict[DataCategory, tuple[str, dict[str, str]]] = {
    DataCategory.IDENTITY: ("CareTeam", {}),
    DataCategory.EVENTS: ("Encounter", {"class": "EMER"}),
    DataCategory.NOTES: ("DocumentReference", {"type": "GEN"}),
    DataCategory.DOCUMENTS: ("DocumentReference", {"type": "34133-9"}),
    DataCategory.LAB: ("DiagnosticReport", {}),
    DataCategory.MEASURES: ("Observation", {"code": "29463-7"}),
    DataCategory.PLANS: ("DocumentReference", {"type": "18776-5"}),
    DataCategory.AGENDA: ("Appointment", {}),
    DataCategory.SOCIAL: ("DocumentReference", {"type": "28653-4"}),
}


async def filled(scene: RoseScene, gp: Tool, coordination: Tool) -> None:
    """Put one thing of each category into the dossier."""
    await scene.send(adt())
    await scene.send(oru("LAB0000001", "NM|2823-3^Potassium^LN||4.1|mmol/L|3.5-5.1|N|||F", order="F-1"))
    await gp.post_note(scene.patient, "message", "Passage", "Elle est sortie marcher.")
    await gp.client.expect("POST", "Observation", weight(scene.patient))
    await gp.client.expect("POST", "Appointment", appointment(scene.patient, "2026-03-09T08:30:00+01:00"))
    await gp.client.expect("POST", "DocumentReference", letter(scene.patient))
    await gp.post_plan(scene.patient, "PSI", b"%PDF-1.4 plan fictif")
    await coordination.post_document(scene.patient, "28653-4", "95", "Fiche sociale", b"%PDF-1.4 fiche fictive")
    await scene.processed()


async def test_s29_each_cell_of_the_matrix(empty: RoseScene) -> None:
    scene = empty
    ssiad = nurse(
        professional=professional("89900000006", "TESTSSIAD"),
        family=RoleFamily.MEDICO_SOCIAL,
        profession=Coding(system=G15, code="60"),
    )
    helper = home_help(
        professional=professional("1", "TESTAVS").model_copy(
            update={"identifiers": (Identifier(system="urn:oid:2.999.67.6", value="AVS-1"),)}
        ),
        organization=SAAD,
    )
    await scene.open(
        ("gp", doctor()),
        ("nurse", nurse()),
        ("ssiad", ssiad),
        ("helper", helper),
        ("daughter", daughter(preferences=Preferences(events=True))),
        ("coordinator", coordinator()),
    )
    await scene.consent(ConsentKind.SHARE, members=(scene.members["daughter"],))
    users = {
        RoleFamily.PHYSICIAN: GP,
        RoleFamily.HEALTH: NURSE,
        RoleFamily.MEDICO_SOCIAL: SSIAD,
        RoleFamily.SOCIAL: HELPER,
        RoleFamily.RELATIVE: DAUGHTER,
        RoleFamily.COORDINATION: COORDINATOR,
    }
    tools = {
        family: await scene.tool(f"outil-{family.value.replace('_', '-')}", user) for family, user in users.items()
    }
    gp = tools[RoleFamily.PHYSICIAN]
    await filled(scene, gp, tools[RoleFamily.COORDINATION])
    known: dict[DataCategory, str] = {}
    for category, (kind, asked) in SEARCHES.items():
        # The general practitioner reads everything: there is one thing of each category.
        found = await gp.client.search(kind, patient=scene.patient, **asked)
        found = [one for one in found if "partOf" not in one]
        assert len(found) == 1, (category, found)
        known[category] = f"{kind}/{found[0]['id']}"
    await asyncio.gather(*(reads_what_the_matrix_says(tool, family, scene, known) for family, tool in tools.items()))


async def reads_what_the_matrix_says(
    tool: Tool, family: RoleFamily, scene: RoseScene, known: dict[DataCategory, str]
) -> None:
    """Try to read one thing of each category; what may not be read is answered as what is not there."""
    for category, (kind, asked) in SEARCHES.items():
        reads = default_matrix().cell(family, category).level in {Level.READ, Level.ALL}
        where = f"{family.value}, {category.value}"
        assert (await total(tool, kind, scene.patient, asked) > 0) is reads, where
        answer = await tool.client.call("GET", known[category])
        if reads:
            assert answer.status == 200, where
            continue
        nowhere = await tool.client.call("GET", f"{kind}/00000000-0000-0000-0000-000000000000")
        assert (answer.status, answer.resource["issue"]) == (403, nowhere.resource["issue"]), where


async def total(tool: Tool, kind: str, patient: str, asked: dict[str, Any]) -> int:
    """The total that a search tells."""
    query = "&".join(f"{name}={value}" for name, value in {"patient": patient, **asked}.items())
    found = await tool.client.expect("GET", f"{kind}?{query}&_summary=count")
    return int(found["total"])
