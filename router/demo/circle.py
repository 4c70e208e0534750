"""The circle of the demonstration: each person's nurse, the nurse who left, and the coordination tool of each.

Both tools subscribe to the same things. What the hospital says reaches the page of the one by webhook; the other is
told nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
from sqlalchemy import select

from connectors.sandbox.people import DOUBLE_IPP
from connectors.sandbox.tools import Tool, ToolFault, profile
from router.config.load import load
from router.dossier.circle import add_member
from router.dossier.dossiers import open_dossier
from router.dossier.habilitations import grant
from router.dossier.keeping import By, Done
from router.dossier.tools.registry import SCOPES, add_tool
from router.engine.clock import micros, utc_now
from router.identity.patients import load_patients
from router.journal import tables
from router.journal.operations import Change
from router.journal.store import open_store
from router.journal.unit import Unit
from router.trial.process import TrialFault
from schemas.actors import Organization, Professional
from schemas.circle import Member, RoleFamily
from schemas.coding import Coding, Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.habilitation import Habilitation, HolderKind, Level

RPPS = "https://rpps.esante.gouv.fr"
NURSE, FORMER = "99990000038", "99990000046"
"""Numbers of the range that is not assigned to anybody."""

BY = "demo"
NURSES = Coding(system="urn:oid:1.2.250.1.71.1.2.7", code="60")
OWNER = Organization(name="DAC FICTIF", identifiers=(Identifier(value="350000001", type="FINEG"),))
SINCE, LEFT = timedelta(days=400), timedelta(days=60)
"""How long ago both nurses came, and one of them left."""

_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class CircleTools:
    """The tools at work: the nurse's, and that of the nurse who left."""

    nurse: Tool
    former: Tool

    def told(self) -> dict[str, int]:
        """Count what the nurse's tool was told of, by event (`ADM`, `SOR`, `DOC`…)."""
        counts: dict[str, int] = {}
        for one in self.nurse.alerts:
            counts[one.event] = counts.get(one.event, 0) + 1
        return counts

    @property
    def leaked(self) -> int:
        """Count what the tool of the nurse who left was told, or could read: anything but 0 is a leak."""
        events = sum(one.kind == "event-notification" for one in self.former.notices)
        return events + len(self.former.alerts) + len(self.former.feed)

    @property
    def as_told(self) -> bool:
        """Whether the admission and the discharge are on the nurse's page, and nothing is on the other."""
        return {"ADM", "SOR"} <= self.told().keys() and not self.leaked


def _nurse(number: str, name: str, since: datetime, until: datetime | None = None) -> Member:
    return Member(
        family=RoleFamily.HEALTH,
        professional=Professional(
            identifiers=(Identifier(system=RPPS, value=number, type="RPPS"),), family_name=name, given_name="CLAIRE"
        ),
        profession=NURSES,
        start=since.date().isoformat(),
        end=until.date().isoformat() if until is not None else None,
        in_care_team=True,
        basis="L.1110-12 2°",
    )


def open_dossiers(folder: Path) -> tuple[str, str]:
    """Open the dossier of everybody who is registered, before the router runs; gives the secrets of the two tools."""
    loaded = load(folder / "passerelle.toml")
    store = open_store(loaded.place)
    now = utc_now()
    by = By(BY, micros(now), "the demonstration begins")
    consent = Consent(
        kind=ConsentKind.OPENING,
        at=(now - SINCE).date().isoformat(),
        collected_by="TESTCOORDINATRICE ANNE",
        channel=ConsentChannel.ORAL,
    )
    members = (
        _nurse(NURSE, "TESTINFIRMIERE", now - SINCE),
        _nurse(FORMER, "TESTANCIENNE", now - SINCE, now - LEFT),
    )
    try:
        with store.reading() as connection:
            numbers = list(connection.execute(select(tables.patient.c.id)).scalars())
            people = load_patients(connection, store.sealer.clone(), numbers)
        # The second number that the hospital gave Mme Rose by mistake becomes hers in the story.
        double = {
            number for number, one in people.items() if DOUBLE_IPP in {name.value for name in one.identity.identifiers}
        }
        changes: list[Change[Done]] = []
        for number in sorted(set(numbers) - double):
            changes.append(open_dossier(number, OWNER, by=by, consent=consent, reason="retour à domicile"))
            changes += [add_member(number, member, by=by) for member in members]
        secrets = []
        with store.writing() as connection:
            unit = Unit(connection, store.sealer)
            for change in changes:
                done = change.apply(unit)
                if done.refusal is not None:
                    raise TrialFault(f"the dossiers of the demonstration cannot be opened: {done.refusal}")
            for name in ("infirmiere", "ancienne"):
                secret, kept = add_tool(name, SCOPES, now=micros(now))
                kept.apply(unit)
                holder = Habilitation(
                    holder=HolderKind.TOOL, name=name, level=Level.ALL, start=(now - SINCE).date().isoformat()
                )
                grant(holder, by=by).apply(unit)
                secrets.append(secret or "")
            unit.flush()
    finally:
        store.close()
    return secrets[0], secrets[1]


@asynccontextmanager
async def circle_tools(server: str, secrets: tuple[str, str]) -> AsyncIterator[CircleTools]:
    """Run both tools while the block runs; each has subscribed to the same things. Raises TrialFault."""
    nurse = Tool(profile("sicodom"), server, "infirmiere", secrets[0], f"{RPPS}|{NURSE}", "CLAIRE TESTINFIRMIERE")
    nurse.about = "Elle suit Mme TESTROSE et les autres à domicile. Ce que l’hôpital annonce arrive ici par webhook."
    former = Tool(profile("sicodom"), server, "ancienne", secrets[1], f"{RPPS}|{FORMER}", "CLAIRE TESTANCIENNE")
    former.about = "Elle a quitté le cercle de Mme TESTROSE : son outil a les mêmes abonnements, et n’apprend rien."
    async with AsyncExitStack() as stack:
        working = []
        for tool in (nurse, former):
            await stack.enter_async_context(tool)
            try:
                await tool.subscribe()
            except (ToolFault, aiohttp.ClientError) as problem:
                raise TrialFault(f"a coordination tool of the demonstration cannot subscribe: {problem}") from None
            working.append(asyncio.create_task(_work(tool)))
        try:
            yield CircleTools(nurse, former)
        finally:
            for task in working:
                task.cancel()
            for task in working:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _work(tool: Tool) -> None:
    """Let a tool work; the router may be away for a moment, as it is when the demonstration ends."""
    while True:
        try:
            await tool.run()
        except (ToolFault, aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(_AGAIN)
