"""One line that lets a person recognise an Item in a list: «NFS, 12 résultats, Hémoglobine 7,1 g/dL ↓↓»."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from schemas.appointment import Appointment
from schemas.document import Document, DocumentOperation
from schemas.identity import PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.item import Item
from schemas.lab import LabChapter, LabReport, Observation, QuantityValue
from schemas.note import LiaisonNote
from schemas.receipt import Receipt
from schemas.stay import Stay
from schemas.task import Task

_ARROWS = {"LL": "↓↓", "HH": "↑↑", "L": "↓", "H": "↑", "AA": "!!", "A": "!"}
_GRAVITY = {"LL": 3, "HH": 3, "AA": 3, "L": 1, "H": 1, "A": 1}
_OPERATIONS = {DocumentOperation.REPLACE: "nouvelle version", DocumentOperation.DELETE: "suppression"}
_SHOWN = 2
"""Abnormal results named on the line; the gravest first."""
_BEGINNING = 80
"""Characters of a note without a subject that stand for one."""


def summarise(item: Item) -> bytes:
    """Give the summary as JSON: `patient` (family, given, birth_date, sex), `line`, `title`, `status`, `abnormal`."""
    return orjson.dumps({"patient": _patient(item.patient), **_content(item)})


def _patient(identity: PatientIdentity) -> dict[str, str | None]:
    return {
        "family": identity.used_name or identity.birth_name or identity.family_name,
        "given": identity.used_given_name or identity.first_given_name or identity.given_name,
        "birth_date": identity.birth_date,
        "sex": identity.sex.value if identity.sex is not None else None,
    }


def _content(item: Item) -> dict[str, Any]:
    content = item.content
    if isinstance(content, LabReport):
        return _lab(content)
    if isinstance(content, Stay):
        place = content.location.unit if content.location is not None else None
        parts = [content.event, content.trigger, place]
        return {"title": content.event, "status": content.status.value, "line": _joined(parts)}
    if isinstance(content, IdentityEvent):
        return {"title": content.event, "line": _joined([content.event, content.trigger])}
    if isinstance(content, Receipt):
        status = content.stage.value if content.positive else "refused"
        return {"title": status, "status": status, "line": _joined([status, content.about])}
    if isinstance(content, LiaisonNote):
        return {"title": content.subject, "line": _joined([content.subject or _beginning(content.text)])}
    if isinstance(content, Appointment):
        label = content.title or (content.kind.display if content.kind is not None else None)
        return {"title": label, "status": content.state.value, "line": _joined([label, content.starts_at])}
    if isinstance(content, Task):
        label = content.title or (content.kind.display if content.kind is not None else None)
        return {"title": label, "status": content.state.value, "line": _joined([label, content.state.value])}
    return _document(content)


def _beginning(text: str | None) -> str:
    """Give the first words of a text, on one line."""
    words = " ".join((text or "")[: 2 * _BEGINNING].split())
    return words if len(words) <= _BEGINNING else words[: _BEGINNING - 1] + "…"


def _document(document: Document) -> dict[str, Any]:
    label = document.title or (document.type.display if document.type is not None else None)
    line = _joined([label, _OPERATIONS.get(document.operation)])
    return {"title": label, "status": document.operation.value, "line": line}


def _lab(report: LabReport) -> dict[str, Any]:
    observations = list(_observations(report.chapters))
    chapters = dict.fromkeys(chapter.title for chapter in report.chapters if chapter.title)
    titles = [report.title] if report.title else list(chapters)[:2]
    abnormal = [one for one in observations if one.flags and _gravity(one)]
    abnormal.sort(key=_gravity, reverse=True)
    count = len(observations)
    parts = [*titles, f"{count} résultat{'s' if count > 1 else ''}", *(_named(one) for one in abnormal[:_SHOWN])]
    gravest = max((flag for one in abnormal[:1] for flag in one.flags), key=lambda f: _GRAVITY.get(f, 0), default=None)
    return {
        "title": titles[0] if titles else None,
        "status": report.status.value,
        "abnormal": gravest,
        "line": _joined(parts),
    }


def _observations(chapters: tuple[LabChapter, ...]) -> Iterator[Observation]:
    for chapter in chapters:
        yield from chapter.observations
        yield from _observations(chapter.chapters)


def _gravity(observation: Observation) -> int:
    flags = observation.flags
    return _GRAVITY.get(flags[0], 0) if len(flags) == 1 else max((_GRAVITY.get(flag, 0) for flag in flags), default=0)


def _named(observation: Observation) -> str:
    arrow = next((_ARROWS[flag] for flag in observation.flags if flag in _ARROWS), "")
    value = observation.value
    if not isinstance(value, QuantityValue):
        return f"{observation.label or ''} {arrow}".strip()
    number = (value.comparator or "") + value.number.replace(".", ",")
    unit = f" {observation.unit.raw}" if observation.unit is not None else ""
    return f"{observation.label or ''} {number}{unit} {arrow}".strip()


def _joined(parts: Sequence[str | None]) -> str:
    return ", ".join(part for part in parts if part)
