"""Documents that must conform before they leave: held with their findings, sent or set aside by a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from mini_package import GOOD, VERSION, carrying, document, write_package
from sqlalchemy import select

from router.cli.base import run
from router.config.model import RouteSection, ValidationSection
from router.journal import tables
from router.journal.actions import cancel_deliveries, replay_deliveries
from router.journal.queries_message import delivery_findings, load_delivery
from router.journal.view import viewing

Rig = Any

NO_TITLE = document(VERSION)
BEFORE = "held: the document does not conform (schematron.min: the title is missing)"


@pytest.fixture
async def strict(make_rig: Callable[..., Rig], tmp_path: Path) -> Any:
    rig = make_rig()
    rig.validate = "strict"
    rig.validation = ValidationSection(package=str(write_package(tmp_path / "package")))
    await rig.start()
    await rig.know("ROSE")
    yield rig
    await rig.stop()


def _row(rig: Rig, number: int = 1) -> Any:
    with rig.engine.store.reading() as connection:
        return connection.execute(select(tables.delivery).where(tables.delivery.c.id == number)).one()


def _held(rig: Rig) -> Callable[[], bool]:
    return lambda: rig.states(tables.delivery).get("held", 0) == 1


async def test_a_document_that_does_not_conform_is_held_with_its_findings(strict: Rig) -> None:
    await strict.submit_bytes(carrying(NO_TITLE), "1")
    await strict.until(_held(strict))
    assert strict.tried == []
    row = _row(strict)
    assert (row.detail, row.worst, row.ended_at, row.attempts) == (BEFORE, 3, None, 1)
    with viewing(strict.engine.store) as view:
        (finding,) = delivery_findings(view, 1)
        line = load_delivery(view, 1)
    assert (finding.code, finding.where, finding.message) == (
        "schematron.min",
        "/ClinicalDocument",
        "the title is missing",
    )
    assert line is not None
    assert [one.outcome for one in line.attempts] == ["held"]


async def test_what_conforms_leaves_and_a_held_one_stops_nobody(strict: Rig) -> None:
    await strict.submit_bytes(carrying(NO_TITLE), "1")
    await strict.submit_bytes(carrying(GOOD), "2")
    await strict.submit(3, "ROSE")
    await strict.until(lambda: strict.states(tables.delivery) == {"held": 1, "acknowledged": 2})
    assert [parcel.delivery_id for parcel in strict.sent] == [2, 3]


async def test_a_person_sends_it_all_the_same_or_sets_it_aside(strict: Rig) -> None:
    await strict.submit_bytes(carrying(NO_TITLE), "1")
    await strict.submit_bytes(carrying(document(VERSION, "<other/>")), "2")
    await strict.until(lambda: strict.states(tables.delivery) == {"held": 2})
    assert await strict.engine.submit(replay_deliveries([1], actor="TESTROSE", now=2)) == 1
    assert await strict.engine.submit(cancel_deliveries([2], actor="TESTROSE", now=2)) == 1
    strict.engine.wake()
    await strict.until(lambda: strict.states(tables.delivery) == {"acknowledged": 1, "cancelled": 1})
    (parcel,) = strict.sent
    assert parcel.delivery_id == 1
    assert parcel.attempt == 1
    with viewing(strict.engine.store) as view:
        line = load_delivery(view, 1)
    assert line is not None
    assert [one.outcome for one in line.attempts] == ["held", "acknowledged"]


async def test_what_cannot_be_checked_is_held(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig()
    rig.validate = "strict"
    broken = write_package(tmp_path / "package", '<include href="gone.sch"/>')
    rig.validation = ValidationSection(package=str(broken))
    await rig.start()
    await rig.know("ROSE")
    await rig.submit_bytes(carrying(GOOD), "1")
    await rig.until(_held(rig))
    assert _row(rig).detail == "held: it could not be checked"
    with viewing(rig.engine.store) as view:
        (finding,) = delivery_findings(view, 1)
    assert finding.code == "validation.package"
    assert "gone.sch" in finding.message
    with rig.engine.store.reading() as connection:
        notices = connection.execute(select(tables.notice.c.message)).scalars().all()
    assert any("gone.sch" in notice for notice in notices)
    await rig.stop()


async def test_a_route_may_ask_for_it_alone(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig()
    rig.validation = ValidationSection(package=str(write_package(tmp_path / "package")))
    strict = {"validate": "strict"}
    rig.routes = (
        RouteSection(name="checked", when="message.control_id == '1'", to=("tool",), **strict),
        RouteSection(name="others", to=("tool",)),
    )
    await rig.start()
    await rig.know("ROSE")
    await rig.submit_bytes(carrying(NO_TITLE), "1")
    await rig.submit_bytes(carrying(NO_TITLE), "2")
    await rig.until(lambda: rig.states(tables.delivery) == {"held": 1, "acknowledged": 1})
    assert [parcel.delivery_id for parcel in rig.sent] == [2]
    await rig.stop()


async def test_a_restart_checks_again_what_was_not_sent(strict: Rig) -> None:
    strict.engine._destinations["tool"].pause()
    await strict.submit_bytes(carrying(NO_TITLE), "1")
    await strict.until(lambda: strict.states(tables.delivery) == {"pending": 1})
    await strict.stop()
    await strict.start()
    await strict.until(_held(strict))
    assert strict.tried == []


async def test_remarks_about_what_conforms_are_kept(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig()
    rig.validate = "strict"
    header = '<pattern><rule context="cda:title"><report test="true()">remarked</report></rule></pattern>'
    rig.validation = ValidationSection(package=str(write_package(tmp_path / "package", header)))
    await rig.start()
    await rig.know("ROSE")
    await rig.submit_bytes(carrying(GOOD), "1")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    with viewing(rig.engine.store) as view:
        (finding,) = delivery_findings(view, 1)
    assert (finding.severity, finding.message) == ("warning", "remarked")
    assert _row(rig).worst == 2
    assert orjson.loads(rig.sent[0].content)["items"][0]["kind"] == "document"
    await rig.stop()


async def test_the_command_line_shows_sends_and_sets_aside(
    strict: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await strict.submit_bytes(carrying(NO_TITLE), "1")
    await strict.submit_bytes(carrying(document(VERSION, "<other/>")), "2")
    await strict.until(lambda: strict.states(tables.delivery) == {"held": 2})
    await strict.stop()
    text = f'[journal]\ndata = "{strict.place.data}"\nurl = "{strict.place.url}"\n'
    (tmp_path / "passerelle.toml").write_text(text, encoding="utf-8")
    folder = ("--config", str(tmp_path))
    assert run(["deliveries", "--state", "held", "--findings", *folder]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "#1: error schematron.min /ClinicalDocument: the title is missing" in said
    assert "#2: error schematron.min /ClinicalDocument: the title is missing" in said
    assert run(["cancel", "2", "--yes", *folder]) == 0
    assert "1 set aside." in capsys.readouterr().out
    assert run(["cancel", "2", "99", "--yes", *folder]) == 1
    assert run(["replay", "--delivery", "1", "--yes", *folder]) == 0
    await strict.start()
    await strict.until(lambda: strict.states(tables.delivery) == {"acknowledged": 1, "cancelled": 1})
    assert [parcel.delivery_id for parcel in strict.sent] == [1]
