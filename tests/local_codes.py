"""A laboratory that has its own codes, and an engine between memory connectors that reads its messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from connectors.contracts import Connector, Delivered, Inbound, Inbox, Outcome, Parcel, Receipt, Services, Settings
from router.config.load import Loaded
from router.config.model import (
    CodesSection,
    Configuration,
    DestinationSection,
    EngineSection,
    JournalSection,
    ResolvedDestination,
    ResolvedSource,
    RouteSection,
    SourceSection,
)
from router.engine.engine import Engine
from router.identity.patients import register
from router.journal import tables
from router.journal.operations import Operation
from router.journal.store import JournalPlace, Store, open_store
from router.journal.unit import Unit
from router.journal.view import viewing
from schemas.coding import Identifier
from schemas.identity import PatientIdentity

LABORATORY = "990000001"
"""The FINESS of the laboratory (fictitious): whose codes these are."""

HAEMOGLOBIN = "HB^Hémoglobine^L||13.2|g/dL|12-16|N"
GLUCOSE = "GLY^Glycémie^L||1.02|g/L|0.7-1.1|N"
TSH = "TSH^TSH^L||2.2|mUI par L|0.4-4|N"
POTASSIUM = "2823-3^Potassium^LN^K^Potassium^L||4.2|mmol/L|3.5-5|N"


def message(number: int, *results: str, sender: str = f"LABO-SUD^{LABORATORY}^M") -> bytes:
    """Write a message of one report about a fictitious person."""
    lines = [
        f"MSH|^~\\&|SGL|{sender}|TOOL|CH|20260305101500+0100||ORU^R01^ORU_R01|C{number}|T|2.5|||||FRA|UNICODE UTF-8",
        "PID|1||IPP-1^^^CH-FICTIF&1.2.250.1.999.1&ISO^PI||TESTROSE^MARIE^^^^^L||19790305|F",
        f"OBR|1||R{number}^LABO|NFS^NFS^L|||20260305",
        *(f"OBX|{rank}|NM|{result}|||F" for rank, result in enumerate(results, 1)),
    ]
    return ("\r".join(lines) + "\r").encode()


PERSON = PatientIdentity(
    identifiers=(Identifier(system="urn:oid:1.2.250.1.999.1", value="IPP-1", type="PI"),),
    birth_name="TESTROSE",
    birth_date="1979-03-05",
)


def apply(store: Store, operation: Operation[Any]) -> Any:
    """Apply one operation, as the command line does beside a router."""
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        result = operation.apply(unit)
        unit.flush()
    return result


class LocalRig:
    """An engine from hl7v2 to the canonical form; `sent` is what reached the destination."""

    def __init__(self, place: JournalPlace, monkeypatch: pytest.MonkeyPatch, maps: tuple[str, ...] = ()) -> None:
        self.place = place
        self.maps = maps
        self.sent: list[dict[str, Any]] = []
        self.news = asyncio.Event()
        self.inbox: Inbox
        self.engine: Engine
        self._number = 0
        connector = Connector(
            name="memory",
            summary="in memory",
            source_settings=Settings,
            destination_settings=Settings,
            make_source=lambda _name, _settings, services: _MemorySource(self, services),
            make_destination=lambda _name, _settings, _services: _MemoryDestination(self),
        )
        monkeypatch.setattr("router.engine.engine.connectors", lambda: {"memory": connector})

    def loaded(self) -> Loaded:
        source = SourceSection(connector="memory", format="hl7v2")
        target = DestinationSection(connector="memory")
        configuration = Configuration(
            journal=JournalSection(data="."),
            engine=EngineSection(workers=0, batch=8),
            codes=CodesSection(maps=self.maps),
            sources={"labo": source},
            destinations={"tool": target},
            routes=(RouteSection(name="all", to=("tool",)),),
        )
        return Loaded(
            self.place.data / "passerelle.toml",
            configuration,
            (ResolvedSource(name="labo", section=source, settings=Settings()),),
            (ResolvedDestination(name="tool", section=target, settings=Settings(), format="canonical"),),
        )

    async def start(self) -> None:
        self.engine = Engine(self.loaded(), open_store(self.place))
        await self.engine.start()
        await self.engine.submit(register(PERSON, in_coordination=True, now=1))

    async def stop(self) -> None:
        await self.engine.stop()

    async def receive(self, *results: str) -> Receipt:
        self._number += 1
        content = message(self._number, *results)
        return await self.inbox.submit(
            Inbound(content, datetime.now(UTC), control_id=f"C{self._number}", message_type="ORU^R01")
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self.news.wait()
                self.news.clear()

    async def until_sent(self, count: int) -> list[dict[str, Any]]:
        await self.until(lambda: len(self.sent) >= count)
        return self.sent

    def count(self, statement: str) -> Any:
        with self.engine.store.reading() as connection:
            return connection.exec_driver_sql(statement).scalar()

    def seen(self) -> dict[str, int]:
        table = tables.unmapped_code
        with self.engine.store.reading() as connection:
            rows = connection.execute(select(table.c.code, func.sum(table.c.seen)).group_by(table.c.code)).all()
            return {row[0]: row[1] for row in rows}

    @contextlib.contextmanager
    def view(self) -> Any:
        with viewing(self.engine.store) as view:
            yield view


def observations(parcel: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the results of what was sent, by label."""
    chapters = parcel["items"][0]["content"]["chapters"]
    return {one["label"]: one for chapter in chapters for one in chapter["observations"]}


def codes_of(observation: dict[str, Any]) -> list[tuple[str, str]]:
    """Give the codings of a result, in their order."""
    return [(code["system"], code["code"]) for code in observation["codes"]]


class _MemorySource:
    def __init__(self, rig: LocalRig, services: Services) -> None:
        self._rig = rig
        self._services = services

    async def run(self, inbox: Inbox) -> None:
        self._rig.inbox = inbox
        self._services.ready("memory")
        await asyncio.Event().wait()


class _MemoryDestination:
    def __init__(self, rig: LocalRig) -> None:
        self._rig = rig

    async def send(self, parcel: Parcel) -> Outcome:
        await asyncio.sleep(0)
        self._rig.sent.append(orjson.loads(parcel.content))
        self._rig.news.set()
        return Delivered(acknowledged=True)

    async def close(self) -> None:
        return None
