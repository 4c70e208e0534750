"""Journals to test on: SQLite in a folder, and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from cluster_stage import Stage, connector_of
from postgres_server import new_database
from sqlalchemy import Table, func, select

from connectors.contracts import (
    Connector,
    Delivered,
    Inbound,
    Inbox,
    Outcome,
    Parcel,
    Receipt,
    Services,
    Settings,
)
from router.config.load import Loaded
from router.config.model import (
    Configuration,
    DestinationSection,
    EngineSection,
    JournalSection,
    ObserveSection,
    ResolvedDestination,
    ResolvedSource,
    RetrySection,
    RouteSection,
    SourceSection,
    ValidationSection,
)
from router.engine.engine import Engine
from router.identity.patients import register
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, Store, open_store
from schemas.coding import Identifier
from schemas.identity import PatientIdentity
from schemas.item import ItemSet, LabReportItem, Provenance
from schemas.lab import LabChapter, LabReport, Observation, QuantityValue

_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def new_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Give the URL of an empty journal: empty for SQLite in the data folder, or a fresh PostgreSQL database."""
    if request.param == "sqlite":
        return str
    server: str = request.getfixturevalue("postgres_url")
    return lambda: new_database(server, f"journal{next(_numbers)}")


@pytest.fixture
def journal_url(new_url: Callable[[], str]) -> str:
    """An empty journal's URL."""
    return new_url()


@pytest.fixture
def make_place(tmp_path_factory: pytest.TempPathFactory, new_url: Callable[[], str]) -> Callable[[], JournalPlace]:
    """Make places of empty journals."""
    return lambda: JournalPlace.at(tmp_path_factory.mktemp("place"), new_url())


@pytest.fixture
def postgres_place(tmp_path: Path, postgres_url: str) -> JournalPlace:
    make_key_file(tmp_path / "journal.key")
    return JournalPlace.at(tmp_path, new_database(postgres_url, f"journal{next(_numbers)}"))


@pytest.fixture
def place(tmp_path: Path, journal_url: str) -> JournalPlace:
    make_key_file(tmp_path / "journal.key")
    return JournalPlace.at(tmp_path, journal_url)


@pytest.fixture
def store(place: JournalPlace) -> Iterator[Store]:
    opened = open_store(place)
    yield opened
    opened.close()


@pytest.fixture
def reopen(place: JournalPlace) -> Callable[[], Store]:
    return lambda: open_store(place)


# --- an engine between memory connectors ------------------------------------------------------------------------


class MemorySource:
    """A source that hands its inbox to the test."""

    def __init__(self, rig: Rig, services: Services) -> None:
        self._rig = rig
        self._services = services

    async def run(self, inbox: Inbox) -> None:
        self._rig.inbox = inbox
        self._services.ready("memory")
        await asyncio.Event().wait()


class MemoryDestination:
    """A destination that keeps what it is sent, and answers what the test wants (`Rig.answers`)."""

    def __init__(self, rig: Rig, name: str = "tool") -> None:
        self._rig = rig
        self._name = name

    async def send(self, parcel: Parcel) -> Outcome:
        await asyncio.sleep(0)
        self._rig.names[parcel.identity] = self._name
        self._rig.tried.append(parcel)
        outcome = self._rig.answer(parcel)
        if isinstance(outcome, Delivered):
            self._rig.sent.append(parcel)
        self._rig.news.set()
        return outcome

    async def close(self) -> None:
        return None


