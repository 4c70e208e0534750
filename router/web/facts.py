"""A canonical Item as named facts: the patient, the report, the stay, the document, without what was not sent."""

from __future__ import annotations

from collections.abc import Iterator

from router.web.actors import coding, identifier, organization, professional, recipient, telecoms
from router.web.document_facts import document_details
from router.web.formatting import Formats
from schemas.appointment import Appointment
from schemas.document import Document
from schemas.identity import PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.item import Item
from schemas.lab import LabReport
from schemas.note import LiaisonNote
from schemas.receipt import Receipt
from schemas.stay import Stay
from schemas.task import Task

Fact = tuple[str, str]
"""The key of a label (`fact.<key>`) and what to show."""


def patient_facts(patient: PatientIdentity, formats: Formats) -> list[Fact]:
    """Give who it is about."""
    word = formats.texts.word
    given = patient.first_given_name or patient.used_given_name or patient.given_name
    facts: list[tuple[str, str | None]] = [
        ("birth_name", patient.birth_name),
        ("used_name", patient.used_name),
        ("family_name", patient.family_name),
        ("given_names", " ".join(patient.birth_given_names) or given),
        ("birth_date", formats.partial(patient.birth_date)),
        ("sex", str(word("sex", patient.sex.value)) if patient.sex is not None else None),
        ("birth_place", " ".join(part for part in (patient.birth_place_name, patient.birth_place) if part)),
        ("ins", f"{patient.ins.matricule} ({patient.ins.oid})" if patient.ins is not None else None),
        ("identity_status", str(word("identity_status", patient.status.value)) if patient.status is not None else None),
        ("identity_attributes", ", ".join(str(word("identity_attribute", one.value)) for one in patient.attributes)),
        ("identifiers", ", ".join(identifier(one) for one in patient.identifiers)),
        ("deceased", formats.partial(patient.deceased_at) or ("✓" if patient.deceased else None)),
        ("telecoms", ", ".join(telecom.value for telecom in patient.telecoms)),
        ("addresses", " / ".join(" ".join((*one.lines, one.postal_code or "", one.city or "")).strip()
                                 for one in patient.addresses)),
        ("general_practitioner", professional(patient.general_practitioner)),
    ]  # fmt: skip
    return [(key, value) for key, value in facts if value]


def item_facts(item: Item, formats: Formats) -> list[Fact]:
    """Give what the Item is, whatever its kind, then what its kind adds."""
    facts: list[tuple[str, str | None]] = [
        ("occurred_at", formats.partial(item.occurred_at)),
        ("sender", organization(item.sender)),
        ("author", professional(item.author)),
        ("recipients", ", ".join(recipient(one) for one in item.recipients)),
        ("replaces", item.replaces),
        ("where", item.source.where),
    ]  # fmt: skip
    if isinstance(item.content, Document):  # the card says the rest
        facts = [fact for fact in facts if fact[0] not in {"author", "recipients", "replaces"}]
    facts += _content(item, formats)
    return [(key, value) for key, value in facts if value]


def _content(item: Item, formats: Formats) -> Iterator[tuple[str, str | None]]:
    content = item.content
    if isinstance(content, LabReport):
        yield from _report(content, formats)
    elif isinstance(content, Stay):
        yield from _stay(content, formats)
    elif isinstance(content, IdentityEvent):
        yield from _identity(content, formats)
    elif isinstance(content, Receipt):
        yield from _receipt(content, formats)
    elif isinstance(content, LiaisonNote):
        yield from _note(content, formats)
    elif isinstance(content, Appointment):
        yield from _appointment(content, formats)
    elif isinstance(content, Task):
        yield from _task(content, formats)
    else:
        yield from document_details(content, formats)


def _report(report: LabReport, formats: Formats) -> Iterator[tuple[str, str | None]]:
    yield "report_id", report.report_id
    yield "order_id", report.order_id
    yield "status", str(formats.texts.word("result_status", report.status.value))
    yield "collected_at", formats.partial(report.collected_at)
    yield "received_at", formats.partial(report.received_at)
    yield "issued_at", formats.partial(report.issued_at)
    yield "laboratory", organization(report.laboratory)
    yield "prescriber", professional(report.prescriber)
    yield "validated_by", professional(report.validated_by)
    yield "visit", identifier(report.visit)
    yield "clinical_information", report.clinical_information
    yield "comment", report.comment


