"""Rerouting: Items are written by a worker for destinations that their routes did not name, then kept as Deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import select, update

from router.bulk.doing import Progress, RowOutcome, kept_states, open_rows, settle_rows
from router.bulk.jobs import DONE, Job, JobState, Left, load_job, numbers_of
from router.bulk.planning import item_left
from router.journal import tables
from router.journal.actions import CANCELLABLE, cancel_deliveries
from router.journal.decisions import attached_by_persons
from router.journal.following import Patients
from router.journal.operations import BODY_PLACE, add_delivery
from router.journal.prepared import PreparedDelivery, Queued
from router.journal.store import Store
from router.journal.tables import DeliveryState, ItemState
from router.journal.unit import Unit

REROUTED = "(rerouted by a person)"
"""The route of Deliveries that a person sent to a destination: no route of the configuration made them."""

GROUP = 16
"""Items that a worker writes at once."""


@dataclass(frozen=True, slots=True)
class ChosenItem:
    """An Item to be written for other destinations; `candidates` says that its patient is not known for certain."""

    item_id: int
    message_id: int
    ordinal: int
    replays: int
    patient_id: int | None
    by_person: bool
    candidates: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Rerouted:
    """What a worker made of an Item: its Deliveries, from the patient as of `patient_seen`; or why it could not."""

    item_id: int
    deliveries: tuple[PreparedDelivery, ...] = ()
    patient_id: int | None = None
    patient_seen: int | None = None
    problem: str = ""

    @property
    def untold(self) -> bool:
        """Never: what its Item is for a dossier was kept when the Item was."""
        return False


def chosen_items(store: Store, job: int) -> tuple[list[ChosenItem], list[int]]:
    """Give the next Items of a job that may be written, and the numbers of those that are left as they are."""
    sealer = store.sealer.clone()
    item, message = tables.item.c, tables.message.c
    with store.reading() as connection:
        numbers = [row.row_id for row in open_rows(connection, job, GROUP)]
        by_persons = attached_by_persons(connection, numbers)
        statement = (
            select(tables.item, message.replays)
            .join(tables.message, message.id == item.message_id)
            .where(item.id.in_(numbers), item.state.in_([ItemState.ROUTED.value, ItemState.UNROUTED.value]))
            .order_by(item.id)
        )
        chosen = [
            ChosenItem(
                row.id,
                row.message_id,
                row.ordinal,
                row.replays,
                row.patient_id,
                row.id in by_persons,
                bool(row.candidates),
                sealer.open(row.sealed_body, BODY_PLACE),
            )
            for row in connection.execute(statement)
        ]
    known = {one.item_id for one in chosen}
    return chosen, [number for number in numbers if number not in known]


@dataclass(slots=True)
class KeepRerouted:
    """Keep what was written for a job's next Items, and settle those that are left as they are.

    What was prepared from a patient who has changed since waits for the next turn. After the commit, `queued` may be
    sent.
    """

    job_id: int
    prepared: Sequence[Rerouted]
    others: Sequence[int]
    now: int
    queued: list[Queued] = field(default_factory=list)

    def apply(self, unit: Unit) -> Progress:
        """Insert the Deliveries, set aside what they replace."""
        unit.flush()
        self.queued = []
        job = load_job(unit.connection, self.job_id)
        if job is None or job.state is not JobState.RUNNING:
            return Progress(0, 0, over=True)
        numbers = [one.item_id for one in self.prepared] + list(self.others)
        row, item = tables.bulk_row.c, tables.item.c
        turns = select(row.row_id, row.source_ids).where(
            row.job_id == job.id, row.row_id.in_(numbers), row.outcome.is_(None)
        )
        sources = {one.row_id: numbers_of(one.source_ids) for one in unit.connection.execute(turns)}
        wanted = select(item.id, item.message_id, item.lane, item.state).where(item.id.in_(numbers))
        items = {one.id: one for one in unit.connection.execute(wanted)}
        have = self._having(unit, numbers)
        patients = Patients(unit, self.prepared)
        outcomes = [self._left(number, items) for number in self.others if number in sources]
        ready = [one for one in self.prepared if one.item_id in sources and not patients.stale([one])]
        outcomes += [self._keep(unit, job, one, items, have, sources[one.item_id]) for one in ready]
        return settle_rows(unit, job, outcomes, self.now)

    def _left(self, number: int, items: Mapping[int, Any]) -> RowOutcome:
        if number not in items:
            return RowOutcome(number, Left.ABSENT.value)
        return RowOutcome(number, item_left(ItemState(items[number].state)) or Left.OTHERWISE.value)

    def _having(self, unit: Unit, numbers: Sequence[int]) -> set[tuple[int, str]]:
        column = tables.delivery.c
        there = select(column.item_id, column.destination).where(
            column.item_id.in_(numbers), column.state != DeliveryState.CANCELLED.value
        )
        return {(row.item_id, row.destination) for row in unit.connection.execute(there)}

    def _keep(
        self,
        unit: Unit,
        job: Job,
        one: Rerouted,
        items: Mapping[int, Any],
        have: set[tuple[int, str]],
        sources: Sequence[int],
    ) -> RowOutcome:
        item = items.get(one.item_id)
        if item is None or item_left(ItemState(item.state)) is not None:
            return self._left(one.item_id, items)
        if one.problem:
            return RowOutcome(one.item_id, Left.UNREADABLE.value)
        fresh = [delivery for delivery in one.deliveries if (one.item_id, delivery.destination) not in have]
        if not fresh:
            return RowOutcome(one.item_id, Left.HAS_IT.value)
        made = []
        for delivery in fresh:
            queued = add_delivery(unit, one.item_id, item.message_id, item.lane, delivery, self.now)
            made.append(queued.delivery_id)
            if delivery.state in tables.OPEN_DELIVERIES:
                self.queued.append(queued)
        before: dict[str, Any] = {"at": self.now, "item": item.state, "aside": {}}
        if item.state == ItemState.UNROUTED.value:
            column = tables.item.c
            unit.connection.execute(
                update(tables.item).where(column.id == one.item_id).values(state=ItemState.ROUTED.value)
            )
        if job.set_aside and sources:
            states = kept_states(unit.connection, sources)
            open_ones = {number: state for number, state in states.items() if state["state"] in CANCELLABLE}
            if open_ones:
                cancel_deliveries(list(open_ones), actor=job.actor, now=self.now).apply(unit)
                before["aside"] = {str(number): state for number, state in open_ones.items()}
        return RowOutcome(one.item_id, DONE, made, orjson.dumps(before).decode())
