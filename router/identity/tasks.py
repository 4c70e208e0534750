"""Tasks about identities: what a machine noticed and only an identity officer can settle.

A task names a patient and what it is about (an Item, a Delivery), never what was said: that is read where it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import exists, func, insert, select, update

from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View

WHY_PLACE = b"identity_task.sealed_why"
LONGEST_WHY = 400


class TaskKind(StrEnum):
    """Why somebody has to look: stable codes, shown in words by the desk."""

    PUBLISHED = "published_under_withdrawn_ins"
    """A Delivery had left under an INS that is withdrawn, or another patient's: its receiver is to be told."""
    WITHDRAWN = "ins_withdrawn"
    """A sender withdrew or replaced the INS: INSi is to be asked."""
    CLAIMED = "ins_to_verify"
    """A sender states an INS for a patient who has none here: it is never copied, INSi is to be asked."""
    OTHER_INS = "ins_differs"
    """A sender states another INS than ours: a collision, or a number that changed."""
    NOT_CONFIRMED = "ins_not_confirmed"
    """INSi, asked again, does not confirm the INS: it leaves no more until somebody has looked."""
    NOT_SINGLE = "ins_not_single"
    """INSi, asked with a patient's traits, knows nobody, several people, or somebody whose traits differ."""
    TRAITS = "trait_difference"
    """A message differs from the strict traits of an identity that was checked: they were not overwritten."""
    DOUBT = "doubt_declared"
    """A sender declares the identity doubtful or fictitious."""
    NUMBER = "identifier_of_another"
    """A message states an identifier that is another patient's."""
    COORDINATION = "merge_coordination_differs"
    """Two patients were merged, and one alone was in coordination: circles and consents are not united."""
    CIRCLES = "merge_circles_differ"
    """Somebody who has a dossier of their own was merged: its circle is not united with another by itself."""
    NO_DOSSIER = "item_without_dossier"
    """Something came about a patient who has no open dossier: a message opens none."""
    PRESCRIBER = "critical_prescriber_outside"
    """Critical results whose prescriber is not in the circle: nothing of the dossier may tell them, a person calls."""
    MERGE_REFUSED = "merge_refused"
    """A person attached a merge that the rules refuse: the register keeps two patients."""
    UNMERGED = "merge_undone"
    """A merge was undone: what came in between may be the other patient's."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task; times are microseconds since the epoch."""

    id: int
    patient_id: int
    kind: TaskKind
    item_id: int | None
    delivery_id: int | None
    created_at: int


def open_task(
    unit: Unit,
    patient_id: int,
    kind: TaskKind,
    *,
    now: int,
    item_id: int | None = None,
    delivery_id: int | None = None,
    subject: int | None = None,
) -> None:
    """Open a task, unless the same is open already.

    With a `subject` (a blind token) it is asked once for all: closing it is the answer.
    """
    column = tables.identity_task.c
    same = [column.patient_id == patient_id, column.kind == kind.value]
    same.append(column.delivery_id.is_(None) if delivery_id is None else column.delivery_id == delivery_id)
    same.append(column.closed_at.is_(None) if subject is None else column.subject == subject)
    if unit.connection.execute(select(exists().where(*same))).scalar():
        return
    values = {
        "patient_id": patient_id,
        "kind": kind.value,
        "subject": subject,
        "item_id": item_id,
        "delivery_id": delivery_id,
        "created_at": now,
    }
    unit.connection.execute(insert(tables.identity_task).values(values))


def open_tasks(view: View, *, patient_id: int | None = None, after: int = 0, limit: int = 200) -> list[Task]:
    """Give the open tasks, oldest first, of everybody or of one patient; `after` is the last one of the page before."""
    column = tables.identity_task.c
    statement = select(tables.identity_task).where(column.closed_at.is_(None), column.id > after)
    if patient_id is not None:
        statement = statement.where(column.patient_id == patient_id)
    rows = view.connection.execute(statement.order_by(column.id).limit(limit))
    return [
        Task(row.id, row.patient_id, TaskKind(row.kind), row.item_id, row.delivery_id, row.created_at) for row in rows
    ]


def count_open(view: View) -> tuple[int, int | None]:
    """Give how many tasks are open, and when the oldest was opened."""
    column = tables.identity_task.c
    counted = select(func.count(), func.min(column.created_at)).where(column.closed_at.is_(None))
    row = view.connection.execute(counted).one()
    return row[0], row[1]


def close_tasks_of(unit: Unit, patient_id: int, kind: TaskKind, *, actor: str, now: int) -> int:
    """Close the tasks of one kind about a patient, as what asked for them is settled; gives how many."""
    column = tables.identity_task.c
    mine = (column.patient_id == patient_id, column.kind == kind.value, column.closed_at.is_(None))
    closed = update(tables.identity_task).where(*mine).values(closed_at=now, closed_by=actor[:120])
    return unit.connection.execute(closed).rowcount


def close_task(task_id: int, *, actor: str, why: str, now: int) -> Change[bool]:
    """Close a task: who, when, and why in their own words. False when it is not open."""

    def change(unit: Unit) -> bool:
        column = tables.identity_task.c
        sealed = unit.sealer.seal(why[:LONGEST_WHY].encode(), WHY_PLACE) if why else None
        closed = unit.connection.execute(
            update(tables.identity_task)
            .where(column.id == task_id, column.closed_at.is_(None))
            .values(closed_at=now, closed_by=actor[:120], sealed_why=sealed)
        ).rowcount
        if closed:
            record_audit(actor, "close identity task", f"task {task_id}", now=now).apply(unit)
        return closed > 0

    return Change(change, note="close identity task")
