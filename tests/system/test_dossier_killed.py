"""A router that is killed while it tells a tool of what happens: all is told, in order, numbered without a hole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from sqlalchemy import Engine, func, select

from connectors.sandbox.hospital import Hospital
from connectors.sandbox.mllp import MllpSender
from connectors.sandbox.people import Person, population
from connectors.sandbox.tools import Tool, profile
from router.demo.circle import NURSE, RPPS, open_dossiers
from router.journal import tables
from router.journal.store import JournalPlace, connect
from router.trial.folder import make_folder, register
from router.trial.process import RouterProcess

PEOPLE, STAYS = 4, 3
KILLS = (4, 20)
"""Notices that have come when the router is killed."""

MOVEMENTS = PEOPLE * STAYS * 2


def configuration(web: int, mllp: int) -> str:
    return f"""\
[web]
listen = "127.0.0.1:{web}"

[identity]
environment = "test"

[engine]
workers = 1

[dossier]
api = true
subscriber_networks = ["127.0.0.0/8"]
subscriber_http = true

[sources.hopital]
connector = "mllp"
listen = "127.0.0.1:{mllp}"
format = "hl7v2"
"""


@pytest.fixture
def router(tmp_path: Path) -> Iterator[RouterProcess]:
    folder = tmp_path / "router"
    # Tools and senders find the router again where it was.
    make_folder(folder, configuration(*(free_port(), free_port())), password="un mot de passe long")
    register(folder, population(PEOPLE))
    with RouterProcess(folder) as process:
        yield process


class Looking:
    """What the journal has, looked at beside the router."""

    def __init__(self, folder: Path) -> None:
        self._engine: Engine = connect(JournalPlace.at(folder / "data"))

    def rows(self, table: Any, *where: Any) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(select(table).where(*where).order_by(*table.primary_key.columns)))

    def quiet(self) -> bool:
        with self._engine.connect() as connection:
            waiting = (
                select(func.count()).select_from(tables.message).where(tables.message.c.state == "received"),
                select(func.count()).select_from(tables.resource_pending),
                select(func.count())
                .select_from(tables.subscription_event)
                .where(tables.subscription_event.c.state == "pending"),
                select(func.count())
                .select_from(tables.alert_notice)
                .where(tables.alert_notice.c.state.in_(("waiting", "leaving"))),
            )
            return not any(connection.execute(one).scalar() for one in waiting)

    def close(self) -> None:
        self._engine.dispose()


async def stays(address: str, person: Person, rank: int) -> None:
    async with MllpSender.to(address) as sender:
        hospital = Hospital(sender, prefix=f"ADT{rank}", first=1000 * rank)
        for _ in range(STAYS):
            stay, ack = await hospital.admit(person)
            assert ack.code == "AA"
            stay, ack = await hospital.discharge(stay)
            assert ack.code == "AA"


async def until(holds: Any) -> None:
    async with asyncio.timeout(90):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_what_is_told_survives_kills(router: RouterProcess, tmp_path: Path) -> None:
    folder = tmp_path / "router"
    secret, _ = await asyncio.to_thread(open_dossiers, folder)
    listening = await asyncio.to_thread(router.start)
    one_topic = profile("sicodom").model_copy(update={"topics": ("dossier-event",)})
    tool = Tool(one_topic, listening.web, "infirmiere", secret, f"{RPPS}|{NURSE}")
    looking = Looking(folder)
    async with tool:
        await tool.subscribe()
        sending = [
            asyncio.create_task(stays(listening.sources["hopital"], person, rank))
            for rank, person in enumerate(population(PEOPLE), 1)
        ]
        for notices in KILLS:
            await until(lambda notices=notices: len(tool.notices) >= notices)
            await asyncio.to_thread(router.kill, whole_group=True)
            assert not looking.quiet(), "it was killed in the middle of something"
            await asyncio.to_thread(router.start)
        await asyncio.gather(*sending)
        await until(looking.quiet)
        told = [one for one in tool.notices if one.kind == "event-notification"]
    events = looking.rows(tables.subscription_event)
    numbers = [row.number for row in events]
    assert numbers == list(range(1, len(numbers) + 1)), "no hole, none twice"
    assert {row.state for row in events} == {"delivered"}
    first: dict[int, int] = {}
    for rank, notice in enumerate(told):
        for number in notice.events:
            first.setdefault(number, rank)
    assert first.keys() == set(numbers), "each was told at least once"
    for patient in {row.patient_id for row in events}:
        ranks = [first[row.number] for row in events if row.patient_id == patient]
        assert ranks == sorted(ranks), "in order, for one dossier"
    # Each admission and each discharge is one alert, and one notice to the nurse, who was told of it.
    alerts = looking.rows(tables.alert)
    assert sorted(row.event for row in alerts) == ["ADM"] * (MOVEMENTS // 2) + ["SOR"] * (MOVEMENTS // 2)
    notices = looking.rows(tables.alert_notice)
    assert len(notices) == MOVEMENTS
    assert {row.state for row in notices} <= {"sent", "delivered", "read"}
    focus = {one for notice in told for one in notice.focus if one.startswith("CommunicationRequest/")}
    assert len(focus) == MOVEMENTS
    # The follower made of each stay one resource, with what the hospital said last.
    encounters = looking.rows(tables.resource, tables.resource.c.type == "Encounter")
    assert {f"Encounter/{row.logical_id}" for row in encounters} >= {
        one for notice in told for one in notice.focus if one.startswith("Encounter/")
    }
    assert len({row.logical_id for row in encounters}) == len(encounters)
    looking.close()
