"""Items into HPRIM Médecin (hprim 2.6): a laboratory report with its coded lines, or a letter in plain text."""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Iterable

from mappings.carried import note_lost
from mappings.charsets import encode
from mappings.contracts import FormatError, Rendition, WriteContext, WriteRefused
from mappings.french_time import write_day
from mappings.hprim_medecin.block import coded_lines
from mappings.hprim_medecin.header import CODE_COLUMNS
from mappings.hprim_medecin.layout import Line
from mappings.hprim_medecin.render import fold, professional_name, render
from mappings.notes import Notes
from mappings.plain_text import has_entities, squeezed, without_controls
from mappings.safe_names import extension_of, safe_stem
from schemas.actors import Organization, Recipient
from schemas.attachment import Attachment
from schemas.coding import Identifier
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, Item, LabReportItem

MEDIA_TYPE = "application/x-hprim-med"
NAME = "HPRIM Médecin"
LOST = {
    "patient.ins": "an INS: line 8 is the number of the insured person",
    "patient.sex": "the patient's sex",
    "patient.birth_place": "a birth place",
    "patient.birth_place_name": "a birth place",
    "patient.telecoms": "the patient's telephone or mail",
    "patient.civility": "a civility",
    "patient.marital_status": "a marital status",
    "patient.deceased_at": "a death",
    "author": "an author",
    "report.title": "a title, but in its text",
    "report.codes": "codes of the report",
    "report.order_id": "the number of the order, but in its text",
    "report.collected_until": "the end of sampling",
    "report.received_at": "the time of reception, but in its text",
    "report.prescriber": "the prescriber, but in its text",
    "report.validated_by": "who validated, but in its text",
    "report.visit": "the hospital stay",
    "report.specimens": "specimens, but in its text",
    "chapter.codes": "codes of chapters",
    "chapter.section": "the section of a chapter",
    "chapter.status": "the status of a chapter",
    "chapter.parent": "the result that a chapter details",
    "chapter.chapters": "chapters inside chapters: they follow one another",
    "observation.sub_id": "sub-identifiers of results",
    "observation.codes": "more than one code of a result: the sender's own is written",
    "observation.flags": "more than one flag of a result",
    "observation.value.codes": "the codes of coded results: their text is written",
    "observation.effective_at": "the time of each result",
    "observation.issued_at": "the time of each result",
    "observation.method": "methods",
    "observation.specimen": "the specimen of each result",
    "observation.previous": "earlier results, but in its text",
    "observation.performer": "who made each result",
    "observation.validated_by": "who validated each result",
    "observation.access": "access rights of results",
}


def write(item: Item, context: WriteContext) -> Rendition:
    """Write one report as a file of its own, in Windows-1252 unless `context.charset` says otherwise.

    Raises WriteRefused for a kind that is neither a laboratory report nor a document in plain text.
    """
    notes = Notes()
    if isinstance(item, LabReportItem):
        note_lost(item, LOST, NAME, notes)
        report = item.content
        text = report.text.split("\n") if report.text else render(report, context.timezone)
        coded = coded_lines(report, context.timezone, notes)
        dates = (report.collected_at, report.issued_at, item.occurred_at)
        header = _header(item, report.report_id, dates, report.laboratory, context, notes)
        attachments = report.attachments
    elif isinstance(item, DocumentItem):
        letter, attachments = _letter(item)
        text, coded = letter.split("\n"), []
        document = item.content
        dates = (document.created_at, item.occurred_at, document.period_end)
        identity = document.report_id or document.document_id
        header = _header(item, identity, dates, document.author_organization, context, notes)
    else:
        raise WriteRefused("hprim.kind", "kind", f"{NAME} carries laboratory reports and letters, not {item.kind}")
    stem = safe_stem(context.identity)
    beside = _beside(attachments, stem, notes)
    lines = [*header, "", *_text(text, notes)]
    if coded:
        lines += ["****LAB****", *coded]
    lines += ["****FIN****", "****FINFICHIER****", ""]
    content = _encoded("\r\n".join(lines), context.charset or "cp1252", notes)
    return Rendition(content, MEDIA_TYPE, f"{stem}.hpm", notes.findings, beside)


