"""Fetches the documents of the patients followed, round after round, and takes up where it was after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from connectors.contracts import FollowedPatient, Inbound, Inbox, NotAccepted, Refusal, Refused, Retry, Services
from connectors.pdsm.client import Interrupted, PdsmClient
from connectors.pdsm.following import Following, memory_key, recalled, usable_ins
from connectors.pdsm.pulling import Arrived, Pull, Stopped
from connectors.pdsm.settings import PdsmSourceSettings
from connectors.reporting import Reporter
from connectors.spool import SpoolFile
from schemas.finding import Severity

STOP_GRACE = 10.0
"""Seconds given at stop to the document being handed over; what was not is fetched again."""

PATIENTS_AT_ONCE = 200
FIGURES = ("rounds", "patients", "documents", "known", "deletions", "refused", "without_ins", "failures")


class PdsmSource:
    """A round goes over every patient followed who has a qualified INS, several at a time, each document in its turn.

    What is remembered of a patient is kept after each of them, and only then does the next round ask for less: a
    document that was handed over and not remembered is found again, and recognised.
    """

    def __init__(self, name: str, settings: PdsmSourceSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._client = PdsmClient(settings, services.now, {})
        self._report = Reporter(services)
        self._busy = asyncio.Lock()
        self._ending = False
        self._trouble = ""
        self._counts = dict.fromkeys(FIGURES, 0)
        services.health.figures.update(self._counts)

    async def run(self, inbox: Inbox) -> None:
        """Make a round at once, then periodically until stopped or cancelled."""

        async def make_round() -> None:
            await self._round(inbox)

        self._services.health.state = "watching"
        self._services.ready(str(self._settings.url))
        first = asyncio.create_task(make_round())
        stop = self._services.spawn_every(self._settings.every, make_round)
        try:
            await self._services.stopping.wait()
        finally:
            self._ending = True
            stop()
            await self._finish(first)
            await self._client.close()
            self._services.health.state, self._services.health.detail = "stopped", ""

    async def _finish(self, first: asyncio.Task[None]) -> None:
        """Wait for the document being handed over; one that was not is fetched again at the next start."""
        try:
            async with asyncio.timeout(STOP_GRACE):
                async with self._busy:
                    pass
                await first
        except TimeoutError:
            first.cancel()
            self._report("pdsm.stop.unfinished", self.name, "a document was still being handed over at stop")

    async def _round(self, inbox: Inbox) -> None:
        async with self._busy:
            if self._ending:
                return
            self._trouble = ""
            try:
                await self._over_everybody(inbox)
            except Exception as failure:
                # Whatever went wrong behind the journal, the source lives; the next round begins where this one was.
                self._fail(f"{type(failure).__name__} during a round", "pdsm.round.failed")
            self._count("rounds")
            health = self._services.health
            health.state, health.detail = ("degraded" if self._trouble else "watching"), self._trouble

    async def _over_everybody(self, inbox: Inbox) -> None:
        after, without = 0, 0
        gate = asyncio.Semaphore(self._settings.concurrency)
        over = asyncio.Event()

        async def one(patient: FollowedPatient) -> None:
            async with gate:
                if not over.is_set() and not self._ending and not await self._over_one(inbox, patient):
                    over.set()

        while not over.is_set() and not self._ending:
            patients: Sequence[FollowedPatient] = await self._services.records.followed(after, PATIENTS_AT_ONCE)
            if not patients:
                break
            after = patients[-1].number
            known = [patient for patient in patients if usable_ins(patient.identity) is not None]
            without += len(patients) - len(known)
            await asyncio.gather(*(one(patient) for patient in known))
        self._counts["without_ins"] = self._services.health.figures["without_ins"] = without

    async def _over_one(self, inbox: Inbox, patient: FollowedPatient) -> bool:
        """Make the round over one patient; False when the whole round had better end."""
        key = memory_key(patient.number)
        kept = await self._services.memory.recall(key)
        following = recalled(kept)

        async def hand(arrived: Arrived) -> None:
            await self._hand_over(inbox, arrived)

        pull = Pull(self._client, self._settings, self._services, following, patient.identity, hand)
        going_on = True
        try:
            await pull.run()
        except Stopped:
            going_on = False
        except Interrupted as interrupted:
            outcome = interrupted.outcome
            going_on = self._judge(outcome)
        except Exception as failure:
            # One patient's documents, however strange, do not keep the others' from coming.
            self._fail(f"{type(failure).__name__} during a patient's round", "pdsm.round.failed")
        if pull.trouble:
            self._fail(pull.trouble, "pdsm.document.late")
        for name, count in pull.counts.items():
            self._count(name, count)
        self._count("patients")
        await self._remember(key, following, kept)
        return going_on

    async def _remember(self, key: str, following: Following, kept: bytes | None) -> None:
        content = following.dumped()
        if content != kept:
            await self._services.memory.keep(key, content)

    def _judge(self, outcome: Retry | Refused) -> bool:
        """Say why a search came to no end; False when the server is not to be had at all."""
        code = "pdsm.search.failed" if isinstance(outcome, Retry) else "pdsm.search.refused"
        self._fail(f"a search came to no end: {outcome.detail}", code)
        return isinstance(outcome, Refused) or outcome.reached

    async def _hand_over(self, inbox: Inbox, arrived: Arrived) -> None:
        """Submit, on disk when it is large; returns once it is durable. Raises Stopped."""
        if self._ending:
            raise Stopped
        large = len(arrived.content) > self._settings.spool_threshold
        spool = SpoolFile(inbox.spool()) if large else None
        try:
            if spool is not None:
                await spool.write(arrived.content)
            await inbox.submit(
                Inbound(
                    content=await spool.commit() if spool is not None else arrived.content,
                    received_at=self._services.now(),
                    control_id=arrived.control_id,
                    message_type=arrived.message_type,
                    peer=self._client.base.host or "",
                    refusal=Refusal(arrived.refusal) if arrived.refusal is not None else None,
                )
            )
        except NotAccepted as failure:
            await _discard(spool)
            self._fail(f"not accepted: {failure.reason}", "pdsm.submit.not_accepted")
            raise Stopped from None
        except Exception as failure:
            await _discard(spool)
            self._fail(f"{type(failure).__name__} at submission", "pdsm.submit.failed")
            raise Stopped from None
        except BaseException:
            await _discard(spool)
            raise

    def _fail(self, trouble: str, code: str) -> None:
        self._trouble = trouble
        self._count("failures")
        self._report(code, self.name, trouble, Severity.ERROR)

    def _count(self, figure: str, more: int = 1) -> None:
        self._counts[figure] += more
        self._services.health.figures[figure] = self._counts[figure]


async def _discard(spool: SpoolFile | None) -> None:
    if spool is not None:
        await spool.discard()