def _stay(stay: Stay, formats: Formats) -> Iterator[tuple[str, str | None]]:
    word = formats.texts.word
    yield "event", f"{word('event', stay.event)} ({stay.trigger})"
    yield "status", str(word("stay_status", stay.status.value))
    yield "visit", identifier(stay.visit)
    yield "patient_class", str(word("patient_class", stay.patient_class)) if stay.patient_class else None
    if stay.location is not None:
        place = stay.location
        yield "location", " · ".join(part for part in (place.unit, place.room, place.bed) if part)
    if stay.prior_location is not None:
        place = stay.prior_location
        yield "prior_location", " · ".join(part for part in (place.unit, place.room, place.bed) if part)
    yield "admitted_at", formats.partial(stay.admitted_at)
    yield "discharged_at", formats.partial(stay.discharged_at)
    yield "expected_admission_at", formats.partial(stay.expected_admission_at)
    yield "expected_discharge_at", formats.partial(stay.expected_discharge_at)
    for movement in stay.movements:
        unit = organization(movement.medical_unit) or organization(movement.care_unit)
        parts = (movement.action, formats.partial(movement.start), unit, movement.nature)
        yield "movement", " · ".join(part for part in parts if part)
    yield "reason", coding(stay.reason)
    yield "attending", professional(stay.attending)
    yield "hospital", organization(stay.hospital)
    for contact in stay.contacts:
        name = " ".join(part for part in (contact.given_name, contact.family_name) if part)
        yield "contact", " · ".join(part for part in (name, coding(contact.role), coding(contact.relation)) if part)


def _identity(event: IdentityEvent, formats: Formats) -> Iterator[tuple[str, str | None]]:
    yield "event", f"{formats.texts.word('event', event.event)} ({event.trigger})"
    yield "absorbed", ", ".join(identifier(one) for one in event.absorbed)
    yield "ins_removed", "✓" if event.ins_removed else None


def _receipt(receipt: Receipt, formats: Formats) -> Iterator[tuple[str, str | None]]:
    word = formats.texts.word
    yield "receipt_stage", str(word("receipt_stage", receipt.stage.value if receipt.positive else "refused"))
    yield "receipt_about", receipt.about
    yield "receipt_answer", receipt.answer
    yield "receipt_recipient", professional(receipt.recipient) or telecoms(receipt.recipient)
    yield "receipt_at", formats.partial(receipt.at)
    for error in receipt.errors:
        parts = (coding(error.condition), coding(error.code), error.where, error.text)
        yield "receipt_error", " · ".join(part for part in parts if part)


def _note(note: LiaisonNote, formats: Formats) -> Iterator[tuple[str, str | None]]:
    yield "note_subject", note.subject
    yield "note_type", coding(note.type)
    yield "note_from", " · ".join(part for part in (note.sender_name, note.sender_address) if part)
    yield "note_sent_at", formats.partial(note.sent_at)
    yield "note_text", note.text
    yield "note_in_reply_to", note.in_reply_to
    yield "note_thread", note.thread if note.thread != note.note_id else None
    yield "reply_to", note.reply_to
    yield "note_urgent", "✓" if note.urgent else None
    yield "note_visibility", ", ".join(coding(one) or "" for one in note.visibility)
    yield "note_closed", "✓" if note.closed else None
    yield "note_withdrawn", "✓" if note.withdrawn else None


def _appointment(one: Appointment, formats: Formats) -> Iterator[tuple[str, str | None]]:
    yield "appointment_title", one.title
    yield "appointment_kind", coding(one.kind)
    yield "appointment_state", str(formats.texts.word("appointment_state", one.state.value))
    yield "appointment_starts_at", formats.partial(one.starts_at)
    yield "appointment_ends_at", formats.partial(one.ends_at)
    yield "appointment_place", one.place
    people = [*map(professional, one.professionals), *map(organization, one.organizations)]
    yield "appointment_with", ", ".join(who for who in people if who)
    yield "comment", one.comment


def _task(task: Task, formats: Formats) -> Iterator[tuple[str, str | None]]:
    yield "task_title", task.title
    yield "task_kind", coding(task.kind)
    yield "task_state", str(formats.texts.word("task_state", task.state.value))
    yield "task_reason", task.reason
    yield "task_requester", professional(task.requester) or organization(task.requester_organization)
    yield "task_owner", professional(task.owner) or organization(task.owner_organization)
    yield "task_changed_at", formats.partial(task.changed_at)
    yield "task_due_at", formats.partial(task.due_at)
    yield "task_urgent", "✓" if task.urgent else None
    yield "task_notes", " / ".join(task.notes)
