"""The audit's rows: all of them, somebody's, those of a time, or those about one patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, cast, literal, or_, select, union_all

from router.journal import tables
from router.journal.queries_overview import AuditLine
from router.journal.view import View


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which rows: of one actor, about one patient, from `since` on and before `until` (microseconds), of some kinds."""

    actor: str | None = None
    patient: int | None = None
    since: int | None = None
    until: int | None = None
    actions: tuple[str, ...] | None = None
    target: str | None = None


def audit_lines(
    view: View,
    filters: AuditFilters,
    *,
    before: int | None = None,
    limit: int = 50,
    newest_first: bool = True,
) -> list[AuditLine]:
    """Give what was done and seen, from the cursor `before` on; nothing about a patient that there is not."""
    column = tables.audit.c
    statement = select(tables.audit).order_by(column.id.desc() if newest_first else column.id).limit(limit)
    if filters.patient is not None:
        about = _about(view.connection, filters.patient)
        if about is None:
            return []
        statement = statement.where(about)
    if filters.target is not None:
        statement = statement.where(column.target == filters.target)
    if filters.actor is not None:
        statement = statement.where(column.actor == filters.actor)
    if filters.since is not None:
        statement = statement.where(column.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(column.at < filters.until)
    if filters.actions is not None:
        statement = statement.where(column.action.in_(filters.actions))
    if before is not None:
        statement = statement.where(column.id < before)
    rows = view.connection.execute(statement)
    return [AuditLine(row.id, row.at, row.actor, row.action, row.target, row.detail) for row in rows]


def audit_of_patient(connection: Connection, patient_id: int) -> list[Any] | None:
    """Give the audit's rows about a patient, its messages, Items and Deliveries, oldest first; None without a patient.

    A patient that was merged away counts with the one that survived.
    """
    about = _about(connection, patient_id)
    if about is None:
        return None
    return list(connection.execute(select(tables.audit).where(about).order_by(tables.audit.c.id)).all())


def _about(connection: Connection, patient_id: int) -> Any:
    """Give the condition that a row is about a patient, None when there is no such patient."""
    patient, item, delivery, audit = tables.patient.c, tables.item.c, tables.delivery.c, tables.audit.c
    known = select(patient.id).where(or_(patient.id == patient_id, patient.merged_into == patient_id))
    people = list(connection.execute(known).scalars())
    if not people:
        return None
    own = select(item.id, item.message_id).where(item.patient_id.in_(people)).subquery()
    sent = select(delivery.id).where(delivery.item_id.in_(select(own.c.id)))
    targets = union_all(
        *(select(literal(f"patient {number}")) for number in people),
        *(select(literal(f"dossier {number}")) for number in people),
        select(literal("item ").concat(_text(own.c.id))),
        select(literal("message ").concat(_text(own.c.message_id))).distinct(),
        select(literal("delivery ").concat(_text(sent.subquery().c.id))),
    )
    return audit.target.in_(targets)


def _text(column: Any) -> Any:

    return cast(column, String)
