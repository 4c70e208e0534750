"""Reading receipts: who has a thing, who said that they read it, and what follows when it is corrected."""

from __future__ import annotations

from typing import Any

import pytest
from dossier_scene import document, nurse
from fhir_rig import NURSE
from web_journal import person, report

from router.journal import tables
from schemas.lab import ResultStatus

Rig = Any


def readers(bundle: dict[str, Any]) -> dict[str, set[str]]:
    """Give what is said of each reader."""
    found = {}
    for one in bundle.get("parameter", []):
        parts = {part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in one["part"]}
        found[parts["name"]] = set(parts)
    return found


@pytest.fixture
async def rig(rig: Rig) -> Rig:
    rig.scene.add(nurse())
    await rig.follow()
    return rig


async def test_who_has_a_letter_and_who_read_it_is_told_to_who_may_read_it(rig: Rig) -> None:
    rig.scene.receive(document("d" * 32))
    await rig.follow()
    doctor, other = rig.tool(), rig.tool("idel", user=NURSE)
    (letter,) = await doctor.found(f"DocumentReference?patient={rig.patient}")
    await other.get(f"DocumentReference/{letter['id']}")
    assert (await doctor.call("POST", f"DocumentReference/{letter['id']}/$mark-read")).status == 204
    said = (await other.get(f"DocumentReference/{letter['id']}/$read-by")).json()
    assert readers(said) == {
        "Test TESTMEDECIN": {"name", "family", "since", "read"},
        "Test TESTINFIRMIERE": {"name", "family", "since"},
    }
    told = {row.member_id: row.state for row in rig.rows(tables.alert_notice)}
    assert told == {1: "read", 2: "queued"}
    first = rig.rows(tables.dossier_reading)
    await doctor.call("POST", f"DocumentReference/{letter['id']}/$mark-read")
    assert rig.rows(tables.dossier_reading) == first, "what was read is not read anew"


async def test_what_may_not_be_read_is_not_there_to_be_marked(rig: Rig) -> None:
    rig.scene.receive(document("d" * 32, labels=("MASQUE_PS",), author="89900000009"))
    await rig.follow()
    (letter,) = await rig.tool().found(f"DocumentReference?patient={rig.patient}")
    other = rig.tool("idel", user=NURSE)
    for method, path in (("POST", "$mark-read"), ("GET", "$read-by")):
        assert (await other.call(method, f"DocumentReference/{letter['id']}/{path}")).status == 403
    assert {row.member_id for row in rig.rows(tables.dossier_reading)} == {1}


async def test_s09_a_correction_is_told_to_whoever_has_the_former_results(rig: Rig) -> None:
    scene = rig.scene
    scene.lab("1" * 32)
    await rig.follow()
    assert len(await rig.tool("idel", user=NURSE).found(f"DiagnosticReport?patient={rig.patient}")) == 1
    corrected = report(person(1), "2" * 32, number="LAB1")
    content = corrected.content.model_copy(update={"status": ResultStatus.CORRECTED})
    scene.receive(corrected.model_copy(update={"content": content, "replaces": "1" * 32}))
    assert [one[:2] for one in scene.notices() if one[0] == "CORRECTED"] == [("CORRECTED", 2)]
    await rig.follow()
    (latest,) = await rig.tool().found(f"DiagnosticReport?patient={rig.patient}")
    assert latest["status"] == "corrected"
    versions = (await rig.tool().get(f"DiagnosticReport/{latest['id']}/_history")).json()
    assert versions["total"] == 2