def _encoded(text: str, charset: str, notes: Notes) -> bytes:
    try:
        codecs.lookup(charset)
    except LookupError:
        raise FormatError("hprim.charset.unknown", "", f"there is no charset named {charset!r}") from None
    content, spelled = encode(text, charset)
    if spelled:
        message = f"{len(spelled)} characters that {charset} lacks are spelled otherwise"
        notes.warning("hprim.write.transliterated", "content", message)
    return content


def _header(
    item: Item,
    report_id: str | None,
    dates: Iterable[str | None],
    laboratory: Organization | None,
    context: WriteContext,
    notes: Notes,
) -> list[str]:
    """Write the twelve lines; one without content is empty, but for the first, whose `.` holds the others in place."""
    patient, sender = item.patient, item.sender or laboratory
    address = next(iter(patient.addresses), None)
    street = (*(address.lines if address else ()), "", "")
    place = " ".join(part for part in (address.postal_code, address.city) if part) if address else ""
    if len(street) > 4:
        notes.warning("hprim.write.not_carried", "patient.addresses", f"{NAME} carries two lines of an address")
    if len(item.recipients) > 1:
        notes.info("hprim.write.not_carried", "recipients", f"{NAME} names one recipient: the first is written")
    day = next((date for date in dates if date), context.now.astimezone(context.timezone).date().isoformat())
    family, given = _names(patient, notes)
    lines = [
        _patient_code(patient, sender, notes),
        family,
        given,
        street[0],
        street[1],
        place,
        _birth_date(patient, context, notes),
        _insured_number(patient),
        report_id or "",
        write_day(day, context.timezone),
        _code_and_name("line 11", _codes(sender), sender.name if sender else None, notes),
        _recipient(next(iter(item.recipients), None), notes),
    ]
    written = [squeezed_line(line) for line in lines]
    return ["." if Line(1, 0, written[0]).blank else written[0], *written[1:]]


def squeezed_line(text: str) -> str:
    """Make one header line of a text: no control characters, no line ends; padding of lines 11 and 12 stays."""
    line = without_controls(text.replace("\n", " ").replace("\t", " ")).rstrip()
    if has_entities(line):
        line = line.replace("&", "&amp;")
    return f"{line} ." if Line(0, 0, line).tag or Line(0, 0, line).is_record else line


def _names(patient: PatientIdentity, notes: Notes) -> tuple[str, str]:
    """Line 2 says nothing of the kind of name: the one of daily life goes first, as laboratories write it."""
    family = patient.used_name or patient.family_name or patient.birth_name or ""
    if not family:
        notes.warning("hprim.write.missing", "line 2", "no family name: nobody can tell whose report it is")
    birth_given = (patient.first_given_name, *patient.birth_given_names)
    given = patient.used_given_name or patient.given_name or next((name for name in birth_given if name), "")
    if patient.birth_name and patient.birth_name != family:
        notes.warning("hprim.write.not_carried", "patient.birth_name", f"{NAME} carries one family name")
    if any(name and name != given for name in birth_given):
        notes.info("hprim.write.not_carried", "patient.birth_given_names", f"{NAME} carries one given name")
    return family, given


def _patient_code(patient: PatientIdentity, sender: Organization | None, notes: Notes) -> str:
    """Line 1: the patient's number at the sender, else the first number that a hospital or laboratory gave."""
    local = [one for one in patient.identifiers if one.type in {None, "PI", "MR"}]
    if len(local) > 1:
        notes.info("hprim.write.not_carried", "patient.identifiers", f"{NAME} carries one patient number")
    own = sender.name if sender else None
    return next((one.value for one in sorted(local, key=lambda one: one.assigner != own)), "")


