"""S05 to S09: a discharge with its letter, results by mail, critical and corrected ones."""

from __future__ import annotations

from mails import attached, mail, text
from rose_messages import adt, medecin, oru
from rose_scene import DAUGHTER, GP, HELPER, NURSE, STRUCTURE, RoseScene
from xdm_archives import CONFIDENTIALITY, cda, classification, entry, xdm

from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import HOSPITAL, ROUTER
from router.journal import tables

POTASSIUM = "NM|2823-3^Potassium^LN||{value}|mmol/L|3.5-5.1|{flag}|||{status}|||20260305080000+0100"
PRESCRIBER = "89900000002^TESTINFIRMIERE^Test^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^^^^RPPS"


def mailed_letter(*labels: str, number: str = "1.2.250.1.999.67.1") -> bytes:
    """The hospital's mail with the letter of discharge, under further confidentiality codes."""
    content = cda(number)
    marks = "".join(classification(CONFIDENTIALITY, one, "1.2.250.1.213.1.1.4.13", one) for one in labels)
    archive = xdm(document=content, listed=entry(content, unique_id=number, inside=marks))
    return mail(
        text("Veuillez trouver ci-joint la lettre."),
        attached(archive, "IHE_XDM.ZIP", "application/zip"),
        From=f"Hopital fictif <{HOSPITAL}>",
        To=ROUTER,
        Subject="XDM/1.0/DDM+Lettre de liaison",
        Message_ID=f"<{number}@sandbox.mssante.invalid>",
    )


async def test_s05_a_discharge_and_its_letter(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    gp, nurse = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    family, saad = await scene.tool("famille", DAUGHTER), await scene.tool("saad", HELPER, structure=STRUCTURE)
    await scene.send(adt())
    await scene.send(
        adt("A03", "MSG0000002", at="20260305171000+0100", movement="MVT-0002", left="20260305171000+0100")
    )
    operator.deliver(ROUTER, mailed_letter())
    await scene.until(lambda: scene.told("DOC"))
    await scene.processed()
    assert scene.told("SOR") == [("SOR", name) for name in ("gp", "nurse", "saad", "daughter")]
    assert scene.told("DOC") == [("DOC", "gp"), ("DOC", "nurse")]
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
    [message] = scene.rows(tables.message)
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
