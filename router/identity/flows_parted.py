"""Items that came while two patients were one, when their merge is undone.

Whose each of them is, is decided anew: it may be about the one who had disappeared. What was prepared from both as from
one (numbers of the two, an INS of the other) never leaves as it is: what waits is stopped and prepared anew, what had
left is marked, and an identity officer gets a task for each that left with an INS that is not its patient's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from router.identity.flows_published import LEFT, WAITING, WITHDRAWN, Cause, hold_items, stop_deliveries
from router.identity.matching import authority_of
from router.identity.patients import (
    Patient,
    identifier_token,
    ins_token,
    load_patients,
    look_up,
    matching_identifiers,
)
from router.identity.standing import published_token
from router.identity.tasks import TaskKind, open_task
from router.journal import tables
from router.journal.decisions import DeskAction, newest_decisions
from router.journal.operations import BODY_PLACE
from router.journal.parted import part
from router.journal.retiring import NOTICES
from router.journal.sealing import Sealer
from router.journal.tables import ItemState
from router.journal.unit import Unit
from schemas.item import ITEM, Item

UNMERGED = "merge_undone"
"""Reason of an Item that is attached and prepared anew because the merge under which it came was undone."""

PREPARED_ANEW = frozenset({WITHDRAWN, UNMERGED})
"""Reasons of Items that wait for the engine alone, unless nobody knows any more whose they are."""

SKEW = 60_000_000
"""How far the clocks of a cluster's nodes may be apart, in microseconds."""

CHUNK = 500

_STOPPED = "the merge under which it was prepared was undone: it is prepared anew"
_ATTACHED = frozenset({ItemState.ROUTED.value, ItemState.UNROUTED.value})


@dataclass(frozen=True, slots=True)
class Parting:
    """The merge that is undone: who remains, since when (microseconds), and the number of the Item that said so.

    `shared` says that the survivor had something of the other: what was prepared for it alone states that as well.
    """

    survivor_id: int
    at: int
    item_id: int | None
    shared: bool