def _birth_date(patient: PatientIdentity, context: WriteContext, notes: Notes) -> str:
    if patient.birth_date is None:
        notes.warning("hprim.write.missing", "line 7", "no birth date: many receivers refuse the report")
        return ""
    if len(patient.birth_date) < 10:
        notes.warning("hprim.write.partial_date", "line 7", "an incomplete birth date is written with zeros")
    return write_day(patient.birth_date, context.timezone)


def _insured_number(patient: PatientIdentity) -> str:
    number = next((one.value for one in patient.identifiers if one.type == "SB"), "")
    return f"{number[:13]} {number[13:]}".rstrip() if len(number) == 15 else number


def _codes(who: Organization | None) -> tuple[Identifier, ...]:
    return who.identifiers if who else ()


def _recipient(recipient: Recipient | None, notes: Notes) -> str:
    if recipient is None:
        return ""
    person, place = recipient.professional, recipient.organization
    name = professional_name(person) or (place.name if place else None)
    codes = person.identifiers if person else place.identifiers if place else ()
    return _code_and_name("line 12", codes, name, notes)


def _code_and_name(where: str, codes: Iterable[Identifier], name: str | None, notes: Notes) -> str:
    """Write a code in ten columns, a blank, a name; a code that is longer cannot be written."""
    values = [one.value.strip() for one in codes]
    code = next((value for value in values if 0 < len(value) <= CODE_COLUMNS and " " not in value), "")
    if values and not code:
        notes.warning(
            "hprim.write.not_carried", where, "the code does not fit in ten columns: the name alone is written"
        )
    if not (code or name):
        return ""
    return f"{code or '.':<{CODE_COLUMNS}} {squeezed(name or '_')}"


def _text(lines: Iterable[str], notes: Notes) -> Iterable[str]:
    """Fold long lines, and make sure that none can be taken for a tag or a coded line."""
    for line in lines:
        for part in fold(without_controls(line.expandtabs())):
            safe = part
            probe = Line(0, 0, part)
            if probe.tag or probe.is_record:
                safe = part.replace("|", "/").replace("****", "*** ")
                notes.warning(
                    "hprim.write.replaced", "text", "a line that looked like a tag or a coded line was changed"
                )
            yield safe.replace("&", "&amp;") if has_entities(safe) else safe


def _letter(item: DocumentItem) -> tuple[str, tuple[Attachment, ...]]:
    """Take the document's text and the files that go beside it; raises WriteRefused when there is no text."""
    texts: list[str] = []
    others: list[Attachment] = []
    for attachment in item.content.attachments:
        kind, _, parameters = attachment.media_type.partition(";")
        if kind.strip() != "text/plain" or attachment.data is None:
            others.append(attachment)
            continue
        charset = parameters.partition("charset=")[2].strip(' "') or "utf-8"
        try:
            texts.append(base64.b64decode(attachment.data, validate=True).decode(charset, "replace"))
        except (LookupError, binascii.Error):
            others.append(attachment)
    if not texts:
        raise WriteRefused("hprim.document.no_text", "attachments", f"{NAME} carries documents in plain text only")
    return "\n\n".join(text.replace("\r\n", "\n").replace("\r", "\n").strip("\n") for text in texts), tuple(others)


def _beside(attachments: Iterable[Attachment], stem: str, notes: Notes) -> dict[str, bytes]:
    """Name the files that travel beside the report: nothing in it can refer to them (hprim 8)."""
    files: dict[str, bytes] = {}
    for number, attachment in enumerate(attachments, 1):
        where = f"attachments[{number}]"
        if attachment.data is None:
            notes.error("hprim.write.attachment_missing", where, "the bytes of the attachment are not at hand")
            continue
        try:
            content = base64.b64decode(attachment.data, validate=True)
        except binascii.Error:
            notes.error("hprim.write.attachment_missing", where, "the attachment is not valid base64")
            continue
        files[f"{stem}-{number}.{extension_of(attachment.media_type, attachment.filename)}"] = content
        notes.info("hprim.write.attachment_beside", where, f"{NAME} cannot refer to a file: it goes beside the report")
    return files
