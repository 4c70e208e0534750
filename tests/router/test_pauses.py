"""Pauses of sources, destinations and routes: what waits waits in order, over a restart, and leaves once resumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from router.config.model import RouteSection
from router.engine.lanes import Entry, Lanes
from router.journal import tables
from router.journal.pauses import FlowSide, PauseFault, load_pauses, pause_flow, resume_flow

Rig = Any


async def pause(rig: Rig, side: FlowSide, name: str) -> None:
    assert await rig.engine.submit(pause_flow(side, name, " moving   house ", actor="test", now=1))
    rig.engine.wake()


async def resume(rig: Rig, side: FlowSide, name: str) -> None:
    assert await rig.engine.submit(resume_flow(side, name, actor="test", now=2))
    rig.engine.wake()


def flow(rig: Rig, name: str) -> Any:
    return next(one for one in rig.engine.flows() if one.name == name)


async def test_a_paused_destination_keeps_its_deliveries_over_a_restart(rig: Rig, rank_of: Callable[..., Any]) -> None:
    await rig.know("ROSE")
    await pause(rig, FlowSide.DESTINATION, "tool")
    await rig.until(lambda: flow(rig, "tool").paused)
    assert flow(rig, "tool").pause.reason == "moving house"
    for number in range(4):
        await rig.submit(number, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"pending": 4})
    await rig.stop()
    await rig.start()
    assert flow(rig, "tool").state == "paused"
    assert rig.tried == []
    await resume(rig, FlowSide.DESTINATION, "tool")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 4})
    assert [rank_of(parcel)[1] for parcel in rig.sent] == [0, 1, 2, 3]


async def test_a_paused_source_is_closed_and_opens_again(rig: Rig) -> None:
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await pause(rig, FlowSide.SOURCE, "labo")
    await rig.until(lambda: flow(rig, "labo").state == "paused")
    assert flow(rig, "labo").address == ""
    await rig.until(lambda: len(rig.sent) == 1)  # what was received goes on
    await rig.stop()
    await rig.start()
    assert flow(rig, "labo").pause.actor == "test"
    await resume(rig, FlowSide.SOURCE, "labo")
    await rig.until(lambda: flow(rig, "labo").address == "memory")
    await rig.submit(2, "ROSE")
    await rig.until(lambda: len(rig.sent) == 2)


async def test_a_paused_route_holds_back_its_patients_only_and_keeps_their_order(
    make_rig: Callable[..., Any], rank_of: Callable[..., Any]
) -> None:
    rig = make_rig()
    rig.routes = (
        RouteSection(name="odd", when="message.control_id.endsWith('1')", to=("tool",)),
        RouteSection(name="even", when="!message.control_id.endsWith('1')", to=("tool",)),
    )
    await rig.start()
    await rig.know("ROSE", "PAUL")
    await pause(rig, FlowSide.ROUTE, "odd")
    await rig.until(lambda: rig.engine.routes()[0].pause is not None)
    for number, (who, control_id) in enumerate((("ROSE", "0"), ("ROSE", "11"), ("ROSE", "12"), ("PAUL", "13"))):
        await rig.submit(number, who, control_id)
    await rig.until(lambda: len(rig.sent) == 2)
    assert sorted(rank_of(parcel) for parcel in rig.sent) == [("PAUL", 3), ("ROSE", 0)]
    await rig.until(lambda: rig.states(tables.delivery) == {"pending": 2, "acknowledged": 2})
    await resume(rig, FlowSide.ROUTE, "odd")
    await rig.until(lambda: len(rig.sent) == 4)
    assert [rank_of(parcel)[1] for parcel in rig.sent if rank_of(parcel)[0] == "ROSE"] == [0, 1, 2]
    await rig.stop()


async def test_a_pause_wants_a_reason_and_is_noted_once(rig: Rig) -> None:
    with pytest.raises(PauseFault, match="say why"):
        pause_flow(FlowSide.SOURCE, "labo", "  ", actor="test", now=1)
    await pause(rig, FlowSide.SOURCE, "labo")
    assert not await rig.engine.submit(pause_flow(FlowSide.SOURCE, "labo", "again", actor="other", now=2))
    with rig.engine.store.reading() as connection:
        found = load_pauses(connection)
        audited = connection.exec_driver_sql("SELECT actor, action, target, detail FROM audit").all()
    assert [(one.actor, one.reason) for one in found.values()] == [("test", "moving house")]
    assert [tuple(row) for row in audited] == [("test", "pause flow", "source labo", "moving house")]


def entry(number: int, lane: int, route: str) -> Entry:
    return Entry(number, lane, "", "", "", None, 0, route=route)


def test_a_delivery_of_a_paused_route_takes_no_room_and_closes_its_lane_behind_it() -> None:
    lanes = Lanes()
    lanes.paused = frozenset({"odd"})
    for number, route in enumerate(("even", "odd", "even")):
        lanes.add(entry(number, 7, route))
    assert len(lanes) == 1
    first = lanes.take()
    assert first is not None
    assert not lanes.done(first)
    lanes.add(entry(3, 7, "even"))
    assert (lanes.take(), len(lanes)) == (None, 0)


def test_a_retry_of_a_route_that_was_paused_meanwhile_is_not_sent() -> None:
    lanes = Lanes()
    lanes.add(entry(1, 7, "odd"))
    lanes.add(entry(2, 7, "even"))
    first = lanes.take()
    assert first is not None
    lanes.paused = frozenset({"odd"})
    lanes.retry(first, 5)
    lanes.unpark(9)
    assert (lanes.take(), len(lanes)) == (None, 0)
