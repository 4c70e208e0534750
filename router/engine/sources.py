"""The sources of a running router: opened, closed, paused, and opened again when they fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from connectors.contracts import Health, Source
from router.config.changes import FileDigests, file_digests
from router.config.model import ResolvedSource
from router.engine.inbox import SourceInbox
from router.engine.lending import Lender, take_back
from router.engine.seen import ELSEWHERE
from router.engine.status import RunningSource, source_statuses
from router.journal.pauses import FlowSide, Pauses
from router.web.context import FlowStatus

RESTART_SECONDS = 5.0
"""Wait before a source that failed is started again."""

UNOPENED = frozenset({"failed", "degraded", "refused"})
"""States in which a source that just said that it is ready cannot work as it is configured: a port that is taken, a
folder that is not there, a login that is refused. That a peer does not answer (`unreachable`) is no fault of it."""

OPEN_SECONDS = 30.0
"""Time after which a source that neither listens nor fails is no longer waited for."""


class Sources:
    """The sources of one router, by name. `inbox_of` gives where a source submits."""

    def __init__(
        self,
        lender: Lender,
        inbox_of: Callable[[str], SourceInbox],
        seconds: float,
        is_ours: Callable[[ResolvedSource], bool] | None = None,
    ) -> None:
        """`is_ours` says whether a source is opened on this node, None where all are."""
        self._is_ours = is_ours
        self._turning = asyncio.Lock()
        self._lender = lender
        self._inbox_of = inbox_of
        self._seconds = seconds
        self._running: dict[str, RunningSource] = {}
        self._pauses: Pauses = {}

    def __getitem__(self, name: str) -> RunningSource:
        return self._running[name]

    async def open(self, resolved: Sequence[ResolvedSource]) -> list[str]:
        """Open sources that are not paused, side by side; gives a sentence for each that could not be opened."""
        for one in resolved:
            self._running[one.name] = RunningSource(one, self._inbox_of(one.name), files=file_digests(one.settings))
        opened = [self._running[one.name] for one in resolved]
        await asyncio.gather(*(self._open(running) for running in opened))
        return [
            f"source {running.name} cannot be opened: {running.health.detail or 'it does not get ready'}"
            for running in opened
            if running.health.state in UNOPENED or (running.task is not None and not running.is_ready)
        ]

    async def close(self, names: Iterable[str]) -> None:
        """Close sources gracefully: what they submitted is committed and answered; and forget them."""
        gone = [self._running.pop(name) for name in names]
        await asyncio.gather(*(self._close(running) for running in gone))

    def reread(self, resolved: ResolvedSource) -> None:
        """Take over a section that changes how messages are read, and leaves the door as it is."""
        self._running[resolved.name].resolved = resolved

    def arrange(self, order: Sequence[ResolvedSource]) -> None:
        """Put them in the order of the configuration."""
        self._running = {one.name: self._running[one.name] for one in order}

    def files_of(self, name: str) -> FileDigests:
        """Give what the files of a source's settings held when it was opened."""
        return self._running[name].files

    async def heed(self, pauses: Pauses) -> None:
        """Close what is paused now, and open what goes on."""
        self._pauses = pauses
        async with self._turning:
            turned = [running for running in self._running.values() if self._is_closed(running) is not running.closed]
            await asyncio.gather(*(self._turn(running) for running in turned))
            for running in self._running.values():
                self._settle(running)

    async def _turn(self, running: RunningSource) -> None:
        if self._is_closed(running):
            await self._close(running)
            running.closed, running.address = True, ""
            running.health = Health()
        else:
            await self._open(running)

    def _settle(self, running: RunningSource) -> None:
        """Say of a source that is closed why it is: a person, or another node that has it."""
        running.paused = self._is_paused(running)
        if running.closed:
            running.health.state = "paused" if running.paused else ELSEWHERE

    def _is_closed(self, running: RunningSource) -> bool:
        elsewhere = self._is_ours is not None and not self._is_ours(running.resolved)
        return elsewhere or self._is_paused(running)

    def _is_paused(self, running: RunningSource) -> bool:
        return running.resolved.section.paused or (FlowSide.SOURCE, running.name) in self._pauses

    async def _open(self, running: RunningSource) -> None:
        running.closed = self._is_closed(running)
        running.health = Health()
        self._settle(running)
        if running.closed:
            return
        connector = self._lender.connector(running.connector)
        assert connector.make_source is not None  # noqa: S101 - the configuration was checked for it
        running.stopping, running.ready = asyncio.Event(), asyncio.Event()
        services = self._lender.services(
            "source", running.name, running.health, running.stopping, running.listening, running.jobs
        )
        source = connector.make_source(running.name, running.resolved.settings, services)
        running.task = asyncio.create_task(self._keep(running, source), name=f"source {running.name}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await running.ready.wait()

    async def _keep(self, running: RunningSource, source: Source) -> None:
        """Run a source, and run it again when it fails: a port in use or a folder without permission may be mended."""
        while True:
            try:
                await source.run(running.inbox)
            except Exception as problem:
                detail = (
                    f"{type(problem).__name__}: {problem}" if isinstance(problem, OSError) else type(problem).__name__
                )
                running.health.state, running.health.detail = "failed", detail
                self._lender.notices.trouble(f"source {running.name}", f"stopped: {detail}; trying again")
            else:
                return
            finally:
                running.ready.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESTART_SECONDS):
                    await running.stopping.wait()
                    return

    async def _close(self, running: RunningSource) -> None:
        running.stopping.set()
        task, running.task = running.task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=self._seconds)
            if not task.done():
                self._lender.notices.trouble(f"source {running.name}", "did not stop in time; it was left to itself")
        take_back(running.jobs)

    async def stop(self) -> None:
        """Close them all, and keep what is known of them."""
        await asyncio.gather(*(self._close(running) for running in self._running.values()))

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each listens."""
        return {name: running.address for name, running in self._running.items()}

    def statuses(self) -> list[FlowStatus]:
        """Say how every source is doing right now."""
        return source_statuses(self._running.values(), self._pauses)
