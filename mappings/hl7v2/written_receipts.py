"""Receipts as ZAM^Z01, Z02 and Z03 (HL7 2.6, ANS profile), and as ACK for what was only taken over."""

from __future__ import annotations

from mappings.contracts import WriteContext
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.receipts import KINDS, SEVERITIES, Kind
from mappings.hl7v2.times import stamp
from mappings.hl7v2.written_patient import write_msh
from mappings.hl7v2.written_profile import ANSWERS, PROFILE, VERSION, now_stamp
from mappings.hl7v2.written_types import coding, xtn
from schemas.actors import Professional
from schemas.coding import Identifier
from schemas.identifiers import PROFESSIONALS
from schemas.item import ReceiptItem
from schemas.receipt import Receipt, ReceiptError

_TABLE = "AckMetierZAM"
_LETTERS = {severity: letter for letter, severity in SEVERITIES.items()}
_PREFIXES = {"RPPS": "8", "ADELI": "0"}


def write_receipt(pen: Pen, item: ReceiptItem, context: WriteContext) -> None:
    """Write one receipt; the stages of the document flow are ZAM, `accepted` is an ACK."""
    receipt = item.content
    kind = KINDS.get(receipt.stage)
    if kind is None:
        write_msh(pen, item, context, "ACK", VERSION)
        pen.begin("MSA")
        answer = receipt.answer or ("AA" if receipt.positive else "AE")
        pen.segment("MSA", {1: pen.text(answer), 2: pen.text(receipt.about)})
        if receipt.recipient is not None or receipt.at is not None:
            pen.lost("the recipient and moment of a receipt")
    else:
        profile = context.options.get("document_profile", PROFILE)
        write_msh(pen, item, context, f"ZAM^{kind.event}^ZAM_Z01", VERSION, profile)
        pen.begin("EVN")
        pen.segment("EVN", {2: now_stamp(context), 6: stamp(receipt.at) if receipt.at else ""})
        _write_answer(pen, receipt, kind)
    for error in receipt.errors:
        _write_error(pen, error)
    if item.author is not None or item.recipients:
        pen.lost("the author and recipients of the item")


def _write_answer(pen: Pen, receipt: Receipt, kind: Kind) -> None:
    pen.begin("OBX")
    name = pen.components((kind.answer, pen.text(kind.label), _TABLE))
    answer = ANSWERS[receipt.positive]
    pen.segment("OBX", {1: "1", 2: "CWE", 3: name, 4: pen.text(receipt.about), 5: answer, 11: "F"})
    who = receipt.recipient
    if who is None:
        return
    pen.begin("OBX")
    if not kind.who:
        pen.lost("the recipient of a receipt")
        return
    if who != Professional(identifiers=who.identifiers[:1], telecoms=who.telecoms[:1]):
        pen.lost("what is known of a recipient beyond its number and address")
    number = _number(who.identifiers[0]) if who.identifiers else ""
    name = pen.components((kind.who, pen.text(kind.who_label), _TABLE))
    mailbox = xtn(pen, who.telecoms[0]) if who.telecoms else ""
    pen.segment("OBX", {1: "2", 2: "XTN", 3: name, 4: pen.text(number), 5: mailbox, 11: "F"})


def _number(identifier: Identifier) -> str:
    """Write the national identifier of a professional, which has its kind as its first digit."""
    prefix = _PREFIXES.get(identifier.type or "", "") if identifier.system == PROFESSIONALS else ""
    return prefix + identifier.value


def _write_error(pen: Pen, error: ReceiptError) -> None:
    pen.begin("ERR")
    place = pen.components(pen.text(part) for part in (error.where or "").split("^"))
    pen.segment(
        "ERR",
        {
            2: place,
            3: coding(pen, error.condition),
            4: _LETTERS.get(error.severity, "E"),
            5: coding(pen, error.code),
            8: pen.text(error.text),
        },
    )
