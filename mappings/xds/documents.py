"""XDS metadata back to canonical documents and patients: what a document that does not say it itself is given."""

from __future__ import annotations

from datetime import UTC, datetime

from mappings.cda.oids import code_system_of_oid, is_oid
from mappings.contracts import Environment, ReadContext
from mappings.notes import Notes
from mappings.xds import datatypes, vocabulary
from mappings.xds.model import Author, Code, DocumentEntry, SubmissionSet
from schemas.actors import Organization, Professional
from schemas.coding import Coding, Identifier
from schemas.document import Document, DocumentOperation, Wishes
from schemas.identifiers import (
    InsEnvironment,
    MatriculeVerdict,
    check_matricule,
    ins_authority,
    ins_is_at_home,
)
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex

_SEXES = {"F": Sex.FEMALE, "M": Sex.MALE, "U": Sex.UNKNOWN, "UN": Sex.UNKNOWN, "I": Sex.UNKNOWN}
_HOMES = {Environment.PRODUCTION: InsEnvironment.PRODUCTION, Environment.TEST: InsEnvironment.TEST}
_WISHES = {
    "MASQUE_PS": "masked_to_professionals",
    "INVISIBLE_PATIENT": "hidden_from_patient",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "hidden_from_representatives",
    "INVISIBLE_REP_LEGAUX": "hidden_from_representatives",  # its name in HL7v2, which some senders write here too
}
_OPERATIONS = {"D": DocumentOperation.DELETE, "C": DocumentOperation.REPLACE}
_TRAITS = ("birth_name", "first_given_name", "birth_date")
_FILLED = (
    "category",
    "format",
    "title",
    "language",
    "created_at",
    "author",
    "author_organization",
    "author_role",
    "other_authors",
    "legal_authenticator",
    "confidentiality",
    "event_codes",
    "practice_setting",
    "facility_type",
    "period_start",
    "period_end",
    "comment",
    "type",
    "document_id",
)
"""Fields of a document that its metadata fill where its own header left them empty."""


def patient_of(entry: DocumentEntry | SubmissionSet, context: ReadContext, notes: Notes, where: str) -> PatientIdentity:
    """Read whose document it is.

    The INS is usable when its number verifies, its environment is the reader's, and the traits that must go with it are
    there; otherwise it stays an identifier, with a Finding.
    """
    traits = _traits(entry.source_patient_info, notes, where) if isinstance(entry, DocumentEntry) else {}
    texts = [entry.patient_id, entry.source_patient_id] if isinstance(entry, DocumentEntry) else [entry.patient_id]
    numbers = list(dict.fromkeys(found for text in texts if text and (found := _number(text)) is not None))
    ins: Ins | None = None
    others: list[Identifier] = []
    for number in numbers:
        usable = _usable(number, traits, context, notes, where) if ins is None else None
        if usable is None:
            others.append(number)
        else:
            ins = usable
    if ins is not None:
        traits["status"] = IdentityStatus.QUALIFIED
    return PatientIdentity.model_validate({**traits, "ins": ins, "identifiers": tuple(others)})


def document_of(entry: DocumentEntry) -> Document:
    """Read the metadata of a document that does not say it itself; it has no attachment yet."""
    first, *others = entry.authors or (Author(),)
    role = next(iter(first.roles), None)
    return Document(
        document_id=entry.unique_id,
        operation=_OPERATIONS.get(entry.action or "", DocumentOperation.CREATE),
        type=_coding(entry.type_code),
        category=_coding(entry.class_code),
        format=_coding(entry.format_code),
        title=entry.title,
        language=entry.language_code,
        created_at=_time(entry.creation_time),
        author=person_of(first),
        author_organization=institution_of(first),
        author_role=Coding(code=role, display=role) if role else None,
        other_authors=tuple(found for one in others if (found := person_of(one)) is not None),
        legal_authenticator=datatypes.read_xcn(entry.legal_authenticator) if entry.legal_authenticator else None,
        confidentiality=tuple(
            vocabulary.coding_of(code) for code in entry.confidentiality_codes if code.code not in _WISHES
        ),
        event_codes=tuple(vocabulary.coding_of(code) for code in entry.event_codes),
        practice_setting=_coding(entry.practice_setting_code),
        facility_type=_coding(entry.healthcare_facility_type_code),
        period_start=_time(entry.service_start_time),
        period_end=_time(entry.service_stop_time),
        wishes=wishes_of(entry),
        comment=entry.comments,
    )


def completed(document: Document, entry: DocumentEntry, notes: Notes, where: str) -> Document:
    """Give a document what its metadata say and its own header does not; what the two say differently is a Finding."""
    metadata = document_of(entry)
    update = gaps(document, metadata)
    if metadata.wishes is not None:
        update["wishes"] = metadata.wishes
    if metadata.operation is not DocumentOperation.CREATE:
        update["operation"] = metadata.operation
    differences = {
        "typeCode": _differ(document.type, metadata.type),
        "title": _differ(document.title, metadata.title),
        "creationTime": _at_another_time(document.created_at, metadata.created_at),
        "serviceStartTime": _at_another_time(document.period_start, metadata.period_start),
    }
    for name, differs in differences.items():
        if differs:
            notes.warning("xds.differs", f"{where} {name}", "the metadata and the document say this differently")
    return document.model_copy(update=update) if update else document


