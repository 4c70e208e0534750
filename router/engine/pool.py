"""Worker processes: batches go out, prepared messages come back, and a batch that kills or hangs its worker is split.

A message that no worker survives is rejected with a Finding; it never stops those behind it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from router.bulk.rerouting import ChosenItem, Rerouted
from router.dossier.store.jobs import ItemJob, PatientJob, Projected
from router.engine.attempting import Attempted, AttemptFailed, attempt
from router.engine.bereavement import Bereavement, processes_of, put_down
from router.engine.plan import Plan
from router.engine.worker import HeldItem, RawMessage, Worker
from router.following import follow
from router.journal.operations import REPORT_PLACE, PreparedItem, PreparedMessage
from router.journal.sealing import Sealer
from router.journal.tables import MessageState

R = TypeVar("R")

TRIES = 2
"""How often a batch is given to a worker before it is split, and a message alone before it is set aside."""

START_SECONDS = 60.0
"""Time that workers of another Plan may take to start."""

WORKER_NICE = 10
"""How much less urgent workers are than the process that acknowledges (POSIX nice)."""

_here = threading.local()
"""The Worker of this thread: of a worker process's only one, or of the one in the router's own process."""


def _start_worker(plan: Plan, parent: int) -> None:
    """Set a worker process up; it ignores Ctrl-C, which the router handles for all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    follow(parent)
    keep_memory_low()
    # When there are not enough processors, acknowledging goes first: reading can catch up, a sender cannot wait.
    os.nice(WORKER_NICE)
    _here.worker = Worker(plan)
    # What is loaded by now stays: without it, the collector looks through it for nothing at every turn.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def keep_memory_low() -> None:
    """Ask the C library for two arenas instead of eight a processor: threads here take turns, and memory comes back."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        arena_max = -8
        libc.mallopt(arena_max, 2)


def _mine() -> Worker:
    worker: Worker = _here.worker  # the initializer ran before any task
    return worker


def _process(raws: Sequence[RawMessage], now: datetime) -> list[PreparedMessage]:
    return _mine().process(raws, now)


def _reconsider(held: Sequence[HeldItem], now: datetime) -> list[PreparedItem]:
    return _mine().reconsider(held, now)


def _reroute(chosen: Sequence[ChosenItem], routes: Mapping[str, str], mark: str, now: datetime) -> list[Rerouted]:
    return _mine().reroute(chosen, routes, mark, now)


def _project(jobs: Sequence[ItemJob | PatientJob], now: datetime) -> list[Projected]:
    return _mine().project(jobs, now)


def _attempt(raw: RawMessage, format_name: str | None, charset: str | None, now: datetime) -> Attempted:
    return attempt(_mine().plan, _mine().store, raw, format_name, charset, now)


def _processes(plan: Plan, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(plan, os.getpid()),
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Workers that are ready to take over: one of this process, or processes of their own."""

    plan: Plan
    worker: Worker | None
    executor: Executor | None


