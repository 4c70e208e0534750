"""S05 to S09: a discharge with its letter, results by mail, critical and corrected ones."""

from __future__ import annotations

from rose_messages import oru
from rose_scene import GP, HELPER, STRUCTURE, RoseScene

POTASSIUM = "NM|2823-3^Potassium^LN||{value}|mmol/L|3.5-5.1|{flag}|||{status}|||20260305080000+0100"
PRESCRIBER = "89900000005^TESTPRESCRIPTEUR^Paul^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^^^^RPPS"


async def test_s08_a_critical_result_presses_the_gp_and_the_prescriber(scene: RoseScene) -> None:
    gp, saad = await scene.tool("globule", GP), await scene.tool("saad", HELPER, structure=STRUCTURE)
    ack = await scene.send(oru("LAB0000001", POTASSIUM.format(value="7.1", flag="HH", status="F")))
    assert ack.code == "AA"
    await scene.until(lambda: scene.told("CRITICAL"), 5)
    assert scene.told("CRITICAL") == [("CRITICAL", "gp")]
    [report] = await scene.until_found(lambda: gp.client.search("DiagnosticReport", patient=scene.patient))
    assert report["status"] == "final"
    [result] = await gp.client.search("Observation", patient=scene.patient)
    assert (result["valueQuantity"]["value"], result["valueQuantity"]["code"]) == (7.1, "mmol/L")
    assert result["interpretation"][0]["coding"][0]["code"] == "HH"
    assert await saad.client.search("DiagnosticReport", patient=scene.patient) == []
