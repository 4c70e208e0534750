"""The store on PostgreSQL as on SQLite: triggers, search, history, subscriptions' tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dossier_scene import Scene, doctor, stay
from fhir_rig import DOCTOR, Rig
from fhir_samples import letter
from fhir_subscriber import ADMISSIONS, alerted_over
from web_journal import open_journal

from router.journal import tables

pytestmark = pytest.mark.postgres


async def test_the_same_answers_come_from_postgresql(tmp_path: Path, postgres_journal: str) -> None:
    scene = Scene(open_journal(tmp_path, postgres_journal))
    scene.know(1)
    scene.open()
    scene.add(doctor())
    rig: Any = Rig(scene)
    scene.lab("a" * 32)
    await rig.follow()
    tool = rig.tool()
    made = await tool.call("POST", "DocumentReference", letter(rig.patient))
    assert made.status == 201, made.text
    (report,) = await tool.found("DiagnosticReport?patient.identifier=urn:oid:1.2.250.1.999.35.1|IPP000001")
    assert report["meta"]["versionId"] == "1"
    assert len(await tool.found("DocumentReference?date=2026-03-06&_sort=_lastUpdated&_count=1")) == 1
    assert (await tool.get(f"DocumentReference/{made.json()['id']}/_history")).json()["total"] == 1
    await _notices_leave(rig)
    rig.app.state.desk.close()
    scene.journal.store.close()


async def _notices_leave(rig: Any) -> None:
    """Tell of an admission and of its annulment by the tool of a member."""
    alerted, scene = alerted_over(rig), rig.scene
    since = scene.rows(tables.alert)[-1].id
    await alerted.subscribe("gp", ADMISSIONS, DOCTOR)
    for one in (stay("b" * 32), stay("c" * 32, "stay.cancelled", "A11")):
        scene.receive(one)
        await alerted.run()
    assert [(event, state) for event, _, _, state in scene.notices(since=since)] == [
        ("ADM", "delivered"),
        ("ANN", "delivered"),
    ]
    (found,) = await rig.tool("gp").found(f"CommunicationRequest?patient={rig.patient}&status=revoked")
    assert (await rig.tool("gp").call("POST", f"CommunicationRequest/{found['id']}/$mark-read")).status == 204
    assert [state for *_, state in scene.notices(since=since)] == ["read", "read"]
    await alerted.notifier.close()
