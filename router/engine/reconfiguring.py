"""Another configuration in a running router: nothing is lost, and what cannot be opened leaves all as it was.

Workers for the new routes and mappings start beside the present ones. Sources whose connection changes are closed (what
they took is committed and answered), the pipeline ends the batches that it has in hand and stands still while
acknowledgements go on, the sources are opened anew; then workers, routes and destinations are exchanged at once.

CannotApply              the former configuration goes on running: one sentence, why
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from connectors.contracts import Health
from router.config.changes import Changes, changes_between, effective
from router.config.load import Loaded
from router.engine.destinations import Destinations
from router.engine.lending import take_back
from router.engine.pipeline import Pipeline
from router.engine.plan import plan_of
from router.engine.pool import Prepared, WorkerPool
from router.engine.sources import Sources
from router.faults import Fault

STILL_SECONDS = 120.0
"""Time within which batches under way must end."""


class CannotApply(Fault):
    """The configuration cannot be applied; the former one goes on running."""


class Reconfiguring:
    """Exchanges one configuration for another. `sweeping` is held by whoever else gives work to the pool."""

    def __init__(
        self,
        sources: Sources,
        destinations: Destinations,
        pipeline: Pipeline,
        pool: WorkerPool,
        sweeping: asyncio.Lock,
        master: bytes,
    ) -> None:
        self._sources = sources
        self._destinations = destinations
        self._pipeline = pipeline
        self._pool = pool
        self._sweeping = sweeping
        self._master = master

    def changes(self, running: Loaded, other: Loaded) -> Changes:
        """Sort the differences, those of files that settings name among them."""
        return changes_between(
            running,
            other,
            {one.name: self._sources.files_of(one.name) for one in running.sources},
            {one.name: self._destinations.files_of(one.name) for one in running.destinations},
        )

    async def exchange(self, running: Loaded, other: Loaded, settled: Callable[[Loaded], None]) -> Changes:
        """Bring another configuration into use; `settled` is told of it while nothing is read. Raises CannotApply."""
        changes = await asyncio.to_thread(self.changes, running, other)
        wanted = effective(running, other)
        _refuse_impossible(wanted)
        await self._try_destinations(wanted, changes)
        prepared = await self._prepare(wanted)
        try:
            await self._exchange(running, wanted, changes, prepared, settled)
        except CannotApply:
            await self._pool.discard(prepared)
            raise
        return changes

    async def _exchange(
        self,
        running: Loaded,
        wanted: Loaded,
        changes: Changes,
        prepared: Prepared,
        settled: Callable[[Loaded], None],
    ) -> None:
        new = {one.name: one for one in wanted.sources}
        old = {one.name: one for one in running.sources}
        closed = (*changes.sources.removed, *changes.sources.rebound)
        opened = (*changes.sources.added, *changes.sources.rebound)

        async def back() -> None:
            await self._sources.close(opened)
            await self._sources.open([old[name] for name in closed])

        await self._sources.close(closed)
        async with self._sweeping:
            try:
                async with asyncio.timeout(STILL_SECONDS):
                    await self._pipeline.hold()
            except TimeoutError:
                self._pipeline.go_on()
                await self._sources.open([old[name] for name in closed])
                raise CannotApply("messages under way took too long to read; try again") from None
            try:
                problems = await self._sources.open([new[name] for name in opened])
                if not problems:
                    await self._pool.exchange(prepared)
                    for name in changes.sources.rewritten:
                        self._sources.reread(new[name])
                    self._sources.arrange(wanted.sources)
                    await self._bind(wanted, changes)
                    settled(wanted)
            finally:
                self._pipeline.go_on()
        if problems:
            await back()
            raise CannotApply("; ".join(problems))

    async def _bind(self, wanted: Loaded, changes: Changes) -> None:
        ends = {one.name: one for one in wanted.destinations}
        await self._destinations.remove(changes.destinations.removed)
        for name in changes.destinations.rebound:
            self._destinations.rebind(ends[name])
        for name in changes.destinations.added:
            self._destinations.add(ends[name])
        self._destinations.settle(wanted.destinations)

    async def _prepare(self, wanted: Loaded) -> Prepared:
        try:
            plan = await asyncio.to_thread(plan_of, wanted, self._master)
            # What a source that goes has received, and nobody has read yet, is read as that source said.
            sources = {**self._pool.plan.sources, **plan.sources}
            return await self._pool.prepare(replace(plan, sources=sources))
        except (BrokenProcessPool, TimeoutError):
            raise CannotApply("no worker could be started with it") from None
        except (OSError, ValueError, Fault) as problem:
            raise CannotApply(f"no worker could be started with it ({type(problem).__name__})") from None

    async def _try_destinations(self, wanted: Loaded, changes: Changes) -> None:
        """Make each new Destination once for nothing: what its connector refuses is told before anything changed."""
        for one in wanted.destinations:
            if one.name not in changes.destinations.added + changes.destinations.rebound:
                continue
            jobs: list[Callable[[], None]] = []
            try:
                await self._destinations.make(one, Health(), jobs).close()
            except Exception as problem:
                raise CannotApply(f"destination {one.name} cannot be made ({type(problem).__name__})") from None
            finally:
                take_back(jobs)


def _refuse_impossible(wanted: Loaded) -> None:
    """Refuse what needs a section that waits for the next start."""
    configuration = wanted.configuration
    strict = [one.validation for one in configuration.destinations.values()]
    strict += [one.validation for one in configuration.routes]
    if "strict" in strict and not configuration.validation.package:
        raise CannotApply(
            "it checks documents with a package that [validation] names only now, and that section is read at the "
            "start; write the file, then stop and start the router"
        )
    mail = configuration.dossier.alerts.mssante
    if mail and mail not in configuration.destinations:
        raise CannotApply(
            f"notices of dossiers leave by destination {mail!r} until the router is started anew; keep it until then"
        )
