from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import select

from connectors.contracts import Delivered, NotAccepted, Outcome, Parcel, Refused, Retry
from router.config.model import RetrySection, RouteSection
from router.journal import tables
from router.journal.actions import cancel_deliveries, replay_deliveries, replay_messages
from router.journal.locking import AlreadyRunning, router_lock
from router.journal.operations import REPORT_PLACE, SUMMARY_PLACE
from router.journal.routing import kept_routings, routing_digest
from router.journal.store import JournalFault, JournalFull
from router.journal.unit import Rows, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Rig = Any


async def test_each_patients_reports_arrive_in_the_order_of_reception(rig: Rig, rank_of: Callable[..., Any]) -> None:
    await rig.know("ROSE", "PAUL", "LINA")
    for number in range(60):
        await rig.submit(number, ("ROSE", "PAUL", "LINA")[number % 3])
    await rig.until(lambda: len(rig.sent) == 60)
    by_patient: dict[str, list[int]] = defaultdict(list)
    for parcel in rig.sent:
        who, number = rank_of(parcel)
        by_patient[who].append(number)
    assert all(numbers == sorted(numbers) and len(numbers) == 20 for numbers in by_patient.values())
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 60})
    assert rig.states(tables.message) == {"processed": 60}


async def test_a_resent_message_is_acknowledged_and_not_delivered_twice(rig: Rig) -> None:
    await rig.know("ROSE")
    first = await rig.submit(1, "ROSE")
    again = await rig.submit(1, "ROSE")
    other = await rig.submit(2, "ROSE", control_id="1")
    assert (again.message_id, again.duplicate) == (first.message_id, True)
    assert not other.duplicate, "the same control id with another content is another message"
    await rig.until(lambda: len(rig.sent) == 2)
    assert rig.states(tables.message) == {"processed": 2}


async def test_an_unknown_patient_is_held_and_goes_on_once_registered(rig: Rig) -> None:
    await rig.submit(1, "NOBODY")
    await rig.until(lambda: rig.states(tables.message) == {"held": 1})
    with rig.engine.store.reading() as connection:
        row = connection.execute(select(tables.item)).one()
    assert (row.state, row.reason, row.patient_id) == ("held", "no_match", None)
    assert rig.tried == []
    await rig.know("NOBODY")
    rig.engine.wake()
    await rig.until(lambda: len(rig.sent) == 1)
    assert rig.states(tables.message) == {"processed": 1}
    assert rig.states(tables.item) == {"routed": 1}


async def test_a_contradicting_trait_is_held_whatever_the_number_says(rig: Rig) -> None:
    await rig.know("ROSE")
    content = orjson.loads(await _content(rig, 1, "ROSE"))
    content["items"][0]["patient"]["birth_date"] = "1980-01-01"
    await rig.submit_bytes(orjson.dumps(content), "1")
    await rig.until(lambda: rig.states(tables.message) == {"held": 1})
    with rig.engine.store.reading() as connection:
        assert connection.execute(select(tables.item.c.reason)).scalar() == "trait_mismatch"


async def _content(rig: Rig, number: int, who: str) -> bytes:
    captured: list[bytes] = []
    submit_bytes = rig.submit_bytes

    async def capture(content: bytes, control_id: str) -> None:
        captured.append(content)

    rig.submit_bytes = capture
    await rig.submit(number, who)
    rig.submit_bytes = submit_bytes
    return captured[0]


async def test_what_cannot_be_read_is_rejected_with_its_reason(rig: Rig) -> None:
    await rig.submit_bytes(b"neither this nor that", "x")
    await rig.until(lambda: rig.states(tables.message) == {"rejected": 1})
    with rig.engine.store.reading() as connection:
        sealed = connection.execute(select(tables.reading.c.sealed_report)).scalar_one()
    findings = orjson.loads(rig.engine.store.sealer.open(sealed, REPORT_PLACE))["findings"]
    assert findings[0]["severity"] == "error"
    assert "neither" not in orjson.dumps(findings).decode()


async def test_no_matching_route_is_an_end_with_a_name(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    rig.routes = (RouteSection(name="stays only", when="item.kind == 'stay'", to=("tool",)),)
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.item) == {"unrouted": 1})
    with rig.engine.store.reading() as connection:
        routes = orjson.loads(connection.execute(select(tables.item.c.routes)).scalar() or "")
        assert routes.pop("") == {"r": routing_digest(rig.engine.plan.routing), "k": True, "c": True, "t": False}
        assert routes == {"stays only": False}
        kept = kept_routings(connection, [routing_digest(rig.engine.plan.routing)])
        assert [one.when for routing in kept.values() for one in routing.values()] == ["item.kind == 'stay'"]
    assert rig.states(tables.message) == {"processed": 1}
    await rig.stop()


