"""What a partner says after it was sent something: found by the names that it knows, before or after the record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from connectors.contracts import Delivered, Hold, Parcel, Reference, ReferenceKind, Retry
from router.engine.memory import JournalMemory
from router.journal import tables
from router.journal.actions import replay_deliveries
from schemas.coding import Coding
from schemas.finding import Finding, Severity
from schemas.item import ItemSet, Provenance, ReceiptItem
from schemas.receipt import Receipt, ReceiptError, ReceiptStage

Rig = Any

NAME = "<delivery-1@hopital-fictif.example>"
NAMES = (Reference(ReferenceKind.MESSAGE_ID, NAME),)


def answer(stage: ReceiptStage, *, positive: bool = True, about: str = NAME, code: str | None = None) -> bytes:
    errors = (ReceiptError(code=Coding(system="local", code=code)),) if code else ()
    item = ReceiptItem(
        id=f"{stage.value}-{positive}-{about}",
        source=Provenance(format="canonical", where="test"),
        content=Receipt(stage=stage, positive=positive, about=about, errors=errors),
    )
    return ItemSet(items=(item,)).model_dump_json().encode()


def state(rig: Rig, number: int = 1) -> tuple[str, str | None]:
    with rig.engine.store.reading() as connection:
        row = connection.execute(select(tables.delivery).where(tables.delivery.c.id == number)).one()
    return row.state, row.detail


@pytest.fixture
async def mailing(rig: Rig) -> Rig:
    rig.answer = lambda _: Delivered(references=NAMES)
    await rig.know("ROSE")
    return rig


async def test_a_delivery_that_was_read_is_acknowledged(mailing: Rig) -> None:
    await mailing.submit(1, "ROSE")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"delivered": 1})
    await mailing.submit_bytes(answer(ReceiptStage.DELIVERED), "dsn")
    await mailing.submit_bytes(answer(ReceiptStage.READ), "mdn")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"acknowledged": 1})
    with mailing.engine.store.reading() as connection:
        kept = connection.execute(select(tables.delivery_receipt).order_by(tables.delivery_receipt.c.id)).all()
    assert [(row.stage, row.positive, row.delivery_id) for row in kept] == [("delivered", True, 1), ("read", True, 1)]


async def test_a_refusal_by_the_recipients_system_makes_a_dead_letter(mailing: Rig) -> None:
    await mailing.submit(1, "ROSE")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"delivered": 1})
    await mailing.submit_bytes(answer(ReceiptStage.READ, positive=False, code="902"), "mdn")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"dead": 1})
    assert state(mailing)[1] == "refused by the recipient (read: 902)"


async def test_an_answer_that_comes_before_the_sending_is_recorded_counts(mailing: Rig) -> None:
    await mailing.submit_bytes(answer(ReceiptStage.READ, about=NAME.strip("<>")), "mdn")
    await mailing.until(lambda: mailing.states(tables.item) == {"unrouted": 1})
    await mailing.submit(1, "ROSE")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"acknowledged": 1})


async def test_what_arrived_all_the_same_is_not_sent_again(mailing: Rig) -> None:
    mailing.answer = lambda _: Retry("the line was cut after the last byte", after=0.05, references=NAMES)
    await mailing.submit(1, "ROSE")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"retrying": 1})
    await mailing.submit_bytes(answer(ReceiptStage.READ), "mdn")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"acknowledged": 1})
    mailing.answer = lambda _: Delivered()
    await mailing.submit(2, "ROSE")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"acknowledged": 1, "delivered": 1})
    assert state(mailing)[0] == "acknowledged"
    assert [parcel.delivery_id for parcel in mailing.sent][-1] == 2


async def test_an_answer_about_nothing_of_ours_changes_nothing(mailing: Rig) -> None:
    await mailing.submit(1, "ROSE")
    await mailing.submit_bytes(answer(ReceiptStage.READ, positive=False, about="<other@x.example>"), "mdn")
    await mailing.until(lambda: mailing.states(tables.item) == {"routed": 1, "unrouted": 1})
    await mailing.until(lambda: mailing.states(tables.delivery) == {"delivered": 1})


async def test_a_connector_holds_a_delivery_and_a_person_insists(mailing: Rig) -> None:
    why = Finding(severity=Severity.ERROR, code="dmp.opposed", where="patient", message="the patient is opposed")

    def guarded(parcel: Parcel) -> Delivered | Hold:
        return Delivered() if parcel.insisted else Hold("held: the patient is opposed", findings=(why,))

    mailing.answer = guarded
    await mailing.submit(1, "ROSE")
    await mailing.until(lambda: mailing.states(tables.delivery) == {"held": 1})
    assert state(mailing)[1] == "held: the patient is opposed"
    await mailing.engine.submit(replay_deliveries([1], actor="test", now=5))
    mailing.engine.wake()
    await mailing.until(lambda: mailing.states(tables.delivery) == {"delivered": 1})
    assert [parcel.insisted for parcel in mailing.tried] == [False, True]


async def test_a_connector_remembers_and_forgets(rig: Rig) -> None:
    memory = JournalMemory("labo", rig.engine.store, rig.engine.writer, lambda: datetime.now(UTC))
    other = JournalMemory("autre", rig.engine.store, rig.engine.writer, lambda: datetime.now(UTC))
    await memory.keep("cursor/TESTROSE", b"12")
    await memory.keep("cursor/TESTROSE", b"13")
    assert await memory.recall("cursor/TESTROSE") == b"13"
    assert await other.recall("cursor/TESTROSE") is None
    with rig.engine.store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(tables.connector_memory)).scalar() == 1
        sealed = connection.execute(select(tables.connector_memory.c.sealed_value)).scalar_one()
    assert b"13" not in sealed
    await memory.keep("cursor/TESTROSE", None)
    assert await memory.recall("cursor/TESTROSE") is None


async def test_records_tell_whom_to_follow_and_what_went_through(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig()
    await rig.start()
    await rig.know("ROSE", "PAUL")
    rig.answer = lambda _: Delivered(references=(Reference(ReferenceKind.UNIQUE_ID, "1.2.250.99.1"),))
    records = rig.engine.records
    followed = await records.followed()
    assert [one.identity.birth_name for one in followed] == ["TESTROSE", "TESTPAUL"]
    assert [one.number for one in await records.followed(after=followed[0].number)] == [followed[1].number]
    assert not await records.known(ReferenceKind.UNIQUE_ID, "1.2.250.99.1")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"delivered": 1})
    assert await records.known(ReferenceKind.UNIQUE_ID, "1.2.250.99.1")
    assert not await records.known(ReferenceKind.ENTRY_UUID, "1.2.250.99.1")
    await rig.stop()
