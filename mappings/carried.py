"""What a report holds, kind by kind, so that a writer can say what its format cannot carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from mappings.notes import Notes
from schemas.item import LabReportItem
from schemas.lab import CodedValue, LabChapter, Observation

_PATIENT = ("ins", "sex", "birth_place", "birth_place_name", "telecoms", "civility", "marital_status", "deceased_at")
_REPORT = (
    "title",
    "codes",
    "order_id",
    "collected_until",
    "received_at",
    "prescriber",
    "validated_by",
    "visit",
    "clinical_information",
    "specimens",
    "attachments",
)
_CHAPTER = ("codes", "section", "status", "comment", "parent", "chapters")
_OBSERVATION = (
    "sub_id",
    "effective_at",
    "issued_at",
    "method",
    "specimen",
    "previous",
    "performer",
    "validated_by",
    "access",
)


def kinds_in(item: LabReportItem) -> Counter[str]:
    """Count what a report holds beyond labels, values, units, ranges, flags and statuses (`observation.method`: 3)."""
    seen: Counter[str] = Counter()
    _count(seen, "patient", item.patient, _PATIENT)
    _count(seen, "report", item.content, _REPORT)
    if item.author is not None:
        seen["author"] += 1
    _chapters(seen, item.content.chapters)
    return seen


def _chapters(seen: Counter[str], chapters: Iterable[LabChapter]) -> None:
    for chapter in chapters:
        _count(seen, "chapter", chapter, _CHAPTER)
        for observation in chapter.observations:
            _count(seen, "observation", observation, _OBSERVATION)
            _codes(seen, observation)
        _chapters(seen, chapter.chapters)


def _codes(seen: Counter[str], observation: Observation) -> None:
    if len(observation.codes) > 1:
        seen["observation.codes"] += 1
    if len(observation.flags) > 1:
        seen["observation.flags"] += 1
    if isinstance(observation.value, CodedValue) and observation.value.codes:
        seen["observation.value.codes"] += 1
    if isinstance(observation.value, CodedValue) and len(observation.value.codes) > 1:
        seen["observation.value.several_codes"] += 1


def _count(seen: Counter[str], owner: str, model: object, fields: tuple[str, ...]) -> None:
    for name in fields:
        if getattr(model, name):
            seen[f"{owner}.{name}"] += 1


def note_lost(item: LabReportItem, lost: Mapping[str, str], format_name: str, notes: Notes) -> None:
    """Note one Finding for each kind of `lost` (kind to its words) that the report holds."""
    for kind, times in kinds_in(item).items():
        if kind in lost:
            count = f" ({times} times)" if times > 1 else ""
            notes.warning("hprim.write.not_carried", kind, f"{format_name} cannot carry {lost[kind]}{count}")
