"""S05 to S09: a discharge with its letter, results by mail, critical and corrected ones."""

from __future__ import annotations

from mails import attached, mail, text
from rose_letters import mailed_letter
from rose_messages import adt, medecin, oru
from rose_scene import DAUGHTER, GP, HELPER, NURSE, STRUCTURE, RoseScene

from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import HOSPITAL, ROUTER
from connectors.sandbox.tools import Tool
from router.journal import tables

POTASSIUM = "NM|2823-3^Potassium^LN||{value}|mmol/L|3.5-5.1|{flag}|||{status}|||20260305080000+0100"
PRESCRIBER = "89900000002^TESTINFIRMIERE^Test^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^^^^RPPS"


async def test_s05_a_discharge_and_its_letter(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    gp, nurse = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    family, saad = await scene.tool("famille", DAUGHTER), await scene.tool("saad", HELPER, structure=STRUCTURE)
    for tool in (nurse, family, saad):
        await tool.subscribe([f"CommunicationRequest?patient={scene.patient}"])
    await scene.send(adt())
    await scene.send(
        adt("A03", "MSG0000002", at="20260305171000+0100", movement="MVT-0002", left="20260305171000+0100")
    )
    operator.deliver(ROUTER, mailed_letter())
    await scene.until(lambda: scene.told("DOC"))
    await scene.processed()
    assert scene.told("SOR") == [("SOR", name) for name in ("gp", "nurse", "saad", "daughter")]
    assert scene.told("DOC") == [("DOC", "gp"), ("DOC", "nurse")]
    # Whoever has a tool that listens is told of the discharge by an alert of the type SOR (NdE).
    for tool in (nurse, family, saad):
        await scene.until_found(lambda tool=tool: told_of(tool, "SOR"), 5)
    assert await told_of(family, "DOC") == []
    [stay] = [one for one in await gp.client.search("Encounter", patient=scene.patient) if "partOf" not in one]
    assert stay["period"]["end"] == "2026-03-05T17:10:00+01:00"
    [letter] = await gp.client.search("DocumentReference", patient=scene.patient, type="11490-0")
    assert letter["category"][0]["coding"][0]["code"] == "10"
    role = await gp.client.expect("GET", letter["author"][0]["reference"])
    author = await gp.client.expect("GET", role["practitioner"]["reference"])
    hospital = await gp.client.expect("GET", role["organization"]["reference"])
    assert (author["name"][0]["family"], hospital["name"]) == ("TESTEUR", "HOPITAL FICTIF")
    assert len(await nurse.client.search("DocumentReference", patient=scene.patient)) == 1
    for tool in (family, saad):
        assert await tool.client.search("DocumentReference", patient=scene.patient) == []
        assert (await tool.client.call("GET", f"DocumentReference/{letter['id']}")).status == 403


async def told_of(tool: Tool, event: str) -> list[str]:
    """The alerts of a type (TRE_R254) that a tool was told of."""
    told = {focus for one in tool.notices for focus in one.focus if focus.startswith("CommunicationRequest/")}
    found = [await tool.client.expect("GET", one) for one in sorted(told)]
    return [
        one["id"]
        for one in found
        for each in one["extension"]
        if "event-type" in each["url"] and each["valueCodeableConcept"]["coding"][0]["code"] == event
    ]


async def test_s06_a_letter_that_the_person_is_not_to_read(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    operator.deliver(ROUTER, mailed_letter("R", "INVISIBLE_PATIENT"))
    await scene.until(lambda: scene.told("DOC"))
    await scene.processed()
    assert scene.told() == [("DOC", "gp"), ("DOC", "nurse")]
    for name, user, structure, seen in (
        ("globule", GP, "", 1),
        ("spico", NURSE, "", 1),
        ("saad", HELPER, STRUCTURE, 0),
        ("famille", DAUGHTER, "", 0),
    ):
        tool = await scene.tool(name, user, structure=structure)
        assert len(await tool.client.search("DocumentReference", patient=scene.patient)) == seen, name


def results_by_mail(name: str = "FICTIVE-ROSE") -> bytes:
    return mail(
        text("Résultats du jour."),
        attached(b"\xd0\xcf\x11\xe0 fictif", "compte-rendu.doc", "application/msword"),
        attached(medecin(name), "RESU labo.hpm"),
        From=f"Laboratoire fictif <{HOSPITAL}>",
        To=ROUTER,
        Subject="Resultats",
        Message_ID=f"<{name}@sandbox.mssante.invalid>",
    )


async def test_s07_results_by_mail(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    gp = await scene.tool("globule", GP)
    operator.deliver(ROUTER, results_by_mail())
    assert len(await scene.until_found(lambda: gp.client.search("DiagnosticReport", patient=scene.patient))) == 1
    [result] = [one for one in await gp.client.search("Observation", patient=scene.patient) if "valueQuantity" in one]
    assert result["valueQuantity"]["value"] == 4.1
    await scene.processed()
    message, *_ = scene.rows(tables.message)  # the receipt of the notice to the GP may have come by now
    kinds = {row.kind: row for row in scene.rows(tables.item)}
    assert kinds["lab_report"].message_id == kinds["document"].message_id == message.id


async def test_s07_results_of_somebody_else_wait(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    gp = await scene.tool("globule", GP)
    operator.deliver(ROUTER, results_by_mail("TESTINCONNUE"))
    await scene.until(lambda: [one for one in scene.rows(tables.message) if one.state == "held"])
    await scene.processed()
    assert await gp.client.search("DiagnosticReport", patient=scene.patient) == []
    held = {row.kind: (row.state, row.reason) for row in scene.rows(tables.item)}
    assert held["lab_report"] == ("held", "trait_mismatch")
    assert {state for state, _ in held.values()} == {"held"}
    assert len(scene.rows(tables.message)) == 1


async def test_s08_a_critical_result_presses_the_gp_and_the_prescriber(scene: RoseScene) -> None:
    gp, saad = await scene.tool("globule", GP), await scene.tool("saad", HELPER, structure=STRUCTURE)
    critical = POTASSIUM.format(value="7.1", flag="HH", status="F")
    assert (await scene.send(oru("LAB0000001", critical, prescriber=PRESCRIBER))).code == "AA"
    await scene.until(lambda: scene.told("CRITICAL"), 5)
    assert scene.told("CRITICAL") == [("CRITICAL", "gp"), ("CRITICAL", "nurse")]
    assert {one.level for one in scene.rows(tables.alert) if one.event == "CRITICAL"} == {"urgent"}
    [report] = await scene.until_found(lambda: gp.client.search("DiagnosticReport", patient=scene.patient))
    assert report["status"] == "final"
    [result] = await gp.client.search("Observation", patient=scene.patient, code="2823-3")
    assert (result["valueQuantity"]["value"], result["valueQuantity"]["code"]) == (7.1, "mmol/L")
    assert result["interpretation"][0]["coding"][0]["code"] == "HH"
    assert await saad.client.search("DiagnosticReport", patient=scene.patient) == []


async def test_s08_a_prescriber_outside_the_circle_is_called_by_a_person(scene: RoseScene) -> None:
    outsider = PRESCRIBER.replace("89900000002", "89900000077").replace("TESTINFIRMIERE", "TESTDEHORS")
    critical = POTASSIUM.format(value="7.1", flag="HH", status="F")
    await scene.send(oru("LAB0000001", critical, prescriber=outsider))
    await scene.until(lambda: scene.told("CRITICAL"), 5)
    await scene.processed()
    # Nothing of the dossier may go outside of the circle without her consent: whoever keeps it is asked to call.
    assert scene.told("CRITICAL") == [("CRITICAL", "gp")]
    assert [row.kind for row in scene.rows(tables.identity_task)] == ["critical_prescriber_outside"]
    assert scene.rows(tables.delivery) == []


async def test_s09_a_corrected_result_is_told_to_who_saw_the_former(scene: RoseScene) -> None:
    gp, nurse = await scene.tool("globule", GP), await scene.tool("spico", NURSE)
    await scene.send(oru("LAB0000001", POTASSIUM.format(value="5.9", flag="H", status="P"), status="P"))
    [former] = await scene.until_found(lambda: gp.client.search("DiagnosticReport", patient=scene.patient))
    assert former["status"] == "preliminary"
    await gp.client.expect("GET", f"DiagnosticReport/{former['id']}")
    await scene.send(oru("LAB0000002", POTASSIUM.format(value="4.9", flag="N", status="C"), status="C"))
    await scene.until(lambda: scene.told("CORRECTED"), 5)
    await scene.processed()
    assert scene.told("CORRECTED") == [("CORRECTED", "gp")]
    [latest] = await nurse.client.search("DiagnosticReport", patient=scene.patient)
    assert (latest["id"], latest["status"]) == (former["id"], "corrected")
    [result] = await nurse.client.search("Observation", patient=scene.patient, code="2823-3")
    assert (result["valueQuantity"]["value"], result["status"]) == (4.9, "corrected")
    history = await nurse.client.expect("GET", f"Observation/{result['id']}/_history")
    assert [one["resource"]["valueQuantity"]["value"] for one in history["entry"]] == [4.9, 5.9]
