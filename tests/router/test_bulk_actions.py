"""Actions on many rows, carried out by a real engine: rerouted, undone, stopped, gone on with after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry
from router.bulk.doing import CarryBatch
from router.bulk.jobs import BulkAction, Job, JobState, load_job, start_job, stop_job
from router.bulk.outcomes import left_by_reason
from router.bulk.planning import plan_job, preview_of
from router.bulk.undoing import plan_undo, undoable
from router.config.model import RouteSection
from router.engine.searchable import sender_token
from router.journal import tables
from router.journal.queries import MessageFilters, find_messages
from router.journal.unit import Unit
from router.journal.view import viewing
from schemas.actors import Organization
from schemas.coding import Identifier
from schemas.identity import PatientIdentity
from schemas.item import ItemSet, LabReportItem, Provenance
from schemas.lab import LabReport


@pytest.fixture
async def two(make_rig: Any) -> AsyncIterator[Any]:
    """An engine with two destinations, of which no route leads to the second."""
    rig = make_rig()
    rig.more = ("other",)
    await rig.start()
    await rig.know("ROSE", "PAUL")
    yield rig
    await rig.stop()


def job(rig: Any, number: int) -> Job:
    with rig.engine.store.reading() as connection:
        found = load_job(connection, number)
    assert found is not None
    return found


def report(number: int, who: str) -> LabReportItem:
    return LabReportItem(
        id=f"sent{number}",
        patient=PatientIdentity(
            identifiers=(Identifier(system="urn:x-authority:FICTIVE", value=f"IPP-{who}", type="PI"),),
            birth_name=f"TEST{who}",
            birth_date="1979-03-05",
        ),
        source=Provenance(format="canonical", where="test"),
        content=LabReport(report_id=f"R{number}"),
    )


async def plan(rig: Any, action: BulkAction, ids: list[int], **options: Any) -> int:
    number: int = await rig.engine.submit(plan_job(action, ids, actor="admin", now=5, **options))
    return number


async def start(rig: Any, number: int) -> None:
    await rig.engine.submit(start_job(number, actor="admin", now=6))
    rig.engine.wake()


async def until_over(rig: Any, number: int) -> Job:
    await rig.until(lambda: job(rig, number).state is not JobState.RUNNING)
    return job(rig, number)


def deliveries(rig: Any) -> list[tuple[str, str, str]]:
    column = tables.delivery.c
    with rig.engine.store.reading() as connection:
        rows = connection.execute(select(column.destination, column.state, column.route).order_by(column.id)).all()
    return [tuple(row) for row in rows]


async def test_what_was_refused_goes_to_another_destination(two: Any) -> None:
    two.answer = lambda parcel: Refused("HTTP 422") if two.name_of(parcel) == "tool" else Delivered(acknowledged=True)
    for number in (1, 2, 3):
        await two.submit(number, "ROSE" if number < 3 else "PAUL")
    await two.until(lambda: two.states(tables.delivery) == {"dead": 3})
    number = await plan(
        two, BulkAction.REROUTE, [1, 2, 3], target="destination:other", set_aside=True, of_deliveries=True
    )
    with two.engine.store.reading() as connection:
        preview = preview_of(connection, two.engine.store.sealer, number)
    assert (preview.will, preview.patients, preview.destinations, preview.doubled) == (3, 2, {"other": 3}, 0)
    await start(two, number)
    done = await until_over(two, number)
    assert (done.state, done.done, done.changed) == (JobState.DONE, 3, 3)
    await two.until(lambda: two.states(tables.delivery) == {"cancelled": 3, "acknowledged": 3})
    assert [one[0] for one in deliveries(two)[3:]] == ["other"] * 3
    assert len({parcel.identity for parcel in two.sent}) == 3
    again = await plan(two, BulkAction.REROUTE, [1, 2, 3], target="destination:other")
    await start(two, again)
    over = await until_over(two, again)
    assert over.changed == 0
    with two.engine.store.reading() as connection:
        assert left_by_reason(connection, again) == {"has_it": 3}
    assert len(two.sent) == 3, "who has it does not get it twice"


async def test_rerouting_by_a_route_is_undone_as_long_as_it_has_not_left(two: Any) -> None:
    def answer(parcel: Parcel) -> Outcome:
        return Retry("closed", reached=False) if two.name_of(parcel) == "other" else Delivered()

    two.answer = answer
    await two.submit(1, "ROSE")
    await two.until(lambda: two.states(tables.delivery) == {"delivered": 1})
    number = await plan(two, BulkAction.REROUTE, [1], target="destination:other")
    await start(two, number)
    await until_over(two, number)
    await two.until(lambda: two.states(tables.delivery) == {"delivered": 1, "retrying": 1})
    with two.engine.store.reading() as connection:
        assert undoable(connection, job(two, number)) == 0, "it was tried: whether it arrived is not certain"
    assert await two.engine.submit(plan_undo(number, actor="admin", now=7)) is None


async def test_a_target_that_is_gone_ends_the_job_with_a_sentence(two: Any) -> None:
    await two.submit(1, "ROSE")
    await two.until(lambda: two.states(tables.message) == {"processed": 1})
    number = await plan(two, BulkAction.REROUTE, [1], target="destination:vanished")
    await start(two, number)
    over = await until_over(two, number)
    assert over.state is JobState.FAILED
    assert over.problem == "vanished is not configured (any more): nothing further was sent"


async def test_a_job_goes_on_after_a_restart_where_it_was(make_rig: Any) -> None:
    rig = make_rig()
    rig.answer = lambda _: Refused("HTTP 422")
    await rig.start()
    await rig.know("ROSE")
    for number in range(210):
        await rig.submit(number, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"dead": 210})
    await rig.stop()
    store = rig.reopened()
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        number = plan_job(BulkAction.CANCEL_DELIVERIES, range(1, 211), actor="admin", now=5).apply(unit)
        start_job(number, actor="admin", now=6).apply(unit)
    with store.writing() as connection:
        progress = CarryBatch(number, 7).apply(Unit(connection, store.sealer))
    assert (progress.rows, progress.over) == (200, False)
    store.close()
    await rig.start()
    over = await until_over(rig, number)
    assert (over.state, over.done, over.changed) == (JobState.DONE, 210, 210)
    assert rig.states(tables.delivery) == {"cancelled": 210}
    undo = await rig.engine.submit(plan_undo(number, actor="admin", now=8))
    assert undo is not None
    back = await until_over(rig, undo)
    assert (back.changed, rig.states(tables.delivery)) == (210, {"dead": 210})
    assert await rig.engine.submit(plan_undo(number, actor="admin", now=9)) is None, "once is enough"
    await rig.stop()


async def test_a_job_that_is_stopped_leaves_the_rest(make_rig: Any) -> None:
    rig = make_rig()
    rig.answer = lambda _: Refused("HTTP 422")
    await rig.start()
    await rig.know("ROSE")
    for number in range(210):
        await rig.submit(number, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"dead": 210})
    number = await plan(rig, BulkAction.CANCEL_DELIVERIES, list(range(1, 211)))
    await rig.engine.submit(start_job(number, actor="admin", now=6))
    await rig.engine.submit(CarryBatch(number, 6))
    await rig.engine.submit(stop_job(number, actor="admin", now=6))
    rig.engine.wake()
    over = await until_over(rig, number)
    assert (over.state, over.changed) == (JobState.STOPPED, rig.states(tables.delivery)["cancelled"])
    await rig.stop()


async def test_sending_again_is_taken_back_while_it_waits(make_rig: Any) -> None:
    rig = make_rig()
    rig.routes = (RouteSection(name="all", when="true", to=("tool",)),)
    rig.answer = lambda _: Refused("HTTP 422")
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"dead": 1})
    await rig.stop()
    store = rig.reopened()
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        number = plan_job(BulkAction.REPLAY_DELIVERIES, [1], actor="admin", now=5).apply(unit)
        start_job(number, actor="admin", now=6).apply(unit)
        CarryBatch(number, 7).apply(unit)
        assert connection.execute(select(tables.delivery.c.state)).scalar() == "pending"
        undo = plan_undo(number, actor="admin", now=8).apply(unit)
        assert undo is not None
        CarryBatch(undo, 9).apply(unit)
    with store.reading() as connection:
        row = connection.execute(select(tables.delivery)).one()
    assert (row.state, row.detail, row.attempts) == ("dead", "HTTP 422", 1)
    store.close()


async def test_what_a_sender_wrote_is_found_by_its_name_and_number(make_rig: Any) -> None:
    rig = make_rig()
    await rig.start()
    await rig.know("ROSE")
    sender = Organization(name="Laboratoire Fictif du Sud", identifiers=(Identifier(value="350000000", type="FINEG"),))
    for number, who in ((1, sender), (2, None)):
        item = report(number, "ROSE").model_copy(update={"sender": who})
        await rig.submit_bytes(ItemSet(items=(item,)).model_dump_json().encode(), str(number))
    await rig.until(lambda: rig.states(tables.message) == {"processed": 2})
    with viewing(rig.engine.store) as view:
        for text in ("laboratoire fictif du SUD", "350000000"):
            found = find_messages(view, MessageFilters(sender=sender_token(view.sealer, text)))
            assert [line.id for line in found.rows] == [1], text
        assert not find_messages(view, MessageFilters(sender=sender_token(view.sealer, "autre"))).rows
    await rig.stop()
