"""A real engine between memory connectors, for identity events: what is submitted, what left, what the register holds.

Everybody in it is fictitious. Two destinations listen: one is sent canonical JSON, the other HL7v2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, select

from connectors.contracts import (
    Connector,
    Delivered,
    Inbound,
    Inbox,
    Outcome,
    Parcel,
    Receipt,
    Retry,
    Services,
    Settings,
)
from router.config.load import Loaded
from router.config.model import (
    Configuration,
    DestinationSection,
    EngineSection,
    JournalSection,
    ResolvedDestination,
    ResolvedSource,
    RetrySection,
    RouteSection,
    SourceSection,
)
from router.engine.engine import Engine
from router.identity.patients import Patient, load_patients, register
from router.identity.tasks import Task, open_tasks
from router.journal import tables
from router.journal.operations import Change
from router.journal.store import JournalPlace, open_store
from router.journal.view import viewing
from schemas.coding import Identifier
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex
from schemas.identity_event import IdentityEvent
from schemas.item import IdentityItem, Item, ItemSet, LabReportItem, Provenance
from schemas.lab import LabChapter, LabReport, Observation, QuantityValue

TEST_NIR = "1.2.250.1.213.1.4.10"
HOSPITAL = "urn:oid:1.2.250.1.999.35.1"
LABORATORY = "urn:oid:1.2.250.1.999.35.2"
ROSE_INS = Ins(matricule="279035121518989", oid=TEST_NIR)
PAUL_INS = Ins(matricule="180017505600004", oid=TEST_NIR)
QUALIFIED, VALIDATED, PROVISIONAL = IdentityStatus.QUALIFIED, IdentityStatus.VALIDATED, IdentityStatus.PROVISIONAL
DOUBTFUL = IdentityAttribute.DOUBTFUL
SOURCE = Provenance(format="canonical", where="test")


def ipp(value: str, system: str = HOSPITAL) -> Identifier:
    """Give a local identifier."""
    return Identifier(system=system, value=value, type="PI")


def rose(*values: str, **more: Any) -> PatientIdentity:
    """Give TESTROSE, with these IPPs of the hospital."""
    traits: dict[str, Any] = {
        "identifiers": tuple(ipp(value) for value in values),
        "birth_name": "TESTROSE",
        "birth_given_names": ("MARIE", "JEANNE"),
        "first_given_name": "MARIE",
        "birth_date": "1979-03-05",
        "sex": Sex.FEMALE,
        "birth_place": "51215",
    }
    return PatientIdentity(**traits | more)


def qualified_rose(*values: str, **more: Any) -> PatientIdentity:
    """Give her with her INS, qualified."""
    return rose(*values, **{"ins": ROSE_INS, "status": QUALIFIED, **more})


def report(number: int, patient: PatientIdentity) -> LabReportItem:
    """Give a laboratory report."""
    value = Observation(label="Rang", value=QuantityValue(number=str(number)), status="final")
    return LabReportItem(
        id=f"report{number}",
        patient=patient,
        source=SOURCE,
        content=LabReport(report_id=f"R{number}", chapters=(LabChapter(title="FICTIF", observations=(value,)),)),
    )


def event(number: int, name: str, trigger: str, patient: PatientIdentity, **more: Any) -> IdentityItem:
    """Give an identity event."""
    content = IdentityEvent(event=f"patient.{name}", trigger=trigger, **more)
    return IdentityItem(id=f"event{number}", patient=patient, source=SOURCE, content=content)


class Rig:
    """The engine, its register, and what left; `open` closes the doors of the destinations."""

    def __init__(self, place: JournalPlace) -> None:
        self.place = place
        self.open = True
        self.sent: list[tuple[str, Parcel]] = []
        self.inbox: Inbox
        self.engine: Engine
        self._count = 0

    # --- connectors -------------------------------------------------------------------------------------------------

    def connector(self) -> Connector:
        """Give the connector through which both sides meet the test."""
        rig = self

        class Source:
            def __init__(self, services: Services) -> None:
                self._services = services

            async def run(self, inbox: Inbox) -> None:
                rig.inbox = inbox
                self._services.ready("memory")
                await asyncio.Event().wait()

        class Destination:
            def __init__(self, name: str) -> None:
                self._name = name

            async def send(self, parcel: Parcel) -> Outcome:
                await asyncio.sleep(0)
                if not rig.open:
                    return Retry("busy")
                rig.sent.append((self._name, parcel))
                return Delivered(acknowledged=True)

            async def close(self) -> None:
                return None

        return Connector(
            name="memory",
            summary="in memory",
            source_settings=Settings,
            destination_settings=Settings,
            make_source=lambda _name, _settings, services: Source(services),
            make_destination=lambda name, _settings, _services: Destination(name),
        )

    def loaded(self) -> Loaded:
        """Give the configuration: everything that is about somebody goes to both destinations."""
        retry = RetrySection(max_attempts=100_000, first_delay=0.01, max_delay=0.02)
        source = SourceSection(connector="memory")
        target = DestinationSection(connector="memory", retry=retry)
        configuration = Configuration(
            journal=JournalSection(data=".", url=self.place.url),
            engine=EngineSection(workers=0, batch=8),
            sources={"his": source},
            destinations={"tool": target, "lab": target},
            routes=(RouteSection(name="all", when="true", to=("tool", "lab")),),
        )
        formats = {"tool": "canonical", "lab": "hl7v2"}
        return Loaded(
            self.place.data / "passerelle.toml",
            configuration,
            (ResolvedSource(name="his", section=source, settings=Settings()),),
            tuple(
                ResolvedDestination(name=name, section=target, settings=Settings(), format=form)
                for name, form in formats.items()
            ),
        )

    async def start(self) -> None:
        """Start the engine."""
        self.engine = Engine(self.loaded(), open_store(self.place))
        await self.engine.start()

    async def stop(self) -> None:
        """Stop it."""
        await self.engine.stop()

    # --- what a test does --------------------------------------------------------------------------------------------

    async def know(self, identity: PatientIdentity, *, in_coordination: bool = True) -> int:
        """Register somebody."""
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        done = await self.engine.submit(register(identity, in_coordination=in_coordination, now=now))
        return done.patient_id

    async def submit(self, *items: Item) -> list[Receipt]:
        """Receive Items, one a message, without waiting for any of them to be read."""
        return [await self.submit_bytes(ItemSet(items=(item,)).model_dump_json().encode()) for item in items]

    async def submit_bytes(self, content: bytes) -> Receipt:
        """Receive a message."""
        self._count += 1
        return await self.inbox.submit(
            Inbound(content, datetime.now(UTC), control_id=str(self._count), message_type="T")
        )

    async def receive(self, *items: Item) -> None:
        """Receive Items and wait until nothing moves any more."""
        await self.submit(*items)
        await self.settle()

    async def settle(self) -> None:
        """Wait until everything received is read, what is to be prepared anew is, and, doors open, all has left."""
        async with asyncio.timeout(20):
            while self._moving():
                self.engine.wake()
                await asyncio.sleep(0.005)

    def _moving(self) -> bool:
        message, item, delivery = tables.message.c, tables.item.c, tables.delivery.c
        checks = [
            select(func.count()).where(message.state == "received"),
            select(func.count()).where(item.state == "held", item.reason.in_(("ins_withdrawn", "merge_undone"))),
        ]
        if self.open:
            checks.append(select(func.count()).where(delivery.state.in_(("pending", "retrying"))))
        with self.engine.store.reading() as connection:
            return any(connection.execute(check).scalar() for check in checks)

    async def apply(self, change: Change[Any]) -> Any:
        """Do what a person does."""
        return await self.engine.submit(change)

    # --- what a test looks at ----------------------------------------------------------------------------------------

    def patient(self, number: int) -> Patient:
        """Give a patient of the register."""
        with self.engine.store.reading() as connection:
            return load_patients(connection, self.engine.store.sealer.clone(), [number])[number]

    def rows(self, table: Any) -> list[Any]:
        """Give all rows of a table."""
        with self.engine.store.reading() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key.columns)))

    def tasks(self) -> list[Task]:
        """Give the open tasks."""
        with viewing(self.engine.store) as view:
            return open_tasks(view)

    def ins_sent(self, since: int = 0) -> set[str]:
        """Give the matricules of patients that left since then: as the patient's own, not as one that is withdrawn."""
        return {matricule for name, parcel in self.sent[since:] for matricule in ins_in(name, parcel.content)}


def ins_in(destination: str, content: bytes) -> Iterator[str]:
    """Give the matricules that a parcel states as its patient's own."""
    if destination == "tool":
        for item in orjson.loads(content)["items"]:
            if item["patient"]["ins"] is not None:
                yield item["patient"]["ins"]["matricule"]
        return
    for line in content.decode().split("\r"):
        if line.startswith("PID|"):
            for one in line.split("|")[3].split("~"):
                if "&1.2.250.1.213.1.4." in one and not one.startswith('""'):
                    yield one.split("^")[0]


@contextlib.asynccontextmanager
async def running(place: JournalPlace, monkeypatch: Any, kind: type[Rig] = Rig) -> Any:
    """Run a Rig."""
    rig = kind(place)
    monkeypatch.setattr("router.engine.engine.connectors", lambda: {"memory": rig.connector()})
    await rig.start()
    try:
        yield rig
    finally:
        await asyncio.sleep(0.05)  # what the last look at the journal borrowed is given back
        await rig.stop()


def empty_journal(folder: Path, url: str = "") -> JournalPlace:
    """Make a folder with a key: the place of an empty journal."""
    from router.journal.sealing import make_key_file

    make_key_file(folder / "journal.key")
    return JournalPlace.at(folder, url)
