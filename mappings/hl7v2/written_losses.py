"""What a document says that neither a message nor the CDA in it can carry, as Findings."""

from __future__ import annotations

from pydantic import BaseModel

from mappings.hl7v2.documents import PATIENT_CLASS
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.written_delivery import is_visibility
from mappings.hl7v2.written_txa import is_level, status_code
from schemas.coding import Coding
from schemas.document import Document
from schemas.finding import Severity
from schemas.item import DocumentItem
from schemas.value_sets import code_system_url

_NOWHERE = {
    "set_id": "the id that all versions share",
    "version": "the number of the version",
    "category": "the class of the document",
    "format": "the format of the document",
    "language": "the language",
    "author_role": "the role of the author",
    "custodian": "the custodian",
    "event_codes": "the codes of what was done",
    "performer": "who did what is documented",
    "performer_organization": "where it was done",
    "practice_setting": "the practice setting",
    "facility_type": "the kind of facility",
    "participants": "a participant",
}
"""Fields that no message has a place for."""

_ONLY_IN_MDM = {"document_id": "the id of the document", "replaces_id": "the id of the replaced document"}
_GIVES_WAY = {
    "type": "the type of the document",
    "title": "the title",
    "created_at": "the date of the document",
    "author": "the author",
    "author_organization": "the organisation of the author",
    "other_authors": "a further author",
    "legal_authenticator": "the legal authenticator",
    "period_start": "the beginning of what is documented",
    "period_end": "the end of what is documented",
}
"""Fields that a message carries where no CDA says them; what a CDA says stands."""


def note_losses(pen: Pen, item: DocumentItem, own: Document, *, mdm: bool) -> None:
    """Say what is lost; `own` is what the CDA says itself, an empty Document when there is none."""
    document = item.content
    pen.about("TXA" if mdm else "OBR")
    nowhere = _NOWHERE if mdm else _NOWHERE | _ONLY_IN_MDM
    lost = [words for name, words in nowhere.items() if _unsaid(document, own, name)]
    lost += [words for name, words in _GIVES_WAY.items() if getattr(own, name) and _unsaid(document, own, name)]
    if document.status is not None and status_code(document.status) is None:
        lost.append("the status")
    if _encounter_lost(document, own):
        lost.append("the kind of encounter")
    if _labels_lost(pen, document, own, mdm=mdm):
        lost.append("the confidentiality")
    if _place_lost(item, own):
        lost.append("the organisation of the author")
    if item.replaces not in (None, document.replaces_id, document.document_id):
        lost.append("what the item replaces")
    for words in dict.fromkeys(lost):
        pen.lost(words)


def _unsaid(document: Document, own: Document, name: str) -> bool:
    """Say whether the document says something here that its CDA does not say."""
    return not _is_said(getattr(document, name), getattr(own, name))


def _is_said(ours: object, theirs: object) -> bool:
    """Say whether all that one value says is said by another, which may say more."""
    if ours is None or ours == () or ours == theirs:
        return True
    if isinstance(ours, Coding):
        return isinstance(theirs, Coding) and _key(ours) == _key(theirs)
    if isinstance(ours, BaseModel):
        fields = type(ours).model_fields
        return isinstance(theirs, type(ours)) and all(_is_said(getattr(ours, n), getattr(theirs, n)) for n in fields)
    if isinstance(ours, str) and isinstance(theirs, str):
        return ours.casefold() == theirs.casefold()
    if isinstance(ours, tuple):
        return isinstance(theirs, tuple) and all(any(_is_said(one, other) for other in theirs) for one in ours)
    return False


def _key(code: Coding) -> tuple[str, str]:
    return code_system_url(code.system or ""), code.code


def _encounter_lost(document: Document, own: Document) -> bool:
    kind = document.encounter_type
    if kind is None or own.encounter_type is not None:
        return _unsaid(document, own, "encounter_type")
    return kind.system != PATIENT_CLASS


def _labels_lost(pen: Pen, document: Document, own: Document, *, mdm: bool) -> bool:
    """Say whether a label is lost; one about visibility becomes a wish, which is told."""
    known = {label.code for label in own.confidentiality}
    rest = [label for label in document.confidentiality if label.code not in known]
    plain = [label for label in rest if not is_visibility(label)]
    if len(plain) < len(rest):
        pen.note(Severity.INFO, "hl7v2.write.visibility", "labels of visibility were written as wishes")
    one = mdm and not known and len(plain) == 1 and is_level(plain[0])
    return bool(plain) and not one


def _place_lost(item: DocumentItem, own: Document) -> bool:
    """Say whether the organisation that sends stands where that of the author would."""
    sending = item.author.organization if item.author is not None else None
    place = item.content.author_organization
    return own.author_organization is None and place is not None and sending not in (None, place)
