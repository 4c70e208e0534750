"""The store on PostgreSQL as on SQLite: triggers, search, history, subscriptions' tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dossier_scene import Scene, doctor
from fhir_rig import Rig
from fhir_samples import letter
from web_journal import open_journal

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
    rig.app.state.desk.close()
    scene.journal.store.close()
