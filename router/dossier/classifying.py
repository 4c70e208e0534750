"""What an Item is for a dossier: category, marks, moment, author, and what all its versions have in common.

Pure. A kind of Item that is not listed here is nothing for a dossier, and nobody in a circle sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from router.dossier.moments import beginning
from router.journal.sealing import Sealer
from schemas.actors import Professional
from schemas.circle import party_keys
from schemas.coding import Coding, Identifier
from schemas.document import Document
from schemas.habilitation import DataCategory
from schemas.item import AppointmentItem, DocumentItem, Item, LabReportItem, NoteItem, StayItem, TaskItem
from schemas.tables import rows
from schemas.visibility import Mark, marks_of

OPINION = "DEM-AVIS"
"""The type (TRE_R234) of a note that asks for a medical opinion."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of an Item in `dossier_entry`. `at` None: when it was received. Tokens are blind.

    `replaces` is the name of the version that this one replaces, None when it replaces none that is named.
    """

    category: DataCategory
    marks: Mark
    at: int | None
    author: int | None
    name: int
    thing: int
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class _Facts:
    category: DataCategory
    marks: Mark
    name: str
    thing: str
    replaces: str | None
    authors: tuple[Professional | None, ...]


def entry_of(item: Item, sealer: Sealer) -> Entry | None:
    """Give what an Item is for a dossier, None when it is nothing for one."""
    classify = _KINDS.get(type(item))
    if classify is None:
        return None
    facts = classify(item)
    try:
        at = None if item.occurred_at is None else beginning(item.occurred_at)
    except ValueError:
        at = None  # a date that the calendar does not have: when it was received counts
    keys = next((keys for keys in map(_keys, facts.authors) if keys), ())
    return Entry(
        facts.category,
        facts.marks,
        at,
        author_token(sealer, next(iter(keys))) if keys else None,
        sealer.token("entry", facts.name),
        sealer.token("entry", facts.thing),
        None if facts.replaces is None else sealer.token("entry", facts.replaces),
    )


def author_token(sealer: Sealer, key: str) -> int:
    """Make the blind token of somebody as an author."""
    return sealer.token("author", key)


def _keys(author: Professional | None) -> list[str]:
    """Give an author's keys, the RPPS first: it is the number that others know them by."""
    keys = party_keys(author.identifiers) if author is not None else frozenset()
    return sorted(keys, key=lambda key: (not key.startswith("rpps|"), key))


def _document(item: Item) -> _Facts:
    if not isinstance(item, DocumentItem):
        raise TypeError(type(item).__name__)
    content = item.content
    name = content.document_id or item.id
    return _Facts(
        category_of_document(content),
        marks_of_document(content),
        name,
        content.set_id or name,
        content.replaces_id or item.replaces,
        (item.author, content.author),
    )


def _note(item: Item) -> _Facts:
    if not isinstance(item, NoteItem):
        raise TypeError(type(item).__name__)
    content = item.content
    name = content.note_id or item.id
    medical = content.type is not None and content.type.code == OPINION
    return _Facts(
        DataCategory.NOTES,
        marks_of(content.visibility) | (Mark.MEDICAL if medical else Mark.NONE),
        name,
        name,
        item.replaces,
        (item.author,),
    )


def _lab_report(item: Item) -> _Facts:
    if not isinstance(item, LabReportItem):
        raise TypeError(type(item).__name__)
    content = item.content
    sender = "".join(one.value for one in item.sender.identifiers[:1]) if item.sender is not None else ""
    thing = f"{content.report_authority or sender}/{content.report_id}" if content.report_id else item.id
    return _Facts(
        DataCategory.LAB,
        Mark.NONE,
        content.document_id or item.id,
        thing,
        content.replaces_document_id,
        (item.author, content.validated_by),
    )


def _stay(item: Item) -> _Facts:
    if not isinstance(item, StayItem):
        raise TypeError(type(item).__name__)
    # An alteration of a stay is told apart from the stay: each movement is a thing of its own.
    return _Facts(
        DataCategory.EVENTS,
        Mark.RESTRICTED if item.content.protected else Mark.NONE,
        item.id,
        item.id,
        None,
        (item.author,),
    )


def _appointment(item: Item) -> _Facts:
    if not isinstance(item, AppointmentItem):
        raise TypeError(type(item).__name__)
    thing = _numbered("appointment", item.content.number) or item.id
    return _Facts(DataCategory.AGENDA, Mark.NONE, item.id, thing, None, (item.author,))


def _task(item: Item) -> _Facts:
    if not isinstance(item, TaskItem):
        raise TypeError(type(item).__name__)
    thing = _numbered("task", item.content.number) or item.id
    return _Facts(DataCategory.PLANS, Mark.NONE, item.id, thing, None, (item.author, item.content.requester))


def _numbered(kind: str, number: Identifier | None) -> str | None:
    """Name what all versions of a thing have in common: its number at who keeps it."""
    return f"{kind} {number.system or ''}|{number.value}" if number is not None else None


_KINDS: dict[type, Callable[[Item], _Facts]] = {
    DocumentItem: _document,
    LabReportItem: _lab_report,
    StayItem: _stay,
    NoteItem: _note,
    AppointmentItem: _appointment,
    TaskItem: _task,
}
"""Kinds of Items that a dossier holds, each with what it is there."""


def category_of_document(document: Document) -> DataCategory:
    """Give the category of a document: by its type where the table names it, else by its class.

    One of neither is a medical document, the category that fewest may read.
    """
    found = _categories()
    if document.type is not None and ("type", document.type.code) in found:
        return found["type", document.type.code]
    if document.category is not None and ("class", document.category.code) in found:
        return found["class", document.category.code]
    return DataCategory.DOCUMENTS


@cache
def _categories() -> dict[tuple[str, str], DataCategory]:
    return {(row["system"], row["code"]): DataCategory(row["category"]) for row in rows("data_categories.csv")}


def marks_of_document(document: Document) -> Mark:
    """Give the marks of a document: its confidentiality codes, and the wishes that came with it."""
    labels: Iterable[Coding] = document.confidentiality
    marks = marks_of(labels)
    wishes = document.wishes
    if wishes is not None:
        if wishes.masked_to_professionals:
            marks |= Mark.MASQUE_PS
        if wishes.hidden_from_patient:
            marks |= Mark.INVISIBLE_PATIENT
        if wishes.hidden_from_representatives:
            marks |= Mark.INVISIBLE_REPRESENTANTS_LEGAUX
    return marks
