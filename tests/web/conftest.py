"""A filled journal, the application on it, and somebody signed in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from web_client import Browser
from web_journal import ADMIN, PASSWORD, Journal, hasten, open_journal
from web_person import CHROMIUM, NOW, Person, Served
from web_traffic import fill

from router.bulk.running import BulkRunner
from router.journal.store import JournalPlace, open_store
from router.web.accounts import create_account
from router.web.app import create_app
from router.web.context import FlowStatus, RouteStatus, WebContext
from router.web.desk import Desk
from router.web.rights import Role
from router.web.sessions import start_session


@dataclass
class Site:
    """The application with its surroundings."""

    app: FastAPI
    journal: Journal
    clock: list[int]
    flows: list[FlowStatus] = field(default_factory=list)
    woken: list[int] = field(default_factory=list)

    @property
    def desk(self) -> Desk:
        desk: Desk = self.app.state.desk
        return desk

    def browser(self) -> Browser:
        return Browser(self.app)

    async def signed_in(self, name: str = ADMIN) -> Browser:
        """Give a browser with a session, without the cost of checking a password."""
        browser = self.browser()
        token, change = start_session(name, now=self.clock[0], rules=self.desk.rules)
        self.journal.apply(change)
        browser.cookies["passerelle_session"] = token
        browser.csrf = str(self.value("SELECT csrf FROM session ORDER BY rowid DESC"))
        return browser

    async def signed_in_as(self, role: Role) -> Browser:
        """Give a browser in which an account of this role, `quelqu.un`, is signed in."""
        self.journal.apply(create_account("quelqu.un", PASSWORD, role, now=self.clock[0]))
        return await self.signed_in("quelqu.un")

    def require_totp(self, *roles: Role) -> None:
        """Ask these roles for one-time codes."""
        self.desk.rules = replace(self.desk.rules, require_totp=frozenset(roles))

    def audited(self, action: str) -> list[tuple[str, str, str]]:
        """Give who did this, to what, with which detail."""
        with self.journal.store.reading() as connection:
            rows = connection.exec_driver_sql(
                "SELECT actor, target, detail FROM audit WHERE action = ? ORDER BY id", (action,)
            )
            return [(row[0], row[1], row[2]) for row in rows]

    async def carry(self) -> int:
        """Do what the engine does about actions on many rows; gives how many batches there were."""
        now = lambda: datetime.fromtimestamp(self.clock[0] / 1_000_000, UTC)  # noqa: E731 - the context's own clock
        return await BulkRunner(self.journal.store, self.journal.submit, now=now).carry_all()

    def value(self, statement: str) -> object:
        with self.journal.store.reading() as connection:
            return connection.exec_driver_sql(statement).scalar()


FLOWS = [
    FlowStatus("labo-sud", "source", "mllp", "listening", address="0.0.0.0:2575", format="hl7v2"),
    FlowStatus("hopital", "source", "mllp", "listening", address="0.0.0.0:2576"),
    FlowStatus("spico", "destination", "fhir", "unreachable", detail="connection refused", figures={"parked": 1}),
    FlowStatus("medecin", "destination", "directory", "ready", address="/srv/out"),
]
ROUTES = (RouteStatus("résultats", "item.kind == 'lab_report'", ("spico", "medecin")),)


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int], str]:
    """A journal with one message of each fate, made once."""
    folder = tmp_path_factory.mktemp("filled")
    journal = fill(open_journal(folder), NOW)
    journal.store.close()
    return folder, journal.ids, journal.key


@pytest.fixture
def journal(filled_folder: tuple[Path, dict[str, int], str], tmp_path: Path) -> Iterator[Journal]:
    """A copy of the filled journal for one test."""
    folder, ids, key = filled_folder
    shutil.copytree(folder, tmp_path / "data")
    store = hasten(open_store(JournalPlace.at(tmp_path / "data"), migrate=False))
    yield Journal(store, key, dict(ids))
    store.close()


@pytest.fixture
def site(journal: Journal) -> Iterator[Site]:
    """The application on the filled journal, at a moment that the test may move."""
    clock = [NOW]
    woken: list[int] = []
    flows = list(FLOWS)
    context = WebContext(
        store=journal.store,
        submit=journal.submit,
        flows=lambda: flows,
        routes=lambda: ROUTES,
        wake=lambda: woken.append(clock[0]),
        now=lambda: datetime.fromtimestamp(clock[0] / 1_000_000, UTC),
        version="1.2.3",
        title="CH de Beaumont",
    )
    made = Site(create_app(context), journal, clock, flows, woken)
    made.desk.indicators.patience = 30.0  # a machine may be slow: what a page shows meanwhile has its own test
    yield made
    made.desk.live.close()
    made.desk.close()


@pytest.fixture
def served(journal: Journal) -> Iterator[Served]:
    """The application on a port of its own."""
    made = Served(journal)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser, for the tests of one module."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def person(chromium: Any, served: Served) -> Iterator[Person]:
    """Somebody in front of it; what the browser complained of fails the test."""
    made = Person(chromium, served)
    yield made
    made.context.close()
    assert made.complaints == []


@pytest.fixture(scope="session")
def everything_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with everything in it and people with hostile names, made once."""
    from web_every_page import fill_everything

    folder = tmp_path_factory.mktemp("everything")
    fill_everything(folder)
    return folder


@pytest.fixture(scope="module")
def everything(everything_folder: Path) -> Iterator[Served]:
    """A router on that journal, for the tests of one module."""
    from web_every_page import serving_everything

    with serving_everything(everything_folder) as made:
        yield made


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Journal]:
    """A router's folder with something for every action, made once; its journal is closed."""
    from web_actions_scene import furnish

    folder = tmp_path_factory.mktemp("furnished")
    return folder, furnish(folder)


@pytest.fixture(scope="module")
def insi() -> Iterator[str]:
    """The address of INSi's sandbox, for the tests of one module."""
    from web_actions_scene import national_service

    with national_service() as url:
        yield url
