"""Deliveries whose bytes were made for a patient who is no longer their Item's: they never leave as they are.

So it is when a merge, or the attachment of an Item by a person, is undone. Each such Delivery is marked by an error
among its findings, in the transaction that undoes: whatever would send stored bytes asks here first.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, select

from router.journal import tables
from router.journal.attempts import keep_findings
from router.journal.operations import PARCEL_DETAIL_PLACE
from router.journal.sealing import Sealer
from router.journal.tables import WORST
from router.journal.unit import Unit
from schemas.finding import Finding, Severity

PARTED = "identity.parted"
"""Code of the Finding on a Delivery that was prepared for two patients as for one, or stopped as its Item was parted
from its patient."""

UNDONE = "identity.undone"
"""Code of the Finding on a Delivery that had left when the attachment of its Item was undone."""

_CODES = frozenset({PARTED, UNDONE})
_FINDING = Finding(
    severity=Severity.ERROR,
    code=PARTED,
    where="identity",
    message="prepared for a patient who is no longer its own: it is not sent as it is, its message is replayed instead",
)


def part(unit: Unit, deliveries: Sequence[int]) -> None:
    """Mark Deliveries as made for a patient who is no longer their Item's, each once."""
    marked = parted(unit.connection, unit.sealer, deliveries)
    for number in deliveries:
        if number not in marked:
            keep_findings(unit, number, [_FINDING])


def parted(connection: Connection, sealer: Sealer, deliveries: Sequence[int]) -> set[int]:
    """Give those of these Deliveries that are marked so."""
    sent, content = tables.delivery.c, tables.delivery_content.c
    found = (
        select(sent.id, content.sealed_detail)
        .join(tables.delivery_content, content.delivery_id == sent.id)
        .where(sent.id.in_(deliveries), sent.worst >= WORST[Severity.ERROR], content.sealed_detail.is_not(None))
    )
    return {
        row.id for row in connection.execute(found) if _is_marked(sealer.open(row.sealed_detail, PARCEL_DETAIL_PLACE))
    }


def _is_marked(detail: bytes) -> bool:
    return any(finding.get("code") in _CODES for finding in orjson.loads(detail).get("findings", ()))