@dataclass(frozen=True, slots=True)
class Register:
    """Who has which tokens, and who they are: as the register is, or as it will be once a merge is undone."""

    owners: Callable[[Sequence[int]], Mapping[int, set[int]]]
    people: Callable[[Iterable[int]], Mapping[int, Patient]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What came or was prepared during a merge, and what becomes of it.

    `owners` says whose each Item is then (nobody where its numbers do not tell), `moved` which are not the survivor's
    alone; `void` are the Deliveries that state something that is not, `waiting` those of them that have not left;
    `told` are those that left with an INS that is not their patient's, with the patient who has the task.
    """

    owners: dict[int, set[int]]
    moved: set[int]
    void: list[Row[Any]]
    waiting: list[Row[Any]]
    told: list[tuple[Row[Any], int]]

    @property
    def anew(self) -> set[int]:
        """The Items that are decided and prepared anew, where they were attached."""
        return self.moved | {row.item_id for row in self.waiting}


def parts_of(connection: Connection, sealer: Sealer, merge: Parting, register: Register) -> Parts:
    """Say what becomes of what came during a merge; nothing is changed."""
    prepared = _prepared(connection, merge)
    came = {row.item_id for row in prepared} | set(_fresh(connection, merge))
    owners = _owners(connection, sealer, sorted(came), register)
    moved = {number for number, who in owners.items() if who and who != {merge.survivor_id}}
    void = [row for row in prepared if _is_void(row, moved, shared=merge.shared)]
    waiting = [row for row in void if row.state in WAITING]
    told = list(_told(sealer, merge, [row for row in void if row.item_id in moved], owners, register))
    return Parts(owners, moved, void, waiting, told)


def attached(connection: Connection, items: Iterable[int]) -> set[int]:
    """Give those of these Items that are attached: the others wait for a person, or were replaced."""
    column = tables.item.c
    numbers = sorted(items)
    found: set[int] = set()
    for start in range(0, len(numbers), CHUNK):
        some = column.id.in_(numbers[start : start + CHUNK])
        found.update(connection.execute(select(column.id).where(some, column.state.in_(_ATTACHED))).scalars())
    return found


def part_items(unit: Unit, merge: Parting, cause: Cause) -> None:
    """Give the Items that came during a merge back to whom they are about, and stop what was prepared from both.

    The index must know both patients as they are now.
    """
    unit.flush()  # what was prepared within this transaction counts as well
    parts = parts_of(unit.connection, unit.sealer, merge, _register(unit))
    part(unit, [row.id for row in parts.void])
    for one in parts.moved:
        if len(parts.owners[one]) == 1:
            [owner] = parts.owners[one]
            unit.connection.execute(update(tables.item).where(tables.item.c.id == one).values(patient_id=owner))
    for row, who in parts.told:
        open_task(unit, who, TaskKind.PUBLISHED, now=cause.now, item_id=row.item_id, delivery_id=row.id)
    stop_deliveries(unit, [row.id for row in parts.waiting], _STOPPED, now=cause.now)
    hold_items(unit, parts.anew, UNMERGED, states=_ATTACHED)


def _register(unit: Unit) -> Register:
    return Register(
        lambda tokens: look_up(unit.connection, tokens).active,
        lambda numbers: load_patients(unit.connection, unit.sealer, numbers),
    )


def _came_on_arrival(connection: Connection, merge: Parting) -> bool:
    """Say whether the merge was made as its Item came: whatever came after it has a greater number."""
    column = tables.item.c
    read_at = connection.execute(select(column.created_at).where(column.id == merge.item_id)).scalar()
    return read_at == merge.at


def _since(connection: Connection, merge: Parting) -> ColumnElement[bool]:
    """Give the condition on `item` of those that came after the merge."""
    if _came_on_arrival(connection, merge):
        return tables.item.c.id > merge.item_id
    return tables.item.c.created_at >= merge.at - SKEW


def _fresh(connection: Connection, merge: Parting) -> Iterator[int]:
    item = tables.item.c
    found = select(item.id).where(item.patient_id == merge.survivor_id, _since(connection, merge))
    yield from connection.execute(found.where(item.state.in_(_ATTACHED))).scalars()


def _prepared(connection: Connection, merge: Parting) -> list[Row[Any]]:
    """Give the Deliveries that were prepared from the survivor during the merge, in their order.

    Those of an Item that came before were prepared then if they are later than it; a second sending has the bytes of
    the first.
    """
    item, sent = tables.item.c, tables.delivery.c
    since = _since(connection, merge)
    found = (
        select(
            sent.id,
            sent.item_id,
            sent.state,
            sent.attempts,
            sent.ins_token,
            sent.replay_of,
            sent.route,
            item.kind,
            since.label("is_fresh"),
            (sent.created_at != item.created_at).label("is_late"),
        )
        .join(tables.item, item.id == sent.item_id)
        .where(item.patient_id == merge.survivor_id, since | (sent.created_at >= merge.at - SKEW))
        .order_by(sent.id)
    )
    known: set[int] = set()
    rows = []
    for row in connection.execute(found):
        if row.replay_of in known if row.replay_of is not None else row.is_fresh or row.is_late:
            known.add(row.id)
            rows.append(row)
    return rows


def _is_void(row: Row[Any], moved: set[int], *, shared: bool) -> bool:
    """Say whether a Delivery states something that is not (only) its patient's.

    An identity event leaves in the sender's words: nothing is added to them, but for the leave to state an INS. A
    notice to a member of the circle is told once: it is stopped only where it is about somebody else.
    """
    if row.kind == "identity":
        return row.item_id in moved and row.ins_token is not None
    return row.item_id in moved or (shared and row.route != NOTICES)


def _owners(connection: Connection, sealer: Sealer, items: list[int], register: Register) -> dict[int, set[int]]:
    """Say who each of these Items is about by a register; nobody where its numbers do not tell."""
    column = tables.item.c
    owners: dict[int, set[int]] = {}
    for start in range(0, len(items), CHUNK):
        numbers = items[start : start + CHUNK]
        found = select(column.id, column.sealed_body).where(column.id.in_(numbers))
        tokens = {
            row.id: _tokens(sealer, ITEM.validate_json(sealer.open(row.sealed_body, BODY_PLACE)))
            for row in connection.execute(found)
        }
        hits = register.owners(sorted({token for some in tokens.values() for each in some for token in each}))
        for number, (identifiers, ins) in tokens.items():
            by_number = set().union(*(hits.get(token, set()) for token in identifiers))
            owners[number] = by_number or set().union(*(hits.get(token, set()) for token in ins))
        owners |= _decided(connection, numbers, register)
    return owners


def _tokens(sealer: Sealer, item: Item) -> tuple[list[int], list[int]]:
    sent = item.patient
    pairs = matching_identifiers(sent, authority_of(item))
    return [identifier_token(sealer, *pair) for pair in pairs], (
        [] if sent.ins is None else [ins_token(sealer, sent.ins.matricule)]
    )


def _decided(connection: Connection, items: list[int], register: Register) -> dict[int, set[int]]:
    """Give whose a person decided that Items are."""
    chosen = {
        number: one.patient_id
        for number, one in newest_decisions(connection, items).items()
        if one.action is DeskAction.ATTACH and one.patient_id is not None
    }
    people = register.people(sorted(set(chosen.values())))
    return {number: {people[who].merged_into or who} if who in people else set() for number, who in chosen.items()}


def _told(
    sealer: Sealer, merge: Parting, void: list[Row[Any]], owners: dict[int, set[int]], register: Register
) -> Iterator[tuple[Row[Any], int]]:
    """Give each Delivery that left, or may have, with an INS that is not its patient's, and who has the task."""
    people = register.people(sorted(set().union(*owners.values())))
    for row in void:
        arrived = row.state in LEFT or (row.state in WAITING and row.attempts > 0)
        if row.ins_token is None or not arrived:
            continue
        who = owners[row.item_id]
        its_own = {people[one].identity.ins for one in who}
        if len(who) == 1 and any(ins and published_token(sealer, ins) == row.ins_token for ins in its_own):
            continue
        yield row, next(iter(who)) if len(who) == 1 else merge.survivor_id
