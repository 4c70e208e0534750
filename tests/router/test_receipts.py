"""A receipt names no patient: it is not held for one, and may be routed like anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from mails import DOCTOR, mail, multipart, text
from sqlalchemy import select

from connectors.contracts import Delivered, Reference, ReferenceKind
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


def mdn(*fields: str) -> bytes:
    """What a mailbox answers to the mail `sent@labo-fictif.mssante.invalid`."""
    lines = (f"Final-Recipient: rfc822;{DOCTOR}", "Original-Message-ID: <sent@labo-fictif.mssante.invalid>", *fields)
    report = b"Content-Type: message/disposition-notification\r\n\r\n" + "\r\n".join(lines).encode()
    return mail(multipart(text("lu"), report, kind="report"), Subject="XDM/1.0/DDM+x")


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        (mdn("Disposition: a/b; processed"), "acknowledged", "acknowledged by the recipient (read)"),
        (mdn("Disposition: a/b; processed/error", "Error: 902^x^y|E"), "dead", "refused by the recipient (read: "),
    ],
    ids=["success", "error"],
)
async def test_the_answer_of_a_mailbox_finds_what_was_sent(
    make_rig: Callable[..., Any], answer: bytes, state: str, detail: str
) -> None:
    rig = make_rig()
    rig.format = None
    named = Reference(ReferenceKind.MESSAGE_ID, "<sent@labo-fictif.mssante.invalid>")
    rig.answer = lambda _: Delivered(references=(named,))
    await rig.start()
    await rig.know("A")
    await rig.submit(1, "A")
    await rig.until(lambda: rig.states(tables.delivery) == {"delivered": 1})
    await rig.submit_bytes(answer, "mdn")
    await rig.until(lambda: rig.states(tables.delivery) == {state: 1})
    with rig.engine.store.reading() as connection:
        assert connection.execute(select(tables.delivery.c.detail)).scalar_one().startswith(detail)
    assert rig.states(tables.message) == {"processed": 2}
    await rig.stop()
