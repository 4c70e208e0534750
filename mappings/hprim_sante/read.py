"""HPRIM Santé into Items: results, admissions, merges; answers into Findings (hprim 3)."""

from __future__ import annotations

from mappings.charset_findings import note_charset
from mappings.charsets import decode
from mappings.contracts import FormatError, ReadContext, Reading, item_id
from mappings.hprim_sante.admission import read_admissions
from mappings.hprim_sante.answer import read_answer
from mappings.hprim_sante.exchange import Exchange, read_header
from mappings.hprim_sante.report import read_reports
from mappings.hprim_sante.syntax import Message, tokenize
from mappings.hprim_sante.tree import Tree, plant, segments_of
from mappings.notes import Notes
from schemas.item import Item


def read(content: bytes, context: ReadContext) -> Reading:
    """Read a file: ORU into laboratory reports, ADM into identities and stays, ERR into Findings alone.

    Other contexts, and results without a patient, give Findings and no Item. Raises FormatError when there is no
    segment H, or when its delimiters cannot be told apart.
    """
    try:
        decoded = decode(content, context.charset)
    except LookupError:
        raise FormatError("hprim.charset.unknown", "", f"there is no charset named {context.charset!r}") from None
    if not decoded.text.strip("\0\x1a \t\r\n\ufeff"):
        raise FormatError("hprim.file.empty", "line 1", "the file is empty")
    notes = Notes()
    note_charset(decoded, context.charset, notes)
    messages = tokenize(decoded.text, notes)
    if len(messages) > 1:
        notes.info("hprim.file.several_messages", messages[1].header.address, "several messages in one file")
    items: list[Item] = []
    exchanges = []
    for message in messages:
        exchange = read_header(message.header, context, notes)
        exchanges.append(exchange)
        for item in _message(message, exchange):
            items.append(item.model_copy(update={"id": item_id(content, len(items))}))
    first = exchanges[0]
    return Reading(
        items=tuple(items),
        findings=notes.findings,
        unread=notes.unread,
        control_id=first.control_id,
        message_type=first.kind or None,
        charset=decoded.charset,
        test=first.test,
    )


def _message(message: Message, exchange: Exchange) -> list[Item]:
    notes = exchange.notes
    tree = plant(message, notes)
    items: list[Item] = []
    match exchange.kind:
        case "ORU":
            items = _reports(tree, exchange)
        case "ADM":
            items = list(read_admissions(tree, exchange))
            if not items:
                notes.error("hprim.patient.missing", tree.header.address, "admission data without a segment P")
        case "ERR":
            read_answer(tree, exchange)
        case _:
            text = "this context is neither results, admission data nor an answer: nothing is read from it"
            notes.warning("hprim.context.unsupported", tree.header.where(6), text)
    _leave_unused(tree, notes)
    return items


def _reports(tree: Tree, exchange: Exchange) -> list[Item]:
    notes = exchange.notes
    items: list[Item] = []
    for item, known in read_reports(tree, exchange):
        if known:
            items.append(item)
        else:
            message = "results without a segment P before them: nobody knows whose they are"
            notes.error("hprim.patient.missing", item.source.where, message)
    if not tree.patients:
        notes.error("hprim.patient.missing", tree.header.address, "results without a segment P")
    elif not any(patient.orders for patient in tree.patients):
        notes.error("hprim.order.missing", tree.header.address, "results without a segment OBR")
    return items


def _leave_unused(tree: Tree, notes: Notes) -> None:
    """Note what no Item took: fields that were not read, segments of nobody's results, lines that are no segment."""
    for patient in tree.patients:
        for segment in segments_of(patient) if patient.p is None else ():
            segment.used.clear()
    for segment in tree.message.segments:
        if segment is not tree.message.cut:
            segment.leave_unused(notes)
    for number, text in tree.message.strange:
        notes.leave(f"line {number}", text)