def gaps(document: Document, other: Document) -> dict[str, object]:
    """Give, by field, the metadata that a document lacks and another description of it has."""
    return {
        name: value
        for name in _FILLED
        if getattr(document, name) in (None, ()) and (value := getattr(other, name)) not in (None, ())
    }


def wishes_of(entry: DocumentEntry) -> Wishes | None:
    """Read the visibility codes as the wishes that they are."""
    said = {_WISHES[code.code]: True for code in entry.confidentiality_codes if code.code in _WISHES}
    return Wishes.model_validate(said) if said else None


def person_of(author: Author) -> Professional | None:
    """Read who an author is, with the specialty."""
    person = datatypes.read_xcn(author.person) if author.person else None
    if person is not None and author.specialties:
        person = person.model_copy(update={"specialty": _specialty(author.specialties[0])})
    return person


def institution_of(author: Author) -> Organization | None:
    """Read for which organisation an author acts."""
    return datatypes.read_xon(author.institutions[0]) if author.institutions else None


# --- the patient


def _number(text: str) -> Identifier | None:
    """Read a CX; an INS gets the type of its authority, where XDS writes NH."""
    found = datatypes.read_cx(text)
    authority = ins_authority(found.system) if found is not None else None
    return found.model_copy(update={"type": authority.type}) if found is not None and authority is not None else found


def _usable(
    number: Identifier, traits: dict[str, object], context: ReadContext, notes: Notes, where: str
) -> Ins | None:
    authority = ins_authority(number.system)
    if authority is None:
        return None
    matricule = check_matricule(number.value)
    missing = [name for name in _TRAITS if not traits.get(name)]
    if traits.get("sex") not in (Sex.FEMALE, Sex.MALE):
        missing.append("sex")
    if context.environment is not None and not ins_is_at_home(authority.oid, _HOMES[context.environment]):
        what, why = "environment", "test and real identities do not mix here"
    elif matricule.verdict is not MatriculeVerdict.OK:
        what, why = "matricule", "the number is not a matricule with its key"
    elif missing:
        what, why = "traits", f"traits that go with it are missing ({', '.join(missing)})"
    else:
        return Ins(matricule=matricule.value, oid=authority.oid)
    notes.warning(f"xds.ins.{what}", where, f"the INS is kept as an identifier only: {why}")
    return None


def _traits(values: tuple[str, ...], notes: Notes, where: str) -> dict[str, object]:
    """Read sourcePatientInfo: PID-5 by its type (L legal, D in use, none stated), PID-7, PID-8."""
    found: dict[str, object] = {}
    for value in values:
        field, _, content = value.partition("|")
        match field.strip().upper():
            case "PID-5":
                parts = [*content.split("^"), *[""] * 7]
                family, given, kind = (datatypes.unescape(parts[at]) or None for at in (0, 1, 6))
                names = {"L": ("birth_name", "first_given_name"), "D": ("used_name", "used_given_name")}
                found |= dict(zip(names.get(kind or "", ("family_name", "given_name")), (family, given), strict=True))
            case "PID-7":
                digits = content.strip()[:8]
                if len(digits) in (4, 6, 8) and digits.isascii() and digits.isdigit():
                    found["birth_date"] = "-".join(part for part in (digits[:4], digits[4:6], digits[6:]) if part)
                else:
                    notes.leave(f"{where} sourcePatientInfo", value)
            case "PID-8":
                found["sex"] = _SEXES.get(content.strip().upper(), Sex.UNKNOWN)
            case _:
                notes.leave(f"{where} sourcePatientInfo", value)
    return found


# --- values


def _coding(code: Code | None) -> Coding | None:
    return vocabulary.coding_of(code) if code is not None else None


def _specialty(text: str) -> Coding:
    parts = [datatypes.unescape(part) for part in [*text.split("^"), "", ""][:3]]
    code, label, scheme = parts
    if not scheme and not label:
        return Coding(code=code, display=code)
    return Coding(
        system=code_system_of_oid(scheme) if is_oid(scheme) else scheme or None, code=code, display=label or None
    )


def _time(text: str | None) -> str | None:
    return datatypes.read_time(text)[0] if text else None


def _differ(own: object, metadata: object) -> bool:
    """Compare two values that both sides state: codes by their code, texts without their blanks."""
    if own is None or metadata is None:
        return False
    if isinstance(own, Coding) and isinstance(metadata, Coding):
        return own.code != metadata.code
    return str(own).split() != str(metadata).split()


def _at_another_time(own: str | None, metadata: str | None) -> bool:
    """Compare two times to the minute; days without a time of day say too little."""
    if own is None or metadata is None or "T" not in own or "T" not in metadata:
        return False
    return _minute(own) != _minute(metadata)


def _minute(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC).replace(second=0, microsecond=0)
