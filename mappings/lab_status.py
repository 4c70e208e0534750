"""The status of a whole report, out of the statuses of its results (hprim 6.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.lab import LabChapter, Observation, ResultStatus

_DONE = frozenset({ResultStatus.FINAL, ResultStatus.CORRECTED, ResultStatus.AMENDED})
_PROVISIONAL = frozenset({ResultStatus.PRELIMINARY, ResultStatus.PARTIAL, ResultStatus.REGISTERED})
_GONE = frozenset({ResultStatus.CANCELLED, ResultStatus.ENTERED_IN_ERROR})


def overall_status(statuses: Iterable[ResultStatus]) -> ResultStatus:
    """Give a report the worst status of its results: provisional before unknown before corrected before final.

    Cancelled and deleted results do not count, unless there is nothing else. No result at all is `unknown`.
    """
    seen = frozenset(statuses)
    told = seen - _GONE
    if not told:
        return ResultStatus.CANCELLED if ResultStatus.CANCELLED in seen else next(iter(seen), ResultStatus.UNKNOWN)
    if told & _PROVISIONAL:
        if told & _DONE or ResultStatus.PARTIAL in told:
            return ResultStatus.PARTIAL
        return ResultStatus.REGISTERED if told == {ResultStatus.REGISTERED} else ResultStatus.PRELIMINARY
    if ResultStatus.UNKNOWN in told:
        return ResultStatus.UNKNOWN
    return ResultStatus.FINAL if told == {ResultStatus.FINAL} else ResultStatus.CORRECTED


def has_provisional(statuses: Iterable[ResultStatus]) -> bool:
    """Tell whether a result is still to be validated or made: a report that says `final` is then `partial`."""
    return not _PROVISIONAL.isdisjoint(statuses)


def observations_of(chapters: Iterable[LabChapter]) -> Iterator[Observation]:
    """Walk through all results in printing order: a chapter's own before those of its chapters."""
    for chapter in chapters:
        yield from chapter.observations
        yield from observations_of(chapter.chapters)
