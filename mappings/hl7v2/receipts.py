"""Receipts: the business acknowledgements ZAM^Z01, Z02 and Z03 of the ANS (fact sheet §6.2), and ACK messages.

A ZAM says of one document that was sent whether the DMP holds it (Z01), whether it lies in a mailbox (Z02) and whether
its recipient has read it (Z03). OBX-4 names the message that carried the document; an ERR says why not.
"""

from __future__ import annotations

from typing import NamedTuple

from mappings.hl7v2.datatypes import coding, telecom
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from schemas.actors import Professional
from schemas.base import PartialDateTime
from schemas.finding import Severity
from schemas.identifiers import professional_identifier
from schemas.receipt import Receipt, ReceiptError, ReceiptStage


class Kind(NamedTuple):
    """A kind of ZAM: its event, the OBX that answers and the OBX that names who, with their French labels."""

    event: str
    answer: str
    label: str
    who: str = ""
    who_label: str = ""


KINDS = {
    ReceiptStage.PUBLISHED: Kind("Z01", "ACK_RECEPTION_DMP", "Accusé de réception DMP"),
    ReceiptStage.DELIVERED: Kind(
        "Z02", "ACK_RECEPTION_MSS", "Accusé de réception MSSanté", "DESTINATAIRE_MSS", "Destinataire MSSanté"
    ),
    ReceiptStage.READ: Kind(
        "Z03", "ACK_LECTURE_MSS", "Accusé de lecture", "LECTEUR_MSS", "Lecteur du courriel MSSanté"
    ),
}
_BY_ANSWER = {kind.answer: stage for stage, kind in KINDS.items()}
_BY_EVENT = {kind.event: stage for stage, kind in KINDS.items()}
_PEOPLE = frozenset(kind.who for kind in KINDS.values() if kind.who)
_POSITIVE = frozenset({"AA", "CA", "Y", "O"})
SEVERITIES = {"W": Severity.WARNING, "I": Severity.INFO}


def read_receipts(notes: Notebook, event: str) -> list[Receipt]:
    """Read every answer of a ZAM; `event` stands in for an OBX-3 that is not known."""
    evn = notes.message.named("EVN")
    at = (notes.time(evn[0], 6) or notes.time(evn[0], 2)) if evn else None
    found: list[Receipt] = []
    for segment in notes.message.segments:
        if segment.name == "OBX":
            code = segment.code(3)
            if code in _PEOPLE and found:
                found[-1] = found[-1].model_copy(update={"recipient": _person(notes, segment)})
            elif code in _BY_ANSWER or (not found and segment.code(4) and segment.code(5)):
                found.append(_answer(notes, segment, _BY_ANSWER.get(code) or _BY_EVENT[event], at))
            else:
                notes.leave(segment)
        elif segment.name == "ERR" and found:
            errors = (*found[-1].errors, _error(notes, segment))
            found[-1] = found[-1].model_copy(update={"errors": errors})
        elif segment.name == "ERR":
            notes.leave(segment)
    if not found:
        notes.error("hl7v2.receipt.empty", "OBX", "the message does not say what it acknowledges")
    return found


def read_acknowledgement(notes: Notebook) -> list[Receipt]:
    """Read an ACK that came as a message of its own."""
    msa = notes.message.named("MSA")
    if not msa:
        notes.error("hl7v2.receipt.empty", "MSA", "the message does not say what it acknowledges")
        return []
    code = msa[0].code(1).upper()
    errors = tuple(_error(notes, segment) for segment in notes.message.named("ERR"))
    text = notes.syntax.text(msa[0].raw(3))
    if text:
        errors = (*errors, ReceiptError(severity=_told(positive=code in _POSITIVE), text=text))
    receipt = Receipt(
        stage=ReceiptStage.ACCEPTED,
        positive=code in _POSITIVE,
        about=notes.syntax.text(msa[0].raw(2)) or None,
        answer=code or None,
        errors=errors,
    )
    return [receipt]


def _told(*, positive: bool) -> Severity:
    return Severity.INFO if positive else Severity.ERROR


def _answer(notes: Notebook, obx: Segment, stage: ReceiptStage, at: PartialDateTime | None) -> Receipt:
    answer = obx.code(5)
    if answer.upper() not in ("Y", "O", "N"):
        notes.warn("hl7v2.receipt.answer", obx.where(5), "the answer is neither Y nor N; it is read as a refusal")
    about = notes.syntax.text(obx.raw(4)) or None
    if about is None:
        notes.error("hl7v2.receipt.about", obx.where(4), "the receipt does not say which message it is about")
    return Receipt(stage=stage, positive=answer.upper() in _POSITIVE, about=about, answer=answer or None, at=at)


def _person(notes: Notebook, obx: Segment) -> Professional | None:
    number = obx.code(4)
    found = telecom(obx.first(5), notes.syntax) if obx.raw(5) else None
    if not (number or found):
        return None
    return Professional(
        identifiers=(professional_identifier(number, "IDNPS"),) if number else (),
        telecoms=(found,) if found is not None else (),
    )


def _error(notes: Notebook, err: Segment) -> ReceiptError:
    syntax = notes.syntax
    place = "^".join(syntax.code(part) for part in syntax.components(err.first(2))) if err.raw(2) else ""
    texts = [syntax.text(err.raw(n)) for n in (8, 7) if err.raw(n)]
    return ReceiptError(
        severity=SEVERITIES.get(err.code(4), Severity.ERROR),
        condition=coding(err.first(3), syntax),
        code=coding(err.first(5), syntax),
        where=place or None,
        text=" / ".join(texts) or None,
    )