class WorkerPool:
    """Runs batches in `workers` processes, or in one thread of this process when `workers` is 0."""

    def __init__(self, plan: Plan, workers: int, batch_seconds: float, sealer: Sealer) -> None:
        self._plan = plan
        self.workers = workers
        self._seconds = batch_seconds
        self._sealer = sealer.clone()
        self._executor = self._make()
        self._generation = 0
        self._bereavement: Bereavement | None = None
        self.restarts = 0

    def _make(self) -> Executor:
        if self.workers == 0:
            # The initializer's global is this process's own: one thread, one Worker.
            return ThreadPoolExecutor(1, "worker", initializer=_start_in_process, initargs=(self._plan,))
        return _processes(self._plan, self.workers)

    async def prepare(self, plan: Plan) -> Prepared:
        """Start workers for another Plan, beside those that work. Raises what keeps them from starting."""
        loop = asyncio.get_running_loop()
        if self.workers == 0:
            return Prepared(plan, await loop.run_in_executor(self._executor, Worker, plan), None)
        executor = _processes(plan, self.workers)
        now = datetime.now().astimezone()
        try:
            async with asyncio.timeout(max(self._seconds, START_SECONDS)):
                await asyncio.gather(
                    *(loop.run_in_executor(executor, _process, [], now) for _ in range(self.workers)),
                )
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        return Prepared(plan, None, executor)

    async def exchange(self, prepared: Prepared) -> None:
        """Let the prepared workers take over; those before them end with what they have in hand."""
        self._plan = prepared.plan
        if prepared.worker is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, _exchange_in_process, prepared.worker)
        elif prepared.executor is not None:
            self._generation += 1
            former, self._executor = self._executor, prepared.executor
            former.shutdown(wait=False)

    async def discard(self, prepared: Prepared) -> None:
        """Let prepared workers go that will not take over."""
        if prepared.worker is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, prepared.worker.close)
        elif prepared.executor is not None:
            prepared.executor.shutdown(wait=False, cancel_futures=True)

    @property
    def plan(self) -> Plan:
        """What the workers work by."""
        return self._plan

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers that run."""
        return [process.pid for process in processes_of(self._executor) if process.pid is not None]

    async def process(self, raws: Sequence[RawMessage], now: datetime) -> list[PreparedMessage]:
        """Prepare a batch; never raises for what a message did.

        A worker may die of its own (an administrator's kill, memory): the batch is tried once more before it is split,
        and a message alone is tried twice before it is held responsible.
        """
        hung = False
        for _ in range(TRIES):
            try:
                return await self._run(_process, raws, now)
            except (BrokenProcessPool, TimeoutError) as ending:
                hung = isinstance(ending, TimeoutError)
        if len(raws) == 1:
            return [self._reject(raws[0], hung=hung)]
        prepared: list[PreparedMessage] = []
        for raw in raws:
            prepared += await self.process([raw], now)
        return prepared

    async def reconsider(self, held: Sequence[HeldItem], now: datetime) -> list[PreparedItem]:
        """Look at held Items again; gives none when a worker did not survive it."""
        try:
            return await self._run(_reconsider, held, now)
        except (BrokenProcessPool, TimeoutError):
            return []

    async def reroute(
        self, chosen: Sequence[ChosenItem], routes: Mapping[str, str], mark: str, now: datetime
    ) -> list[Rerouted]:
        """Write Items for other destinations; one that no worker survives is said to be unreadable."""
        try:
            return await self._run(_reroute, chosen, routes, mark, now)
        except (BrokenProcessPool, TimeoutError) as ending:
            if len(chosen) == 1:
                return [Rerouted(chosen[0].item_id, problem=type(ending).__name__)]
        return [made for one in chosen for made in await self.reroute([one], routes, mark, now)]

    async def project(self, jobs: Sequence[ItemJob | PatientJob], now: datetime) -> list[Projected]:
        """Make resources of the dossier. Raises BrokenProcessPool or TimeoutError when a worker did not survive it."""
        return await self._run(_project, jobs, now)

    async def attempt(self, raw: RawMessage, format_name: str | None, charset: str | None, now: datetime) -> Attempted:
        """Try a message and keep nothing of it. Raises AttemptFailed when no worker survives it."""
        try:
            return await self._run(_attempt, raw, format_name, charset, now)
        except BrokenProcessPool:
            raise AttemptFailed("reading this message stopped its worker process; please report it") from None
        except TimeoutError:
            raise AttemptFailed("reading this message took too long; please report it") from None

    async def _run(self, function: Callable[..., R], *arguments: Any) -> R:
        generation = self._generation
        loop = asyncio.get_running_loop()
        if self.workers == 0:
            return await loop.run_in_executor(self._executor, function, *arguments)
        try:
            call = loop.run_in_executor(self._executor, function, *arguments)
            return await self._answer(call)
        except (BrokenProcessPool, TimeoutError):
            self._replace(generation)
            raise

    async def _answer(self, call: asyncio.Future[R]) -> R:
        """Wait for a worker's answer, for its end, or until it took too long."""
        if self._bereavement is None or self._bereavement.executor is not self._executor:
            self._bereavement = Bereavement(self._executor)
        self._bereavement.watch()
        told = self._bereavement.told
        waited: set[asyncio.Future[Any]] = {call, told}
        try:
            await asyncio.wait(waited, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            call.cancel()
            raise
        if call.cancelled():  # it waited in an executor that another batch has put down
            raise BrokenProcessPool("the workers were replaced")
        if call.done():
            return call.result()
        call.cancel()
        if told.done():
            raise BrokenProcessPool("a worker process ended in the middle of its answer")
        raise TimeoutError

    def _replace(self, generation: int) -> None:
        if generation != self._generation:
            return  # another batch of the same pool has seen to it
        self._generation += 1
        self.restarts += 1
        broken, self._executor = self._executor, self._make()
        put_down(broken)

    def _reject(self, raw: RawMessage, *, hung: bool) -> PreparedMessage:
        what = "took too long" if hung else "stopped its worker process"
        report = (
            '{"findings":[{"severity":"error","code":"worker.lost","where":"reader","message":'
            f'"reading this message {what}; it was set aside, please report it"}}]}}'
        )
        sealed = self._sealer.seal(report.encode(), REPORT_PLACE)
        return PreparedMessage(raw.message_id, MessageState.REJECTED, None, 3, 0, sealed)

    async def warm_up(self) -> None:
        """Start the workers before the first message comes."""
        await asyncio.gather(*(self._run(_process, [], datetime.now().astimezone()) for _ in range(self.workers or 1)))

    def close(self) -> None:
        """End the workers; batches under way are finished."""
        if self.workers == 0:
            self._executor.submit(_end_in_process).result()
        self._executor.shutdown(wait=True, cancel_futures=True)


def _exchange_in_process(worker: Worker) -> None:
    former: Worker | None = getattr(_here, "worker", None)
    _here.worker = worker
    if former is not None:
        former.close()


def _end_in_process() -> None:
    worker: Worker | None = getattr(_here, "worker", None)
    if worker is not None:
        worker.close()


def _start_in_process(plan: Plan) -> None:
    _here.worker = Worker(plan)
