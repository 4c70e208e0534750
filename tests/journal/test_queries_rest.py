"""One message whole, failures by cause, counts and rates; and that the quick paths are taken."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from web_journal import HOUR, MINUTE, SECOND, Journal, person, report

from router.journal.actions import cancel_deliveries, replay_deliveries, replay_messages
from router.journal.queries import MessageFilters, find_messages
from router.journal.queries_audit import AuditFilters, audit_lines
from router.journal.queries_deliveries import (
    DeliveryFilters,
    cause_of,
    count_deliveries,
    failure_groups,
    find_deliveries,
    find_delivery_ids,
    stripped,
)
from router.journal.queries_lines import HELD_ITEMS, item_lines
from router.journal.queries_message import (
    attempt_answer,
    delivery_content,
    item_body,
    load_delivery,
    load_message,
    message_content,
)
from router.journal.queries_overview import backlog, counts, notices, situation
from router.journal.queries_rates import DEAD, ENDED, RECEIVED, Tally
from router.journal.queries_search import Search
from router.journal.store import JournalFault
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.view import Capped, viewing


def test_one_message_whole(journal: Journal) -> None:
    with viewing(journal.store) as view:
        detail = load_message(view, journal.ids["DONE"])
        assert detail is not None
        assert detail.line.state is MessageState.PROCESSED
        (item,) = detail.current
        assert [(route.name, route.matched, route.detail) for route in item.routes] == [
            ("résultats", True, ""),
            ("alertes", False, ""),
            ("essai", None, "the condition fails on this item"),
        ]
        first, second = detail.deliveries
        assert [(one.number, one.outcome, one.answered) for one in first.attempts] == [
            (1, "retry", False),
            (2, "acknowledged", True),
        ]
        assert second.state is DeliveryState.DELIVERED
        assert [(one.where, one.text) for one in detail.unread] == [("ZBE-9", "inattendu")]
        assert detail.charset == "utf-8"
        content = message_content(view, journal.ids["DONE"])
        assert content is not None
        assert content.content.startswith(b"MSH|")
        assert (content.filename, content.beside) == ("r.hpr", {"a.txt": b"a"})
        sent = delivery_content(view, first.id)
        assert sent is not None
        assert (sent.media_type, sent.filename, len(sent.findings)) == ("application/fhir+json", "bundle.json", 1)
        assert attempt_answer(view, first.id, 2) == b'{"ok": true}'
        assert attempt_answer(view, first.id, 1) is None
        assert b"TESTROSE" in (item_body(view, item.line.id) or b"")


def test_what_is_not_there_is_none(journal: Journal) -> None:
    with viewing(journal.store) as view:
        assert load_message(view, 999) is None
        assert load_delivery(view, 999) is None
        assert message_content(view, 999) is None
        assert delivery_content(view, 999) is None
        assert attempt_answer(view, 999, 1) is None
        assert item_body(view, 999) is None


def test_a_content_in_the_blob_store_is_given_or_missed_in_a_sentence(journal: Journal, now: int) -> None:
    from router.journal.operations import AppendMessage

    name = journal.store.blobs.put(b"large" * 100_000)
    number = journal.apply(AppendMessage(b"x" * 16, now, "labo-sud", "LARGE", "", "", 500_000, None, name)).message_id
    with viewing(journal.store) as view:
        content = message_content(view, number)
        assert content is not None
        assert len(content.content) == 500_000
        for path in (journal.store.place.data / "blobs").glob("*/*"):
            path.unlink()
        with pytest.raises(JournalFault, match="backup"):
            message_content(view, number)


def test_failures_are_grouped_by_destination_and_cause(journal: Journal, now: int) -> None:
    with viewing(journal.store) as view:
        found = failure_groups(view)
        assert [(one.destination, one.detail, one.count, one.messages) for one in found.groups] == [
            ("spico", "HTTP 422: patient … unknown", 2, 2),
            ("spico", "HTTP 400", 1, 1),
        ]
        assert not found.capped
        first = found.groups[0]
        assert now - 31 * MINUTE < first.first_at < first.last_at < now - 28 * MINUTE
        filters = DeliveryFilters(DeliveryState.DEAD, "spico", first.cause)
        expected = [journal.ids["delivery DEAD1"], journal.ids["delivery DEAD0"]]
        assert [row.delivery.id for row in find_deliveries(view, filters).rows] == expected
        assert find_delivery_ids(view, filters, limit=10) == (expected[::-1], False)
        assert find_delivery_ids(view, filters, limit=1) == (expected[1:], True)
        assert count_deliveries(view, filters, cap=10) == Capped(2)
        assert count_deliveries(view, DeliveryFilters(DeliveryState.DEAD), cap=2) == Capped(2, more=True)
        assert find_deliveries(view, DeliveryFilters(DeliveryState.DEAD, cause="nothing")).rows == ()
        assert failure_groups(view, DeliveryState.RETRYING).groups[0].detail == "connection refused"


def test_causes_leave_out_what_differs() -> None:
    one = "HTTP 422: Patient/8f14e45f-ceea-467f-a8b6-7c1c2c9b1a11 (row 123456) conflicts"
    other = "HTTP 422: Patient/0cc175b9-c0f1-b6a8-31c3-99e269772661 (row 99999) conflicts"
    assert cause_of(stripped(one)) == cause_of(stripped(other))
    assert stripped("HTTP 422") == "HTTP 422", "a status is the cause itself"
    assert cause_of(stripped("HTTP 422")) != cause_of(stripped("HTTP 503"))


@pytest.mark.parametrize("state", [None, *DeliveryState])
@pytest.mark.parametrize("destination", [None, "spico", "medecin"])
@pytest.mark.parametrize("budget", [0.0, 60.0])
def test_deliveries_page_by_page(
    day: Journal, state: DeliveryState | None, destination: str | None, budget: float
) -> None:
    filters = DeliveryFilters(state, destination)
    with viewing(day.store) as view:
        whole = [row.delivery for row in find_deliveries(view, DeliveryFilters(), limit=10_000).rows]
        expected = [
            one.id
            for one in whole
            if (state is None or one.state is state) and (destination is None or one.destination == destination)
        ]
        seen: list[int] = []
        before: int | None = None
        while True:
            page = find_deliveries(view, filters, before=before, limit=7, budget=budget)
            seen += [row.delivery.id for row in page.rows]
            assert all(row.item is not None for row in page.rows)
            if page.before is None:
                break
            before = page.before
        assert seen == expected
        assert find_delivery_ids(view, filters, limit=10_000) == (sorted(expected), False)


def test_counts_are_those_of_the_rows(journal: Journal) -> None:
    assert counts(journal.store) == {
        "messages": {"processed": 6, "held": 1, "rejected": 1, "received": 1},
        "items": {"routed": 6, "held": 1},
        "deliveries": {"acknowledged": 1, "delivered": 1, "dead": 3, "retrying": 1, "pending": 1},
    }


def test_the_situation(journal: Journal, now: int) -> None:
    with viewing(journal.store) as view:
        found = situation(view, ["spico", "medecin", "none"], since=now - 24 * HOUR, troubles_since=now - HOUR)
    assert (found.unread.count, found.unread.oldest_at) == (Capped(1), now - 2 * SECOND)
    assert (found.held.count, found.held.oldest_at) == (Capped(1), now - 2 * HOUR + 1)
    assert [(one.reason, one.count) for one in found.held_reasons] == [("no_match", 1)]
    assert (found.rejected, found.rejected_by_source) == (Capped(1), {"labo-sud": 1})
    assert len(found.failures.groups) == 2
    spico, medecin, none = (found.backlog[name] for name in ("spico", "medecin", "none"))
    assert (spico.pending.count, spico.retrying, spico.detail) == (Capped(1), 1, "connection refused")
    assert spico.next_attempt_at == now + 30 * SECOND
    assert (medecin.pending.count, medecin.retrying) == (Capped(1), 0)
    assert not none.pending
    assert [one.component for one in found.troubles] == ["source hopital"]


def test_an_empty_journal_has_an_empty_situation(tmp_path: Any) -> None:
    from web_journal import open_journal

    journal = open_journal(tmp_path)
    with viewing(journal.store) as view:
        found = situation(view, ["spico"], since=0, troubles_since=0)
        assert not (found.unread)
        assert not (found.held)
        assert not (found.rejected.count)
        assert not (found.failures.groups)
        assert not (found.troubles)
        assert find_messages(view, MessageFilters()).rows == ()
        assert find_messages(view, MessageFilters(since=5)).rows == ()
        assert find_deliveries(view, DeliveryFilters()).rows == ()
        assert Tally().refresh(view, 10 * 24 * HOUR)
    assert counts(journal.store) == {"messages": {}, "items": {}, "deliveries": {}}
    journal.store.close()


def test_notices_and_audit_page_by_page(journal: Journal, now: int) -> None:
    for number in range(5):
        journal.apply(cancel_deliveries([900 + number], actor="admin" if number % 2 else "key:outil", now=now))
    with viewing(journal.store) as view:
        assert [one.severity for one in notices(view)] == ["warning", "error"]
        assert notices(view, severity="info") == []
        assert len(notices(view, since=now - HOUR)) == 1
        lines = audit_lines(view, AuditFilters(), limit=3)
        assert [line.detail for line in lines] == ["904", "903", "902"]
        assert [line.detail for line in audit_lines(view, AuditFilters(), before=lines[-1].id)] == ["901", "900"]
        assert {line.actor for line in audit_lines(view, AuditFilters(actor="key:outil"))} == {"key:outil"}


def test_rates_and_the_curve_come_from_the_rows(day: Journal, now: int) -> None:
    tally = Tally()
    with viewing(day.store) as view:
        assert tally.refresh(view, now, budget=60.0)
        received = [
            line.received_at for line in find_messages(view, MessageFilters(since=now - 23 * HOUR), limit=9999).rows
        ]
        ended = [
            row.delivery for row in find_deliveries(view, DeliveryFilters(), limit=9999).rows if row.delivery.ended_at
        ]
    bins = tally.bins(now)
    assert len(bins) == 96
    assert bins[-1].start <= now < bins[-1].start + 15 * MINUTE
    for one in bins[8:]:
        until = one.start + 15 * MINUTE
        assert one.received == sum(one.start <= at < until for at in received)
        inside = [line for line in ended if line.ended_at is not None and one.start <= line.ended_at < until]
        assert one.delivered == sum(line.state is not DeliveryState.DEAD for line in inside)
        assert one.failed == sum(line.state is DeliveryState.DEAD for line in inside)
    assert tally.total(RECEIVED, "labo-sud", now, 60) >= 7
    assert sum(tally.curve(RECEIVED, "labo-sud", now, 60)) == tally.total(RECEIVED, "labo-sud", now, 60)
    assert tally.names(ENDED) == {"spico", "medecin"}
    assert tally.total(DEAD, "spico", now, 60) >= 3


def test_rates_are_per_minute_of_time_elapsed(journal: Journal, now: int) -> None:
    tally = Tally()
    for _ in range(12):
        journal.message(now - 90 * SECOND, source="vif")
    with viewing(journal.store) as view:
        tally.refresh(view, now + 30 * SECOND)
    assert tally.per_minute(RECEIVED, "vif", now + 30 * SECOND, 5) == pytest.approx(12 / 4.5)
    assert tally.per_minute(RECEIVED, "silent", now, 5) == 0


def test_new_rows_are_counted_and_reopened_ones_leave(journal: Journal, now: int) -> None:
    moment = [0.0]
    tally = Tally(clock=lambda: moment[0])
    with viewing(journal.store) as view:
        tally.refresh(view, now, budget=60.0)
        assert sum(one.failed for one in tally.bins(now)) == 3
        number = journal.message(now + 10 * SECOND)
        journal.apply(replay_deliveries([journal.ids["delivery DEAD0"]], actor="admin", now=now))
        tally.refresh(view, now + 30 * SECOND, budget=60.0)
        assert sum(one.received for one in tally.bins(now + 30 * SECOND)) == number
        assert sum(one.failed for one in tally.bins(now + 30 * SECOND)) == 3, "an old minute is kept for a while"
        moment[0] = 700.0
        for _ in range(30):
            tally.refresh(view, now + 40 * SECOND, budget=60.0)
        assert sum(one.failed for one in tally.bins(now + 40 * SECOND)) == 2, "and counted anew in time"
        journal.apply(cancel_deliveries([journal.ids["delivery DEAD1"]], actor="admin", now=now + 50 * SECOND))
        tally.forget()
        for _ in range(30):
            tally.refresh(view, now + 55 * SECOND, budget=60.0)
        last = tally.bins(now + 55 * SECOND)
        assert (sum(one.failed for one in last), sum(one.delivered for one in last)) == (1, 2)


def test_a_tally_in_a_hurry_comes_to_the_same(day: Journal, now: int) -> None:
    patient, hurried = Tally(), Tally()
    with viewing(day.store) as view:
        patient.refresh(view, now, budget=60.0)
        ticks = iter(range(10_000))
        hurried.clock = lambda: float(next(ticks))
        rounds = 0
        while not hurried.refresh(view, now, budget=3.0):
            rounds += 1
        assert rounds > 3
    assert hurried.bins(now) == patient.bins(now)


def test_a_day_later_the_old_counts_are_gone(journal: Journal, now: int) -> None:
    tally = Tally()
    with viewing(journal.store) as view:
        tally.refresh(view, now, budget=60.0)
        later = now + 30 * HOUR
        assert tally.refresh(view, later, budget=60.0)
    assert sum(one.received + one.delivered + one.failed for one in tally.bins(later)) == 0
    assert tally.names(RECEIVED) == set()


def test_held_items_are_listed_oldest_first(journal: Journal, now: int) -> None:
    number = journal.message(now, control="HELD2")
    held = journal.item(
        report(person(4), "9" * 32),
        line="NFS",
        patient_id=None,
        state=ItemState.HELD,
        reason="several_candidates",
        to=(),
    )
    journal.read(number, now, [held])
    with viewing(journal.store) as view:
        lines = list(item_lines(view, HELD_ITEMS))
        assert [line.reason for line in lines] == ["no_match", "several_candidates"]
        assert [line.message_id for line in item_lines(view, HELD_ITEMS, newest_first=True, limit=1)] == [number]


def plans(journal: Journal, ask: Any) -> list[str]:
    """Give SQLite's plan for each statement that a question makes."""
    found: list[str] = []

    def note(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            raw = connection.connection.dbapi_connection
            rows = raw.execute("EXPLAIN QUERY PLAN " + statement, parameters).fetchall()
            found.append(" | ".join(row[3] for row in rows))

    event.listen(journal.store.engine, "before_cursor_execute", note)
    try:
        with viewing(journal.store) as view:
            ask(view)
    finally:
        event.remove(journal.store.engine, "before_cursor_execute", note)
    return found


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda view: find_messages(view, MessageFilters(state=MessageState.REJECTED)), "ix_message_open (state=?"),
        (lambda view: find_messages(view, MessageFilters(since=NOW_DAY)), "ix_message_received (received_at>?"),
        (
            lambda view: find_messages(view, MessageFilters(search=Search((1,), "X"))),
            "ux_message_control_id (control_id=?",
        ),
        (
            lambda view: find_deliveries(view, DeliveryFilters(DeliveryState.DEAD)),
            "ix_delivery_failed (state=? AND id<?",
        ),
        (
            lambda view: find_deliveries(view, DeliveryFilters(DeliveryState.PENDING, "spico")),
            "ix_delivery_open (destination=? AND id<?",
        ),
        (failure_groups, "ix_delivery_failed (state=?"),
        (lambda view: backlog(view, "spico"), "ix_delivery_open (destination=?"),
        (lambda view: list(item_lines(view, HELD_ITEMS)), "ix_item_held"),
        (lambda view: Tally().refresh(view, NOW_DAY), "COVERING INDEX ix_delivery_ended"),
    ],
)
def test_quick_paths_are_taken(tmp_path: Any, ask: Any, index: str) -> None:
    """With a million rows these are the difference between a millisecond and a second."""
    from web_journal import open_journal

    journal = open_journal(tmp_path)
    found = plans(journal, ask)
    journal.store.close()
    assert any(index in plan for plan in found), found
    tables = ("SCAN message", "SCAN delivery", "SCAN item")
    scans = [plan for plan in found for name in tables if plan == name or f"{name} |" in plan]
    assert scans == [], "no table is read from end to end"


NOW_DAY = 1795339800000000


def test_replaying_reopens_what_waits(journal: Journal, now: int) -> None:
    journal.apply(replay_messages([journal.ids["BAD"]], actor="admin", now=now))
    with viewing(journal.store) as view:
        found = situation(view, ["spico"], since=0, troubles_since=now)
    assert found.rejected == Capped(0)
    assert found.unread.count == Capped(2)
