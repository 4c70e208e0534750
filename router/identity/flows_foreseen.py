"""What undoing a merge will do, in figures, before it is done: by the same rules, on the register as it will be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from router.identity.flows_parted import CHUNK, Parting, Register, attached, parts_of
from router.identity.flows_published import Published, published
from router.identity.patients import KEPT_KIND, Patient, load_patients, patient_tokens
from router.identity.standing import barred
from router.journal import tables
from router.journal.sealing import Sealer
from schemas.identity import PatientIdentity


@dataclass(frozen=True, slots=True)
class Undoing:
    """A merge with what its two patients are now and will be again.

    `absorbed_id` has `absorbed` on record until `lowered` is written; `back` are the absorbed patient and those who had
    been merged into it before.
    """

    parting: Parting
    absorbed_id: int
    back: tuple[int, ...]
    present: PatientIdentity
    restored: PatientIdentity
    absorbed: PatientIdentity
    lowered: PatientIdentity


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What undoing a merge does.

    `came`: Items that came, or were prepared again, since; `moved`: those that are not the survivor's alone; `anew`:
    those that are decided and prepared anew; `stopped`: Deliveries that wait and are stopped; `told`: Deliveries that
    left with an INS that is not their patient's, each with a task.
    """

    came: int = 0
    moved: int = 0
    anew: int = 0
    stopped: int = 0
    told: int = 0


def foresee(connection: Connection, sealer: Sealer, undoing: Undoing) -> Foreseen:
    """Say what undoing a merge does; nothing is changed."""
    parts = parts_of(connection, sealer, undoing.parting, _register(connection, sealer, undoing))
    given = {number: next(iter(parts.owners[number])) for number in parts.moved if len(parts.owners[number]) == 1}
    stopped = {row.id for row in parts.waiting}
    told = {row.id for row, _ in parts.told}
    items = set(parts.anew)
    for found in _revised(connection, sealer, undoing, given):
        told.update(number for _, number in found.left if number not in stopped)
        items.update(item_id for item_id, number in found.waiting if number not in stopped)
        stopped.update(number for _, number in found.waiting)
    return Foreseen(len(parts.owners), len(parts.moved), len(attached(connection, items)), len(stopped), len(told))


def _revised(connection: Connection, sealer: Sealer, undoing: Undoing, given: Mapping[int, int]) -> Iterator[Published]:
    """Give what may leave no more of either patient because its INS changes; `given` are Items with a new patient."""
    survivor, item, patient = undoing.parting.survivor_id, tables.item.c, tables.patient.c
    theirs = select(patient.id).where(patient.merged_into == survivor, patient.id.not_in(undoing.back))
    remains = (item.patient_id == survivor) | item.patient_id.in_(theirs)
    if _differ(undoing.present, undoing.restored):
        found = published(connection, sealer, remains, undoing.present, undoing.restored)
        yield _only(found, lambda number: number not in given)
    if _differ(undoing.absorbed, undoing.lowered):
        of_absorbed = undoing.absorbed, undoing.lowered
        yield published(connection, sealer, item.patient_id.in_(undoing.back), *of_absorbed)
        came = published(connection, sealer, item.patient_id == survivor, *of_absorbed)
        yield _only(came, lambda number: given.get(number) == undoing.absorbed_id)


def _differ(before: PatientIdentity, after: PatientIdentity) -> bool:
    return (before.ins, barred(before)) != (after.ins, barred(after))


def _only(found: Published, which: Callable[[int], bool]) -> Published:
    """Keep the Deliveries of some Items."""
    return Published([one for one in found.waiting if which(one[0])], [one for one in found.left if which(one[0])])


def _register(connection: Connection, sealer: Sealer, undoing: Undoing) -> Register:
    """Give the register as it will be: both patients apart, the survivor with what it is again."""
    survivor = undoing.parting.survivor_id
    restored = set(patient_tokens(sealer, undoing.restored))
    apart: dict[int, int | None] = dict.fromkeys(undoing.back, undoing.absorbed_id) | {undoing.absorbed_id: None}

    def owners(tokens: Sequence[int]) -> dict[int, set[int]]:
        column, patient = tables.patient_token.c, tables.patient.c
        hits: dict[int, set[int]] = {token: {survivor} for token in tokens if token in restored}
        for start in range(0, len(tokens), CHUNK):
            rows = connection.execute(
                select(column.token, column.patient_id, patient.merged_into)
                .join(tables.patient, patient.id == column.patient_id)
                .where(
                    column.token.in_(tokens[start : start + CHUNK]),
                    column.kind != KEPT_KIND,
                    column.patient_id != survivor,
                )
            )
            for token, number, into in rows:
                hits.setdefault(token, set()).add(apart.get(number, into) or number)
        return hits

    def people(numbers: Iterable[int]) -> dict[int, Patient]:
        found = load_patients(connection, sealer, numbers)
        return {number: replace(one, merged_into=apart.get(number, one.merged_into)) for number, one in found.items()}

    return Register(owners, people)
