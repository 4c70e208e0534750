"""The story is told as hospitals and laboratories would send it, and its account sees what is missing."""

from __future__ import annotations

import asyncio
import io
import socket
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from connectors.http.simulator import WebReceiver
from connectors.sandbox.coordination import Coordination
from connectors.sandbox.dmp.population import key_of
from connectors.sandbox.fhir_store import Resource
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.mail_people import ROUTER
from connectors.sandbox.mllp import control_id_of
from connectors.sandbox.people import ROSE
from connectors.sandbox.tools import Notice, Tool, profile
from connectors.sandbox.tools.tool import AlertLine
from router.demo.account import Outcome, patients_at_tool, print_account
from router.demo.circle import CircleTools
from router.demo.gentle import DAY_SECONDS, rhythm
from router.demo.scene import InDmp, Mailed, Scene
from router.demo.stage import Stage, free_or_any
from router.demo.stage_outside import Outside
from router.demo.story import Story, last_thursday
from router.trial.process import Listening, RouterProcess

THURSDAY = datetime(2026, 3, 5, tzinfo=PARIS)
SCENE = Scene(
    THURSDAY,
    "Laboratory",
    "results",
    "laboratoire",
    "LABO-1",
    "AA",
    resources=(("DiagnosticReport", "LAB1", "final"),),
    copied=True,
    mail=Mailed("filed, answered", message_id="<1@test>"),
    dmp=InDmp("held", "2.25.1"),
)
GOOD = Outcome(SCENE, "processed", "DiagnosticReport, final", copied=True, mail="filed, answered", dmp="held")


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - the zone is added below
def test_thursday_is_the_last_whose_monday_is_past(moment: datetime) -> None:
    now = moment.replace(tzinfo=PARIS)
    thursday = last_thursday(now)
    assert thursday.weekday() == 3
    assert timedelta(days=4, hours=22) <= now - thursday <= timedelta(days=12, hours=2)


class Nobody:
    """An identity desk at which nobody sits."""

    async def resolve_by_insi(self) -> None:
        return None

    async def resolve_by_hand(self) -> bool:
        return False


async def test_every_scene_is_sent_for_real(tmp_path: Path, services: Outside, tool: WebReceiver) -> None:
    messages: list[bytes] = []

    async def acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while frame := await reader.readuntil(b"\x1c\r"):
                messages.append(frame[1:-2])
                writer.write(f"\x0bMSH|^~\\&|\rMSA|AA|{control_id_of(frame[1:-2])}\r\x1c\r".encode())
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(acknowledge, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        sources = {"hopital": address, "laboratoire": address, "dossier": f"{tool.url}/notes"}
        listening = Listening(1, "", sources)
        stage = Stage(tmp_path, RouterProcess(tmp_path), listening, Coordination(), services, "secret", "key of notes")
        scenes = [scene async for scene in Story(stage, THURSDAY, Nobody()).play()]

    assert [scene.at for scene in scenes] == sorted(scene.at for scene in scenes)
    kinds = [message.split(b"|")[8].split(b"^")[1].decode() for message in messages]
    assert kinds == ["A01", "R01", "A02", "R01", "A03", "T02", "T10", "T02", "R01", "A40", "R01", "R01"]
    by_mllp = [scene.control_id for scene in scenes if scene.source in {"hopital", "laboratoire"}]
    assert by_mllp == [control_id_of(message) for message in messages]
    dropped = {scene.control_id for scene in scenes if scene.source == "depot"}
    assert dropped == {path.name for path in stage.inbox.iterdir()}
    [note] = [scene for scene in scenes if scene.source == "dossier"]
    assert [one.headers["x-message-id"] for one in tool.received] == [note.control_id]
    assert tool.received[0].headers["x-api-key"] == "key of notes"
    mailbox = services.operator.opened(ROUTER)
    assert mailbox is not None
    assert len(mailbox.contents()) == [scene.source for scene in scenes].count("messagerie") == 2
    [deposit] = [scene.control_id for scene in scenes if scene.source == "dmp"]
    assert deposit in {entry.unique_id for entry in services.dmp.store.entries(key_of(ROSE))}
    assert [scene.state for scene in scenes].count("processed") == 17
    assert {scene.state for scene in scenes} == {"processed", "held", "rejected"}
    told = [one for scene in scenes if scene.state == "processed" for one in scene.resources]
    reports = [identifier for kind, identifier, _ in told if kind == "DiagnosticReport"]
    assert len(reports) == 7
    assert len(set(reports)) == 6  # the correction is the same report again
    assert len([kind for kind, _, _ in told if kind == "DocumentReference"]) == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "held"},
        {"at_tool": ""},
        {"at_tool": "DiagnosticReport, corrected"},
        {"copied": False},
        {"mail": "filed"},
        {"dmp": "held, Approved"},
    ],
)
def test_an_outcome_is_as_told_only_when_nothing_is_missing(changes: dict[str, object]) -> None:
    assert GOOD.as_told
    flawed = replace(GOOD, **changes)  # type: ignore[arg-type]  # each case names fields of the dataclass
    assert not flawed.as_told
    out = io.StringIO()
    print_account([GOOD, flawed], 2, Console(file=out, width=200))
    assert "1 of 2 scenes" in out.getvalue()
    assert "Not as told: Thu 00:00 results" in out.getvalue()
    assert "was promised, there is" in out.getvalue()
    assert "2 patients" in out.getvalue()


