"""Following the journal: what the pipeline commits about a patient in coordination becomes resources of the dossier.

Every change of an Item or patient leaves a row in `resource_pending`, in its own transaction. The follower takes rows
in order, lets a worker project them, and in one transaction keeps what came of them and takes the rows away: killed at
any moment, it does the same again, and the same content makes no new version. Nothing of what it does depends on what
happened to an Item, only on how the Item stands when it is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, delete, func, insert, literal, select, update

from mappings.contracts import PARIS
from router.dossier.circle import lines_of
from router.dossier.consents import consents_of
from router.dossier.keeping import dossier_line
from router.dossier.rounds import Writes, go_round
from router.dossier.store.away import in_hospital, mark_visits
from router.dossier.store.circles import project_circle
from router.dossier.store.drafts import LIVE, Draft, patient_id
from router.dossier.store.jobs import ItemJob, PatientJob, Projected
from router.dossier.store.projection import Means
from router.dossier.store.writing import Keeper
from router.engine.clock import micros
from router.journal import tables
from router.journal.operations import BODY_PLACE, IDENTITY_PLACE, Change, Notice
from router.journal.store import Store
from router.journal.tables import ItemState
from router.journal.unit import Unit

R = TypeVar("R")

TOGETHER = 16
"""Changes projected and kept at once: a transaction of a few milliseconds, which acknowledgements can wait for."""

IDLE_SECONDS = 1.0
"""How often the journal is looked at without having been told of a change (another process's)."""

RETRY_SECONDS = 1.0

MARK_EVERY = 900 * 1_000_000
"""How often visits to people in hospital are looked at again, in microseconds."""

SHOWN = frozenset({ItemState.ROUTED.value, ItemState.UNROUTED.value})
"""States of an Item that is in the dossier of its patient."""

MAIN = frozenset(
    {
        "DocumentReference",
        "DiagnosticReport",
        "Communication",
        "Binary",
        "CarePlan",
        "QuestionnaireResponse",
        "Appointment",
        "Task",
    }
)
"""Types that an Item is about, beside what it mentions."""

LONGEST_MERGE = 32


@dataclass(slots=True)
class Look:
    """Changes that were looked at: what is to be projected, what is to be taken out, and the rows that end with it."""

    rows: list[int] = field(default_factory=list)
    jobs: list[ItemJob | PatientJob] = field(default_factory=list)
    circles: list[Draft] = field(default_factory=list)
    """CareTeams and Consents: few, and made here."""

    out: list[int] = field(default_factory=list)
    linked: list[tuple[int, int]] = field(default_factory=list)
    """Items of messages by which a tool wrote into the dossier itself, with the message."""

    moved: list[int] = field(default_factory=list)
    """Patients who were merged, separated, included or let go: what is about them is looked at again."""


class Projects(Protocol):
    """Worker processes."""

    async def project(self, jobs: Sequence[ItemJob | PatientJob], now: datetime) -> list[Projected]:
        """Make resources. Raises BrokenProcessPool or TimeoutError."""


class Follower:
    """Keeps the store up with the journal. `wake` tells it of a commit; `kept` is called after each of its own."""

    def __init__(
        self,
        store: Store,
        writer: Writes,
        pool: Projects,
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
        kept: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._writer = writer
        self._pool = pool
        self._now = now
        self._trouble = trouble
        self.kept = kept
        self._sealer = store.sealer.clone()
        self._changed = asyncio.Event()
        self.projected = 0
        self._marked_at = 0

    def wake(self) -> None:
        """Look now."""
        self._changed.set()

    async def begin(self) -> None:
        """Start to follow: the first time, everything that the journal holds already is to be looked at."""
        await self._writer.submit(Change(_begin, note="dossier begins"))

    async def run(self) -> None:
        """Follow until cancelled."""
        await go_round(self.once, self._changed, self._trouble, idle=IDLE_SECONDS, retry=RETRY_SECONDS)

    async def once(self) -> bool:
        """Follow some changes; False when there were none."""
        await self._mark()
        look = await asyncio.to_thread(self._look)
        if not look.rows:
            return False
        done = await self._project(look.jobs)
        troubles = [one for one in done if one.trouble]
        await self._writer.submit(Change(lambda unit: _keep(unit, look, done, micros(self._now())), note="dossier"))
        for one in troubles:
            what = f"item {one.job.item_id}" if isinstance(one.job, ItemJob) else f"patient {one.job.patient}"
            sentence = f"{what} is not in the dossier: {one.trouble}"
            notice = Notice(micros(self._now()), "dossier", "error", "dossier.not_projected", what, sentence)
            await self._writer.submit(notice)
        self.projected += len(look.rows)
        self.kept()
        return True

    async def _mark(self) -> None:
        now = micros(self._now())
        if now - self._marked_at >= MARK_EVERY:
            self._marked_at = now
            if await self._writer.submit(Change(lambda unit: _mark_all(unit, now), note="visits")):
                self.kept()

    async def _project(self, jobs: Sequence[ItemJob | PatientJob]) -> list[Projected]:
        if not jobs:
            return []
        try:
            return await self._pool.project(jobs, self._now())
        except (BrokenProcessPool, TimeoutError):
            if len(jobs) == 1:
                return [Projected(jobs[0], trouble="its worker process did not survive it")]
        done: list[Projected] = []
        for job in jobs:
            done += await self._project([job])
        return done

    def _look(self) -> Look:
        look = Look()
        column = tables.resource_pending.c
        with self._store.reading() as connection:
            rows = connection.execute(
                select(column.id, column.kind, column.number).order_by(column.id).limit(TOGETHER)
            ).all()
            look.rows = [row.id for row in rows]
            for number in dict.fromkeys(row.number for row in rows if row.kind == "patient"):
                self._look_at_patient(connection, number, look)
            for number in dict.fromkeys(row.number for row in rows if row.kind == "dossier"):
                look.circles += self._circle(connection, number)
            self._look_at_items(connection, [row.number for row in rows if row.kind == "item"], look)
        return look

    def _look_at_patient(self, connection: Connection, number: int, look: Look) -> None:
        column = tables.patient.c
        row = connection.execute(
            select(column.in_coordination, column.merged_into, column.sealed_identity).where(column.id == number)
        ).one_or_none()
        if row is None:
            return
        seen = tables.resource.c
        known = connection.execute(
            select(seen.id).where(seen.patient_id == number, seen.type == "Patient", seen.state == LIVE)
        ).scalar()
        shown = whose(connection, number) == number
        if shown or known is not None:
            identity = self._sealer.open(row.sealed_identity, IDENTITY_PLACE)
            merged = None if shown else row.merged_into
            if shown or merged is not None:
                look.jobs.append(PatientJob(number, merged, identity))
        # What is about somebody follows only when that is what changed: an address is no reason to look at a life.
        if shown != (known is not None) or row.merged_into is not None:
            look.moved.append(number)

    def _circle(self, connection: Connection, number: int) -> list[Draft]:
        found = select(tables.dossier).where(tables.dossier.c.id == number)
        row = connection.execute(found).one_or_none()
        if row is None or whose(connection, row.patient_id) != row.patient_id:
            return []
        line, now = dossier_line(row, self._sealer), self._now()
        members = lines_of(connection, self._sealer, line, now=micros(now))
        consents = consents_of(connection, self._sealer, line.id)
        return project_circle(line, members, consents, Means(self._sealer, self._store.blobs, None, PARIS), now)

    def _look_at_items(self, connection: Connection, numbers: list[int], look: Look) -> None:
        item = tables.item.c
        body = tables.resource_body.c
        wanted = list(dict.fromkeys(numbers))
        if not wanted:
            return
        found = connection.execute(
            select(item.id, item.message_id, item.state, item.patient_id, item.sealed_body, item.created_at)
            .where(item.id.in_(wanted))
            .order_by(item.id)
        ).all()
        written = set(
            connection.execute(
                select(body.message_id).where(body.message_id.in_([row.message_id for row in found]))
            ).scalars()
        )
        patients: dict[int, int | None] = {}
        look.out += [number for number in wanted if number not in {row.id for row in found}]
        for row in found:
            if row.message_id in written:
                # A tool wrote it into the dossier itself: the Item is how the others hear of it.
                look.linked.append((row.id, row.message_id))
                continue
            if row.patient_id is not None and row.patient_id not in patients:
                patients[row.patient_id] = whose(connection, row.patient_id)
            patient = patients.get(row.patient_id) if row.patient_id is not None else None
            if patient is None or row.state not in SHOWN:
                look.out.append(row.id)
            else:
                content = self._sealer.open(row.sealed_body, BODY_PLACE)
                look.jobs.append(ItemJob(row.id, patient, content, row.created_at))


def whose(connection: Connection, number: int) -> int | None:
    """Give the patient in coordination whom a number stands for, through merges; None when there is none."""
    column = tables.patient.c
    for _ in range(LONGEST_MERGE):
        found = connection.execute(
            select(column.in_coordination, column.merged_into).where(column.id == number)
        ).one_or_none()
        if found is None:
            return None
        if found.merged_into is None or _has_dossier(connection, number):
            return number if found.in_coordination else None
        number = found.merged_into
    return None


def _has_dossier(connection: Connection, number: int) -> bool:
    """Say whether somebody who was merged keeps a dossier, with its circle, until a person decides."""
    column = tables.dossier.c
    return connection.execute(select(column.id).where(column.patient_id == number).limit(1)).first() is not None


def _keep(unit: Unit, look: Look, done: Sequence[Projected], now: int) -> None:
    keeper = Keeper(unit, now)
    if look.circles:
        keeper.keep(look.circles)
    for item_id in look.out:
        keeper.take_out(item_id)
    for one in done:
        if isinstance(one.job, PatientJob):
            if one.drafts:
                keeper.keep(one.drafts)
            continue
        thing = _thing(unit, one.job.item_id)
        drafts = one.drafts if thing is None else [same_thing(each, one.drafts, thing) for each in one.drafts]
        kept = keeper.keep(drafts, item_id=one.job.item_id) if drafts else []
        keeper.take_out(one.job.item_id, but=[result.id for result in kept])
    for item_id, message_id in look.linked:
        _link(unit, item_id, message_id)
    for number in look.moved:
        _look_again(unit, keeper, number)
    for number in _visited(done):
        mark_visits(unit, keeper, number, now)
    pending = tables.resource_pending
    unit.connection.execute(delete(pending).where(pending.c.id.in_(look.rows)))


def _visited(done: Sequence[Projected]) -> list[int]:
    """Give the patients whose stays or visits changed."""
    kinds = {"Encounter", "Appointment"}
    found = [draft.patient for one in done for draft in one.drafts if draft.type in kinds]
    return sorted({number for number in found if number is not None})


def _mark_all(unit: Unit, now: int) -> int:
    """Mark visits as time goes on: what is two days ahead is not so for ever."""
    keeper = Keeper(unit, now)
    return sum(mark_visits(unit, keeper, number, now) for number in in_hospital(unit))


def _thing(unit: Unit, item_id: int) -> int | None:
    """Give what an Item is a version of, as the dossier's entry has it: a new version is the thing that it replaces."""
    column = tables.dossier_entry.c
    found: int | None = unit.connection.execute(select(column.thing).where(column.item_id == item_id)).scalar()
    return found


def same_thing(one: Draft, drafts: Sequence[Draft], thing: int) -> Draft:
    """Give a Draft as part of a thing, when it is part of what its Item is about."""
    own = {each.indexed.thing for each in drafts if each.type in MAIN}
    if one.indexed.thing not in own:
        return one
    return replace(one, indexed=replace(one.indexed, thing=thing))


def _link(unit: Unit, item_id: int, message_id: int) -> None:
    """Let what a tool wrote be the thing that its Item is for the dossier, so that what hides one hides the other."""
    item, body, resource = tables.item.c, tables.resource_body.c, tables.resource
    alone = select(func.count()).select_from(tables.item).where(item.message_id == message_id)
    thing = _thing(unit, item_id)
    if thing is None or unit.connection.execute(alone).scalar() != 1:
        return
    wrote = select(body.resource_id).where(body.message_id == message_id)
    main = resource.c.type.in_(sorted(MAIN))
    unit.connection.execute(update(resource).where(resource.c.id.in_(wrote), main).values(thing=thing))


def _look_again(unit: Unit, keeper: Keeper, number: int) -> None:
    """Look again at all Items of a patient; one who is let go has no Patient resource any more."""
    item, pending = tables.item.c, tables.resource_pending
    if whose(unit.connection, number) is None:
        _withdraw_circle(unit, keeper, number)
        row = keeper.row("Patient", patient_id(number))
        if row is not None and row.state == LIVE:
            keeper.withdraw(row)
    dossier = tables.dossier.c
    dossiers: Any = select(literal("dossier"), dossier.id).where(dossier.patient_id == number).order_by(dossier.id)
    unit.connection.execute(insert(pending).from_select(["kind", "number"], dossiers))
    items: Any = select(literal("item"), item.id).where(item.patient_id == number).order_by(item.id)
    unit.connection.execute(insert(pending).from_select(["kind", "number"], items))


def _withdraw_circle(unit: Unit, keeper: Keeper, number: int) -> None:
    """Withdraw the circle and consents of somebody who is let go."""
    column = tables.resource.c
    found = select(column.type, column.logical_id).where(
        column.patient_id == number, column.type.in_(("CareTeam", "Consent", "RelatedPerson")), column.state == LIVE
    )
    for kind, logical_id in unit.connection.execute(found).all():
        row = keeper.row(kind, logical_id)
        if row is not None and row.item_id is None:
            keeper.withdraw(row)


def _begin(unit: Unit) -> bool:
    """Follow from now on; True when everything that is there is to be looked at for the first time."""
    following, pending = tables.resource_following, tables.resource_pending
    connection = unit.connection
    if connection.execute(select(func.count()).select_from(following)).scalar():
        return False
    connection.execute(insert(following).values(active=1))
    patient, item = tables.patient.c, tables.item.c
    patients = select(literal("patient"), patient.id).order_by(patient.id)
    items = (
        select(literal("item"), item.id)
        .where(item.patient_id.is_not(None), item.kind.not_in(("identity", "receipt")))
        .order_by(item.id)
    )
    dossiers = select(literal("dossier"), tables.dossier.c.id).order_by(tables.dossier.c.id)
    for those in (patients, dossiers, items):
        connection.execute(insert(pending).from_select(["kind", "number"], those))
    return True


def stop_following(unit: Unit) -> None:
    """Follow no more: what changes from now on is looked at when the API is on again."""
    unit.connection.execute(delete(tables.resource_following))
    unit.connection.execute(delete(tables.resource_pending))
