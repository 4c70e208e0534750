"""What runs once, whatever the number of nodes: housekeeping, counting, alarms, bulk actions, the dossier, verifying.

On a single machine it begins with the router and ends with it; in a cluster with the lane of the jobs. What it writes
is then refused as soon as another node has that lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from connectors.contracts import Delivered
from router.bulk.running import BulkRunner
from router.certificates import certificate_notes
from router.config.load import Loaded
from router.dossier.serving import DossierRuntime
from router.engine.destinations import Destinations
from router.engine.housekeeping import Housekeeping, kept_days
from router.engine.lending import Schedule, Stop, take_back
from router.engine.noticing import Notices
from router.engine.resealing import Resealer
from router.engine.reverification import Reverification
from router.identity.insi import Insi
from router.identity.reindexing import bring_index_up
from router.journal.fencing import Fence, NoLongerOurs, Under
from router.journal.operations import Operation
from router.journal.retention import Kind
from router.journal.store import Store
from router.journal.writer import R, Writer
from router.watch.nodes import Listening
from router.watch.telling import Teller
from router.watch.watching import EVERY, Watching
from router.web.context import FlowStatus
from schemas.finding import Finding, Severity

COUNT_SECONDS = 60.0
"""How often it is looked whether an hour is over and to be counted."""

DAY_SECONDS = 86_400.0

Spawn = Callable[[Awaitable[None], str], "asyncio.Task[None]"]


class JobsWriter:
    """The writer of what runs once: each operation is applied under the taking of the jobs that holds now."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.fence: Fence | None = None

    def submit(self, operation: Operation[R]) -> Awaitable[R]:
        """Submit an operation; it ends in NoLongerOurs when another node has the jobs."""
        return self._writer.submit(operation if self.fence is None else Under(operation, self.fence))


class Jobs:
    """Begins and ends what runs once. `loaded` gives the configuration that runs, `flows` how its ends are doing.

    `nodes` is set by a node of a cluster: whom it has heard.
    """

    def __init__(
        self,
        loaded: Callable[[], Loaded],
        store: Store,
        writer: JobsWriter,
        schedule: Schedule,
        notices: Notices,
        now: Callable[[], datetime],
        *,
        flows: Callable[[], Sequence[FlowStatus]],
        destinations: Destinations,
        dossier: DossierRuntime,
        bulk: BulkRunner,
        insi: Insi,
        wake: Callable[[], None],
    ) -> None:
        self._loaded = loaded
        self._store = store
        self._writer = writer
        self._schedule = schedule
        self._notices = notices
        self._now = now
        self._flows = flows
        self._destinations = destinations
        self._dossier = dossier
        self._bulk = bulk
        self._insi = insi
        self._wake = wake
        self._stops: list[Stop] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_watching: Stop | None = None
        self.nodes: Listening | None = None
        self.watching = self._watching()

    async def start(self, spawn: Spawn, fence: Fence | None = None) -> None:
        """Begin; `fence` is under which taking of the jobs, None on a single machine."""
        self._writer.fence = fence
        if fence is not None:
            self.watching = self._watching()  # what it had seen is old: another node has watched meanwhile

        def begin(work: Awaitable[None], name: str) -> None:
            self._tasks.append(spawn(_while_ours(work), name))

        begin(self._bulk.run(), "bulk actions")
        begin(bring_index_up(self._store, self._writer.submit), "patient index")
        trouble = partial(self._notices.trouble, "keys")
        begin(Resealer(self._store, self._writer.submit, self._now, trouble).run(), "keys")
        kept = kept_days(self._loaded().configuration)
        housekeeping = Housekeeping(self._store, self._writer, kept[Kind.MESSAGES], self._now, kept)
        self._stops.append(self._schedule.every(3600.0, housekeeping.run))
        self._stops.append(self._schedule.every(COUNT_SECONDS, housekeeping.count))
        self._stop_watching = self._schedule.every(EVERY, self.watching.run)
        await self._dossier.start(begin)
        self._verify_again()
        await self._look_at_certificates()
        self._stops.append(self._schedule.every(DAY_SECONDS, self._look_at_certificates))

    async def stop(self) -> None:
        """End, between two transactions: another node goes on."""
        take_back(self._stops)
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def watch_anew(self) -> None:
        """Watch by another section, or tell by another destination."""
        self.watching = self._watching()
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = self._schedule.every(EVERY, self.watching.run)

    def _watching(self) -> Watching:
        loaded = self._loaded()
        section, zone = loaded.configuration.watch, ZoneInfo(loaded.configuration.web.timezone)
        by = next((one for one in loaded.destinations if one.name == section.mssante), None)
        teller = Teller(
            section,
            zone=zone,
            post=None if by is None else partial(self._post_alarm, by.name),
            mssante_from="" if by is None else by.section.options.get("from", ""),
        )
        return Watching(
            self._store,
            self._writer.submit,
            section,
            self._flows,
            teller,
            zone,
            self._now,
            partial(self._notices.trouble, "watch"),
            self.nodes,
        )

    async def _post_alarm(self, destination: str, mail: bytes) -> str:
        outcome = await self._destinations.send_apart(destination, mail)
        return "" if isinstance(outcome, Delivered) else outcome.detail

    def _verify_again(self) -> None:
        """Verify INS again from time to time, where INSi is configured and this is wanted."""
        section = self._loaded().insi
        if section is None or section.reverify_days == 0:
            return
        reverification = Reverification(
            self._insi,
            self._store,
            self._writer.submit,
            period=timedelta(days=section.reverify_days),
            batch=section.reverify_batch,
            now=self._now,
            wake=self._wake,
        )

        async def run() -> None:
            await reverification.run()

        self._stops.append(self._schedule.every(60.0, run))

    async def _look_at_certificates(self) -> None:
        notes = await asyncio.to_thread(lambda: certificate_notes(self._loaded(), self._now()))
        for note in notes:
            severity = Severity.ERROR if note.stops else Severity.WARNING
            code = f"certificate.{note.trouble.value}"
            self._notices.report(
                "certificates", Finding(severity=severity, code=code, where=note.owner, message=note.sentence)
            )


async def _while_ours(work: Awaitable[None]) -> None:
    try:
        await work
    except NoLongerOurs:
        return  # another node goes on, and this one is about to be told