class Rig:
    """An engine, what was sent to it and what it sent."""

    def __init__(self, place: JournalPlace, *, workers: int = 0) -> None:
        self.place = place
        self.workers = workers
        self.inbox: Inbox
        self.sent: list[Parcel] = []
        self.tried: list[Parcel] = []
        self.news = asyncio.Event()
        self.answer: Callable[[Parcel], Outcome] = lambda _: Delivered(acknowledged=True)
        self.engine: Engine
        self.routes: tuple[RouteSection, ...] = (
            RouteSection(name="all", when="patient.in_coordination", to=("tool",)),
        )
        self.retry = RetrySection(max_attempts=3, first_delay=0.02, max_delay=0.1)
        self.format: str | None = "canonical"
        self.validate = "none"
        self.validation = ValidationSection()
        self.more: tuple[str, ...] = ()
        self.names: dict[str, str] = {}
        self.observe = ObserveSection()
        self.traceparent = False

    def name_of(self, parcel: Parcel) -> str:
        """Give the destination that a parcel was sent to."""
        return self.names[parcel.identity]

    def reopened(self) -> Store:
        """Open the journal while the engine does not run."""
        return open_store(self.place)

    def loaded(self) -> Loaded:
        source = SourceSection(connector="memory", format=self.format)
        target = DestinationSection(
            connector="memory", retry=self.retry, validate=self.validate, traceparent=self.traceparent
        )
        configuration = Configuration(
            journal=JournalSection(data=".", url=self.place.url),
            engine=EngineSection(workers=self.workers, batch=8),
            validation=self.validation,
            observe=self.observe,
            sources={"labo": source},
            destinations=dict.fromkeys(("tool", *self.more), target),
            routes=self.routes,
        )
        return Loaded(
            self.place.data / "passerelle.toml",
            configuration,
            (ResolvedSource(name="labo", section=source, settings=Settings()),),
            tuple(
                ResolvedDestination(name=name, section=target, settings=Settings(), format="canonical")
                for name in ("tool", *self.more)
            ),
        )

    async def start(self) -> None:
        self.engine = Engine(self.loaded(), open_store(self.place))
        await self.engine.start()

    async def stop(self) -> None:
        await self.engine.stop()

    def know(self, *people: str, now: int = 1) -> Awaitable[object]:
        return asyncio.gather(
            *(self.engine.submit(register(person(name), in_coordination=True, now=now)) for name in people)
        )

    async def submit(self, number: int, who: str, control_id: str | None = None) -> Receipt:
        content = ItemSet(items=(report(number, who),)).model_dump_json().encode()
        return await self.submit_bytes(content, control_id or str(number))

    async def submit_bytes(self, content: bytes, control_id: str) -> Receipt:
        return await self.inbox.submit(Inbound(content, datetime.now(UTC), control_id=control_id, message_type="T"))

    async def until(self, condition: Callable[[], bool]) -> None:
        # Workers are nice to others: on a busy machine, starting two of them anew may take most of a minute.
        async with asyncio.timeout(90):
            while not condition():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self.news.wait()
                self.news.clear()

    def states(self, table: Table) -> dict[str, int]:
        with self.engine.store.reading() as connection:
            rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
        return {row[0]: row[1] for row in rows}


def person(name: str) -> PatientIdentity:
    identifier = Identifier(system="urn:x-authority:FICTIVE", value=f"IPP-{name}", type="PI")
    return PatientIdentity(identifiers=(identifier,), birth_name=f"TEST{name}", birth_date="1979-03-05")


def report(number: int, who: str) -> LabReportItem:
    value = QuantityValue(number=str(number))
    chapter = LabChapter(title="FICTIF", observations=(Observation(label="Rang", value=value, status="final"),))
    return LabReportItem(
        id=f"item{number}",
        patient=person(who),
        source=Provenance(format="canonical", where="test"),
        content=LabReport(report_id=f"R{number}", chapters=(chapter,)),
    )


def rank(parcel: Parcel) -> tuple[str, int]:
    """Whose report a parcel carries, and its number."""
    item = orjson.loads(parcel.content)["items"][0]
    observation = item["content"]["chapters"][0]["observations"][0]
    return item["patient"]["birth_name"].removeprefix("TEST"), int(observation["value"]["number"])


@pytest.fixture
def make_person() -> Callable[[str], PatientIdentity]:
    return person


@pytest.fixture
def make_report() -> Callable[[int, str], LabReportItem]:
    return report


@pytest.fixture
def rank_of() -> Callable[[Parcel], tuple[str, int]]:
    return rank


@pytest.fixture
def make_rig(place: JournalPlace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rig]:
    def make(*, workers: int = 0) -> Rig:
        rig = Rig(place, workers=workers)
        connector = Connector(
            name="memory",
            summary="in memory",
            source_settings=Settings,
            destination_settings=Settings,
            make_source=lambda _name, _settings, services: MemorySource(rig, services),
            make_destination=lambda name, _settings, _services: MemoryDestination(rig, name),
        )
        monkeypatch.setattr("router.engine.engine.connectors", lambda: {"memory": connector})
        return rig

    return make


@pytest.fixture
async def rig(make_rig: Callable[..., Rig]) -> AsyncIterator[Rig]:
    made = make_rig()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def stage(postgres_place: JournalPlace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    made = Stage(postgres_place)
    connector = connector_of(made)
    monkeypatch.setattr("router.engine.engine.connectors", lambda: {"memory": connector})
    yield made
    for name in list(made.engines):
        await made.stop(name)


@pytest.fixture
def told_of() -> Callable[[Stage], dict[str, list[int]]]:
    def told(stage: Stage) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for _, parcel in stage.sent:
            who, number = rank(parcel)
            found[who].append(number)
        return dict(found)

    return told
