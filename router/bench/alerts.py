"""`passerelle bench --alerts`: from the acknowledgement of an admission to the webhook of every member of the circle.

A real `passerelle serve` gets admissions over MLLP, amid laboratory reports at a fixed rate; a receiver on this machine
stands for the tools of each dossier's members. Measured from the ACK of an admission to its last webhook.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import orjson
from aiohttp import web

from connectors.mllp.simulator import Sender
from connectors.sandbox.adt import EMERGENCIES, Movement, Visit, adt
from connectors.sandbox.people import Person
from router.bench.figures import percentile
from router.bench.traffic import Traffic
from router.dossier.circle import add_member
from router.dossier.dossiers import open_dossier
from router.dossier.habilitations import grant
from router.dossier.keeping import By
from router.dossier.store.drafts import patient_id
from router.dossier.tools.registry import add_tool
from router.identity.patients import identifier_token, look_up
from router.journal.store import JournalPlace, open_store
from router.journal.unit import Unit
from router.trial.folder import make_folder, register
from router.trial.process import RouterProcess
from schemas.actors import Organization, Professional
from schemas.circle import Member, RoleFamily
from schemas.coding import Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.habilitation import Habilitation, HolderKind

MEMBERS = 4
EVERY = 0.5
"""Seconds between two admissions."""

LAST_SECONDS = 30.0
"""How long the last webhooks may take after the last admission."""

_RPPS = "https://rpps.esante.gouv.fr"
_IPP = "urn:oid:1.2.250.1.999.35.1"
_TOOL = "banc"
_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
CONFIGURATION = """
[web]
listen = "127.0.0.1:0"

[dossier]
api = true
subscriber_http = true
subscriber_networks = ["127.0.0.0/8"]

[sources.hospital]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"
"""


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """What was measured: milliseconds from the ACK of an admission until every member had it; `missed` never did."""

    admissions: int
    members: int
    reports: int
    rate: float
    missed: int
    doubled: int
    p50_ms: float
    p99_ms: float
    longest_ms: float

    def as_json(self) -> dict[str, object]:
        """Give them for a file."""
        return asdict(self)


class _Tools:
    """The members' tools: when each was first told about each patient, and how often it was told again."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], float] = {}
        self.doubled = 0
        self.wanted = 0
        self.whole = asyncio.Event()
        self._runner = web.AppRunner(self._app())
        self.url = ""

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/{member}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        bundle = orjson.loads(await request.read())
        for entry in bundle["entry"][1:]:
            key = request.match_info["member"], entry["resource"]["subject"]["reference"]
            self.doubled += key in self.told
            self.told.setdefault(key, time.perf_counter())
        if len(self.told) >= self.wanted > 0:
            self.whole.set()
        return web.Response()

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()


def measure_alerts(rate: float, seconds: float, say: Callable[[str], None]) -> AlertFigures:
    """Fill a journal, serve it, and admit people for so long. Raises TrialFault."""
    admissions = max(1, int(seconds / EVERY))
    traffic = Traffic(max(200, 2 * admissions))
    people = traffic.people[:admissions]
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as scratch:
        folder = Path(scratch) / "router"
        make_folder(folder, CONFIGURATION)
        register(folder, traffic.people)
        secret, numbers = _open_dossiers(folder, people)
        with RouterProcess(folder) as router:
            listening = router.start()
            say(f"{admissions} admissions amid {rate:g} reports a second, circles of {MEMBERS}")
            mllp = listening.sources["hospital"]
            figures = asyncio.run(_run(listening.web, mllp, secret, people, numbers, traffic, rate))
            router.stop()
    return figures


def _doctor(member: int) -> str:
    return f"8990000{member:04d}"


