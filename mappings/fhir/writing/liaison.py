"""A note as the ANS's "cahier de liaison" has it: DocumentReference (CDL cdl-document-reference), not Communication."""

from __future__ import annotations

import base64

from mappings.fhir import systems
from mappings.fhir.writing.actors import organization, professional, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource, token
from mappings.fhir.writing.datatypes import concept, extend, extension, put_instant
from mappings.fhir.writing.files import attachment
from mappings.fhir.writing.note import number_of
from mappings.fhir.writing.patient import patient
from schemas.coding import Coding
from schemas.item import NoteItem

_GENERAL = Coding(system=systems.NOTE_TYPES, code="GEN")


def write_liaison_note(builder: BundleBuilder, item: NoteItem) -> None:
    """Add the DocumentReference and what it mentions to the Bundle."""
    note = item.content
    out: Resource = {"resourceType": "DocumentReference", "meta": {"profile": [systems.LIAISON_NOTE]}}
    key = None
    if note.note_id:
        number = number_of(builder, note.note_id)
        out["masterIdentifier"] = number
        key = token(str(number["system"]), str(number["value"]))
    out["status"] = "entered-in-error" if note.withdrawn else "current"
    out["type"] = concept((note.type or _GENERAL,), None, builder)
    out["subject"] = patient(builder, item.patient, item.id)
    put_instant(out, "date", note.sent_at, builder.zone)
    out["author"] = [_author(builder, item, out)]
    relations: list[Resource] = []
    for code, related in (("appends", note.in_reply_to), ("replaces", item.replaces)):
        if related:
            target = {"type": "DocumentReference", "identifier": number_of(builder, related)}
            relations.append({"code": code, "target": target})
    if relations:
        out["relatesTo"] = relations
    if note.subject:
        out["description"] = note.subject
    if note.visibility:
        out["securityLabel"] = [concept((note.visibility[0],), None, builder)]
        if len(note.visibility) > 1:
            builder.not_carried("content.visibility", "a note of the liaison booklet has one visibility")
    contents: list[Resource] = []
    if note.text or not note.attachments:
        words = base64.b64encode((note.text or note.subject or "").encode()).decode()
        contents.append({"attachment": {"contentType": "text/plain; charset=utf-8", "data": words}})
    contents += [{"attachment": attachment(builder, one, "content.attachments")} for one in note.attachments]
    out["content"] = contents
    if note.urgent is not None:
        extend(out, {"url": systems.NOTE_IS_URGENT, "valueBoolean": note.urgent})
    if note.thread:
        extend(out, extension("thread", "valueString", note.thread))
    put_sender(builder, item.sender, None, out)
    put_recipients(builder, item.recipients, out)
    builder.put(out, f"note|{builder.sender}|{key or item.id}", key)


def _author(builder: BundleBuilder, item: NoteItem, out: Resource) -> Resource:
    """Give who wrote it: the guide wants somebody, be it no more than the name that the sender gave."""
    if item.author is not None and (who := professional(builder, item.author, out)):
        return who
    if item.sender is not None and (where := organization(builder, item.sender, out)):
        return where
    return {"display": item.content.sender_name or "auteur non précisé"}
