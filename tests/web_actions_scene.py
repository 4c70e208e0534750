"""A router with something for every action of the dashboard: configuration, directory, INSi, tasks, alarms."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from dossier_scene import Scene, daughter, doctor, home_help
from sqlalchemy import insert, update
from web_journal import HOUR, MINUTE, PASSWORD, Journal, hasten, open_journal, person, report, rose
from web_mails import DMP_FLOWS, MAIL_FLOWS, correspond, submit
from web_merges import wrongly_merged
from web_person import NOW, Served
from web_traffic import fill

from connectors.annuaire.settings import AnnuaireSettings
from connectors.ins.client import InsiClient
from connectors.ins.sandbox import InsiSandbox
from connectors.ins.settings import InsiSettings
from connectors.sandbox.extracts import mailbox_lines
from connectors.sandbox.people import ROSE
from mappings.concept_map import Term, TermKind
from router.bulk.running import BulkRunner
from router.codes.reading import code_token
from router.config.changes import changes_between
from router.config.load import Loaded, load
from router.config.versions import settle_at_start
from router.directory.service import DirectoryService
from router.dossier.restrictions import restrict
from router.engine.applying import Applying
from router.engine.attempting import Attempted, attempt
from router.engine.plan import plan_of
from router.engine.worker import RawMessage, Worker
from router.identity.insi import Insi
from router.identity.patients import register
from router.identity.tasks import TaskKind, open_task
from router.journal import tables
from router.journal.mapping_versions import MappingsKept, keep_mappings, pack
from router.journal.operations import Change, CommitReadings, PreparedMessage
from router.journal.pauses import FlowSide, load_pauses
from router.journal.prepared import PreparedMessage as Prepared
from router.journal.readers import ReaderChoice
from router.journal.routing import RouteKept, RoutingSeen, keep_routing, routing_digest
from router.journal.tables import ItemState, MessageState
from router.journal.unmapped import UnmappedCode
from router.web.accounts import create_account
from router.web.context import AppliedFile, FlowStatus, RouteStatus
from router.web.rights import Role
from router.web.sessions import start_session
from router.whatif.replaying import load_raws
from schemas.coding import LOCAL
from schemas.visibility import Restriction, RestrictionKind

FILE = """\
[journal]
data = "data"
[sources.labo-sud]
connector = "mllp"
listen = "127.0.0.1:2575"
format = "hl7v2"
[destinations.spico]
connector = "fhir"
url = "https://tool.example/fhir"
[destinations.medecin]
connector = "directory"
folder = "out"
format = "fhir"
[[routes]]
name = "résultats"
when = "item.kind == 'lab_report'"
to = ["spico", "medecin"]
unattached = true
"""
ROUTES = (RouteKept("résultats", "item.kind == 'lab_report' && item.content.status == 'final'", ("spico",)),)
OTHER = "quelqu.un"
"""Another account, an operator with a session."""


def furnish(folder: Path) -> Journal:
    """Make the journal."""
    (folder / "out").mkdir(exist_ok=True)
    (folder / "passerelle.toml").write_text(FILE, encoding="utf-8")
    journal = fill(open_journal(folder / "data"), NOW)
    hasten(journal.store)
    correspond(journal, NOW)
    submit(journal, NOW)
    _hold(journal)
    _codes(journal)
    _dossier(journal)
    wrongly_merged(journal, NOW - MINUTE, came=False)
    journal.apply(Change(lambda unit: open_task(unit, 1, TaskKind.PUBLISHED, now=NOW, item_id=1, delivery_id=1)))
    with journal.store.writing() as connection:
        for subject in ("labo-sud", "hopital"):
            facts = json.dumps({"since": NOW - HOUR, "expected": 35})
            values = {"kind": "silence", "subject": subject, "side": "source", "facts": facts}
            connection.execute(insert(tables.alarm).values(opened_at=NOW - HOUR, seen_at=NOW, **values))
    then = MappingsKept("0.0.1", "Europe/Paris", {}, {}, ())
    journal.apply(Change(lambda unit: keep_mappings(unit, [pack(then)], NOW - 19 * 24 * HOUR)))
    read = update(tables.message).where(tables.message.c.id == 1).values(mappings=1)
    journal.apply(Change(lambda unit: unit.connection.execute(read).rowcount))
    journal.apply(keep_routing(ROUTES, 1))
    seen = RoutingSeen(routing_digest(ROUTES), known=True, in_coordination=False, test=True)
    routes = orjson.dumps({"résultats": True, "": seen.dump()}).decode()
    routed = update(tables.item).where(tables.item.c.id == 1).values(routes=routes)
    journal.apply(Change(lambda unit: unit.connection.execute(routed).rowcount))
    journal.apply(create_account(OTHER, PASSWORD, Role.OPERATOR, now=NOW))
    journal.apply(settle_at_start(FILE, now=NOW - 1))
    journal.store.close()
    return journal


def _hold(journal: Journal) -> None:
    """Hold reports about somebody whose dossier has no INS."""
    journal.apply(register(rose("IPP-ROSE"), in_coordination=True, now=NOW))
    for rank in range(6):
        number = journal.message(NOW - (3 + rank) * HOUR, control=f"HELD{rank}")
        item = journal.item(
            report(rose(f"LAB-{rank}"), f"{rank + 10:032d}"),
            line="CRP",
            patient_id=None,
            state=ItemState.HELD,
            reason="insi_to_call",
            to=(),
        )
        journal.read(number, NOW - (3 + rank) * HOUR + 1, [item])


def _codes(journal: Journal) -> None:
    """Let a laboratory use codes that no map answers."""
    terms = [Term(TermKind.CODE, LOCAL, code) for code in ("GLY", "K", "NA")]
    tokens = tuple(sorted(code_token(journal.store.sealer, "SUD", term) for term in terms))
    codes = tuple(UnmappedCode("SUD", one.kind.value, one.system, one.code, "Glycémie", "g/L", 2) for one in terms)
    number = journal.message(NOW - 2 * MINUTE, control="CODES")
    item = replace(journal.item(report(person(0), "c" * 32), line="Glycémie", to=()), tokens=tokens)
    prepared = PreparedMessage(number, MessageState.PROCESSED, "hl7v2", 0, 0, None, (item,), unmapped=codes)
    journal.apply(CommitReadings([prepared], NOW))


def _dossier(journal: Journal) -> None:
    scene = Scene(journal, now=NOW - 100 * MINUTE)
    assert scene.open().refusal is None
    for member in (doctor(), home_help(in_care_team=False), daughter()):
        scene.add(member)
    item = scene.lab("9" * 32)
    kept = Restriction(kind=RestrictionKind.HIDDEN, members=(2,))
    scene.journal.apply(restrict(1, item, kept, by=scene.by()))


@dataclass
class Held:
    """Whether work on many rows is held back, so that a job can be met while it runs."""

    back: bool = False


class Acting(Served):
    """A router whose configuration can be applied, beside everything else that may be pressed."""

    def __init__(self, journal: Journal, folder: Path, insi_url: str) -> None:
        self.folder = folder
        self.loaded: Loaded = load(folder / "passerelle.toml")
        self.held = Held()
        self.differs = True
        store = journal.store
        settings = InsiSettings(
            url=insi_url, authorisation="T", emitter="10B0000000", per_minute=6000, attempts=1, breaker_failures=3
        )
        self.insi = Insi(settings, store, journal.submit, now=self.moment, client=InsiClient(settings, now=self.moment))
        boxes = folder / "bal.txt"
        boxes.write_text("".join(line + "\n" for line in mailbox_lines(20)), encoding="utf-8")
        directory = DirectoryService(
            AnnuaireSettings(files=(str(boxes),)), folder / "data", now=self.moment, apart=False
        )
        super().__init__(
            journal,
            loaded=lambda: self.loaded,
            applied=lambda: AppliedFile((), differs=self.differs),
            configuration=folder / "passerelle.toml",
            attempt=self.attempt,
            read_again=self.read_again,
            insi=self.insi,
            directory=directory,
            flows=self.paused_flows,
            routes=self.paused_routes,
        )
        self.flows += [*DMP_FLOWS, *MAIL_FLOWS]

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now / 1_000_000, UTC)

    async def attempt(self, raw: RawMessage, format_name: str | None, charset: str | None) -> Attempted:
        plan = plan_of(self.loaded, self.journal.store.sealer.master)
        return attempt(plan, self.journal.store, raw, format_name, charset, self.moment())

    async def read_again(
        self, numbers: Sequence[int], reader: ReaderChoice | None, mappings: int | None
    ) -> list[Prepared]:
        store = self.journal.store
        raws = load_raws(store, store.sealer.clone(), list(numbers))
        chosen = [replace(raw, reader=reader or raw.reader, mappings=mappings) for raw in raws]
        return Worker(plan_of(self.loaded, store.sealer.master), store).process(chosen, self.moment())

    def paused_flows(self) -> list[FlowStatus]:
        with self.journal.store.reading() as connection:
            held = load_pauses(connection)
        found = [(one, held.get((FlowSide(one.side), one.name))) for one in self.flows]
        return [replace(one, pause=pause, paused=pause is not None) for one, pause in found]

    def paused_routes(self) -> list[RouteStatus]:
        return [RouteStatus(one.name, one.when, one.to) for one in self.loaded.configuration.routes]

    async def _carry(self) -> None:
        bulk = BulkRunner(self.journal.store, self.journal.submit, now=self.moment)

        async def bring_in(other: Loaded) -> Any:
            changes = changes_between(self.loaded, other)
            self.loaded, self.differs = other, False
            return changes

        applying = Applying(
            self.folder / "passerelle.toml",
            self.journal.store,
            self.journal.submit,
            bring_in,
            lambda: self.loaded,
            self.moment,
            lambda _: None,
        )
        running = asyncio.create_task(applying.run())
        try:
            while True:
                applying.look()
                if not self.held.back:
                    await bulk.carry_all()
                await asyncio.sleep(0.1)
        finally:
            running.cancel()
            await self.insi.close()

    def another_session(self, name: str) -> None:
        """Sign somebody in elsewhere."""
        _, change = start_session(name, now=self.now, rules=self.app.state.desk.rules)
        self.journal.apply(change)


@contextlib.contextmanager
def national_service() -> Iterator[str]:
    """Run the sandbox of INSi; gives its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    sandbox = InsiSandbox((ROSE,))
    asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result(20)
    yield sandbox.url
    asyncio.run_coroutine_threadsafe(sandbox.__aexit__(None, None, None), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()
