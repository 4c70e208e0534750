"""Canonical documents to XDS metadata: one place for XDM, MSSanté and the DMP.

What a CDA header states gives most of it; the rest comes from tables (classCode), from the sender's wishes (visibility
codes) and from the bytes (hash, size). Nothing is made up: metadata that XDS wants and nobody gave is left out, with a
Finding that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from zoneinfo import ZoneInfo

from mappings.cda.oids import CONFIDENTIALITY_OID
from mappings.contracts import WriteContext
from mappings.notes import Notes
from mappings.xds import datatypes, vocabulary
from mappings.xds.identities import oid_of, source_id_of, unique_id_of
from mappings.xds.model import Association, Code, DocumentEntry, Slots, Submission, SubmissionSet, metadata_name
from mappings.xds.people import document_authors, patient_id, source_patient_id, source_patient_info, write_person
from schemas.actors import Recipient
from schemas.coding import Coding
from schemas.document import Document, Wishes
from schemas.identity import PatientIdentity

ORIGINAL: Slots = (("SubmissionSetStatus", ("Original",)),)
LONGEST_VALUE = 256
"""Characters of a slot's value (rim:LongName)."""
LONGEST_TEXT = 1024
"""Characters of a title, a comment or a label (rim:FreeFormText)."""

_EXPECTED = (
    "patient_id",
    "type_code",
    "class_code",
    "format_code",
    "practice_setting_code",
    "healthcare_facility_type_code",
    "title",
    "creation_time",
    "service_start_time",
    "authors",
    "legal_authenticator",
    "source_patient_id",
)
_VISIBILITY = {
    "masked_to_professionals": "MASQUE_PS",
    "hidden_from_patient": "INVISIBLE_PATIENT",
    "hidden_from_representatives": "INVISIBLE_REPRESENTANTS_LEGAUX",
}


@dataclass(frozen=True, slots=True)
class Carried:
    """A document with the bytes that travel: their hash and size are its metadata's. `uri` is a file name in XDM."""

    document: Document
    patient: PatientIdentity
    content: bytes
    media_type: str = "text/xml"
    uri: str | None = None
    entry_uuid: str = "Document01"
    unique_id: str | None = None
    extra: Slots = ()


def document_entry(carried: Carried, zone: ZoneInfo, notes: Notes) -> DocumentEntry:
    """Make the DocumentEntry of a document."""
    document, patient, where = carried.document, carried.patient, carried.entry_uuid
    entry = DocumentEntry(
        entry_uuid=where,
        unique_id=carried.unique_id or _unique_id(document, carried.content, where, notes),
        mime_type=carried.media_type,
        patient_id=patient_id(patient),
        type_code=_labelled(document.type),
        class_code=_class_code(document),
        format_code=vocabulary.code_of(document.format) if document.format else vocabulary.OUTSIDE_PROFILES,
        practice_setting_code=_known("practice_setting", document.practice_setting),
        healthcare_facility_type_code=_code(document.facility_type),
        confidentiality_codes=confidentiality_codes(document),
        event_codes=tuple(vocabulary.code_of(code) for code in document.event_codes),
        title=_short(document.title, f"{where} title", notes),
        comments=_short(document.comment, f"{where} comments", notes),
        language_code=document.language or "fr-FR",
        creation_time=datatypes.write_time(document.created_at, zone),
        service_start_time=datatypes.write_time(document.period_start, zone),
        service_stop_time=datatypes.write_time(document.period_end, zone),
        authors=document_authors(document),
        legal_authenticator=write_person(document.legal_authenticator),
        source_patient_id=source_patient_id(patient),
        source_patient_info=source_patient_info(patient),
        hash=sha1(carried.content, usedforsecurity=False).hexdigest(),
        size=len(carried.content),
        uri=carried.uri,
        extra=carried.extra,
    )
    _check(entry, patient, notes)
    return entry


def submission_set(
    entries: Iterable[DocumentEntry],
    carried: Carried,
    context: WriteContext,
    notes: Notes,
    *,
    recipients: tuple[Recipient, ...] = (),
    extra: Slots = (),
) -> SubmissionSet:
    """Make the submission set of documents of one patient; `carried` is the first, who submits is its author.

    Its uniqueId follows from the identity of the writing, so that a resend is the same submission. Options:
    `source_id`, the OID of this installation (by default one made of the custodian's number); `content_type`, the
    contentTypeCode.
    """
    document = carried.document
    encounter = document.encounter_type.code if document.encounter_type else None
    wanted = context.options.get("content_type")
    written = (datatypes.write_recipient(one) for one in recipients)
    return SubmissionSet(
        entry_uuid="SubmissionSet01",
        unique_id=oid_of("submission", context.identity),
        source_id=context.options.get("source_id") or _source_id(document, notes),
        patient_id=next((entry.patient_id for entry in entries if entry.patient_id), None),
        submission_time=datatypes.write_time(context.now.isoformat(timespec="seconds"), context.timezone),
        content_type_code=vocabulary.content_type(wanted)
        if wanted
        else vocabulary.content_type_of_encounter(encounter),
        title=_short(document.title, "SubmissionSet title", notes),
        authors=document_authors(document)[:1],
        intended_recipients=tuple(dict.fromkeys(text for text in written if text)),
        extra=extra,
    )


