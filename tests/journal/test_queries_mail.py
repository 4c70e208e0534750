"""Conversations and submissions are found in the journal by indexes, and walked in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from web_journal import HOUR, Journal, open_journal
from web_mails import correspond, submit
from web_person import NOW

from router.journal.queries_mail import MailFilters, MailWish, Way, find_conversations, mail_troubles, way_of
from router.journal.queries_receipts import ReceiptLine
from router.journal.queries_submissions import SubmissionFilters, find_submissions
from router.journal.tables import DeliveryState
from router.journal.view import viewing


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = open_journal(tmp_path)
    correspond(journal, NOW)
    submit(journal, NOW)
    return journal


def plans(journal: Journal, ask: Any) -> list[str]:
    """Give how SQLite reaches the tables of each statement."""
    asked: list[tuple[str, Any]] = []
    with viewing(journal.store) as view:
        event.listen(view.connection, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        ask(view)
    told: list[str] = []
    with journal.store.reading() as connection:
        for statement, values in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            told += [row[3] for row in rows]
    return told


@pytest.mark.parametrize(("state", "index"), [("dead", "ix_delivery_failed"), ("pending", "ix_delivery_open")])
def test_submissions_of_a_rare_state_are_reached_by_its_index(journal: Journal, state: str, index: str) -> None:
    filters = SubmissionFilters(state=DeliveryState(state))
    assert any(index in plan for plan in plans(journal, lambda view: find_submissions(view, filters)))


def test_the_newest_submissions_are_reached_by_their_own_index(journal: Journal) -> None:
    told = plans(journal, lambda view: find_submissions(view, SubmissionFilters()))
    assert sum("ix_delivery_submission (format=? AND id>? AND id<?)" in plan for plan in told) == 2


def test_no_table_is_read_whole(journal: Journal) -> None:
    late = NOW - 24 * HOUR
    for wish in (None, *MailWish):
        filters = MailFilters(wish=wish, late_at=late)
        told = plans(journal, lambda view, filters=filters: find_conversations(view, filters))
        assert not any(plan.startswith("SCAN d") for plan in told), (wish, told)
    told = plans(journal, lambda view: mail_troubles(view, late_at=late, since=0))
    assert not any(plan.startswith("SCAN delivery") and "INDEX" not in plan for plan in told), told


def test_pages_of_conversations_follow_one_another_without_repeating(journal: Journal) -> None:
    seen: list[int] = []
    before = None
    with viewing(journal.store) as view:
        while True:
            page = find_conversations(view, MailFilters(), before=before, limit=2)
            seen += [row.newest.id for row in page.rows]
            before = page.before
            if before is None:
                break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 5


def test_a_slow_walk_says_how_far_it_came(journal: Journal) -> None:
    with journal.store.writing() as connection:
        connection.exec_driver_sql("UPDATE mail SET id = id + 100000")
    hands = iter(range(1_000))
    with viewing(journal.store) as view:
        page = find_conversations(view, MailFilters(flow="none"), budget=1.0, clock=lambda: float(next(hands)))
        assert (page.rows, page.walked) == ((), True)
        assert page.before is not None
        assert 0 < page.before < 100_000


@pytest.mark.parametrize(
    ("state", "stages", "way"),
    [
        ("pending", (), Way.SENDING),
        ("retrying", (), Way.SENDING),
        ("held", (), Way.HELD),
        ("delivered", (), Way.TAKEN),
        ("delivered", ("accepted",), Way.TAKEN),
        ("delivered", ("accepted", "delivered"), Way.ARRIVED),
        ("acknowledged", ("read",), Way.READ),
        ("dead", ("delivered",), Way.REFUSED),
        ("cancelled", (), Way.CANCELLED),
    ],
)
def test_how_far_a_mail_has_come(state: str, stages: tuple[str, ...], way: Way) -> None:
    receipts = [ReceiptLine(1, stage, True, "", 1) for stage in stages]
    assert way_of(DeliveryState(state), receipts) is way