async def test_a_retry_holds_back_its_own_patient_only(
    make_rig: Callable[..., Any], rank_of: Callable[..., Any]
) -> None:
    rig = make_rig()
    rig.retry = RetrySection(max_attempts=1000, first_delay=0.02, max_delay=0.05)

    def answer(parcel: Parcel) -> Outcome:
        who, _ = rank_of(parcel)
        if who == "ROSE" and len(rig.sent) < 3:
            return Retry("busy", answer=b"503")
        return Delivered(acknowledged=True)

    rig.answer = answer
    await rig.start()
    await rig.know("ROSE", "PAUL")
    for number in range(6):
        await rig.submit(number, "ROSE" if number < 3 else "PAUL")
    await rig.until(lambda: len(rig.sent) == 6)
    assert [rank_of(parcel)[1] for parcel in rig.sent] == [3, 4, 5, 0, 1, 2]
    identities = [parcel.identity for parcel in rig.tried if rank_of(parcel)[1] == 0]
    assert len(identities) > 1
    assert len(set(identities)) == 1, "a retry carries the same identity"
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 6})
    with rig.engine.store.reading() as connection:
        outcomes = connection.execute(select(tables.attempt.c.outcome).where(tables.attempt.c.delivery_id == 1))
        assert list(outcomes.scalars()) == ["retry"] * (len(identities) - 1) + ["acknowledged"]
    await rig.stop()


async def test_what_is_refused_or_tried_too_often_is_dead_and_can_be_replayed(rig: Rig) -> None:
    rig.answer = lambda parcel: Refused("not valid") if parcel.delivery_id == 1 else Retry("busy")
    await rig.know("ROSE", "PAUL")
    await rig.submit(1, "ROSE")
    await rig.submit(2, "PAUL")
    await rig.until(lambda: rig.states(tables.delivery) == {"dead": 2})
    assert len(rig.tried) == 1 + 3
    rig.answer = lambda _: Delivered(acknowledged=True)
    assert await rig.engine.submit(replay_deliveries([1, 2], actor="test", now=5)) == 2
    rig.engine.wake()
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 2})
    assert {parcel.identity for parcel in rig.sent} == {parcel.identity for parcel in rig.tried[:4]}


async def test_a_delivered_one_is_sent_again_under_a_new_identity(rig: Rig) -> None:
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    await rig.engine.submit(replay_deliveries([1], actor="test", now=5))
    rig.engine.wake()
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 2})
    assert rig.sent[0].content == rig.sent[1].content
    assert rig.sent[0].identity != rig.sent[1].identity


async def test_a_replayed_message_is_read_anew_and_its_former_items_are_replaced(rig: Rig) -> None:
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    await rig.engine.submit(replay_messages([1], actor="test", now=5))
    rig.engine.wake()
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 2})
    assert rig.states(tables.item) == {"replaced": 1, "routed": 1}
    assert rig.states(tables.message) == {"processed": 1}


async def test_a_cancelled_delivery_is_not_sent(rig: Rig) -> None:
    rig.answer = lambda parcel: Retry("busy", after=30) if parcel.delivery_id == 1 else Delivered()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.submit(2, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"retrying": 1, "pending": 1})
    await rig.engine.submit(cancel_deliveries([1], actor="test", now=5))
    rig.engine.wake()
    await rig.until(lambda: rig.states(tables.delivery) == {"cancelled": 1, "delivered": 1})


async def test_a_closed_door_costs_no_attempt_and_is_tried_by_one_at_a_time(rig: Rig) -> None:
    closed = True
    rig.answer = lambda _: Retry("refused", reached=False) if closed else Delivered(acknowledged=True)
    await rig.know(*(f"P{n}" for n in range(10)))
    for number in range(10):
        await rig.submit(number, f"P{number}")
    await rig.until(lambda: len(rig.tried) >= 12)
    status = next(flow for flow in rig.engine.flows() if flow.side == "destination")
    assert status.state == "unreachable"
    assert "dead" not in rig.states(tables.delivery)
    closed = False
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 10})


@pytest.mark.parametrize("workers", [0, 1])
async def test_what_a_stopped_engine_left_is_taken_up_by_the_next(
    make_rig: Callable[..., Any], workers: int, rank_of: Callable[..., Any]
) -> None:
    first = make_rig(workers=workers)
    first.answer = lambda _: Retry("closed", reached=False)
    await first.start()
    await first.know("ROSE", "PAUL")
    for number in range(30):
        await first.submit(number, ("ROSE", "PAUL")[number % 2])
    await first.stop()
    second = make_rig(workers=workers)
    await second.start()
    await second.until(lambda: len(second.sent) == 30)
    for who in ("ROSE", "PAUL"):
        numbers = [number for owner, number in map(rank_of, second.sent) if owner == who]
        assert numbers == sorted(numbers)
    await second.until(lambda: second.states(tables.delivery) == {"acknowledged": 30})
    await second.stop()


async def test_a_killed_worker_is_replaced_and_nothing_is_lost(make_rig: Callable[..., Any]) -> None:
    rig = make_rig(workers=1)
    await rig.start()
    await rig.know("ROSE")
    for number in range(40):
        await rig.submit(number, "ROSE")
        if number == 20:
            for pid in rig.engine.pool.pids:
                os.kill(pid, signal.SIGKILL)
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 40})
    assert rig.engine.pool.restarts >= 1
    await rig.stop()