def _open_dossiers(folder: Path, people: Sequence[Person]) -> tuple[str, list[int]]:
    """Open the dossiers; gives the secret of the tool, and the patients' numbers."""
    store = open_store(JournalPlace.at(folder / "data"))
    now = int(time.time() * 1_000_000)
    secret, change = add_tool(_TOOL, ["read", "subscribe"], now=now)
    owner = Organization(name="DAC FICTIF", identifiers=(Identifier(value="670000001", type="FINEG"),))
    informed = Consent(kind=ConsentKind.OPENING, at="2020-01-10", collected_by="banc", channel=ConsentChannel.ORAL)
    numbers: list[int] = []
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        change.apply(unit)
        grant(Habilitation(holder=HolderKind.TOOL, name=_TOOL, start="2020-01-01"), by=By("bench", now)).apply(unit)
        for person in people:
            token = identifier_token(store.sealer, _IPP, person.ipp)
            (number,) = set().union(*look_up(connection, [token]).active.values())
            open_dossier(number, owner, by=By("bench", now), consent=informed).apply(unit)
            for member in range(MEMBERS):
                rpps = Identifier(system=_RPPS, value=_doctor(member), type="RPPS")
                one = Member(
                    family=RoleFamily.PHYSICIAN,
                    professional=Professional(identifiers=(rpps,), family_name="TESTMEDECIN"),
                    start="2020-01-10",
                    in_care_team=True,
                    backlog=True,
                )
                add_member(number, one, by=By("bench", now)).apply(unit)
            numbers.append(number)
        unit.flush()
    store.close()
    return secret or "", numbers


async def _subscribe(session: aiohttp.ClientSession, base: str, secret: str, member: int, endpoint: str) -> str:
    content = {"extension": [{"url": _BACKPORT + "payload-content", "valueCode": "full-resource"}]}
    body = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "banc",
        "criteria": "CommunicationRequest?event-type=ADM",
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": content,
        },
    }
    headers = {
        "Authorization": f"Bearer {_TOOL}:{secret}",
        "On-Behalf-Of": f"{_RPPS}|{_doctor(member)}",
        "Content-Type": "application/fhir+json",
    }
    async with session.post(f"{base}/fhir/Subscription", data=orjson.dumps(body), headers=headers) as answer:
        answer.raise_for_status()
        name = orjson.loads(await answer.read())["id"]
    address = f"{base}/fhir/Subscription/{name}"
    async with asyncio.timeout(30):
        while True:
            async with session.get(address, headers=headers) as answer:
                if orjson.loads(await answer.read())["status"] == "active":
                    return str(name)
            await asyncio.sleep(0.1)


async def _run(
    base: str,
    mllp: str,
    secret: str,
    people: Sequence[Person],
    numbers: list[int],
    traffic: Traffic,
    rate: float,
) -> AlertFigures:
    tools = _Tools()
    await tools.start()
    try:
        async with aiohttp.ClientSession() as session:
            for member in range(MEMBERS):
                await _subscribe(session, base, secret, member, f"{tools.url}/{member}")
        tools.wanted = len(people) * MEMBERS
        ended = asyncio.Event()
        load = asyncio.create_task(_traffic(mllp, traffic, rate, ended))
        acknowledged: list[float] = []
        async with Sender(mllp) as hospital:
            for rank, person in enumerate(people):
                await hospital.send(_admission(person, rank))
                acknowledged.append(time.perf_counter())
                await asyncio.sleep(EVERY)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await tools.whole.wait()
        ended.set()
        reports = await load
    finally:
        await tools.stop()
    delays = []
    for number, at in zip(numbers, acknowledged, strict=True):
        reference = f"Patient/{patient_id(number)}"
        times = [tools.told.get((str(member), reference)) for member in range(MEMBERS)]
        if all(one is not None for one in times):
            delays.append(max(0.0, max(one for one in times if one is not None) - at) * 1000)
    ordered = sorted(delays)
    return AlertFigures(
        admissions=len(people),
        members=MEMBERS,
        reports=reports,
        rate=rate,
        missed=len(people) - len(ordered),
        doubled=tools.doubled,
        p50_ms=round(percentile(ordered, 0.50), 1),
        p99_ms=round(percentile(ordered, 0.99), 1),
        longest_ms=round(ordered[-1], 1) if ordered else 0.0,
    )


def _admission(person: Person, rank: int) -> bytes:
    now = datetime.now(UTC)
    visit = Visit(f"VB{rank:07d}", f"DB{rank:07d}", now, "E")
    movement = Movement(f"MB{rank:07d}", now, EMERGENCIES)
    return adt("A01", person, control_id=f"ADM{rank:07d}", at=now, visit=visit, movement=movement)


async def _traffic(mllp: str, traffic: Traffic, rate: float, ended: asyncio.Event) -> int:
    """Send reports at a fixed rate until it has ended; gives how many."""
    sent, began = 0, time.perf_counter()
    async with Sender(mllp) as laboratory:
        while not ended.is_set():
            await laboratory.write(traffic.frame(sent))
            await laboratory.receive()
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))
    return sent
