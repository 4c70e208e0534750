"""A laboratory report that the pipeline committed, read by a tool: found, versioned, taken out, and kept from others."""

from __future__ import annotations

from typing import Any

Rig = Any

NURSE = "https://rpps.esante.gouv.fr|89900000002"
HELPER = "urn:oid:2.999.67.9|AIDE-1"


async def test_a_report_is_found_by_its_patient_with_its_results(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    tool = rig.tool()
    answer = await tool.get(f"DiagnosticReport?patient={rig.patient}&_include=DiagnosticReport:result")
    bundle = answer.json()
    assert (answer.status, bundle["total"]) == (200, 1)
    modes = [one["search"]["mode"] for one in bundle["entry"]]
    assert modes[0] == "match"
    assert modes.count("include") == len(modes) - 1 > 0
    found = bundle["entry"][0]["resource"]
    assert found["subject"]["reference"] == rig.patient
    assert found["meta"]["versionId"] == "1"
    again = await tool.get(f"DiagnosticReport/{found['id']}")
    assert again.json() == found
    assert again.headers["etag"] == 'W/"1"'
    unchanged = await tool.get(f"DiagnosticReport/{found['id']}", If_None_Match='W/"1"')
    assert (unchanged.status, unchanged.body) == (304, b"")
