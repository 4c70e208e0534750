"""The engine: one router at work on one journal, from its start to a graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import func, select

from connectors.contracts import Delivered, Health, Services, Source
from connectors.registry import connectors
from router.certificates import CertificateEnd, CertificateNote, certificate_ends, certificate_notes
from router.codes.maps import MapFiles
from router.config.load import Loaded
from router.config.model import ResolvedDestination
from router.directory.service import DirectoryService
from router.dossier.leaving.mailing import ByMail
from router.dossier.serving import DossierRuntime
from router.engine.clock import micros, utc_now
from router.engine.dispatcher import Dispatcher
from router.engine.gate import Gate
from router.engine.housekeeping import Housekeeping
from router.engine.inbox import HandOver, SourceInbox
from router.engine.memory import JournalMemory, JournalRecords
from router.engine.noticing import Notices
from router.engine.outcomes import Outcomes
from router.engine.pipeline import Pipeline
from router.engine.plan import plan_of
from router.engine.pool import WorkerPool
from router.engine.pressure import Pressure
from router.engine.reverification import Reverification
from router.engine.status import RunningSource, destination_statuses, source_statuses
from router.engine.worker import RawMessage
from router.identity.flows_published import ACTION as WITHDRAW_INS
from router.identity.insi import Insi
from router.identity.reindexing import bring_index_up
from router.journal import tables
from router.journal.operations import Operation, Queued
from router.journal.prepared import PreparedMessage
from router.journal.readers import ReaderChoice
from router.journal.routing import keep_routing
from router.journal.store import JournalFault, Store
from router.journal.writer import Writer
from router.observe.observer import observer_of, traceparent
from router.validation.server import ValidationServer
from router.watch.telling import Teller
from router.watch.watching import EVERY, Watching
from router.web.context import FlowStatus
from router.whatif.replaying import load_raws
from schemas.finding import Finding, Severity

R = TypeVar("R")

SWEEP_SECONDS = 1.0
"""How often the journal is looked at for what other processes asked."""

MAP_PROBLEMS = 20
"""Lines of a file of concept maps that are told when it changes; `passerelle check` tells all."""

DAY_SECONDS = 86_400.0

RESTART_SECONDS = 5.0
"""Wait before a source that failed is started again."""


class Engine:
    """Receives, reads, identifies, routes and delivers. `start`, then `stop`; `address_of` gives the listening ones."""

    def __init__(self, loaded: Loaded, store: Store, *, now: Callable[[], datetime] = utc_now) -> None:
        self._loaded = loaded
        self.store = store
        self._now = now
        self.writer = Writer(store)
        self.notices = Notices(self.writer, now)
        section = loaded.configuration.engine
        self._pressure = Pressure(section.max_waiting)
        self._handed = HandOver()
        self._outcomes = Outcomes(store)
        self.plan = plan_of(loaded, store.sealer.master)
        self.pool = WorkerPool(self.plan, section.worker_count, section.batch_seconds)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._sources: dict[str, RunningSource] = {}
        self._dispatchers: dict[str, Dispatcher] = {}
        self._healths: dict[str, Health] = {}
        self._addresses: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
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
        self.dossier = DossierRuntime(
            loaded.configuration.dossier,
            store,
            self.writer,
            self.pool,
            now,
            partial(self.notices.trouble, "dossier"),
            base=f"http://{loaded.configuration.web.listen}/fhir",
            mail=self._notice_mail(),
            queued=self._queued,
        )
        self._observer = observer_of(
            loaded.configuration.observe,
            store,
            importlib.metadata.version("passerelle"),
            partial(self.notices.trouble, "observe"),
        )
        self._nudged = asyncio.Event()
        self.stopping = asyncio.Event()
        self.pipeline = Pipeline(
            store,
            self.writer,
            self.pool,
            self._handed,
            self._pressure,
            self._outcomes,
            batch=section.batch,
            now=now,
            queued=self._queued,
            stopped=self._read_anew,
            committed=self.dossier.committed,
            observed=self._observer.read if self._observer is not None else None,
            trouble=partial(self.notices.trouble, "pipeline"),
        )

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything; returns once every source that is not paused listens or has failed to."""
        self.writer.start()
        await self.submit(keep_routing(self.plan.routing, micros(self._now())))
        await self.pool.warm_up()
        await self.pipeline.start()
        self._last_action = await asyncio.to_thread(self._action_number)
        self._scheduler.start()
        self._start_destinations()
        self._spawn(self.pipeline.run(), "pipeline")
        self._spawn(self._sweep(), "sweep")
        if self._observer is not None:
            self._spawn(self._observer.run(), "observer")
        self._spawn(bring_index_up(self.store, self.submit), "patient index")
        housekeeping = Housekeeping(
            self.store, self.writer, self._loaded.configuration.journal.retention_days, self._now
        )
        self._every(3600.0, housekeeping.run)
        self._every(EVERY, self._watching().run)
        await self.dossier.start(self._spawn)
        self._start_insi()
        if self.directory.configured:
            self._every(60.0, self.directory.begin_if_due)
            await self.directory.begin_if_due()
        await self._look_at_certificates()
        self._every(DAY_SECONDS, self._look_at_certificates)
        await self._start_sources()

    def _watching(self) -> Watching:
        section, zone = self._loaded.configuration.watch, ZoneInfo(self._loaded.configuration.web.timezone)
        by = next((one for one in self._loaded.destinations if one.name == section.mssante), None)
        teller = Teller(
            section,
            zone=zone,
            post=None if by is None else partial(self._post_alarm, by.name),
            mssante_from="" if by is None else by.section.options.get("from", ""),
        )
        return Watching(
            self.store,
            self.submit,
            section,
            self.flows,
            teller,
            zone,
            self._now,
            partial(self.notices.trouble, "watch"),
        )

    async def _post_alarm(self, destination: str, mail: bytes) -> str:
        outcome = await self._dispatchers[destination].send_apart(mail)
        return "" if isinstance(outcome, Delivered) else outcome.detail

    def _start_insi(self) -> None:
        """Verify INS again from time to time, where INSi is configured and this is wanted."""
        section = self._loaded.insi
        if section is None or section.reverify_days == 0:
            return
        reverification = Reverification(
            self.insi,
            self.store,
            self.submit,
            period=timedelta(days=section.reverify_days),
            batch=section.reverify_batch,
            now=self._now,
            wake=self.wake,
        )

        async def run() -> None:
            await reverification.run()

        self._every(60.0, run)

    async def _look_at_certificates(self) -> None:
        for note in await asyncio.to_thread(self.certificates):
            severity = Severity.ERROR if note.stops else Severity.WARNING
            code = f"certificate.{note.trouble.value}"
            self.notices.report(
                "certificates", Finding(severity=severity, code=code, where=note.owner, message=note.sentence)
            )

    def _start_destinations(self) -> None:
        for resolved in self._loaded.destinations:
            section = resolved.section
            connector = connectors()[section.connector]
            assert connector.make_destination is not None  # noqa: S101 - the configuration was checked for it
            health = self._healths[resolved.name] = Health()
            services = self._services("destination", resolved.name, health, self.stopping, lambda _address: None)
            dispatcher = Dispatcher(
                resolved.name,
                connector.make_destination(resolved.name, resolved.settings, services),
                self.store,
                self.writer,
                concurrency=resolved.concurrency,
                retry=section.retry,
                now=self._now,
                trouble=partial(self.notices.trouble, f"destination {resolved.name}"),
                paused=section.paused,
                gate=self._gate(resolved),
                observed=self._observer.tried if self._observer is not None else None,
                traced=partial(traceparent, self.store) if section.traceparent else None,
            )
            self._dispatchers[resolved.name] = dispatcher
            self._spawn(dispatcher.run(), f"destination {resolved.name}")

    def _gate(self, resolved: ResolvedDestination) -> Gate | None:
        """Give what checks a destination's documents, None when neither it nor a route to it asks for it."""
        name = resolved.name
        asking = [route for route in self._loaded.configuration.routes if name in route.to]
        routes = frozenset(route.name for route in asking if route.validation == "strict")
        everything = resolved.section.validation == "strict"
        if not routes and not everything:
            return None
        return Gate(
            self._validation,
            resolved.format,
            routes=None if everything else routes,
            trouble=partial(self.notices.trouble, f"validation for {name}"),
        )

    async def _start_sources(self) -> None:
        starting = []
        for resolved in self._loaded.sources:
            section = resolved.section
            running = RunningSource(
                resolved.name,
                section.connector,
                resolved.format,
                Health(),
                SourceInbox(resolved.name, self.store, self.writer, self._handed, self._pressure, self._outcomes),
                section.paused,
                asyncio.Event(),
            )
            self._sources[resolved.name] = running
            if section.paused:
                running.health.state = "paused"
                continue
            connector = connectors()[section.connector]
            assert connector.make_source is not None  # noqa: S101 - the configuration was checked for it
            running.ready = asyncio.Event()
            services = self._services("source", resolved.name, running.health, running.stopping, running.listening)
            source = connector.make_source(resolved.name, resolved.settings, services)
            running.task = asyncio.create_task(self._keep(running, source), name=f"source {resolved.name}")
            starting.append(running.ready.wait())
        await asyncio.gather(*starting)

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
                self.notices.trouble(f"source {running.name}", f"stopped: {detail}; trying again")
            else:
                return
            finally:
                if running.ready is not None:
                    running.ready.set()
            await asyncio.sleep(RESTART_SECONDS)

    async def stop(self) -> None:
        """Stop gracefully: sources first, then what is under way, then the journal's last commits."""
        seconds = self._loaded.configuration.engine.stop_seconds
        self.stopping.set()
        for running in self._sources.values():
            running.stopping.set()
            if running.task is not None:
                running.task.cancel()
        tasks = [running.task for running in self._sources.values() if running.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        self._scheduler.shutdown(wait=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(dispatcher.drain(seconds) for dispatcher in self._dispatchers.values()))
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

    async def read_again(self, number: int, reader: ReaderChoice) -> PreparedMessage | None:
        """Read a message as it would be read now, by a reader of one's choice; nothing is kept or sent."""

        def load() -> list[RawMessage]:
            return load_raws(self.store, self.store.sealer.clone(), [number])

        raws = await asyncio.to_thread(load)
        if not raws:
            return None
        prepared = await self.pool.process([replace(raws[0], reader=reader)], self._now())
        return prepared[0]

    def wake(self) -> None:
        """Look at the journal now: rows were changed by a person, or by a tool."""
        self._nudged.set()
        self.dossier.changed()

    def address_of(self, source: str) -> str:
        """Give the address that a source listens on, or an empty string."""
        return self._sources[source].address

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses of all sources."""
        return {name: running.address for name, running in self._sources.items()}

    def flows(self) -> Sequence[FlowStatus]:
        """Say how every source and destination is doing right now."""
        return [
            *source_statuses(self._sources.values()),
            *destination_statuses(self._loaded.destinations, self._dispatchers, self._healths),
        ]

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

    def _queued(self, queued: Sequence[Queued]) -> None:
        by_destination: dict[str, list[Queued]] = {}
        for one in queued:
            by_destination.setdefault(one.destination, []).append(one)
        for name, those in by_destination.items():
            dispatcher = self._dispatchers.get(name)
            if dispatcher is not None:
                dispatcher.enqueue(those)

    async def _sweep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._nudged.wait()
            self._nudged.clear()
            try:
                await self.pipeline.sweep()
                number = await asyncio.to_thread(self._action_number)
                await self._look_at_maps()
            except JournalFault as fault:
                self.notices.trouble("journal", str(fault))
                continue
            if number != self._last_action:
                self._last_action = number
                self._read_anew()

    def _read_anew(self) -> None:
        """Let every destination read anew what waits: some of it was cancelled or reopened."""
        for dispatcher in self._dispatchers.values():
            dispatcher.reload()

    async def _look_at_maps(self) -> None:
        """Tell what cannot be used in the files of concept maps, once a change; workers read them themselves."""
        if not self._map_files or not await asyncio.to_thread(self._map_files.look):
            return
        for problem in self._map_files.problems[:MAP_PROBLEMS]:
            self.notices.report("codes", Finding(severity=Severity.ERROR, code="codes.file", where="", message=problem))

    def _action_number(self) -> int:
        column = tables.audit.c
        actions = ("replay delivery", "cancel delivery", "replay message", "identity undo", WITHDRAW_INS)
        with self.store.reading() as connection:
            newest = select(func.max(column.id)).where(column.action.in_(actions))
            return connection.execute(newest).scalar() or 0

    def _services(
        self, side: str, name: str, health: Health, stopping: asyncio.Event, ready: Callable[[str], None]
    ) -> Services:
        return Services(
            now=self._now,
            report=lambda finding: self.notices.report(name, finding),
            health=health,
            ready=ready,
            spawn_every=self._every,
            stopping=stopping,
            memory=JournalMemory(f"{side} {name}", self.store, self.writer, self._now),
            records=self.records,
            folder=self._loaded.place.data,
        )

    def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            try:
                await job()
            except Exception as problem:
                self.notices.trouble("scheduler", f"a periodic job failed ({type(problem).__name__})")

        scheduled = self._scheduler.add_job(
            run, IntervalTrigger(seconds=seconds), max_instances=1, coalesce=True, misfire_grace_time=None
        )

        def stop() -> None:
            with contextlib.suppress(LookupError):
                scheduled.remove()

        return stop

    def _spawn(self, work: Awaitable[None], name: str) -> None:
        async def supervised() -> None:
            try:
                await work
            except Exception as defect:
                self.notices.trouble(name, f"stopped by a defect ({type(defect).__name__}): restart the router")
                raise

        self._tasks.append(asyncio.create_task(supervised(), name=name))

    @property
    def failed(self) -> BaseException | None:
        """The defect that ended a part of the engine, if one did."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                return task.exception()
        return None
