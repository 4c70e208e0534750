"""Notes of a "cahier de liaison" from FHIR: DocumentReference after the ANS's guide (CDL cdl-document-reference)."""

from __future__ import annotations

import base64
import binascii

from mappings.fhir import systems
from mappings.fhir.reading.actors import read_recipients, read_sender
from mappings.fhir.reading.datatypes import read_concept, read_identifier, read_one_code
from mappings.fhir.reading.document_actors import read_authors
from mappings.fhir.reading.files import attach, check_hash, read_attachment
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


def is_liaison_note(node: Node) -> bool:
    """Tell a note from a document: by the profile that it claims, else by the code system of its type."""
    meta = child(node, "meta") or {}
    profiles = meta.get("profile")
    if isinstance(profiles, list) and systems.LIAISON_NOTE in profiles:
        return True
    return any(
        said(one, "system") in systems.NOTE_TYPE_SYSTEMS for one in children(child(node, "type") or {}, "coding")
    )


def read_liaison_note(entry: Entry, source: Source) -> NoteItem:
    """Read a note; its first plain text is the text, what else it holds are files."""
    node = entry.resource
    entry.read = True
    status = take_text(node, "status")
    urgent = take_extension(node, systems.NOTE_IS_URGENT)
    author, organization, _ = read_authors(node, source)
    text, files = _contents(node, source, entry.where)
    answered, replaced = _relation(node, "appends"), _relation(node, "replaces")
    sent = take_moment(node, "date")
    note = LiaisonNote(
        note_id=_number(node),
        thread=take_own_text(node, "thread"),
        in_reply_to=answered,
        type=read_one_code(child(node, "type"), source),
        subject=take_text(node, "description"),
        text=text,
        sent_at=sent,
        urgent=take_flag(urgent, "valueBoolean") if urgent is not None else None,
        visibility=tuple(code for one in children(node, "securityLabel") for code in read_concept(one, source)[0]),
        withdrawn=status == _WITHDRAWN,
        attachments=files,
    )
    return NoteItem(
        id="",
        occurred_at=sent,
        replaces=replaced,
        patient=read_patient(child(node, "subject"), node, source, entry.where),
        sender=read_sender(node, organization, source) or organization,
        author=author,
        recipients=read_recipients(node, source),
        content=note,
        source=Provenance(format="fhir", where=entry.where),
    )


def _number(node: Node) -> str | None:
    for one in [*children(node, "masterIdentifier"), *children(node, "identifier")]:
        system = said(one, "system") or None
        number = read_identifier(one)
        if number is not None:
            return systems.document_number_in(system, number.value)
    return None


def _relation(node: Node, code: str) -> str | None:
    """Give the number (else the reference) of the note that this one answers or replaces."""
    for one in children(node, "relatesTo"):
        if said(one, "code") == code:
            target = child(one, "target") or {}
            logical = child(target, "identifier")
            system = said(logical, "system") or None if logical is not None else None
            number = read_identifier(logical) if logical is not None else None
            forget(one, "code")
            forget(target, "type", "display")
            return systems.document_number_in(system, number.value) if number else take_text(target, "reference")
    return None


def _contents(node: Node, source: Source, where: str) -> tuple[str | None, tuple[Attachment, ...]]:
    text: str | None = None
    files: list[Attachment] = []
    for rank, content in enumerate(children(node, "content")):
        form = child(content, "attachment") or {}
        if said(form, "creation") == said(node, "date"):
            forget(form, "creation")
        attach(form, node, source)
        check_hash(form, f"{where}.content[{rank}]", source)
        words = _words(form) if text is None else None
        if words is not None:
            text = words
            forget(form, "data", "contentType", "language", "title", "size", "hash")
            continue
        file = read_attachment(form)
        if file is not None:
            files.append(file)
    return text, tuple(files)


def _words(form: Node) -> str | None:
    if not said(form, "contentType").startswith("text/plain") or not said(form, "data"):
        return None
    try:
        return base64.b64decode(said(form, "data"), validate=True).decode()
    except (binascii.Error, ValueError):
        return None  # not text in UTF-8 after all: it is kept as a file, as it was sent
