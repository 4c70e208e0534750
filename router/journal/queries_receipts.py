"""What partners said later of Deliveries, and the names under which they know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from router.journal import tables
from router.journal.receipts import REFERENCE_PLACE
from router.journal.view import View


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One answer: how far the Delivery came (`schemas.receipt.ReceiptStage`), or that it was refused, and the codes."""

    at: int
    stage: str
    positive: bool
    detail: str
    item_id: int


@dataclass(frozen=True, slots=True)
class NameLine:
    """A name under which the partner knows a Delivery: `connectors.contracts.ReferenceKind` and value."""

    kind: str
    value: str


def receipts_of(view: View, deliveries: Sequence[int]) -> dict[int, tuple[ReceiptLine, ...]]:
    """Give the answers about some Deliveries in the order in which they came, by Delivery."""
    if not deliveries:
        return {}
    column = tables.delivery_receipt.c
    rows = view.connection.execute(
        select(tables.delivery_receipt).where(column.delivery_id.in_(deliveries)).order_by(column.id)
    )
    found: dict[int, list[ReceiptLine]] = {}
    for row in rows:
        line = ReceiptLine(row.at, row.stage, bool(row.positive), row.detail, row.item_id)
        found.setdefault(row.delivery_id, []).append(line)
    return {number: tuple(lines) for number, lines in found.items()}


def names_of(view: View, deliveries: Sequence[int]) -> dict[int, tuple[NameLine, ...]]:
    """Give the names of some Deliveries, by Delivery."""
    if not deliveries:
        return {}
    column = tables.delivery_reference.c
    rows = view.connection.execute(
        select(column.delivery_id, column.kind, column.sealed_value)
        .where(column.delivery_id.in_(deliveries))
        .order_by(column.kind)
    )
    found: dict[int, list[NameLine]] = {}
    for row in rows:
        value = view.sealer.open(row.sealed_value, REFERENCE_PLACE).decode()
        found.setdefault(row.delivery_id, []).append(NameLine(row.kind, value))
    return {number: tuple(lines) for number, lines in found.items()}
