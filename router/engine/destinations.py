"""The destinations of a running router: added, bound anew, taken away, paused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from connectors.contracts import Destination, Health, Learner, Outcome
from router.config.changes import FileDigests, file_digests
from router.config.model import ResolvedDestination
from router.engine.dispatcher import Dispatcher
from router.engine.gate import Gate
from router.engine.learning import EVERY as LEARN_EVERY, Learning
from router.engine.lending import Lender, Stop, take_back
from router.engine.owning import SendLanes
from router.engine.status import destination_status
from router.journal.operations import Queued
from router.journal.pauses import FlowSide, Pauses
from router.observe.observer import traceparent
from router.web.context import FlowStatus


@dataclass(slots=True)
class RunningDestination:
    """A destination, and what sends to it."""

    resolved: ResolvedDestination
    dispatcher: Dispatcher
    health: Health
    task: asyncio.Task[None]
    files: FileDigests
    jobs: list[Stop] = field(default_factory=list)


class Destinations:
    """The destinations of one router, by name, in the order of the configuration.

    `gate_of` gives what checks a destination's documents; `spawn` supervises a task of the engine.
    """

    def __init__(
        self,
        lender: Lender,
        gate_of: Callable[[ResolvedDestination], Gate | None],
        spawn: Callable[[Awaitable[None], str], asyncio.Task[None]],
        stopping: asyncio.Event,
        seconds: float,
        owned: SendLanes | None = None,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        """`owned` are the lanes that this node of a cluster sends, `alone` whether it does what runs once."""
        self._owned = owned
        self._alone = alone
        self._lender = lender
        self._gate_of = gate_of
        self._spawn = spawn
        self._stopping = stopping
        self._seconds = seconds
        self._running: dict[str, RunningDestination] = {}
        self._pauses: Pauses = {}

    def __getitem__(self, name: str) -> Dispatcher:
        return self._running[name].dispatcher

    def files_of(self, name: str) -> FileDigests:
        """Give what the files of a destination's settings held when it was bound."""
        return self._running[name].files

    def make(self, resolved: ResolvedDestination, health: Health, jobs: list[Stop]) -> Destination:
        """Make a Destination of a section; raises whatever its connector does when it cannot be made."""
        connector = self._lender.connector(resolved.section.connector)
        assert connector.make_destination is not None  # noqa: S101 - the configuration was checked for it
        services = self._lender.services(
            "destination", resolved.name, health, self._stopping, lambda _address: None, jobs
        )
        return connector.make_destination(resolved.name, resolved.settings, services)

    def add(self, resolved: ResolvedDestination) -> None:
        """Begin to send to a destination what waits for it."""
        health, jobs = Health(), list[Stop]()
        made = self.make(resolved, health, jobs)
        dispatcher = Dispatcher(
            resolved.name,
            made,
            self._lender.store,
            self._lender.writer,
            concurrency=resolved.concurrency,
            retry=resolved.section.retry,
            now=self._lender.now,
            trouble=partial(self._lender.notices.trouble, f"destination {resolved.name}"),
            paused=self._is_paused(resolved),
            gate=self._gate_of(resolved),
            observed=self._lender.observer.tried if self._lender.observer is not None else None,
            owned=self._owned,
        )
        dispatcher.trace_by(self._traced(resolved))
        dispatcher.hold_back(self._paused_routes())
        self._learn(resolved.name, made, dispatcher, jobs)
        task = self._spawn(dispatcher.run(), f"destination {resolved.name}")
        files = file_digests(resolved.settings)
        self._running[resolved.name] = RunningDestination(resolved, dispatcher, health, task, files, jobs)

    def _learn(self, name: str, made: Destination, dispatcher: Dispatcher, jobs: list[Stop]) -> None:
        """Let a destination that can be asked under which names it knows what was sent be asked from time to time."""
        if isinstance(made, Learner):
            lender = self._lender

            def resting() -> bool:
                return not self._alone() or dispatcher.resting()

            learning = Learning(name, made, lender.store, lender.writer.submit, lender.now, resting)
            jobs.append(lender.schedule.every(LEARN_EVERY, learning.run))

    def rebind(self, resolved: ResolvedDestination) -> None:
        """Send to the same destination by other settings; what waits keeps its place."""
        running = self._running[resolved.name]
        health, jobs = Health(), list[Stop]()
        made = self.make(resolved, health, jobs)
        take_back(running.jobs)
        running.resolved, running.health, running.jobs = resolved, health, jobs
        running.files = file_digests(resolved.settings)
        self._learn(resolved.name, made, running.dispatcher, jobs)
        running.dispatcher.rebind(made, concurrency=resolved.concurrency, retry=resolved.section.retry)
        running.dispatcher.trace_by(self._traced(resolved))

    def _traced(self, resolved: ResolvedDestination) -> Callable[[int, int], str] | None:
        return partial(traceparent, self._lender.store) if resolved.section.traceparent else None

    async def remove(self, names: Sequence[str]) -> None:
        """Stop sending to destinations, once what is under way has ended; what waits stays in the journal."""
        gone = [self._running.pop(name) for name in names]
        for running in gone:
            running.task.cancel()
        await asyncio.gather(*(running.task for running in gone), return_exceptions=True)
        await asyncio.gather(*(running.dispatcher.drain(self._seconds) for running in gone))
        for running in gone:
            take_back(running.jobs)

    def settle(self, order: Sequence[ResolvedDestination]) -> None:
        """Take over sections and gates, in the order of the configuration."""
        kept = {one.name: self._running[one.name] for one in order}
        self._running = kept
        for one in order:
            running = kept[one.name]
            running.resolved = one
            running.dispatcher.judge_by(self._gate_of(one))
        self.heed(self._pauses)

    def heed(self, pauses: Pauses) -> None:
        """Stop sending what is paused now, go on with what is not."""
        self._pauses = pauses
        routes = self._paused_routes()
        for running in self._running.values():
            paused = self._is_paused(running.resolved)
            if paused and not running.dispatcher.paused:
                running.dispatcher.pause()
            elif running.dispatcher.paused and not paused:
                running.dispatcher.resume()
            running.dispatcher.hold_back(routes)

    def _is_paused(self, resolved: ResolvedDestination) -> bool:
        return resolved.section.paused or (FlowSide.DESTINATION, resolved.name) in self._pauses

    def _paused_routes(self) -> frozenset[str]:
        return frozenset(name for side, name in self._pauses if side is FlowSide.ROUTE)

    def enqueue(self, queued: Sequence[Queued]) -> None:
        """Hand out Deliveries just committed."""
        by_destination: dict[str, list[Queued]] = {}
        for one in queued:
            by_destination.setdefault(one.destination, []).append(one)
        for name, those in by_destination.items():
            running = self._running.get(name)
            if running is not None:
                running.dispatcher.enqueue(those)

    def read_anew(self) -> None:
        """Let every destination read anew what waits: some of it was cancelled or reopened."""
        for running in self._running.values():
            running.dispatcher.reload()

    def look(self) -> None:
        """Let every destination look for what other nodes queued."""
        for running in self._running.values():
            running.dispatcher.look()

    async def lose(self, number: int) -> None:
        """Let every destination forget a send lane that goes to another node."""
        await asyncio.gather(*(running.dispatcher.lose(number) for running in self._running.values()))

    async def send_apart(self, name: str, content: bytes) -> Outcome:
        """Send something of the router's own that is no Delivery."""
        return await self._running[name].dispatcher.send_apart(content)

    async def drain(self) -> None:
        """Wait for what is under way everywhere, and release every connection."""
        await asyncio.gather(*(running.dispatcher.drain(self._seconds) for running in self._running.values()))

    def statuses(self) -> list[FlowStatus]:
        """Say how every destination is doing right now."""
        return [
            destination_status(running.resolved, running.dispatcher, running.health, self._pauses)
            for running in self._running.values()
        ]
