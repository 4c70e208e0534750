"""What a deleted document takes with it: its results were entered in error, all of them."""

from __future__ import annotations

from schemas.item import LabReportItem
from schemas.lab import LabChapter, ResultStatus

_GONE = {"status": ResultStatus.ENTERED_IN_ERROR}


def withdrawn(item: LabReportItem) -> LabReportItem:
    """Give the report of a document that its sender deletes: every status says that it no longer counts."""
    report = item.content
    update: dict[str, object] = {**_GONE, "chapters": tuple(map(_chapter, report.chapters))}
    return item.model_copy(update={"content": report.model_copy(update=update)})


def _chapter(chapter: LabChapter) -> LabChapter:
    return chapter.model_copy(
        update={
            **_GONE,
            "observations": tuple(one.model_copy(update=_GONE) for one in chapter.observations),
            "chapters": tuple(map(_chapter, chapter.chapters)),
        }
    )
