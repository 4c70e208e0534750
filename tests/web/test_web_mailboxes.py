"""The page of the mailboxes: what connectors say of themselves, and what the journal knows of what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from web_client import Browser
from web_journal import ADMIN, open_journal
from web_traffic import fill

from router.journal import tables
from router.web.app import create_app
from router.web.context import FlowStatus, WebContext
from router.web.sessions import start_session

FLOWS: list[FlowStatus] = []
BOX = FlowStatus(
    "bal",
    "source",
    "mssante",
    "watching",
    figures={
        "account": "resultats@ch.test.mssante.invalid",
        "box": "app",
        "waiting": 3,
        "unread": 2,
        "oldest_unread": "2026-11-22T08:00:00+00:00",
        "last_pick_up": "2026-11-22T09:00:00+00:00",
        "quota_used": 950,
        "quota_limit": 1000,
        "rejected": 4,
    },
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    journal = open_journal(tmp_path)
    app = create_app(WebContext(store=journal.store, submit=journal.submit, flows=lambda: list(FLOWS)))
    desk = app.state.desk
    browser = Browser(app)
    token, change = start_session(ADMIN, now=desk.now(), rules=desk.rules)
    journal.apply(change)
    browser.cookies["passerelle_session"] = token
    FLOWS.clear()
    yield browser, journal
    desk.live.close()
    desk.close()
    journal.store.close()


async def said(browser: Any, language: str = "fr") -> str:
    browser.cookies["passerelle_language"] = language
    answer = await browser.get("/mailboxes")
    assert answer.status == 200
    return " ".join(answer.plain.replace("\u00a0", " ").replace("\u202f", " ").split())


@pytest.mark.parametrize(
    ("language", "source", "destination"),
    [
        ("fr", "Aucune boîte MSSanté n’est relevée. Ajoutez une source", "Aucune destination n’envoie par MSSanté."),
        ("en", "No MSSanté mailbox is read. Add a", "Nothing is sent through MSSanté."),
    ],
)
async def test_nothing_configured_says_what_to_do(desk: Any, language: str, source: str, destination: str) -> None:
    FLOWS.append(FlowStatus("labo", "source", "mllp", "listening"))
    text = await said(desk[0], language)
    assert source in text
    assert destination in text
    assert "passerelle sandbox mssante" in text


async def test_a_mailbox_says_how_it_is(desk: Any) -> None:
    FLOWS.append(BOX)
    text = await said(desk[0])
    for part in ("resultats@ch.test.mssante.invalid", "boîte applicative", "2 non lus", "presque pleine", "95 %"):
        assert part in text
    FLOWS[:] = [FlowStatus("bal", "source", "mssante", "failed", "the login was refused", figures={"box": "org"})]
    text = await said(desk[0], "en")
    for part in ("the login was refused", "organisation’s mailbox", "not yet", "not told by the operator"):
        assert part in text


async def test_what_was_sent_is_counted_from_the_journal(desk: Any) -> None:
    browser, journal = desk
    fill(journal, browser_now(browser))
    with journal.store.writing() as connection:
        connection.execute(
            update(tables.delivery).values(destination="mail", state="acknowledged", ended_at=browser_now(browser))
        )
    FLOWS.append(FlowStatus("mail", "destination", "mssante", "ready", address="smtp:587", figures={"unknown": 1}))
    text = await said(browser)
    assert "1 envoi incertain" in text
    assert "smtp:587" in text
    with journal.store.reading() as connection:
        count = len(connection.execute(tables.delivery.select()).all())
    assert f" {count} 0" in text


def browser_now(browser: Any) -> int:
    desk: Any = browser.app.state.desk
    return int(desk.now())
