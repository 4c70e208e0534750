"""Who did or saw what about one patient."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, String, cast, literal, or_, select, union_all

from router.journal import tables


def audit_of_patient(connection: Connection, patient_id: int) -> list[Any] | None:
    """Give the audit's rows about a patient, its messages, Items and Deliveries, oldest first; None without a patient.

    A patient that was merged away counts with the one that survived.
    """
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
    found = select(tables.audit).where(audit.target.in_(targets)).order_by(audit.id)
    return list(connection.execute(found).all())


def _text(column: Any) -> Any:

    return cast(column, String)
