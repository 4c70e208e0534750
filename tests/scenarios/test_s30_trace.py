"""S30: what is left of S01 to S05 in the audit, and what the export says."""

from __future__ import annotations

import asyncio
import csv
import io
import json

import aiohttp
from click.testing import CliRunner
from rose_messages import adt
from rose_scene import DAUGHTER, GP, INS, NURSE, RoseScene

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


async def test_s30_indicators_count_without_names(scene: RoseScene) -> None:
    gp, nurse = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    await nurse.subscribe([f"CommunicationRequest?patient={scene.patient}"])
    await scene.until(lambda: [one for one in nurse.notices if one.kind == "handshake"])
    await scene.send(adt())
    for rank in range(6):
        await gp.post_note(scene.patient, "message", f"Suivi {rank}", "Elle va bien.")
    await scene.processed()
    await scene.until(lambda: len([one for one in nurse.notices if one.focus]) >= 7)
    path = scene.folder / "mars.csv"
    command = ["dossier", "indicators", "--month", "2026-03", "--csv", str(path), "--config", str(scene.folder)]
    shown = await asyncio.to_thread(CliRunner().invoke, passerelle, command)
    assert shown.exit_code == 0, shown.output
    text = path.read_text(encoding="utf-8-sig")
    rows = {row["indicator"]: row["value"] for row in csv.DictReader(io.StringIO(text), delimiter=";")}
    # One dossier, one admission: small numbers are not shown, so that nobody is recognised by them.
    assert (rows["dossiers_active"], rows["events"], rows["alerts_ADM"]) == ("< 5",) * 3
    assert (rows["notes"], rows["documents"]) == ("6", "0")
    assert int(rows["alerts"]) >= 6
    assert 0 <= float(rows["delay_median_seconds"]) < 5
    for name in ("ROSE", "MIREILLE", "TESTMEDECIN", INS):
        assert name not in text.upper()
