"""The engine: one router at work on one journal, from its start to a graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from connectors.registry import connectors
from router.bulk.rerouting import REROUTED
from router.bulk.running import BulkRunner
from router.certificates import CertificateEnd, CertificateNote, certificate_ends, certificate_notes
from router.cluster.contracts import Cluster
from router.codes.maps import MapFiles
from router.config.changes import Changes
from router.config.load import Loaded
from router.config.model import ResolvedDestination
from router.directory.service import DirectoryService
from router.dossier.api.deposits import deposits_of
from router.dossier.leaving.mailing import ByMail
from router.dossier.serving import DossierRuntime
from router.engine.applying import Applying
from router.engine.asked import newest_request, pauses_of
from router.engine.attempting import Attempted
from router.engine.clock import micros, utc_now
from router.engine.destinations import Destinations
from router.engine.gate import Gate
from router.engine.inbox import NOTHING, HandOver, SourceInbox
from router.engine.jobs import Jobs, JobsWriter
from router.engine.lending import Lender, Schedule
from router.engine.memory import JournalRecords
from router.engine.node import Node, Parts
from router.engine.noticing import Notices
from router.engine.outcomes import Outcomes
from router.engine.pipeline import Pipeline
from router.engine.plan import plan_of
from router.engine.pool import WorkerPool
from router.engine.pressure import Pressure
from router.engine.reconfiguring import CannotApply, Reconfiguring
from router.engine.sources import Sources
from router.engine.status import route_statuses
from router.engine.worker import RawMessage
from router.identity.insi import Insi
from router.journal.operations import Operation, Queued
from router.journal.pauses import Pauses
from router.journal.prepared import PreparedMessage
from router.journal.readers import ReaderChoice
from router.journal.routing import keep_routing
from router.journal.store import JournalFault, Store
from router.journal.writer import Writer
from router.observe.observer import observer_of
from router.validation.server import ValidationServer
from router.watch.watching import Watching
from router.web.context import FlowStatus, RouteStatus
from router.whatif.replaying import load_raws
from schemas.finding import Finding, Severity

R = TypeVar("R")

SWEEP_SECONDS = 1.0
"""How often the journal is looked at for what other processes asked."""

MAP_PROBLEMS = 20
"""Lines of a file of concept maps that are told when it changes; `passerelle check` tells all."""


class Engine:
    """Receives, reads, identifies, routes and delivers. `start`, then `stop`; `address_of` gives the listening ones."""

    def __init__(
        self,
        loaded: Loaded,
        store: Store,
        *,
        now: Callable[[], datetime] = utc_now,
        cluster: Cluster | None = None,
    ) -> None:
        """`cluster` is what a node of a cluster is given; None on a single machine."""
        self._loaded = loaded
        self.stopping = asyncio.Event()
        self.store = store
        self._now = now
        self.writer = Writer(store)
        self.notices = Notices(self.writer, now)
        section = loaded.configuration.engine
        self._pressure = Pressure(section.max_waiting)
        self.node: Node | None = None
        if cluster is not None:
            store.several_write, trouble = True, partial(self.notices.trouble, "cluster")
            self.node = Node(cluster, store, self.writer, lambda: self._loaded, now, trouble, self.stopping)
        node, count = self.node, section.worker_count
        processes = count if node is None else node.processes(count)
        # What a node that reads nothing receives is read from the journal by another one.
        self._handed = HandOver() if node is None or node.works else HandOver(NOTHING)
        self._outcomes = Outcomes(store)
        self.plan = plan_of(loaded, store.sealer.master)
        self.pool = WorkerPool(self.plan, processes, section.batch_seconds, store.sealer)
        self._schedule = Schedule(self.notices)
        self._pauses: Pauses = {}
        self._changing, self._sweeping = asyncio.Lock(), asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._owning: asyncio.Task[None] | None = None
        self._last_action = 0
        self._validation = ValidationServer(
            loaded.validation_package,
            loaded.place.data / "stylesheets",
            seconds=loaded.configuration.validation.seconds,
        )
        self.records = JournalRecords(store)
        self._map_files = MapFiles(loaded.code_maps)
        self.insi = Insi(
            loaded.insi, store, self.submit, now=now, environment=loaded.configuration.identity.environment
        )
        self.directory = DirectoryService(
            loaded.annuaire,
            loaded.place.data,
            now=now,
            report=partial(self.notices.report, "annuaire"),
            apart=section.worker_count > 0,
        )
        self._nudged = asyncio.Event()
        self._observer = observer_of(
            loaded.configuration.observe,
            store,
            importlib.metadata.version("passerelle"),
            partial(self.notices.trouble, "observe"),
        )
        self._lender = Lender(
            lambda name: connectors()[name],
            now,
            self.notices,
            self._schedule,
            store,
            self.writer,
            self.records,
            loaded.place.data,
            self._observer,
        )
        is_ours = node.is_opened if node is not None else None
        self._sources = Sources(self._lender, self._inbox_of, section.stop_seconds, is_ours)
        self._destinations = Destinations(
            self._lender,
            self._gate,
            self._spawn,
            self.stopping,
            section.stop_seconds,
            node.send if node is not None else None,
            self._runs_once,
        )
        self._jobs_writer = JobsWriter(self.writer)
        self.dossier = DossierRuntime(
            loaded.configuration.dossier,
            store,
            self._jobs_writer,
            self.pool,
            now,
            partial(self.notices.trouble, "dossier"),
            base=f"http://{loaded.configuration.web.listen}/fhir",
            deposits=deposits_of(loaded, self.plan),
            mail=self._notice_mail(),
            queued=self._queued,
        )
        self.pipeline = Pipeline(
            store,
            self.writer,
            self.pool,
            self._handed,
            self._pressure,
            self._outcomes,
            batch=section.batch,
            now=now,
            queued=self._destinations.enqueue,
            stopped=self._destinations.read_anew,
            committed=self._committed,
            observed=self._observer.read if self._observer is not None else None,
            trouble=partial(self.notices.trouble, "pipeline"),
            lanes=node.read if node is not None else None,
        )
        self._reconfiguring = Reconfiguring(
            self._sources, self._destinations, self.pipeline, self.pool, self._sweeping, store.sealer.master
        )
        self.applying = Applying(
            loaded.path,
            store,
            self.submit,
            self.reconfigure,
            lambda: self._loaded,
            now,
            partial(self.notices.trouble, "configuration"),
            shared=node is not None,
        )
        self.bulk = BulkRunner(
            store,
            self._jobs_writer.submit,
            now=now,
            write=self.pool.reroute,
            destinations=frozenset(one.name for one in loaded.destinations),
            routes={route.name: route.to for route in loaded.configuration.routes},
            queued=self._queued,
            changed=self._changed,
            trouble=partial(self.notices.trouble, "bulk actions"),
        )
        self.jobs = Jobs(
            lambda: self._loaded,
            store,
            self._jobs_writer,
            self._schedule,
            self.notices,
            now,
            flows=self.flows,
            destinations=self._destinations,
            dossier=self.dossier,
            bulk=self.bulk,
            insi=self.insi,
            wake=self.wake,
        )
        if node is not None:
            node.attach(
                Parts(
                    self.pipeline,
                    self._destinations,
                    self.jobs,
                    self._pressure,
                    self._outcomes,
                    lambda: self._sources.heed(self._pauses),
                    self._nudged.set,
                    self._look_at_changes,
                    self.dossier.committed,
                    self._spawn,
                    self.own_flows,
                    lambda: self.applying.running,
                    importlib.metadata.version("passerelle"),
                )
            )

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything; returns once every source that is not paused listens or has failed to."""
        self.writer.start()
        await self.submit(keep_routing(self.plan.routing, micros(self._now())))
        await self.pool.warm_up()
        await self.pipeline.start()
        self._last_action = await asyncio.to_thread(newest_request, self.store)
        self._schedule.start()
        self._pauses = await asyncio.to_thread(pauses_of, self.store)
        await self._sources.heed(self._pauses)
        self._destinations.heed(self._pauses)
        for resolved in self._loaded.destinations:
            self._destinations.add(resolved)
        self._spawn(self.pipeline.run(), "pipeline")
        self._spawn(self._sweep(), "sweep")
        if self._observer is not None:
            self._spawn(self._observer.run(), "observer")
        if self.node is None:
            await self.jobs.start(self._spawn)
        else:
            await asyncio.to_thread(self.store.blobs.sweep_spool)
        if self.directory.configured and (self.node is None or self.node.looks_up):
            self._schedule.every(60.0, self.directory.begin_if_due)
            await self.directory.begin_if_due()
        await self._sources.open(self._loaded.sources)
        await self.applying.begin()
        self._spawn(self.applying.run(), "configuration")
        if self.node is not None:
            self._owning = self._spawn(self.node.run(), "cluster")

    def _gate(self, resolved: ResolvedDestination) -> Gate | None:
        """Give what checks a destination's documents, None when neither it nor a route to it asks for it."""
        name = resolved.name
        asking = [route for route in self._loaded.configuration.routes if name in route.to]
        routes = frozenset(route.name for route in asking if route.validation == "strict")
        if routes:  # what a person sends here passes no route: it is checked as the strictest would
            routes |= {REROUTED}
        everything = resolved.section.validation == "strict"
        if not routes and not everything:
            return None
        return Gate(
            self._validation,
            resolved.format,
            routes=None if everything else routes,
            trouble=partial(self.notices.trouble, f"validation for {name}"),
        )

    def _inbox_of(self, source: str) -> SourceInbox:
        told = self.node.received if self.node is not None else None
        return SourceInbox(source, self.store, self.writer, self._handed, self._pressure, self._outcomes, told)

    def _runs_once(self) -> bool:
        return self.node is None or self.node.has_jobs

    def _queued(self, queued: Sequence[Queued]) -> None:
        self._destinations.enqueue(queued)
        if self.node is not None:
            self.node.committed()

    def _committed(self) -> None:
        self.dossier.committed()
        if self.node is not None:
            self.node.committed()

    def _changed(self) -> None:
        self._nudged.set()
        if self.node is not None:
            self.node.woke()

    async def stop(self) -> None:
        """Stop gracefully: sources first, then what is under way, then the journal's last commits."""
        self.stopping.set()
        # A change of configuration that is under way ends first: it opens and closes sources.
        await self.applying.close()
        async with self._changing:
            await self._sources.stop()
        self._schedule.stop()
        ending = [task for task in self._tasks if task is not self._owning]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._destinations.drain()
        if self.node is not None and self._owning is not None:
            # Owned until everything has let go of it: another node has it at once then.
            await self.node.leave()
            self._owning.cancel()
            await asyncio.gather(self._owning, return_exceptions=True)
        if self._observer is not None:
            await self._observer.close()
        await self._validation.close()
        await self.insi.close()
        await self.directory.close()
        self.notices.close()
        await self.writer.stop()
        await asyncio.to_thread(self.pool.close)
        self.store.close()

    # --- what others ask ------------------------------------------------------------------------------------------

    async def submit(self, operation: Operation[R]) -> R:
        """Apply an operation; used by the dashboard and the API."""
        return await self.writer.submit(operation)

    async def read_again(
        self, numbers: Sequence[int], reader: ReaderChoice | None, mappings: int | None
    ) -> list[PreparedMessage]:
        """Read messages as they would be read now, in their order; nothing is kept or sent.

        `reader` stands in the place of each one's own, `mappings` is a version that is not the one in force.
        """

        def load() -> list[RawMessage]:
            return load_raws(self.store, self.store.sealer.clone(), list(numbers))

        raws = await asyncio.to_thread(load)
        chosen = [replace(raw, reader=reader or raw.reader, mappings=mappings) for raw in raws]
        return await self.pool.process(chosen, self._now())

    def wake(self) -> None:
        """Look at the journal now: rows were changed by a person, or by a tool."""
        self._changed()
        self._look_at_changes()

    def _look_at_changes(self) -> None:
        self.bulk.nudge()
        self.dossier.changed()

    def address_of(self, source: str) -> str:
        """Give the address that a source listens on, or an empty string."""
        return self._sources[source].address

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses of all sources."""
        return dict(self._sources.addresses)

    def flows(self) -> Sequence[FlowStatus]:
        """Say how every source and destination is doing right now."""
        return self.own_flows() if self.node is None else self.node.flows()

    def own_flows(self) -> Sequence[FlowStatus]:
        """Say how every source and destination is doing on this node."""
        return [*self._sources.statuses(), *self._destinations.statuses()]

    @property
    def watching(self) -> Watching:
        """What looks after the flows of the whole router, and tells of alarms."""
        return self.jobs.watching

    def routes(self) -> Sequence[RouteStatus]:
        """Give the routes, with what is paused of them."""
        return route_statuses(self._loaded.configuration, self._pauses)

    async def attempt(self, raw: RawMessage, format_name: str | None, charset: str | None) -> Attempted:
        """Say what would be made of a message, and keep nothing. Raises AttemptFailed."""
        return await self.pool.attempt(raw, format_name, charset, self._now())

    @property
    def loaded(self) -> Loaded:
        """The configuration that runs."""
        return self._loaded

    async def reconfigure(self, other: Loaded) -> Changes:
        """Bring another configuration into use without losing a message. Raises CannotApply; all is then as it was."""
        async with self._changing:
            if self.stopping.is_set():
                raise CannotApply("the router is stopping")
            former = self._loaded
            changes = await self._reconfiguring.exchange(former, other, self._settle)
            await self.submit(keep_routing(self.plan.routing, micros(self._now())))
            await self._sources.heed(self._pauses)
            if changes.watch or changes.destinations:  # alarms may leave by one of them
                self.jobs.watch_anew()
        return changes

    def _settle(self, loaded: Loaded) -> None:
        self._loaded, self.plan = loaded, plan_of(loaded, self.store.sealer.master)

    def certificates(self) -> list[CertificateNote]:
        """Say what is wrong with the certificates that the configuration names; reads their files."""
        return certificate_notes(self._loaded, self._now())

    def certificate_ends(self) -> list[CertificateEnd]:
        """List every certificate that the configuration names, with its end; reads their files."""
        return certificate_ends(self._loaded, self._now())

    @property
    def waiting(self) -> int:
        """Messages acknowledged and not yet processed."""
        return self._pressure.waiting

    # --- inside ---------------------------------------------------------------------------------------------------

    def _notice_mail(self) -> Callable[[], ByMail] | None:
        """Give what writes notices as mails of MSSanté, None where no destination is named for them."""
        name = self._loaded.configuration.dossier.alerts.mssante
        if not name:
            return None
        return partial(ByMail, plan_of(self._loaded, self.store.sealer.master), self.store, name)

    async def _sweep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._nudged.wait()
            self._nudged.clear()
            try:
                # What was stopped is forgotten first: it must not leave while the journal is looked through.
                if (number := await asyncio.to_thread(newest_request, self.store)) != self._last_action:
                    self._last_action = number
                    self._destinations.read_anew()
                async with self._sweeping:
                    await self.pipeline.sweep()
                if self.node is not None:
                    await self.node.sweep()
                await self._look_at_pauses()
                self.applying.look()
                await self._look_at_maps()
            except JournalFault as fault:
                self.notices.trouble("journal", str(fault))

    async def _look_at_pauses(self) -> None:
        """Heed what a person paused or resumed, on the dashboard or from the command line."""
        pauses = await asyncio.to_thread(pauses_of, self.store)
        if pauses == self._pauses:
            return
        async with self._changing:
            self._pauses = pauses
            self._destinations.heed(pauses)
            await self._sources.heed(pauses)

    async def _look_at_maps(self) -> None:
        """Tell what cannot be used in the files of concept maps, once a change; workers read them themselves."""
        if not (self._map_files and self._runs_once() and await asyncio.to_thread(self._map_files.look)):
            return
        for problem in self._map_files.problems[:MAP_PROBLEMS]:
            self.notices.report("codes", Finding(severity=Severity.ERROR, code="codes.file", where="", message=problem))

    def _spawn(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        async def supervised() -> None:
            try:
                await work
            except Exception as defect:
                self.notices.trouble(name, f"stopped by a defect ({type(defect).__name__}): restart the router")
                raise

        task = asyncio.create_task(supervised(), name=name)
        self._tasks = [*(one for one in self._tasks if not one.cancelled()), task]
        return task

    @property
    def failed(self) -> BaseException | None:
        """The defect that ended a part of the engine, if one did."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                return task.exception()
        return None
