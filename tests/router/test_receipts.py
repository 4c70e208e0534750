"""A receipt names no patient: it is not held for one, and may be routed like anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import select

from router.config.model import RouteSection
from router.engine.summary import summarise
from router.journal import tables
from schemas.item import ItemSet, Provenance, ReceiptItem
from schemas.receipt import Receipt, ReceiptStage

ITEM = ReceiptItem(
    id="r1",
    source=Provenance(format="hl7v2", where="MSH-10=1"),
    content=Receipt(stage=ReceiptStage.PUBLISHED, positive=True, about="DOC-1", answer="Y"),
)
CONTENT = ItemSet(items=(ITEM,)).model_dump_json().encode()


async def test_a_receipt_without_a_route_is_processed_and_unrouted(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    rig.routes = (RouteSection(name="reports only", when="item.kind == 'lab_report'", to=("tool",)),)
    await rig.start()
    await rig.submit_bytes(CONTENT, "1")
    await rig.until(lambda: rig.states(tables.item) == {"unrouted": 1})
    assert rig.states(tables.message) == {"processed": 1}
    with rig.engine.store.reading() as connection:
        row = connection.execute(select(tables.item)).one()
    assert (row.kind, row.reason, row.patient_id) == ("receipt", None, None)
    await rig.stop()


async def test_a_receipt_goes_where_a_route_sends_it(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    rig.routes = (RouteSection(name="receipts", when="item.kind == 'receipt'", to=("tool",)),)
    await rig.start()
    await rig.submit_bytes(CONTENT, "1")
    await rig.until(lambda: len(rig.sent) == 1)
    assert rig.states(tables.item) == {"routed": 1}
    await rig.stop()


def test_a_receipt_in_one_line() -> None:
    told = orjson.loads(summarise(ITEM))
    assert (told["title"], told["line"]) == ("published", "published, DOC-1")
    refused = ITEM.model_copy(update={"content": ITEM.content.model_copy(update={"positive": False})})
    assert orjson.loads(summarise(refused))["line"] == "refused, DOC-1"
