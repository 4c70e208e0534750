from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import AppendMessage, Change, Notice
from router.journal.sealing import KeyFault
from router.journal.store import JournalFault, JournalPlace, Store, open_store
from router.journal.unit import END_DELIVERY, Unit, deliveries_settled, last_id
from router.journal.writer import Writer


def message(store: Store, text: str, control_id: str = "1") -> AppendMessage:
    content = text.encode()
    return AppendMessage(
        store.sealer.digest(control_id.encode(), content),
        1,
        "labo",
        control_id,
        "ORU^R01",
        "",
        len(content),
        content,
        None,
    )


async def test_concurrent_submissions_share_commits_and_number_in_order(store: Store) -> None:
    writer = Writer(store)
    writer.start()
    appended = await asyncio.gather(*(writer.submit(message(store, f"m{n}", str(n))) for n in range(200)))
    await writer.stop()
    assert [one.message_id for one in appended] == list(range(1, 201))
    assert writer.commits < 100


async def test_a_resend_is_recognised_and_counted_not_doubled(store: Store) -> None:
    writer = Writer(store)
    writer.start()
    first, same, other = await asyncio.gather(
        *(writer.submit(message(store, text)) for text in ("hello", "hello", "hello there"))
    )
    again = await writer.submit(message(store, "hello"))
    await writer.stop()
    assert (first.duplicate, same.duplicate, other.duplicate, again.duplicate) == (False, True, False, True)
    assert first.message_id == same.message_id == again.message_id != other.message_id
    with store.reading() as connection:
        rows = connection.execute(select(tables.message.c.id, tables.message.c.duplicates)).all()
    assert {row.id: row.duplicates for row in rows} == {first.message_id: 2, other.message_id: 0}


async def test_one_bad_operation_does_not_take_its_neighbours_along(store: Store) -> None:
    def explode(unit: Unit) -> None:
        raise ValueError("a defect")

    writer = Writer(store)
    writer.start()
    results = await asyncio.gather(
        writer.submit(message(store, "one", "1")),
        writer.submit(Change(explode)),
        writer.submit(message(store, "two", "2")),
        return_exceptions=True,
    )
    await writer.stop()
    assert isinstance(results[1], ValueError)
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(tables.message)).scalar() == 2


async def test_a_stopped_writer_takes_nothing_more(store: Store) -> None:
    writer = Writer(store)
    writer.start()
    kept = writer.submit(Notice(1, "x", "info", "c", "w", "m"))
    await writer.stop()
    await kept
    with pytest.raises(JournalFault, match="closing"):
        writer.submit(Notice(1, "x", "info", "c", "w", "m"))


async def test_another_process_may_write_between_two_commits(store: Store, reopen: Callable[[], Store]) -> None:
    writer = Writer(store)
    writer.start()
    await writer.submit(message(store, "ours", "1"))
    beside = reopen()
    with beside.writing() as connection:
        unit = Unit(connection, beside.sealer)
        message(beside, "theirs", "2").apply(unit)
        record_audit("someone", "test", "message 2", now=1).apply(unit)
        unit.flush()
    beside.close()
    third = await writer.submit(message(store, "ours again", "3"))
    await writer.stop()
    assert third.message_id == 3


def test_the_wrong_key_is_told_at_once(store: Store, place: JournalPlace) -> None:
    with pytest.raises(KeyFault, match="not the one that the journal was made with"):
        open_store(place, master=bytes(32))


def test_migrations_give_exactly_the_tables_of_the_code(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


async def test_resends_among_new_messages_are_told_apart_once_and_from_then_on(store: Store) -> None:
    writer = Writer(store)
    writer.start()
    first = await asyncio.gather(*(writer.submit(message(store, f"m{n}", str(n))) for n in range(8)))
    # The writer does not look for resends until it meets one; its transaction is then made again.
    mixed = await asyncio.gather(*(writer.submit(message(store, f"m{n}", str(n))) for n in range(4, 12)))
    later = await asyncio.gather(*(writer.submit(message(store, f"m{n}", str(n))) for n in range(10, 14)))
    same_control_id = await writer.submit(message(store, "another text", "3"))
    await writer.stop()
    assert [one.duplicate for one in mixed] == [True] * 4 + [False] * 4
    assert [one.duplicate for one in later] == [True, True, False, False]
    assert [one.message_id for one in mixed[:4]] == [one.message_id for one in first[4:]]
    assert not same_control_id.duplicate
    with store.reading() as connection:
        ids = list(connection.execute(select(tables.message.c.id).order_by(tables.message.c.id)).scalars())
    assert ids == list(range(1, 16)), "an undone transaction leaves no gap"


def test_what_was_asked_as_a_transaction_began_holds_until_something_is_written(store: Store) -> None:
    asked = {last_id(tables.message): [(7,)], deliveries_settled([1, 2]): [(2, "cancelled")]}
    end = {"state": "delivered", "ended_at": 1, "next_attempt_at": None, "attempts": 1, "attempts_before": 0}
    with store.writing() as connection:
        unit = Unit(connection, store.sealer, None, asked)
        assert unit.next_id(tables.message) == 8
        assert unit.settled([1, 2]) == {2: "cancelled"}
        unit.change(END_DELIVERY, {"b_id": 3, "detail": "", **end})
        assert unit.settled([1, 2]) == {2: "cancelled"}, "what ended is another one"
        unit.change(END_DELIVERY, {"b_id": 1, "detail": "", **end})
        assert unit.settled([1, 2]) == {}, "the journal has none of them"
        unit = Unit(connection, store.sealer, None, asked)
        unit.connection.execute(select(tables.message.c.id))
        assert unit.next_id(tables.message) == 1