def submission(
    lot: SubmissionSet, entries: Iterable[DocumentEntry], replaced: Mapping[str, str] | None = None
) -> Submission:
    """Relate documents to their submission set, and to the entry UUID of what each replaces (`replaced`, by entry)."""
    entries = tuple(entries)
    links = [(vocabulary.HAS_MEMBER, lot.entry_uuid, entry.entry_uuid, ORIGINAL) for entry in entries]
    links += [(vocabulary.REPLACES, source, target, ORIGINAL) for source, target in (replaced or {}).items()]
    associations = (
        Association(f"as{rank:02d}", kind, source, target, slots)
        for rank, (kind, source, target, slots) in enumerate(links, 1)
    )
    return Submission(submission_set=lot, entries=entries, associations=tuple(associations))


# --- codes


def confidentiality_codes(document: Document) -> tuple[Code, ...]:
    """Give the confidentiality (Normal where nothing is said), then the visibility codes that the sender wishes."""
    codes = [_known("confidentiality", code) for code in document.confidentiality]
    found = [code for code in codes if code is not None]
    if not any(code.scheme == CONFIDENTIALITY_OID for code in found):
        found.insert(0, vocabulary.known_code("confidentiality", "N") or Code("N", CONFIDENTIALITY_OID))
    found += _wished(document.wishes)
    return tuple(
        {code.code: code for code in reversed(found)}[code] for code in dict.fromkeys(one.code for one in found)
    )


def _wished(wishes: Wishes | None) -> list[Code]:
    asked = (code for field, code in _VISIBILITY.items() if wishes is not None and getattr(wishes, field))
    known = (vocabulary.known_code("confidentiality", code) for code in asked)
    return [code for code in known if code is not None]


def _class_code(document: Document) -> Code | None:
    derived = vocabulary.class_of_type(document.type.code) if document.type else None
    return derived or _code(document.category)


def _labelled(coding: Coding | None) -> Code | None:
    """Write a document's type, with its official label where the sender gave none."""
    if coding is None:
        return None
    code = vocabulary.code_of(coding)
    return code if code.label else Code(code.code, code.scheme, vocabulary.type_label(code.code))


def _known(value_set: str, coding: Coding | None) -> Code | None:
    """Write a code of a national value set, with its official system and label where the sender gave none."""
    if coding is None:
        return None
    official = vocabulary.known_code(value_set, coding.code)
    if official is not None and coding.system is None:
        return official
    code = vocabulary.code_of(coding)
    return Code(code.code, code.scheme, code.label or (official.label if official else None))


def _code(coding: Coding | None) -> Code | None:
    return vocabulary.code_of(coding) if coding is not None else None


# --- identities and limits


def _unique_id(document: Document, content: bytes, where: str, notes: Notes) -> str:
    """Give the document's own id when it is one that XDS accepts, else one made of it or of its bytes."""
    own = unique_id_of(document.document_id)
    if own is not None:
        return own
    notes.warning("xds.unique_id.made", f"{where} uniqueId", "the document has no OID of its own: one was made for it")
    return oid_of("document", document.document_id or sha1(content, usedforsecurity=False).hexdigest())


def _source_id(document: Document, notes: Notes) -> str:
    made, arbitrary = source_id_of(document.custodian or document.author_organization)
    if arbitrary:
        notes.info("xds.source_id.made", "SubmissionSet sourceId", "no source_id is set: one was made of the custodian")
    return made


def _short(text: str | None, where: str, notes: Notes) -> str | None:
    if text is None or len(text) <= LONGEST_TEXT:
        return text
    notes.warning("xds.too_long", where, f"this text is cut at {LONGEST_TEXT} characters")
    return text[:LONGEST_TEXT]


def _check(entry: DocumentEntry, patient: PatientIdentity, notes: Notes) -> None:
    for name in _EXPECTED:
        if not getattr(entry, name):
            notes.warning(
                "xds.missing",
                f"{entry.entry_uuid} {metadata_name(name)}",
                "XDS wants this metadata and nothing gives it",
            )
    if entry.patient_id and patient.ins is None:
        notes.warning(
            "xds.patient_id.local",
            f"{entry.entry_uuid} patientId",
            "there is no usable INS: a local identifier stands in",
        )
    texts = [entry.legal_authenticator, entry.patient_id, entry.source_patient_id, *entry.source_patient_info]
    texts += [value for author in entry.authors for value in (author.person, *author.institutions)]
    if any(text is not None and len(text) > LONGEST_VALUE for text in texts):
        notes.warning("xds.too_long", entry.entry_uuid, f"a value is longer than {LONGEST_VALUE} characters")
