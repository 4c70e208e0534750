"""S30: what is left of S01 to S05 in the audit, and what the export says."""

from __future__ import annotations

import asyncio
import csv
import io
import json

import aiohttp
from click.testing import CliRunner
from rose_letters import mailed_letter
from rose_messages import adt
from rose_scene import DAUGHTER, GP, HELPER, INS, NURSE, STRUCTURE, RoseScene

from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import ROUTER
from router.cli.base import passerelle
from router.web.keys import make_api_key


async def test_s30_every_access_says_who_what_when_and_on_which_basis(scene: RoseScene) -> None:
    gp, nurse = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    family = await scene.tool("famille", DAUGHTER, as_profile="mespatients")
    await scene.send(adt())
    await scene.processed()
    note = await gp.post_note(scene.patient, "message", "Suivi", "Elle va bien.", visibility="MASQUE_PT")
    await nurse.client.expect("GET", f"DocumentReference/{note['id']}")
    assert (await family.client.call("GET", f"DocumentReference/{note['id']}")).status == 403
    key, change = make_api_key("export", now=int(scene.now().timestamp() * 1_000_000))
    await scene.apply(change)
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{scene.web}/api/v1/dossiers/{scene.patient_number}/accesses?limit=200"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        found = (await answer.json())["accesses"]
    assert all(one["at"] and one["reader"] and one["rule"] for one in found)
    reads = [one for one in found if one["category"] == "notes"]
    basis = {(one["tool"], one["action"], one["allowed"], one["rule"]) for one in reads}
    assert ("globule", "write", True, "matrix") in basis
    assert ("spico", "read", True, "matrix") in basis
    assert ("famille", "read", False, "masque_pt") in basis
    told = json.dumps(found)
    assert "FICTIVE-ROSE" not in told
    assert "Elle va bien" not in told


async def test_s30_after_an_admission_and_a_discharge_with_its_letter(
    mailed: RoseScene, operator: MailOperator
) -> None:
    scene = mailed
    nurse, saad = (
        await scene.tool("spico", NURSE, as_profile="spico"),
        await scene.tool("saad", HELPER, structure=STRUCTURE),
    )
    # S01 to S03, then S05: who looks at what came of them is in the export, allowed or not.
    left = "20260305171000+0100"
    for message in (
        adt(),
        adt(),
        adt(control="MSG0000002"),
        adt("A03", "MSG0000003", at=left, movement="MVT-0002", left=left),
    ):
        await scene.send(message)
    operator.deliver(ROUTER, mailed_letter())
    await scene.until(lambda: scene.told("DOC"))
    await scene.processed()
    [letter] = await scene.until_found(lambda: nurse.client.search("DocumentReference", patient=scene.patient))
    await nurse.client.search("Encounter", patient=scene.patient)
    await nurse.file_of(letter)
    assert (await saad.client.call("GET", f"DocumentReference/{letter['id']}")).status == 403
    answer = await scene.ask("GET", f"dossiers/{scene.patient_number}/accesses?limit=200")
    found = (await answer.json())["accesses"]
    basis = {(one["tool"], one["category"], one["action"], one["allowed"], one["rule"]) for one in found}
    assert ("spico", "events", "read", True, "matrix") in basis
    assert ("spico", "documents", "read", True, "matrix") in basis
    assert ("saad", "documents", "read", False, "matrix") in basis
    assert all(one["at"] and one["reader"] and one["rule"] for one in found)
    assert {one["reader"] for one in found if one["tool"] == "spico"} == {"tool:spico for 89900000002"}


async def test_s30_indicators_count_without_names(scene: RoseScene) -> None:
    gp, nurse = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    await nurse.subscribe([f"CommunicationRequest?patient={scene.patient}"])
    await scene.until(lambda: [one for one in nurse.notices if one.kind == "handshake"])
    await scene.send(adt())
    for rank in range(6):
        await gp.post_note(scene.patient, "message", f"Suivi {rank}", "Elle va bien.")
    for rank in range(5):
        await gp.post_document(scene.patient, "34133-9", "11", f"Synthèse {rank}", b"%PDF-1.4 fictive")
    await gp.post_document(scene.patient, "11490-0", "10", "Lettre", b"%PDF-1.4 fictive")
    await scene.processed()
    await scene.until(lambda: len([one for one in nurse.notices if one.focus]) >= 13)
    path = scene.folder / "mars.csv"
    command = ["dossier", "indicators", "--month", "2026-03", "--csv", str(path), "--config", str(scene.folder)]
    shown = await asyncio.to_thread(CliRunner().invoke, passerelle, command)
    assert shown.exit_code == 0, shown.output
    text = path.read_text(encoding="utf-8-sig")
    rows = {row["indicator"]: row["value"] for row in csv.DictReader(io.StringIO(text), delimiter=";")}
    # One dossier, one admission: small numbers are not shown, so that nobody is recognised by them.
    assert (rows["dossiers_active"], rows["events"], rows["alerts_ADM"]) == ("< 5",) * 3
    assert (rows["notes"], rows["notes_per_day"], rows["documents"]) == ("6", "0.2", "6")
    assert (rows["documents_34133-9"], rows["documents_11490-0"]) == ("5", "< 5")
    assert (rows["alerts_NOT"], rows["alerts_DOC"]) == ("6", "6")
    assert int(rows["alerts"]) >= 6
    assert 0 <= float(rows["delay_median_seconds"]) < 5
    for name in ("ROSE", "MIREILLE", "TESTMEDECIN", INS):
        assert name not in text.upper()
