"""Three routers on one journal with a real NATS server: one is killed, and nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiohttp import web
from nats_program import nats_program
from sqlalchemy import func, select

from router.identity.patients import register
from router.journal import tables
from router.journal.operations import apply_at_once
from router.journal.pauses import FlowSide, pause_flow
from router.journal.store import JournalPlace, Store, open_store
from router.trial.process import RouterProcess
from schemas.identity import PatientIdentity
from schemas.item import ItemSet, LabReportItem
from tests.ports import free_port

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

KEY = "0123456789abcdef"
PEOPLE = ("ROSE", "PAUL", "LINA", "OMAR")


@pytest.fixture
def nats_url(tmp_path: Path) -> Iterator[str]:
    program = nats_program()
    port = free_port()
    file = tmp_path / "nats.json"
    file.write_text(json.dumps({"listen": f"127.0.0.1:{port}", "jetstream": {"store_dir": str(tmp_path / "nats")}}))
    process = subprocess.Popen([program, "-c", str(file)], stderr=subprocess.DEVNULL)
    yield f"nats://127.0.0.1:{port}"
    process.kill()
    process.wait()


class Tool:
    """What is sent to, over HTTP: it keeps each parcel with the identity under which it came."""

    def __init__(self) -> None:
        self.port = 0
        self.got: list[tuple[str, str, int]] = []

    async def take(self, request: web.Request) -> web.Response:
        item = orjson.loads(await request.read())["items"][0]
        number = item["content"]["chapters"][0]["observations"][0]["value"]["number"]
        who = item["patient"]["birth_name"].removeprefix("TEST")
        self.got.append((request.headers["Idempotency-Key"], who, int(number)))
        return web.Response()

    def by_patient(self) -> dict[str, list[int]]:
        """Give what each patient's reports were, each counted once: a repeated one has the same identity."""
        once = {identity: (who, number) for identity, who, number in self.got}
        found: dict[str, list[int]] = defaultdict(list)
        for who, number in once.values():
            found[who].append(number)
        return dict(found)


@pytest.fixture
async def tool() -> AsyncIterator[Tool]:
    made = Tool()
    app = web.Application()
    app.router.add_post("/", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", made.port)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


class Machines:
    """Nodes, each in a folder of its own, as on machines of their own."""

    def __init__(self, folder: Path, place: JournalPlace, nats: str, tool: Tool) -> None:
        self._folder = folder
        self._place = place
        (folder / "drop").mkdir()
        self._text = f"""
[journal]
data = "data"
url = "{place.url}"
blobs = "database"
[engine]
workers = 0
batch = 16
[web]
listen = "127.0.0.1:0"
[cluster]
servers = ["{nats}"]
name = "${{NODE}}"
lanes = 6
ack_seconds = 4
[sources.labo]
connector = "http"
listen = "127.0.0.1:0"
api_keys = ["{KEY}"]
format = "canonical"
[sources.depot]
connector = "directory"
folder = "{folder}/drop"
[destinations.tool]
connector = "http"
url = "http://127.0.0.1:{tool.port}/"
format = "canonical"
[[routes]]
name = "all"
when = "patient.in_coordination"
to = ["tool"]
"""
        self.nodes: dict[str, RouterProcess] = {}

    def make(self, name: str, role: str) -> RouterProcess:
        folder = self._folder / name
        (folder / "data").mkdir(parents=True)
        shutil.copy(self._place.data / "journal.key", folder / "data" / "journal.key")
        (folder / "passerelle.toml").write_text(self._text)
        made = RouterProcess(folder, arguments=("--role", role), environment={"NODE": name})
        self.nodes[name] = made
        return made


@pytest.fixture
async def machines(tmp_path: Path, postgres_place: JournalPlace, nats_url: str, tool: Tool) -> AsyncIterator[Machines]:
    made = Machines(tmp_path, postgres_place, nats_url, tool)
    yield made
    for node in made.nodes.values():
        node.__exit__()


@pytest.fixture
def journal(postgres_place: JournalPlace) -> Iterator[Store]:
    store = open_store(postgres_place)
    yield store
    store.close()


def counted(store: Store, table: Any) -> dict[str, int]:
    with store.reading() as connection:
        rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
    return {row[0]: row[1] for row in rows}


def owners(store: Store) -> dict[str, str]:
    with store.reading() as connection:
        fence = tables.lane_fence.c
        return {row.lane: row.node for row in connection.execute(select(fence.lane, fence.node))}


async def until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - it is other processes that are waited for
            await asyncio.sleep(0.1)


async def test_a_node_that_is_killed_loses_and_doubles_nothing(
    machines: Machines,
    journal: Store,
    tool: Tool,
    make_person: Callable[[str], PatientIdentity],
    make_report: Callable[[int, str], LabReportItem],
) -> None:
    for who in PEOPLE:
        apply_at_once(journal, register(make_person(who), in_coordination=True, now=1))
    made = [machines.make("nord", "all"), machines.make("sud", "work"), machines.make("est", "receive")]
    for node in made:
        node.launch()
    nord, sud, est = await asyncio.gather(*(asyncio.to_thread(node.listening) for node in made))
    assert nord.sources["labo"]
    assert est.sources["labo"]
    assert not sud.sources["labo"], "a node that only works opens no source"
    lanes = {"jobs", "read.labo", "read.depot", "poll.depot", *(f"send.{number}" for number in range(6))}
    await until(lambda: set(owners(journal)) == lanes and {"nord", "sud"} <= set(owners(journal).values()))

    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as client:
        doors = [f"http://{node.sources['labo'].removeprefix('http://')}" for node in (nord, est)]

        async def post(number: int) -> None:
            content = ItemSet(items=(make_report(number, PEOPLE[number % 4]),)).model_dump_json().encode()
            door = doors[number % 2] if "/messages" in doors[0] else f"{doors[number % 2]}/messages"
            answer = await client.post(door, content=content, headers={"X-Message-Id": str(number)})
            assert answer.status_code == 202, answer.text

        for number in range(120):
            await post(number)
            if number == 60:
                made[1].kill(whole_group=True)
        await until(lambda: counted(journal, tables.delivery) == {"acknowledged": 120} or _delivered(journal, 120))
        assert tool.by_patient() == {who: list(range(at, 120, 4)) for at, who in enumerate(PEOPLE)}
        assert counted(journal, tables.message) == {"processed": 120}
        await until(lambda: set(owners(journal).values()) <= {"nord", "est"})

        # It comes back, and gets its share again; a pause that is noted anywhere closes the door of both.
        await asyncio.to_thread(made[1].start)
        await until(lambda: "sud" in owners(journal).values())
        apply_at_once(journal, pause_flow(FlowSide.SOURCE, "labo", "maintenance", actor="test", now=2))

        async def closed(door: str) -> bool:
            with contextlib.suppress(httpx.HTTPError):
                await client.post(f"{door}/messages", content=b"{}")
                return False
            return True

        async with asyncio.timeout(30):
            while not all([await closed(door) for door in doors]):  # noqa: ASYNC110 - it is other processes again
                await asyncio.sleep(0.1)
        ready = await client.get(f"{est.web}/health/ready")
        assert ready.status_code == 200
        assert (await client.get(f"{est.web}/messages")).status_code == 404, "a node that receives has no pages"
        assert (await client.get(f"{nord.web}/login")).status_code == 200
    assert [node.stop() for node in made] == [0, 0, 0]


def _delivered(store: Store, count: int) -> bool:
    return counted(store, tables.delivery) == {"delivered": count}