@pytest.mark.parametrize(("second", "patients"), [("IPP1", 1), ("IPP2", 2)])
def test_patients_at_the_tool_are_counted(second: str, patients: int) -> None:
    tool = Coordination()
    outcomes = []
    for number, (report, ipp) in enumerate((("LAB1", "IPP1"), ("LAB2", second))):
        patient = {"resourceType": "Patient", "identifier": [{"value": ipp}]}
        found = {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "identifier": [{"value": report}],
            "subject": {"reference": f"Patient?identifier={ipp}"},
        }
        for kind, resource in (("Patient", patient), ("DiagnosticReport", found)):
            value = ipp if kind == "Patient" else report
            entry = {"resource": resource, "request": {"method": "PUT", "url": f"{kind}?identifier={value}"}}
            bundle: Resource = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}  # type: ignore[list-item]  # dict is invariant; the JSON is what it says
            tool.store.apply(bundle)
        scene = replace(SCENE, control_id=str(number), resources=(("DiagnosticReport", report, "final"),))
        outcomes.append(replace(GOOD, scene=scene))
    assert patients_at_tool(tool, outcomes) == patients


def test_nothing_may_leave_for_what_is_held() -> None:
    held = replace(SCENE, state="held", copied=False, mail=None, dmp=None)
    assert Outcome(held, "held", "", copied=False).as_told
    assert not Outcome(held, "held", "DiagnosticReport, final", copied=False).as_told


def test_nights_are_quiet() -> None:
    assert rhythm(0) == pytest.approx(1)
    assert rhythm(DAY_SECONDS / 2) == pytest.approx(4)
    assert rhythm(DAY_SECONDS) == pytest.approx(1)


def test_a_taken_port_is_replaced_by_any() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_or_any(port) == 0
    assert free_or_any(port) == port


def test_the_circle_is_as_told_only_if_nothing_leaks() -> None:
    nurse, former = (Tool(profile("sicodom"), "http://127.0.0.1:1", name, "x") for name in ("nurse", "former"))
    circle = CircleTools(nurse, former)
    assert not circle.as_told
    for event in ("ADM", "SOR", "ADM"):
        nurse.alerts.append(AlertLine(0.0, "x", "", "", "", "CommunicationRequest/1", event, urgent=True))
    assert circle.told() == {"ADM": 2, "SOR": 1}
    former.notices.append(Notice(0.0, "1", "handshake", (), (), 200))
    assert circle.as_told, "a handshake says nothing of anybody"
    former.notices.append(Notice(0.0, "2", "event-notification", (1,), (), 200))
    assert (circle.as_told, circle.leaked) == (False, 1)
