"""Names that a partner tells only later: asked for when due, kept once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from connectors.contracts import Delivered, Learnt, NotAsked, Parcel, Reference, ReferenceKind
from router.engine.learning import Learning
from router.journal import tables
from router.journal.naming import ABSENT_WAITS

Rig = Any

UNIQUE = (Reference(ReferenceKind.UNIQUE_ID, "1.2.250.99.1"),)
ENTRY = (
    Reference(ReferenceKind.ENTRY_UUID, "urn:uuid:entry"),
    Reference(ReferenceKind.LOGICAL_ID, "urn:uuid:lid"),
)


class Partner:
    """Tells what the test wants, and remembers what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.answer: Callable[[Parcel], Learnt | NotAsked | None] = lambda _: Learnt(ENTRY)

    async def learn(self, parcels: Sequence[Parcel]) -> Mapping[int, Learnt | NotAsked]:
        self.asked.append([one.delivery_id for one in parcels])
        told = {one.delivery_id: self.answer(one) for one in parcels}
        return {number: one for number, one in told.items() if one is not None}


class Asking:
    """A round on a clock of the test's."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.partner = Partner()
        self.at = datetime.now(UTC)
        self.submit = rig.engine.submit
        self.resting = False

    async def run(self, later: timedelta = timedelta(0)) -> None:
        self.at += later
        learning = Learning(
            "tool",
            self.partner,
            self.rig.engine.store,
            self.submit,
            lambda: self.at,
            lambda: self.resting,
        )
        await learning.run()

    def row(self) -> Any:
        with self.rig.engine.store.reading() as connection:
            return connection.execute(select(tables.delivery_naming)).one()

    def kinds(self) -> list[str]:
        column = tables.delivery_reference.c
        with self.rig.engine.store.reading() as connection:
            return list(connection.execute(select(column.kind).order_by(column.kind)).scalars())


@pytest.fixture
async def asking(rig: Rig) -> Asking:
    rig.answer = lambda _: Delivered(acknowledged=True, references=UNIQUE, learn_after=3600.0)
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    return Asking(rig)


async def test_names_are_asked_for_when_due_and_kept_once(asking: Asking) -> None:
    await asking.run()
    assert asking.partner.asked == [], "it is not due yet"
    assert asking.row().state == "waiting"
    asking.resting = True
    await asking.run(timedelta(hours=2))
    assert asking.partner.asked == [], "the destination is paused"
    asking.resting = False
    await asking.run()
    await asking.run(timedelta(days=30))
    assert asking.partner.asked == [[1]]
    assert asking.kinds() == ["xds.entry-uuid", "xds.logical-id", "xds.unique-id"]
    assert (asking.row().state, asking.row().due_at) == ("learnt", None)


async def test_a_router_killed_before_it_kept_the_answer_asks_again_and_not_at_once(asking: Asking) -> None:
    submit, times = asking.submit, []

    async def killed(operation: Any) -> Any:
        times.append(operation)
        if len(times) == 2:
            raise ConnectionAbortedError
        return await submit(operation)

    asking.submit = killed
    with pytest.raises(ConnectionAbortedError):
        await asking.run(timedelta(hours=2))
    asking.submit = submit
    await asking.run()
    assert asking.partner.asked == [[1]]
    assert asking.kinds() == ["xds.unique-id"]
    await asking.run(timedelta(minutes=16))
    assert asking.partner.asked == [[1], [1]]
    assert asking.kinds() == ["xds.entry-uuid", "xds.logical-id", "xds.unique-id"]


async def test_what_is_not_there_is_asked_about_more_and_more_rarely_and_then_no_more(asking: Asking) -> None:
    asking.partner.answer = lambda _: Learnt()
    await asking.run(timedelta(hours=2))
    for wait in ABSENT_WAITS:
        await asking.run(wait - timedelta(minutes=1))
        rounds = len(asking.partner.asked)
        await asking.run(timedelta(minutes=2))
        assert len(asking.partner.asked) == rounds + 1
    assert (asking.row().state, asking.row().due_at) == ("absent", None)


async def test_what_was_not_answered_does_not_count(asking: Asking) -> None:
    asking.partner.answer = lambda _: NotAsked("nobody answers at the DMP", 60.0)
    for _ in range(9):
        await asking.run(timedelta(hours=2))
    row = asking.row()
    assert (row.state, row.detail, row.looks) == ("trouble", "nobody answers at the DMP", 0)
    asking.partner.answer = lambda _: NotAsked("no right", 60.0, denied=True)
    await asking.run(timedelta(hours=2))
    assert asking.row().state == "denied"
    asking.partner.answer = lambda _: None
    await asking.run(timedelta(hours=2))
    assert asking.row().due_at is not None, "what was not asked about is still to be"
    asking.partner.answer = lambda _: NotAsked("nothing", None)
    await asking.run(timedelta(hours=2))
    assert (asking.row().state, asking.row().due_at) == ("nothing", None)


async def test_what_was_submitted_before_the_upgrade_is_asked_about(asking: Asking) -> None:
    from importlib import import_module

    migration = import_module("router.journal.migrations.versions.0021_names_told_later")
    statement = migration.ALREADY_SENT
    with asking.rig.engine.store.writing() as connection:
        connection.execute(text("DELETE FROM delivery_naming"))
        connection.execute(text(statement))
        assert connection.execute(select(func.count()).select_from(tables.delivery_naming)).scalar() == 0, "not xds"
        connection.execute(text("UPDATE delivery SET format = 'xds'"))
        connection.execute(text(statement))
    await asking.run()
    assert asking.partner.asked == [[1]]
