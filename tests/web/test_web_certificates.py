"""Certificates that end, on the overview."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from web_client import Browser
from web_journal import ADMIN, open_journal

from connectors.certificates import CertificateTrouble
from router.certificates import CertificateNote
from router.web.app import create_app
from router.web.context import WebContext
from router.web.sessions import start_session

END = datetime(2030, 3, 5, tzinfo=UTC)
NOTES: list[CertificateNote] = []


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    journal = open_journal(tmp_path)
    app = create_app(WebContext(store=journal.store, submit=journal.submit, certificates=lambda: list(NOTES)))
    desk = app.state.desk
    made = Browser(app)
    token, change = start_session(ADMIN, now=desk.now(), rules=desk.rules)
    journal.apply(change)
    made.cookies["passerelle_session"] = token
    NOTES.clear()
    yield made
    desk.live.close()
    desk.close()
    journal.store.close()


@pytest.mark.parametrize(
    ("trouble", "french", "english"),
    [
        (CertificateTrouble.EXPIRING, "Le certificat de insi expire le 5", "The certificate of insi expires on 5"),
        (CertificateTrouble.EXPIRED, "a expiré le 5", "expired on 5"),
        (CertificateTrouble.MISSING, "Le fichier du certificat de insi n’existe pas", "does not exist"),
        (CertificateTrouble.UNREADABLE, "ne peut pas être lu", "cannot be read"),
        (CertificateTrouble.NOT_YET, "n’est pas encore valable", "is not valid yet"),
        (CertificateTrouble.WRONG_NAME, "ne donne pas accès au service", "gives no access to the service"),
    ],
)
async def test_the_overview_says_what_is_wrong_with_a_certificate(
    browser: Any, trouble: CertificateTrouble, french: str, english: str
) -> None:
    NOTES.append(CertificateNote("insi", trouble, END))
    said = " ".join((await browser.get("/")).plain.replace("\u00a0", " ").split())
    assert french in said
    assert "Tout circule" not in said
    browser.cookies["passerelle_language"] = "en"
    assert english in " ".join((await browser.get("/")).plain.replace("\u00a0", " ").split())


async def test_without_trouble_nothing_is_said(browser: Any) -> None:
    assert not re.search("[Cc]ertificat de", (await browser.get("/")).plain)
