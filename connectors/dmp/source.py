"""Retrieves what others deposited in the DMP for the patients in coordination, round after round.

Where the last search of each patient began is remembered once every document that it found is committed: a router
killed in between searches again, and what is known already by its uniqueId (sent or received) is not taken twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from hashlib import sha1

from connectors.contracts import FollowedPatient, Inbound, Inbox, NotAccepted, ReferenceKind, Refusal, Services
from connectors.dmp.answers import Refusal as No, Retrieved, Trouble
from connectors.dmp.client import DmpClient
from connectors.dmp.errors import Kind
from connectors.dmp.pulling import Candidate, Searcher
from connectors.dmp.rights import Transaction
from connectors.dmp.settings import DmpSourceSettings
from connectors.reporting import Reporter
from connectors.spool import APART, SpoolFile
from mappings.xds.datatypes import write_ins
from mappings.xds.writing import METADATA
from schemas.finding import Finding, Severity
from schemas.identity_status import ins_usable

STOP_GRACE = 10.0
"""Seconds given at stop to the document being submitted."""

PAGE = 200


class _RoundEnds(Exception):
    """The DMP, or the inbox, cannot go on for now; the text is one sentence without health data."""


class DmpSource:
    """Searches and retrieves under one identity; the authentication mode must allow both."""

    def __init__(
        self,
        name: str,
        settings: DmpSourceSettings,
        services: Services,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._report = Reporter(services)
        self._client = DmpClient(settings, now=services.now)
        self._searcher = Searcher(self._client, settings, clock) if clock else Searcher(self._client, settings)
        self._at_work = asyncio.Lock()
        self._stopped = False

    async def run(self, inbox: Inbox) -> None:
        """Make a round at once, then one every so often, until told to stop."""
        services, health = self._services, self._services.health
        denied = [said for said in map(self._client.denied, (Transaction.SEARCH, Transaction.RETRIEVE)) if said]
        services.ready(str(self._settings.url))
        if denied:
            health.state, health.detail = "refused", denied[0]
            self._report("dmp.rights", self.name, denied[0], Severity.ERROR)
            await services.stopping.wait()
            health.state = "stopped"
            return
        health.state = "watching"

        async def round_() -> None:
            await self._round(inbox)

        stop = services.spawn_every(self._settings.every, round_)
        first = asyncio.create_task(round_())
        try:
            await services.stopping.wait()
        finally:
            self._stopped = True
            stop()
            await self._finish(first)
            await self._client.close()
            health.state, health.detail = "stopped", ""

    async def _finish(self, first: asyncio.Task[None]) -> None:
        try:
            async with asyncio.timeout(STOP_GRACE), self._at_work:
                pass
            await first
        except TimeoutError:
            first.cancel()
            self._report("dmp.stop.unfinished", self.name, "a document was still being submitted at stop")

    async def _round(self, inbox: Inbox) -> None:
        """Go through the patients. Never raises: what fails is said, and tried again at the next round."""
        if self._at_work.locked():
            return
        async with self._at_work:
            health = self._services.health
            self._count("rounds")
            try:
                await self._patients(inbox)
            except _RoundEnds as why:
                health.state, health.detail = "degraded", str(why)
                self._report("dmp.round", self.name, str(why))
            except Exception as problem:
                # A journal that fails, or a defect: the round is given up, the next one begins where this one did.
                health.state, health.detail = "degraded", type(problem).__name__
                self._report("dmp.round", self.name, f"the round was given up ({type(problem).__name__})")
            else:
                health.state, health.detail = "watching", ""

    async def _patients(self, inbox: Inbox) -> None:
        after = 0
        while not self._stopped:
            patients = await self._services.records.followed(after, PAGE)
            if not patients:
                return
            for patient in patients:
                if self._stopped:
                    return
                await self._patient(patient, inbox)
            after = patients[-1].number

    async def _patient(self, patient: FollowedPatient, inbox: Inbox) -> None:
        identity = patient.identity
        if identity.ins is None or not ins_usable(identity.status, identity.attributes):
            self._count("not qualified")
            return
        memory, key = self._services.memory, f"cursor/{patient.number}"
        begun = self._services.now()
        raw = await memory.recall(key)
        since = datetime.fromisoformat(raw.decode()) if raw is not None else None
        who = write_ins(identity.ins)
        choice = await self._searcher.search(who, since, begun)
        if isinstance(choice, Trouble | No):
            self._fail(choice)
            return
        for why, times in choice.left.items():
            self._count(why, times)
        for candidate in choice.candidates:
            if self._stopped:
                return
            if not await self._take(candidate, who, inbox):
                return
        await memory.keep(key, begun.isoformat().encode())
        self._count("patients")

    async def _take(self, candidate: Candidate, who: str, inbox: Inbox) -> bool:
        """Retrieve and submit one document; False when it should be tried again at the next round."""
        if await self._services.records.known(ReferenceKind.UNIQUE_ID, candidate.unique_id):
            self._count("known")
            return True
        size = candidate.entry.size
        if size is not None and size > self._settings.max_document:
            self._report("dmp.document.too_large", self.name, "a document is larger than max_document: it is left")
            self._count("too large")
            return True
        await self._searcher.turn()
        given = await self._client.retrieve(who, candidate.entry.repository_unique_id or "", candidate.unique_id)
        if isinstance(given, Retrieved):
            await self._submit(candidate, given, inbox)
            return True
        return self._fail(given)

    async def _submit(self, candidate: Candidate, given: Retrieved, inbox: Inbox) -> None:
        spool: SpoolFile | None = None
        if len(given.content) > APART:
            spool = SpoolFile(inbox.spool())
            await spool.write(given.content)
        inbound = Inbound(
            content=await spool.commit() if spool is not None else given.content,
            received_at=self._services.now(),
            control_id=candidate.unique_id,
            message_type="DMP",
            peer=self._settings.url.host or "",
            siblings={METADATA: candidate.metadata()},
            refusal=_integrity(candidate, given.content),
        )
        try:
            await inbox.submit(inbound)
        except BaseException as problem:
            if spool is not None:
                await spool.discard()
            if isinstance(problem, NotAccepted):
                raise _RoundEnds(f"documents are not accepted now: {problem.reason}") from None
            raise
        self._count("documents")

    def _fail(self, answer: Trouble | No) -> bool:
        """Decide after no: True when this document is left for good, and told; raises when the round cannot go on."""
        kind, said = (answer.kind, answer.sentence) if isinstance(answer, No) else (answer.kind, answer.detail)
        if kind is Kind.CALLER or (isinstance(answer, Trouble) and not answer.reached):
            raise _RoundEnds(said)
        if kind is Kind.PATIENT:
            self._count("without a DMP")
            return False
        self._report("dmp.refused" if kind is Kind.NEVER else "dmp.later", self.name, said)
        self._count("refused" if kind is Kind.NEVER else "later")
        return kind is Kind.NEVER

    def _count(self, what: str, times: int = 1) -> None:
        figures = self._services.health.figures
        figures[what] = int(figures.get(what, 0)) + times


def _integrity(candidate: Candidate, content: bytes) -> Refusal | None:
    """Hold what came against what the registry says of it; what is not whole is journaled as rejected."""
    entry = candidate.entry
    wrong = entry.hash is not None and entry.hash != sha1(content, usedforsecurity=False).hexdigest()
    if not wrong and (entry.size is None or entry.size == len(content)):
        return None
    message = "hash or size are not those that the DMP's registry has of this document"
    finding = Finding(severity=Severity.ERROR, code="dmp.document.integrity", where="document", message=message)
    return Refusal(finding)
