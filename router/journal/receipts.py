"""Receipts: what a partner says later of something that was sent changes the Delivery that carried it.

A receipt names what it is about (a Message-ID, an XDS uniqueId…). Found by blind index, the Delivery becomes
`acknowledged` when it was read or published, and `dead` when it was refused. A receipt that comes before its sending is
recorded waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from connectors.contracts import Reference
from router.journal import tables
from router.journal.sealing import Sealer
from router.journal.tables import DeliveryState
from router.journal.unit import Unit
from schemas.item import Item, ReceiptItem
from schemas.receipt import ReceiptStage

REFERENCE_PLACE = b"delivery_reference.sealed_value"

_FINAL = (ReceiptStage.PUBLISHED.value, ReceiptStage.READ.value)
_OPEN = frozenset(state.value for state in tables.OPEN_DELIVERIES)
_GONE = (DeliveryState.DELIVERED.value, DeliveryState.ACKNOWLEDGED.value)


@dataclass(frozen=True, slots=True)
class PreparedReceipt:
    """A receipt ready to be kept: the token of what it is about, how far that has come, and the partner's codes."""

    token: int
    stage: str
    positive: bool
    detail: str


def reference_token(sealer: Sealer, value: str) -> int:
    """Make the token of a partner's name for something; angle brackets of a Message-ID do not count."""
    return sealer.token("reference", value.strip().strip("<>"))


def receipt_of(item: Item, sealer: Sealer) -> PreparedReceipt | None:
    """Give what a receipt Item says of a Delivery, None for any other Item or when it names nothing."""
    if not isinstance(item, ReceiptItem):
        return None
    content = item.content
    if not content.about:
        return None
    codes = [one.code.code for one in content.errors if one.code is not None and one.code.code]
    word = [content.answer] if content.answer else []
    detail = " ".join(dict.fromkeys([*word, *codes]))[:200]
    return PreparedReceipt(reference_token(sealer, content.about), content.stage.value, content.positive, detail)


def keep_receipt(unit: Unit, receipt: PreparedReceipt, item_id: int, now: int) -> bool:
    """Keep a receipt, and change the Delivery that it is about; True when that one no longer waits to be sent."""
    unit.flush()  # the sending may be recorded in this very transaction
    column = tables.delivery_reference.c
    found = select(column.delivery_id).where(column.token == receipt.token).order_by(column.delivery_id.desc()).limit(1)
    number = unit.connection.execute(found).scalar()
    unit.connection.execute(
        insert(tables.delivery_receipt).values(
            token=receipt.token,
            delivery_id=number,
            item_id=item_id,
            at=now,
            stage=receipt.stage,
            positive=receipt.positive,
            detail=receipt.detail,
        )
    )
    return number is not None and _apply(unit, number, receipt, now)


def keep_references(unit: Unit, delivery_id: int, references: Sequence[Reference], now: int) -> bool:
    """Keep the names of a Delivery, and apply the receipts that came before them; as `keep_receipt`."""
    unit.flush()
    connection, column = unit.connection, tables.delivery_reference.c
    tokens = {(one.kind.value, reference_token(unit.sealer, one.value)): one.value for one in references}
    there = select(column.kind, column.token).where(column.delivery_id == delivery_id)
    have = {(row.kind, row.token) for row in connection.execute(there)}
    for (kind, token), value in tokens.items():
        if (kind, token) not in have:
            sealed = unit.sealer.seal(value.encode(), REFERENCE_PLACE)
            connection.execute(
                insert(tables.delivery_reference).values(
                    token=token, delivery_id=delivery_id, kind=kind, sealed_value=sealed
                )
            )
    waiting = tables.delivery_receipt.c
    early = select(tables.delivery_receipt).where(
        waiting.token.in_({token for _, token in tokens}), waiting.delivery_id.is_(None)
    )
    stopped = False
    for row in connection.execute(early.order_by(waiting.id)).all():
        connection.execute(update(tables.delivery_receipt).where(waiting.id == row.id).values(delivery_id=delivery_id))
        receipt = PreparedReceipt(row.token, row.stage, row.positive, row.detail)
        stopped = _apply(unit, delivery_id, receipt, now) or stopped
    return stopped


def _apply(unit: Unit, delivery_id: int, receipt: PreparedReceipt, now: int) -> bool:
    column = tables.delivery.c
    state = unit.connection.execute(select(column.state).where(column.id == delivery_id)).scalar()
    if state not in _OPEN and state not in _GONE:
        return False
    if not receipt.positive:
        detail = f"refused by the recipient ({receipt.stage}{': ' + receipt.detail if receipt.detail else ''})"
        values = {"state": DeliveryState.DEAD.value, "detail": detail[:400]}
    elif receipt.stage in _FINAL:
        values = {
            "state": DeliveryState.ACKNOWLEDGED.value,
            "detail": f"acknowledged by the recipient ({receipt.stage})",
        }
    elif state in _OPEN:
        values = {"state": DeliveryState.DELIVERED.value, "detail": f"arrived all the same ({receipt.stage})"}
    else:
        return False
    unit.connection.execute(
        update(tables.delivery).where(column.id == delivery_id).values(**values, next_attempt_at=None, ended_at=now)
    )
    return state in _OPEN
