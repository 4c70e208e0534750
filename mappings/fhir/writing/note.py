"""A note: Communication, with its text and files as payload, in the thread that it belongs to."""

from __future__ import annotations

from urllib.parse import quote

from mappings.fhir import systems
from mappings.fhir.writing.actors import professional, put_recipients, put_sender
from mappings.fhir.writing.bundle import BundleBuilder, Resource, token
from mappings.fhir.writing.datatypes import coding, concept, extend, extension, put_date_time
from mappings.fhir.writing.files import attachment
from mappings.fhir.writing.patient import patient
from schemas.finding import Severity
from schemas.identity_status import ins_usable
from schemas.item import NoteItem
from schemas.mailboxes import is_patient_address, matricule_of


def write_note(builder: BundleBuilder, item: NoteItem) -> None:
    """Add the Communication and what it mentions to the Bundle."""
    note = item.content
    out: Resource = {"resourceType": "Communication"}
    key = None
    if note.note_id:
        number = number_of(builder, note.note_id)
        out["identifier"] = [number]
        key = token(str(number["system"]), str(number["value"]))
    if note.thread:
        out["partOf"] = [_entry(builder, note.thread)]
    if note.in_reply_to:
        out["inResponseTo"] = [_entry(builder, note.in_reply_to)]
    out["status"] = "entered-in-error" if note.withdrawn else "completed"
    if note.type is not None:
        out["category"] = [concept((note.type,), None, builder)]
    if note.urgent is not None:
        out["priority"] = "urgent" if note.urgent else "routine"
    out["subject"] = patient(builder, item.patient, item.id)
    if note.subject:
        out["topic"] = {"text": note.subject}
    put_date_time(out, "sent", note.sent_at, builder.zone)
    who = professional(builder, item.author, out) if item.author is not None else {}
    if who:
        out["sender"] = who
    payload: list[Resource] = [{"contentString": note.text}] if note.text else []
    payload += [{"contentAttachment": attachment(builder, one, "content.attachments")} for one in note.attachments]
    if payload:
        out["payload"] = payload
    if note.visibility:
        out["meta"] = {"security": [coding(one, builder) for one in note.visibility]}
    put_sender(builder, item.sender, None, out)
    put_recipients(builder, item.recipients, out)
    _put_extensions(out, builder, item)
    builder.put(out, f"note|{builder.sender}|{key or item.id}", key)


def number_of(builder: BundleBuilder, number: str) -> Resource:
    """Write the number of a note as an identifier."""
    if "@" in number:  # a Message-ID is unique in the world: whoever answers it refers to it by the same URL (RFC 2392)
        return {"system": systems.URI, "value": f"mid:{quote(number, safe='@')}"}
    system, value = systems.document_number_out(number, builder.sender)
    return {"system": system, "value": value}


def _entry(builder: BundleBuilder, number: str) -> Resource:
    """Refer to another entry by its number: the receiver may not have it."""
    return {"type": "Communication", "identifier": number_of(builder, number)}


def _put_extensions(out: Resource, builder: BundleBuilder, item: NoteItem) -> None:
    """Write what Communication has no element for: the envelope of a mail, its wish for no answer, a correction."""
    note = item.content
    for name, address in (("sender-address", note.sender_address), ("reply-to", note.reply_to)):
        if address and _may_leave(address, item):
            extend(out, extension(name, "valueString", address))
        elif address:
            builder.note(
                Severity.WARNING,
                "fhir.ins.withheld",
                f"content.{name.replace('-', '_')}",
                "a patient's address holds an INS, and this patient's may not leave: the address was left out",
            )
    if note.sender_name:
        extend(out, extension("sender-name", "valueString", note.sender_name))
    if note.closed:
        extend(out, {"url": systems.OUR_EXT + "closed", "valueBoolean": True})
    if item.replaces:
        extend(out, extension("replaces", "valueString", item.replaces))
    if item.occurred_at and item.occurred_at != note.sent_at:
        occurred: Resource = {"url": systems.OUR_EXT + "occurred"}
        put_date_time(occurred, "valueDateTime", item.occurred_at, builder.zone)
        extend(out, occurred)


def _may_leave(address: str, item: NoteItem) -> bool:
    if not is_patient_address(address):
        return True
    patient = item.patient
    known = patient.ins is not None and patient.ins.matricule == matricule_of(address)
    return known and ins_usable(patient.status, patient.attributes)
