"""The scene of S01–S30: a router that runs (engine, dashboard, FHIR API) and Mme FICTIVE-ROSE's circle around her.

Everything a scenario does comes in and goes out by a real protocol; `RoseScene` only opens the doors and looks.
Everybody is fictitious. It is Thursday 5 March 2026, 09:41:05 in Paris when a scene begins.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import uvicorn
from dossier_scene import DAC, INFORMED, SAAD, daughter, doctor, home_help, nurse, professional
from sqlalchemy import select

from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR as DOCTOR_MAILBOX, ROUTER
from connectors.sandbox.mllp import Ack, MllpSender
from connectors.sandbox.tools import Tool, profile
from router.config.load import load
from router.dossier.circle import add_member
from router.dossier.consents import record_consent
from router.dossier.dossiers import open_dossier
from router.dossier.habilitations import grant
from router.dossier.keeping import By
from router.dossier.store.drafts import patient_id
from router.dossier.tools.registry import SCOPES, add_tool
from router.engine.engine import Engine
from router.identity.patients import register
from router.journal import tables
from router.journal.operations import Operation
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, open_store
from router.web.app import create_app
from router.web.context import DossierOffer, WebContext
from router.web.keys import make_api_key
from schemas.actors import Telecom
from schemas.circle import Channel, Member, Preferences
from schemas.coding import Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.habilitation import Habilitation, HolderKind, Level
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex

R = TypeVar("R")

BEGINNING = datetime(2026, 3, 5, 8, 41, 5, tzinfo=UTC)
INS = "279035121518989"
TEST_NIR = "1.2.250.1.213.1.4.10"
IPP_SYSTEM = "urn:oid:2.999.67.1"
RPPS = "https://rpps.esante.gouv.fr"
GP, NURSE, FORMER = f"{RPPS}|89900000001", f"{RPPS}|89900000002", f"{RPPS}|89900000009"
DAUGHTER = "urn:oid:2.999.67.8|FILLE-1"
HELPER = "urn:oid:2.999.67.6|AVS-1"
"""An employee of the home help service, who is in the circle through it."""

COORDINATOR = "urn:oid:2.999.67.7|COORD-1"
CONFIGURATION = """
[engine]
workers = 0

[identity]
environment = "test"

[dossier]
api = true
subscriber_networks = ["127.0.0.0/8"]
subscriber_http = true

[sources.hospital]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

