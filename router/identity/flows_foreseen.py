"""What undoing a merge will do, in figures, before it is done: by the same rules, on the register as it will be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    given = {number: who for number, who in parts.owners.items() if number in parts.moved and len(who) == 1}
    stopped = {row.id for row in parts.waiting}
    told = {row.id for row, _ in parts.told}
    items = set(parts.anew)
    for owner, found in _revised(connection, sealer, undoing):
        its_own = [one for one in found.waiting if one[1] not in stopped and given.get(one[0], {owner}) == {owner}]
        left = [one for one in found.left if one[1] not in stopped and given.get(one[0], {owner}) == {owner}]
        told.update(delivery_id for _, delivery_id in left)
        items.update(item_id for item_id, _ in its_own)
        stopped.update(delivery_id for _, delivery_id in its_own)
    return Foreseen(len(parts.owners), len(parts.moved), len(attached(connection, items)), len(stopped), len(told))


def _revised(connection: Connection, sealer: Sealer, undoing: Undoing) -> list[tuple[int, Published]]:
    """Give what may leave no more of either patient because its INS changes by the undoing."""
    survivor, item, patient = undoing.parting.survivor_id, tables.item.c, tables.patient.c
    theirs = select(patient.id).where(patient.merged_into == survivor, patient.id.not_in(undoing.back))
    # What was given back is under the survivor until then.
    every = (item.patient_id == survivor) | item.patient_id.in_(undoing.back)
    found = []
    for owner, whose, before, after in (
        (survivor, (item.patient_id == survivor) | item.patient_id.in_(theirs), undoing.present, undoing.restored),
        (undoing.absorbed_id, every, undoing.absorbed, undoing.lowered),
    ):
        if (before.ins, barred(before)) != (after.ins, barred(after)):
            found.append((owner, published(connection, sealer, whose, before, after)))
    return found


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
