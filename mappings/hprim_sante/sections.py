"""The chapters of a report to write, laid flat: sectors and panels (OBX.15), and what each OBR holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.coding import LOCAL, Coding
from schemas.lab import LabChapter, Observation


@dataclass(frozen=True, slots=True)
class Printed:
    """A result, or the comment of a chapter, with its place: sector and its rank, panel and its rank, rank."""

    sector: str | None
    sector_rank: int
    panel: Coding | None
    panel_rank: int
    rank: int
    section: str | None
    observation: Observation | None = None
    comment: str | None = None

    @property
    def specimen(self) -> str | None:
        """The specimen of the result; the comment of a chapter has none."""
        return self.observation.specimen if self.observation else None


def laid_flat(chapters: tuple[LabChapter, ...]) -> list[Printed]:
    """Lay chapters flat, in their order; a chapter inside another with a code of its own becomes a panel of it."""
    flat: list[Printed] = []
    for number, chapter in enumerate(chapters, 1):
        flat += _Sector(chapter.title, number * 100, chapter.section).print(chapter)
    return flat


@dataclass(slots=True)
class _Sector:
    title: str | None
    rank: int
    section: str | None
    panels: int = 0
    lines: int = 0

    def print(self, chapter: LabChapter) -> Iterator[Printed]:
        """Print a chapter: its own results, then its chapters, as panels or as sectors of their own."""
        own = panel_of(chapter, self.title) if self.title else None
        yield from self._lines(chapter, own)
        for inner in chapter.chapters:
            panel = panel_of(inner, inner.title)
            if panel is not None and not inner.chapters:
                yield from self._lines(inner, panel)
            else:
                self.rank += 1
                title = inner.title or self.title
                sector = _Sector(title, self.rank, inner.section or self.section)
                yield from sector.print(inner)
                self.rank = sector.rank

    def _lines(self, chapter: LabChapter, panel: Coding | None) -> Iterator[Printed]:
        self.panels += 1
        place = (self.title, self.rank, panel, self.panels)
        if chapter.comment:
            self.lines += 1
            yield Printed(*place, self.lines, self.section, comment=chapter.comment)
        for observation in chapter.observations:
            self.lines += 1
            yield Printed(*place, self.lines, self.section, observation)


def panel_of(chapter: LabChapter, label: str | None) -> Coding | None:
    """Give the panel that a chapter's code makes of it, under the chapter's own title."""
    first = next(iter(chapter.codes), None)
    if first is None:
        return None
    return Coding(system=first.system or LOCAL, code=first.code, display=label or first.display)


@dataclass(slots=True)
class Run:
    """Neighbouring results of one specimen and one section: what one OBR holds."""

    specimen: str | None
    section: str | None
    printed: list[Printed]


def runs_of(flat: list[Printed]) -> list[Run]:
    """Cut the results into runs; the comment of a chapter goes with the results after it."""
    runs: list[Run] = []
    waiting: list[Printed] = []
    for one in flat:
        if one.observation is None:
            waiting.append(one)
            continue
        if not runs or (runs[-1].specimen, runs[-1].section) != (one.specimen, one.section):
            runs.append(Run(one.specimen, one.section, []))
        runs[-1].printed += [*waiting, one]
        waiting = []
    if waiting:
        if not runs:
            runs.append(Run(None, waiting[0].section, []))
        runs[-1].printed += waiting
    return runs