"""


def identity(**more: Any) -> PatientIdentity:
    """Mme FICTIVE-ROSE, as her hospital and her laboratory know her."""
    values: dict[str, Any] = {
        "ins": Ins(matricule=INS, oid=TEST_NIR),
        "status": IdentityStatus.QUALIFIED,
        "identifiers": (
            Identifier(system=IPP_SYSTEM, value="IPP-ROSE-1", type="PI"),
            Identifier(system="urn:x-authority:LABFIC", value="T0001", type="PI"),
        ),
        "birth_name": "FICTIVE-ROSE",
        "birth_given_names": ("MIREILLE", "TESTA"),
        "first_given_name": "MIREILLE",
        "birth_date": "1979-03-05",
        "sex": Sex.FEMALE,
        "birth_place": "35238",
    }
    return PatientIdentity(**values | more)


def mailed_doctor(mailbox: str = DOCTOR_MAILBOX) -> Member:
    """The general practitioner, who reads MSSanté and has no tool."""
    box = Telecom(kind="mssante", value=mailbox)
    return doctor(
        professional=professional("89900000001", "TESTMEDECIN", telecoms=(box,)),
        organization=None,
        preferences=Preferences(channels=(Channel.MSSANTE,)),
    )


def former_nurse() -> Member:
    """The nurse who left at the end of 2025."""
    return nurse(professional=professional("89900000009", "TESTANCIENNE"), start="2025-06-01", end="2025-12-31")


@dataclass
class RoseScene:
    """A router that runs, and what is known of it from outside."""

    folder: Path
    extra: str = ""
    beginning: datetime = BEGINNING
    configuration: str = CONFIGURATION
    engine: Engine = field(init=False)
    web: str = ""
    members: dict[str, int] = field(default_factory=dict)
    whole: dict[str, Member] = field(default_factory=dict)
    patient_number: int = 0
    _began: float = field(default_factory=time.monotonic)
    _ahead: timedelta = timedelta(0)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _session: aiohttp.ClientSession | None = None
    _senders: dict[str, MllpSender] = field(default_factory=dict)

    # --- time -------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The scene's present: it passes as the clock of the machine does."""
        return self.beginning + timedelta(seconds=time.monotonic() - self._began) + self._ahead

    def later(self, **delta: float) -> None:
        """Let time pass at once."""
        self._ahead += timedelta(**delta)

    def by(self, why: str = "") -> By:
        """Claire, the referent, now."""
        return By("claire", int(self.now().timestamp() * 1_000_000), why)

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the router with its pages and API."""
        (self.folder / "passerelle.toml").write_text(self.configuration + self.extra, encoding="utf-8")
        loaded = load(self.folder / "passerelle.toml")
        self.engine = Engine(loaded, open_store(loaded.place, migrate=False), now=self.now)
        await self.engine.start()
        self._stack.push_async_callback(self.engine.stop)
        listener = socket.create_server(("127.0.0.1", 0))
        context = WebContext(
            store=self.engine.store,
            submit=self.engine.submit,
            flows=self.engine.flows,
            wake=self.engine.wake,
            now=self.now,
            stopping=self.engine.stopping,
            insi=self.engine.insi,
            directory=self.engine.directory,
            dossier=DossierOffer(self.engine.dossier.door, self.engine.dossier.settings, self.engine.wake),
            version="1",
        )
        await self._serve(create_app(context), listener)
        self.web = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def _serve(self, app: Any, listener: socket.socket) -> None:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listener])
        loop = asyncio.create_task(server.main_loop())

        async def end() -> None:
            server.should_exit = True
            await loop
            await server.shutdown(sockets=[listener])

        self._stack.push_async_callback(end)

    async def stop(self) -> None:
        """Stop everything, in the reverse order."""
        self.engine.stopping.set()
        await self._stack.aclose()
        self.engine.store.close()

    async def enter(self, one: Any) -> Any:
        """Use something (a sandbox) until the scene ends."""
        return await self._stack.enter_async_context(one)

    # --- the doors --------------------------------------------------------------------------------------------------

    async def apply(self, operation: Operation[R]) -> R:
        """Let a person of the router act."""
        return await self.engine.submit(operation)

    async def open(self, *circle: tuple[str, Member], **who: Any) -> None:
        """Register Mme FICTIVE-ROSE (`who` changes her traits), open her dossier and let these people in."""
        now = int(self.now().timestamp() * 1_000_000)
        done = await self.apply(register(identity(**who), in_coordination=False, now=now))
        self.patient_number = done.patient_id
        await self.apply(open_dossier(self.patient_number, DAC, by=self.by(), consent=INFORMED))
        for name, member in circle:
            await self.join(name, member)
        self.engine.wake()
        await self.processed()

    async def join(self, name: str, member: Member) -> None:
        """Let somebody into the circle."""
        done = await self.apply(add_member(self.patient_number, member, by=self.by()))
        assert done.refusal is None, done.refusal
        self.members[name] = done.number or 0
        self.whole[name] = member

    async def consent(self, kind: ConsentKind, **more: Any) -> int:
        """Record a decision of the person."""
        values: dict[str, Any] = {
            "kind": kind,
            "at": "2026-01-11",
            "collected_by": "TESTCOORD Anne",
            "channel": ConsentChannel.PAPER,
        }
        done = await self.apply(record_consent(self.patient_number, Consent(**values | more), by=self.by()))
        assert done.refusal is None, done.refusal
        return done.number or 0

    async def tool(self, name: str, user: str, *, as_profile: str = "", structure: str = "") -> Tool:
        """Register a coordination tool and start it for one of its users."""
        now = int(self.now().timestamp() * 1_000_000)
        made, change = add_tool(name, SCOPES, now=now, structure=structure)
        await self.apply(change)
        habilitation = Habilitation(holder=HolderKind.TOOL, name=name, level=Level.ALL, start="2026-01-01")
        await self.apply(grant(habilitation, by=self.by("registered")))
        tool = Tool(profile(as_profile or "sicodom"), self.web, name, made or "", user, "TESTOUTIL", now=self.now)
        await self.enter(tool)
        return tool

    async def ask(self, method: str, path: str, body: Any = None) -> aiohttp.ClientResponse:
        """Ask the router's own API, with a key of its own."""
        if self._session is None:
            key, change = make_api_key("scene", now=int(self.now().timestamp() * 1_000_000))
            await self.apply(change)
            self._session = await self.enter(aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}))
        assert self._session is not None
        answer = await self._session.request(method, f"{self.web}/api/v1/{path}", json=body)
        await answer.read()
        return answer

    async def send(self, content: str | bytes, source: str = "hospital") -> Ack:
        """Send an HL7v2 message over MLLP and read the acknowledgement."""
        if source not in self._senders:
            sender = MllpSender.to(self.engine.address_of(source), timeout=20)
            self._senders[source] = await self.enter(sender)
        body = content if isinstance(content, bytes) else content.encode()
        return await self._senders[source].send(body)

    # --- looking ----------------------------------------------------------------------------------------------------

    @property
    def patient(self) -> str:
        """The reference of her Patient resource."""
        return f"Patient/{patient_id(self.patient_number)}"

    def rows(self, table: Any, *where: Any) -> list[Any]:
        """Rows of a table of the journal, in order."""
        with self.engine.store.reading() as connection:
            return list(connection.execute(select(table).where(*where).order_by(*table.primary_key.columns)))

    def told(self, event: str = "") -> list[tuple[str, str]]:
        """Who is told of what, in order: (event, name in this scene)."""
        names = {number: name for name, number in self.members.items()}
        notices = self.rows(tables.alert_notice)  # before their alerts, so that each has its own
        alerts = {row.id: row.event for row in self.rows(tables.alert)}
        return [(alerts[one.alert_id], names[one.member_id]) for one in notices if event in {"", alerts[one.alert_id]}]

    async def until(self, holds: Callable[[], Any], seconds: float = 20) -> Any:
        """Wait until something holds."""
        async with asyncio.timeout(seconds):
            while not (found := holds()):  # noqa: ASYNC110 - the journal is looked at, which sets no Event
                await asyncio.sleep(0.005)
        return found

    async def until_found(self, look: Callable[[], Awaitable[R]], seconds: float = 20) -> R:
        """Wait until a look over the API finds something."""
        async with asyncio.timeout(seconds):
            while not (found := await look()):  # noqa: ASYNC110 - the API is asked, which sets no Event
                await asyncio.sleep(0.01)
        return found

    async def processed(self) -> None:
        """Wait until every message is read, and the dossier's store has what they said."""
        await self.until(lambda: not self.rows(tables.message, tables.message.c.state == "received"))
        await self.until(lambda: not self.rows(tables.resource_pending))


