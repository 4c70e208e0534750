"""What persons decided about held Items, as the journal knows it: of each Item the newest decision counts.

`router.desk` takes and undoes decisions; the engine only asks here whether what it is about to do still stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, ScalarSelect, func, select

from router.journal import tables

NOTE_PLACE = b"identity_decision.sealed_detail"


class DeskAction(StrEnum):
    """What a person may decide about a held Item; `undo` takes the newest decision back."""

    ATTACH = "attach"
    TASK = "task"
    DOUBTFUL = "doubtful"
    REFUSE = "refuse"
    UNDO = "undo"


BLOCKING = frozenset({DeskAction.ATTACH, DeskAction.DOUBTFUL, DeskAction.REFUSE})
"""Decisions after which the rules alone release nothing: a person has spoken."""

ASIDE = frozenset({DeskAction.TASK, DeskAction.DOUBTFUL})
"""Decisions that leave an Item held, and off the queue of those to decide."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest decision of an Item."""

    id: int
    item_id: int
    action: DeskAction
    patient_id: int | None
    actor: str
    at: int


def newest_decisions(connection: Connection, items: Iterable[int]) -> dict[int, Newest]:
    """Give the newest decision of each of these Items that has one."""
    numbers = list(items)
    if not numbers:
        return {}
    column = tables.identity_decision.c
    last = select(func.max(column.id)).where(column.item_id.in_(numbers)).group_by(column.item_id)
    found = select(column.id, column.item_id, column.action, column.patient_id, column.actor, column.at)
    return {
        row.item_id: Newest(row.id, row.item_id, DeskAction(row.action), row.patient_id, row.actor, row.at)
        for row in connection.execute(found.where(column.id.in_(last)))
    }


def attached_by_persons(connection: Connection, items: Iterable[int]) -> set[int]:
    """Give those of these Items that a person attached, and nobody has decided otherwise since."""
    newest = newest_decisions(connection, items)
    return {number for number, one in newest.items() if one.action is DeskAction.ATTACH}


def newest_action() -> ScalarSelect[str]:
    """Give, as a part of a statement on `item`, the action of an Item's newest decision; NULL when it has none."""
    column = tables.identity_decision.c
    newest = select(column.action).where(column.item_id == tables.item.c.id).order_by(column.id.desc()).limit(1)
    return newest.correlate(tables.item).scalar_subquery()
