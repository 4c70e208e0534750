"""Notes from FHIR: a Communication about a patient."""

from __future__ import annotations

from urllib.parse import unquote

from mappings.fhir import systems
from mappings.fhir.reading.actors import read_professional, read_recipients, read_sender
from mappings.fhir.reading.datatypes import read_coding, read_identifier, read_one_code
from mappings.fhir.reading.files import attach, read_attachment
from mappings.fhir.reading.patient import read_patient
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_extension,
    take_flag,
    take_moment,
    take_own_text,
    take_text,
)
from schemas.attachment import Attachment
from schemas.item import NoteItem, Provenance
from schemas.note import LiaisonNote

_WITHDRAWN = "entered-in-error"
_URGENT = {"routine": False, "urgent": True, "asap": True, "stat": True}
_SAID = frozenset({_WITHDRAWN, "completed", "in-progress"})


def read_note(entry: Entry, source: Source) -> NoteItem:
    """Read a Communication; one that was not sent (`not-done`, `stopped`…) keeps its status among what is unread."""
    node = entry.resource
    entry.read = True
    status = said(node, "status")
    if status in _SAID:
        forget(node, "status")
    categories, priority = children(node, "category"), said(node, "priority")
    if priority in _URGENT:
        forget(node, "priority")
    topic, closed = child(node, "topic"), take_extension(node, systems.OUR_EXT + "closed")
    occurred = take_extension(node, systems.OUR_EXT + "occurred")
    text, files = _payload(node, source)
    labels = (read_coding(one, source) for one in children(child(node, "meta") or {}, "security"))
    note = LiaisonNote(
        note_id=_first_number(children(node, "identifier")),
        thread=_entry(children(node, "partOf")),
        in_reply_to=_entry(children(node, "inResponseTo")),
        type=read_one_code(categories[0], source) if categories else None,
        subject=take_text(topic, "text") if topic is not None else None,
        text=text,
        sent_at=take_moment(node, "sent"),
        sender_address=take_own_text(node, "sender-address"),
        sender_name=take_own_text(node, "sender-name"),
        reply_to=take_own_text(node, "reply-to"),
        urgent=_URGENT.get(priority),
        visibility=tuple(one for one in labels if one is not None),
        closed=bool(closed is not None and take_flag(closed, "valueBoolean")),
        withdrawn=status == _WITHDRAWN,
        attachments=files,
    )
    return NoteItem(
        id="",
        occurred_at=(take_moment(occurred, "valueDateTime") if occurred else None) or note.sent_at,
        replaces=take_own_text(node, "replaces"),
        patient=read_patient(child(node, "subject"), node, source, entry.where),
        sender=read_sender(node, None, source),
        author=read_professional(child(node, "sender"), node, source),
        recipients=read_recipients(node, source),
        content=note,
        source=Provenance(format="fhir", where=entry.where),
    )


def _payload(node: Node, source: Source) -> tuple[str | None, tuple[Attachment, ...]]:
    """Read the texts, joined where there are several, and the files."""
    texts: list[str] = []
    files: list[Attachment] = []
    for one in children(node, "payload"):
        text = take_text(one, "contentString")
        if text:
            texts.append(text)
        form = child(one, "contentAttachment")
        if form is not None:
            attach(form, node, source)
            found = read_attachment(form)
            if found is not None:
                files.append(found)
    return "\n\n".join(texts) or None, tuple(files)


def _first_number(identifiers: list[Node]) -> str | None:
    for one in identifiers:
        system = said(one, "system") or None
        number = read_identifier(one)
        if number is not None and number.value.startswith("mid:"):
            return unquote(number.value.removeprefix("mid:"))
        if number is not None:
            return systems.document_number_in(system, number.value)
    return None


def _entry(references: list[Node]) -> str | None:
    """Give the number of the entry referred to; several, or one without a number, stay unread."""
    for one in references:
        logical = child(one, "identifier")
        number = _first_number([logical]) if logical is not None else None
        if number is not None:
            forget(one, "type")
            return number
    return None
