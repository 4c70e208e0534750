"""Planning: the chosen rows are written down, and what would happen to them is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from router.bulk.jobs import MAPPINGS, BulkAction, Job, JobState, Left, Preview, load_job
from router.journal import tables
from router.journal.actions import CANCELLABLE, REOPENED, sendable
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.unit import Unit

FORGET_AFTER = 86_400_000_000
"""Microseconds after which a plan that nobody started is forgotten."""

_CHUNK = 5_000
_SENT = (DeliveryState.DELIVERED, DeliveryState.ACKNOWLEDGED)


def plan_job(
    action: BulkAction,
    ids: Sequence[int],
    *,
    actor: str,
    now: int,
    back: str = "/",
    more: bool = False,
    target: str = "",
    set_aside: bool = False,
    of_deliveries: bool = False,
) -> Change[int]:
    """Write a plan down; gives the job's number. To reroute, `ids` are messages, or Deliveries as `of_deliveries` says.

    What they would be is counted apart (`preview_of`, `keep_preview`): it only reads.
    """

    def change(unit: Unit) -> int:
        connection, job = unit.connection, tables.bulk_job
        old = (job.c.state == JobState.PLANNED.value) & (job.c.at < now - FORGET_AFTER)
        connection.execute(delete(job).where(old))
        rows = _rerouted(connection, ids, of_deliveries) if action is BulkAction.REROUTE else dict.fromkeys(ids)
        added = insert(job).values(
            at=now,
            actor=actor[:120],
            action=action.value,
            state=JobState.PLANNED.value,
            total=len(rows),
            more=more,
            back=back[:400],
            target=target[:200],
            set_aside=set_aside,
        )
        number: int = connection.execute(added.returning(job.c.id)).scalar_one()
        if rows:
            values = [{"job_id": number, "row_id": row, "source_ids": rows[row]} for row in sorted(rows)]
            connection.execute(insert(tables.bulk_row), values)
        return number

    return Change(change, note="plan bulk job")


def _rerouted(connection: Connection, ids: Sequence[int], of_deliveries: bool) -> dict[int, str | None]:
    """Give the Items of messages or Deliveries, with the Deliveries that they were chosen by."""
    item, sent = tables.item.c, tables.delivery.c
    found: dict[int, str | None] = {}
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        if of_deliveries:
            statement = select(sent.item_id, sent.id).where(sent.id.in_(part)).order_by(sent.id)
            for row in connection.execute(statement):
                found[row.item_id] = f"{found[row.item_id]} {row.id}" if row.item_id in found else str(row.id)
        else:
            current = item.state != ItemState.REPLACED.value
            numbers = select(item.id).where(item.message_id.in_(part), current)
            found.update(dict.fromkeys(connection.execute(numbers).scalars()))
    return found


def keep_preview(number: int, preview: Preview) -> Change[None]:
    """Keep what was counted with its job."""

    def change(unit: Unit) -> None:
        column = tables.bulk_job.c
        text = orjson.dumps(asdict(preview)).decode()
        unit.connection.execute(update(tables.bulk_job).where(column.id == number).values(preview=text))

    return Change(change, note="preview bulk job")


def choose_mappings(number: int, mappings: int | None, *, actor: str) -> Change[bool]:
    """Have a planned replay of messages read with a version of the mappings; False when it is no longer planned."""

    def change(unit: Unit) -> bool:
        column = tables.bulk_job.c
        planned = (
            column.id == number,
            column.actor == actor[:120],
            column.state == JobState.PLANNED.value,
            column.action == BulkAction.REPLAY_MESSAGES.value,
        )
        target = f"{MAPPINGS}:{mappings}" if mappings is not None else ""
        chosen = update(tables.bulk_job).where(*planned).values(target=target)
        return unit.connection.execute(chosen).rowcount > 0

    return Change(change, note="choose mappings")


def preview_of(
    connection: Connection, sealer: Sealer, number: int, routes: Mapping[str, Sequence[str]] | None = None
) -> Preview:
    """Count what a planned job would do. `routes` gives the destinations of each route by name."""
    job = load_job(connection, number)
    if job is None:
        return Preview()
    if job.action is BulkAction.REPLAY_MESSAGES:
        return _replayed(connection, job)
    if job.action is BulkAction.REROUTE:
        named = (routes or {}).get(job.target_name, ()) if job.by_route else (job.target_name,)
        return _rerouting(connection, job, tuple(named))
    return _deliveries(connection, sealer, job)


def _rows(job: Job) -> ColumnElement[bool]:
    return tables.bulk_row.c.job_id == job.id


def _counted(connection: Connection, statement: Select[Any]) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in connection.execute(statement) if row[1]}


def _replayed(connection: Connection, job: Job) -> Preview:
    row, message, item, sent = tables.bulk_row.c, tables.message.c, tables.item.c, tables.delivery.c
    chosen = tables.bulk_row.join(tables.message, message.id == row.row_id)
    states = _counted(
        connection, select(message.state, func.count()).select_from(chosen).where(_rows(job)).group_by(message.state)
    )
    reading = states.get(MessageState.RECEIVED.value, 0)
    read = (_rows(job), message.state != MessageState.RECEIVED.value)
    items = chosen.join(tables.item, item.message_id == row.row_id)
    current = (*read, item.state != ItemState.REPLACED.value)
    deliveries = chosen.join(tables.delivery, sent.message_id == row.row_id)
    left = {Left.READING.value: reading, Left.ABSENT.value: job.total - sum(states.values())}
    return Preview(
        will=sum(states.values()) - reading,
        patients=_patients(connection, select(item.patient_id).select_from(items).where(*current)),
        left={reason: count for reason, count in left.items() if count},
        destinations=_counted(
            connection,
            select(sent.destination, func.count(sent.message_id.distinct()))
            .select_from(deliveries)
            .where(*read)
            .group_by(sent.destination),
        ),
        kinds=_counted(
            connection, select(item.kind, func.count()).select_from(items).where(*current).group_by(item.kind)
        ),
        doubles=_counted(
            connection,
            select(sent.destination, func.count(sent.item_id.distinct()))
            .select_from(deliveries)
            .where(*read, sent.state.in_([state.value for state in _SENT]))
            .group_by(sent.destination),
        ),
    )


def _deliveries(connection: Connection, sealer: Sealer, job: Job) -> Preview:
    row, sent, item = tables.bulk_row.c, tables.delivery.c, tables.item.c
    chosen = (
        select(sent.id, sent.state, sent.destination, item.kind, item.patient_id)
        .select_from(
            tables.bulk_row.join(tables.delivery, sent.id == row.row_id).join(tables.item, item.id == sent.item_id)
        )
        .where(_rows(job))
    )
    found = connection.execute(chosen).all()
    replays = job.action is BulkAction.REPLAY_DELIVERIES
    barred = sendable(connection, sealer, [one.id for one in found]) if replays else {}
    left: dict[str, int] = {}
    destinations: dict[str, int] = {}
    kinds: dict[str, int] = {}
    doubles: dict[str, int] = {}
    people: set[int] = set()
    will = 0
    for one in found:
        why = barred[one.id].value if one.id in barred else left_alone(job.action, DeliveryState(one.state))
        if why is not None:
            left[why] = left.get(why, 0) + 1
            continue
        will += 1
        destinations[one.destination] = destinations.get(one.destination, 0) + 1
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
        if one.patient_id is not None:
            people.add(one.patient_id)
        if replays and one.state in _SENT:
            doubles[one.destination] = doubles.get(one.destination, 0) + 1
    if job.total > len(found):
        left[Left.ABSENT.value] = job.total - len(found)
    return Preview(will, len(people), left, destinations, kinds, doubles)


def left_alone(action: BulkAction, state: DeliveryState) -> str | None:
    """Say why a Delivery in this state is left alone, None when it is not."""
    if action is BulkAction.CANCEL_DELIVERIES:
        if state in CANCELLABLE:
            return None
        return Left.ASIDE.value if state is DeliveryState.CANCELLED else Left.GONE.value
    return None if state in REOPENED or state in _SENT else Left.WAITING.value


def _rerouting(connection: Connection, job: Job, destinations: tuple[str, ...]) -> Preview:
    row, item = tables.bulk_row.c, tables.item.c
    statement = (
        select(item.id, item.kind, item.state, item.patient_id)
        .select_from(tables.bulk_row.join(tables.item, item.id == row.row_id))
        .where(_rows(job))
    )
    found = connection.execute(statement).all()
    have = _having(connection, job, destinations)
    left: dict[str, int] = {}
    counts: dict[str, int] = {}
    kinds: dict[str, int] = {}
    people: set[int] = set()
    will = 0
    for one in found:
        missing = [name for name in destinations if (one.id, name) not in have]
        why = item_left(ItemState(one.state)) or (None if missing else Left.HAS_IT.value)
        if why is not None:
            left[why] = left.get(why, 0) + 1
            continue
        will += 1
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
        for name in missing:
            counts[name] = counts.get(name, 0) + 1
        if one.patient_id is not None:
            people.add(one.patient_id)
    if job.total > len(found):
        left[Left.ABSENT.value] = job.total - len(found)
    return Preview(will, len(people), left, counts, kinds)


def item_left(state: ItemState) -> str | None:
    """Say why an Item in this state is not rerouted, None when it is."""
    if state is ItemState.REPLACED:
        return Left.REPLACED.value
    return Left.UNDECIDED.value if state in {ItemState.HELD, ItemState.REFUSED} else None


def _having(connection: Connection, job: Job, destinations: tuple[str, ...]) -> set[tuple[int, str]]:
    row, sent = tables.bulk_row.c, tables.delivery.c
    statement = (
        select(sent.item_id, sent.destination)
        .select_from(tables.bulk_row.join(tables.delivery, sent.item_id == row.row_id))
        .where(_rows(job), sent.destination.in_(destinations), sent.state != DeliveryState.CANCELLED.value)
    )
    return {(found.item_id, found.destination) for found in connection.execute(statement)}


def _patients(connection: Connection, statement: Select[Any]) -> int:
    people = statement.distinct().subquery()
    return connection.execute(select(func.count()).select_from(people).where(people.c[0].is_not(None))).scalar_one()
