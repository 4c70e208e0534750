"""The agenda as a calendar: what the reader may see of it, under identities that stay, without a secret address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dossier_scene import nurse
from fhir_rig import NURSE
from fhir_samples import appointment

from schemas.consent import ConsentKind
from schemas.habilitation import DataCategory

Rig = Any


@pytest.fixture
async def rig(rig: Rig) -> Rig:
    rig.scene.add(nurse())
    await rig.follow()
    return rig


def visit(rig: Rig, days: int, **more: Any) -> dict[str, Any]:
    start = (rig.moment() + timedelta(days=days)).strftime("%Y-%m-%dT08:30:00+01:00")
    return {**appointment(rig.patient, start), "description": "Toilette, repas", **more}


async def test_a_visit_is_in_the_calendar_and_its_change_is_the_same_visit(rig: Rig) -> None:
    tool = rig.tool()
    made = (await tool.call("POST", "Appointment", visit(rig, 2))).json()
    await tool.call("POST", "Appointment", visit(rig, -200))
    answer = await rig.tool("idel", user=NURSE).get(f"{rig.patient}/$agenda", Accept="text/calendar")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/calendar")
    lines = answer.text.split("\r\n")
    assert lines.count("BEGIN:VEVENT") == 1, "what is long past is left out"
    assert f"UID:{made['id']}@localhost" in answer.text.replace("\r\n ", "") or f"UID:{made['id']}@" in answer.text
    assert {"SUMMARY:Toilette\\, repas", "SEQUENCE:0", "STATUS:CONFIRMED"} <= set(lines)
    assert "TESTROSE" not in answer.text
    await tool.call("PUT", f"Appointment/{made['id']}", {**made, "status": "cancelled"})
    again = (await tool.get(f"{rig.patient}/$agenda")).text.split("\r\n")
    assert {"SEQUENCE:1", "STATUS:CANCELLED"} <= set(again)


async def test_who_may_not_see_the_agenda_gets_none(rig: Rig) -> None:
    await rig.tool().call("POST", "Appointment", visit(rig, 2))
    rig.scene.consent(ConsentKind.OPPOSITION_CATEGORY, categories=(DataCategory.AGENDA,))
    assert (await rig.tool().get(f"{rig.patient}/$agenda")).status == 403
    stranger = rig.tool("autre", user="https://rpps.esante.gouv.fr|89900000077")
    assert (await stranger.get(f"{rig.patient}/$agenda")).status == 403
