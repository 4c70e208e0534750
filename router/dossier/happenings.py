"""What an Item is for people: an admission, a discharge, a letter, a critical result. Pure.

The table of triggers is the fact sheet's (§2.7): transfers and changes of class are for the timeline only, identity
events for nobody of the circle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from schemas.actors import Organization, Professional
from schemas.circle import party_keys
from schemas.document import Document, DocumentOperation
from schemas.item import DocumentItem, Item, LabReportItem, NoteItem, StayItem, TaskItem
from schemas.lab import LabChapter, LabReport, Observation, ResultStatus
from schemas.note import LiaisonNote
from schemas.stay import Stay
from schemas.task import Task, TaskState


class Event(StrEnum):
    """What people may be told of. ADM, SOR, DOC and NOT are codes of TRE_R254 (NdE); the others have none there."""

    ADMISSION = "ADM"
    PLANNED = "PREADM"
    DISCHARGE = "SOR"
    DATE = "DATE"
    ANNULLED = "ANN"
    DOCUMENT = "DOC"
    NOTE = "NOT"
    URGENT_NOTE = "URGENT"
    LAB = "LAB"
    CRITICAL = "CRITICAL"
    CORRECTED = "CORRECTED"
    EMERGENCY = "EMERGENCY"
    TASK = "TASK"
    TASK_ENDED = "ENDED"


HOSPITAL = frozenset({Event.ADMISSION, Event.PLANNED, Event.DISCHARGE, Event.DATE, Event.ANNULLED})
"""Events of a hospital stay, of which a member may ask to be told or not."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a person.

    `same` says what is the same happening told again, `fact` what is said of it (a date); `annuls` is the `same` of
    what it takes back. `prescribers`, `requesters` and `recipients` are the keys of those whom the
    Item names.
    """

    event: Event
    same: str
    fact: str | None = None
    annuls: str | None = None
    of: str | None = None
    """The `same` of what must have been told before for this to be worth telling."""
    type: str | None = None
    prescribers: frozenset[str] = frozenset()
    recipients: frozenset[str] = frozenset()
    requesters: frozenset[str] = frozenset()
    author: frozenset[str] = frozenset()
    """The keys of who wrote it: they are not told of what they wrote."""


_CRITICAL = frozenset({"LL", "HH", "AA"})
_CRITICAL_TEXT = re.compile(r"\bcritiques?\b", re.IGNORECASE)
_CORRECTED = frozenset({ResultStatus.CORRECTED, ResultStatus.AMENDED})


def happenings(item: Item) -> tuple[Happening, ...]:
    """Give what an Item is for people; most are nothing."""
    if isinstance(item, StayItem):
        return tuple(_of_stay(item, item.content))
    if isinstance(item, DocumentItem):
        return tuple(_of_document(item, item.content))
    if isinstance(item, LabReportItem):
        return tuple(_of_report(item, item.content))
    if isinstance(item, NoteItem):
        return tuple(_of_note(item, item.content))
    if isinstance(item, TaskItem):
        return tuple(_of_task(item, item.content))
    return ()


def _of_stay(item: StayItem, stay: Stay) -> Iterator[Happening]:
    number = stay.visit or stay.account
    key = f"stay {number.system or ''} {number.value}" if number is not None else f"item {item.id}"
    urgent = (stay.patient_class or "").upper() == "E"
    trigger = stay.trigger
    expected = stay.discharged_at or stay.expected_discharge_at
    if trigger == "A01" or (trigger == "A04" and urgent):
        yield Happening(Event.ADMISSION, f"{key} ADM", expected or "")
    elif trigger == "A05":
        yield Happening(Event.PLANNED, f"{key} PREADM")
    elif trigger == "A03":
        yield Happening(Event.DISCHARGE, f"{key} SOR")
    elif trigger in {"A11", "A13"}:
        former = "ADM" if trigger == "A11" else "SOR"
        yield Happening(Event.ANNULLED, f"{key} ANN {former}", annuls=f"{key} {former}")
    elif trigger == "A38":
        yield Happening(Event.ANNULLED, f"{key} ANN PREADM", annuls=f"{key} PREADM")
    elif trigger in {"A08", "Z99"} and expected:
        yield Happening(Event.DATE, f"{key} DATE", expected, of=f"{key} ADM")


def _of_document(item: DocumentItem, document: Document) -> Iterator[Happening]:
    if document.operation is DocumentOperation.DELETE:
        return
    named = [*item.recipients, *document.recipients]
    keys = [_keys(one.professional) for one in named]
    keys += [party_keys(one.organization.identifiers) for one in named if one.organization is not None]
    yield Happening(
        Event.DOCUMENT,
        f"document {document.document_id or item.id}",
        type=document.type.code if document.type is not None else None,
        recipients=frozenset().union(*keys),
    )


def _of_note(item: NoteItem, note: LiaisonNote) -> Iterator[Happening]:
    if note.withdrawn:
        return
    keys = [_keys(one.professional) for one in item.recipients]
    keys += [party_keys(one.organization.identifiers) for one in item.recipients if one.organization is not None]
    yield Happening(
        Event.URGENT_NOTE if note.urgent else Event.NOTE,
        f"note {note.note_id or item.id}",
        type=note.type.code if note.type is not None else None,
        recipients=frozenset().union(*keys),
        author=_keys(item.author),
    )


def _of_task(item: TaskItem, task: Task) -> Iterator[Happening]:
    """Give what a request is: news each time that its state changes, an answer to its requester when it ends."""
    if task.state in {TaskState.DRAFT, TaskState.ENTERED_IN_ERROR}:
        return
    number = f"{task.number.system or ''}|{task.number.value}" if task.number is not None else item.id
    yield Happening(
        Event.TASK_ENDED if task.state.ended else Event.TASK,
        f"task {number} {task.state.value} {task.changed_at or ''}",
        type=task.kind.code if task.kind is not None else None,
        requesters=_keys(task.requester) | _own(task.requester_organization),
        recipients=_keys(task.owner) | _own(task.owner_organization),
    )


def _own(organization: Organization | None) -> frozenset[str]:
    return party_keys(organization.identifiers) if organization is not None else frozenset()


def _of_report(item: LabReportItem, report: LabReport) -> Iterator[Happening]:
    prescribers = _keys(report.prescriber)
    recipients = frozenset().union(*(_keys(one.professional) for one in item.recipients))
    name = f"report {report.report_authority or ''} {report.report_id or item.id}"
    yield Happening(Event.LAB, f"item {item.id}", prescribers=prescribers, recipients=recipients)
    results = [one for chapter in report.chapters for one in _observations(chapter)]
    critical = [one for one in results if _is_critical(one)]
    if critical:
        # The same critical results in a later version of the report are not an alarm again.
        said = sorted(f"{one.label}={one.value.model_dump_json() if one.value else ''}" for one in critical)
        same = f"{name} CRITICAL {'; '.join(said)}"
        yield Happening(Event.CRITICAL, same, prescribers=prescribers, recipients=recipients)
    corrected = report.status in _CORRECTED or any(one.status in _CORRECTED for one in results)
    if corrected or item.replaces is not None:
        yield Happening(Event.CORRECTED, f"item {item.id} CORRECTED", prescribers=prescribers, recipients=recipients)


def _observations(chapter: LabChapter) -> Iterator[Observation]:
    yield from chapter.observations
    for inner in chapter.chapters:
        yield from _observations(inner)


def _is_critical(result: Observation) -> bool:
    if result.status in {ResultStatus.CANCELLED, ResultStatus.ENTERED_IN_ERROR}:
        return False
    return not _CRITICAL.isdisjoint(result.flags) or bool(_CRITICAL_TEXT.search(result.comment or ""))


def _keys(professional: Professional | None) -> frozenset[str]:
    return party_keys(professional.identifiers) if professional is not None else frozenset()
