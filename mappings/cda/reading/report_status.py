"""How far a CR-BIO is: what its main act says, its chapters and its results together (cda-fr §2.5, §5.2)."""

from __future__ import annotations

from mappings.lab_status import observations_of
from schemas.lab import LabChapter, ResultStatus

_STATUSES = {
    "completed": ResultStatus.FINAL,
    "active": ResultStatus.PARTIAL,
    "aborted": ResultStatus.CANCELLED,
}


def status_of_report(stated_code: str | None, chapters: list[LabChapter]) -> ResultStatus:
    """Say how far the report is: what the main act says, unless a chapter or result is still under way."""
    stated = _STATUSES.get(stated_code or "")
    statuses = {one.status for one in observations_of(chapters)} | set(_chapter_statuses(chapters))
    if stated is ResultStatus.FINAL and not statuses.isdisjoint(_UNDER_WAY):
        return ResultStatus.PARTIAL
    if stated is not None:
        return stated
    if statuses and statuses.issubset(_DONE):
        return ResultStatus.FINAL
    return ResultStatus.PARTIAL if not statuses.isdisjoint(_UNDER_WAY) else ResultStatus.UNKNOWN


_UNDER_WAY = frozenset({ResultStatus.PRELIMINARY, ResultStatus.PARTIAL, ResultStatus.REGISTERED})
_DONE = frozenset({ResultStatus.FINAL, ResultStatus.CANCELLED})


def without_status(status: ResultStatus, chapter: LabChapter) -> LabChapter:
    """Leave out of chapters the status that is the report's own: it is said once."""
    inner = tuple(without_status(status, one) for one in chapter.chapters)
    changed: dict[str, object] = {}
    if chapter.status is status:
        changed["status"] = None
    if any(one is not other for one, other in zip(inner, chapter.chapters, strict=True)):
        changed["chapters"] = inner
    return chapter.model_copy(update=changed) if changed else chapter


def _chapter_statuses(chapters: list[LabChapter] | tuple[LabChapter, ...]) -> list[ResultStatus]:
    return [
        status
        for chapter in chapters
        for status in ((chapter.status,) if chapter.status else ()) + tuple(_chapter_statuses(chapter.chapters))
    ]