def whole_circle(*, events: bool | None = True) -> tuple[tuple[str, Member], ...]:
    """The circle of the sheet: general practitioner, nurse, home help, daughter, and the nurse who left."""
    return (
        ("gp", doctor()),
        ("nurse", nurse()),
        ("saad", home_help()),
        ("daughter", daughter(preferences=Preferences(events=events))),
        ("former", former_nurse()),
    )


def make_template(folder: Path) -> None:
    """Make an empty journal, to be copied."""
    place = JournalPlace.at(folder / "data")
    place.data.mkdir(parents=True)
    make_key_file(place.key_file)
    open_store(place).close()


@asynccontextmanager
async def rose_scene(
    template: Path | None, folder: Path, extra: str = "", *, beginning: datetime = BEGINNING, keeps: bool = False
) -> AsyncIterator[RoseScene]:
    """Give a scene with nobody in it yet, or, without a template, one that goes on in its folder.

    Sandboxes with certificates need one that begins in the present. `keeps` lets documents be kept that cannot go.
    """
    if template is not None:
        shutil.copytree(template, folder, dirs_exist_ok=True)
    scene = RoseScene(folder, extra, beginning)
    if keeps:
        scene.configuration = CONFIGURATION.replace("[dossier]", "[dossier]\nrefuse_unqualified = false")
    await scene.start()
    try:
        yield scene
    finally:
        await scene.stop()


MAIL = """
[sources.mailbox]
connector = "mssante"
format = "mail"
every = 0.2
address = "localhost:{imap}"
account = "{account}"
tls = {{ ca = "{ca}", cert = "{cert}" }}
login = {{ password = "bac-a-sable" }}
allowed_domains = ["sandbox.mssante.invalid"]

[destinations.mailboxes]
connector = "mssante"
format = "mail"
address = "localhost:{submission}"
account = "{account}"
tls = {{ ca = "{ca}", cert = "{cert}" }}
login = {{ password = "bac-a-sable" }}
allowed_domains = ["sandbox.mssante.invalid"]
options = {{ from = "{account}", mdn = "yes", note_subject = "Nouveau message dans un dossier" }}

[dossier.alerts]
mssante = "mailboxes"
"""


def mail_sections(operator: MailOperator) -> str:
    """The router's mailbox at a sandbox's operator, and how members of circles are written to."""
    files = operator.files
    return MAIL.format(
        imap=operator.ports.imap,
        submission=operator.ports.submission,
        account=ROUTER,
        ca=files.ca,
        cert=files.client,
    )


STRUCTURE = f"http://finess.esante.gouv.fr|{SAAD.identifiers[0].value}"