_DIE_WHILE_ANSWERING = (
    "(lambda queue: (queue._wlock.acquire(), queue._writer._send(bytes(3)), __import__('os').kill("
    "__import__('os').getpid(), 9)))(__import__('sys')._getframe(1).f_locals['result_queue'])"
)
"""What a worker does that is killed in the middle of writing its answer: a part of it stands in the pipe."""


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_worker_killed_while_it_answers_holds_nothing_up(
    make_rig: Callable[..., Any], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(workers=workers)
    await rig.start()
    await rig.know("ROSE")
    pool = rig.engine.pool
    async with asyncio.timeout(55):  # without a look at the process, a batch would be waited for during its 60 s
        with pytest.raises(BrokenProcessPool):
            await pool._run(eval, _DIE_WHILE_ANSWERING)
        await rig.submit(1, "ROSE")
        await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    assert pool.restarts == 1
    await rig.stop()


async def test_a_full_disk_is_said_to_the_sender_and_mended_without_a_restart(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.know("ROSE")

    def full(_questions: object) -> None:
        raise JournalFull("the journal's storage refuses to grow (disk full); free some space")

    with monkeypatch.context() as patch:
        patch.setattr(rig.engine.writer._session, "transaction", full)
        with pytest.raises(NotAccepted, match="free some space"):
            await rig.submit(1, "ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: len(rig.sent) == 1)


async def test_a_database_that_is_away_for_a_moment_ends_no_part_of_the_router(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads, works and sends asks the journal as well; each of them is refused once, and goes on."""
    await rig.know("ROSE")
    monkeypatch.setattr("router.engine.pipeline.RETRY_SECONDS", 0.01)
    pipeline, away = rig.engine.pipeline, []

    def once(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def asked(*what: Any) -> Any:
            if name not in away:
                away.append(name)
                raise JournalFault("the journal's database does not answer (OperationalError)")
            return real(*what)

        monkeypatch.setattr(owner, name, asked)

    once(pipeline, "_load")
    once(rig.engine.pool, "process")
    once(rig.engine._destinations._running["tool"].dispatcher._waiting, "was_held")
    monkeypatch.setattr(
        pipeline._handed, "take", lambda number: (False, None)
    )  # read from the journal, as other nodes do
    rig.answer = lambda parcel: Retry("try again") if not rig.tried[1:] else Delivered(acknowledged=True)
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    assert away == ["_load", "process", "was_held"]
    with rig.engine.store.writing() as connection:  # replayed by hand: behind the cursor
        connection.execute(tables.message.update().values(state="received"))
    away.remove("_load")
    await rig.until(lambda: "_load" in away and rig.states(tables.message) == {"processed": 1})


async def test_a_large_message_goes_through_the_blob_store(rig: Rig) -> None:
    await rig.know("ROSE")
    content = orjson.loads(await _content(rig, 1, "ROSE"))
    content["items"][0]["content"]["text"] = "résultat fictif " * 60_000
    spool = rig.inbox.spool()
    spool.write_bytes(orjson.dumps(content))
    await rig.submit_bytes(spool, "big")
    await rig.until(lambda: len(rig.sent) == 1)
    assert len(rig.sent[0].content) > 900_000
    with rig.engine.store.reading() as connection:
        assert connection.execute(select(tables.message.c.blob)).scalar() is not None
        assert connection.execute(select(tables.message_content.c.sealed_content)).scalar() is None
    assert not spool.exists()


async def test_lists_have_a_line_that_a_person_recognises(rig: Rig) -> None:
    await rig.know("ROSE")
    await rig.submit(7, "ROSE")
    await rig.until(lambda: len(rig.sent) == 1)
    with rig.engine.store.reading() as connection:
        sealed = connection.execute(select(tables.item.c.sealed_summary)).scalar_one()
    summary = orjson.loads(rig.engine.store.sealer.open(sealed, SUMMARY_PLACE))
    assert summary["line"] == "FICTIF, 1 résultat"
    assert summary["patient"]["family"] == "TESTROSE"


async def test_what_is_asked_within_the_transactions_of_a_message_is_asked_as_they_begin(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else may write meanwhile: on PostgreSQL each further question would cost all nodes a journey."""
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: len(rig.sent) == 1)  # the set of mappings is kept by now
    whole, asked = Unit.query, list[str]()

    def query(self: Unit, sql: str, values: Sequence[object] = ()) -> Rows:
        if (sql, tuple(values)) not in self._answers:
            asked.append(sql)
        return whole(self, sql, values)

    monkeypatch.setattr(Unit, "query", query)
    for number in range(2, 10):
        await rig.submit(number, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 9})
    if rig.engine.store.place.is_sqlite:
        assert asked, "SQLite answers without a journey"
    else:
        assert asked == []


async def test_a_second_router_on_the_same_journal_is_refused(rig: Rig) -> None:
    store = rig.engine.store
    with (
        router_lock(store.engine, rig.place.data),
        pytest.raises(AlreadyRunning, match="another router"),
        router_lock(store.engine, rig.place.data),
    ):
        pytest.fail("two routers hold one journal")
    with router_lock(store.engine, rig.place.data):
        await asyncio.sleep(0)
