"""Results into chapters and panels, by OBX.15 (hprim 3.6), and two OBX of one analysis into one result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mappings.hprim_sante.values import Place
from schemas.coding import Coding
from schemas.lab import LabChapter, Observation, SecondResult

Requested = dict[str, list[Coding]]


@dataclass(frozen=True, slots=True)
class Placed:
    """A result, or the comment of a chapter, with where it is printed and the section of its OBR (OBR.24)."""

    place: Place | None
    section: str | None
    observation: Observation | None = None
    comment: str | None = None


@dataclass(slots=True)
class _Panel:
    code: Coding
    observations: list[Observation] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Chapter:
    title: str | None
    section: str | None
    observations: list[Observation] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    panels: dict[str, _Panel] = field(default_factory=dict)
    own_panel: Coding | None = None


def with_seconds(results: Iterable[Placed]) -> list[Placed]:
    """Make one result of two neighbours that are one analysis in two units.

    The second has the same OBX.3 and status, another unit, and the sub-identifier `2` (after none or `1`) or `….2`.
    """
    merged: list[Placed] = []
    for placed in results:
        before = merged[-1].observation if merged else None
        after = placed.observation
        if before and after and _is_second(before, after) and after.value is not None:
            second = SecondResult(value=after.value, unit=after.unit, reference=after.reference, flags=after.flags)
            comment = "\n".join(text for text in (before.comment, after.comment) if text) or None
            observation = before.model_copy(update={"second": second, "comment": comment})
            merged[-1] = Placed(merged[-1].place, merged[-1].section, observation)
        else:
            merged.append(placed)
    return merged


def _is_second(before: Observation, after: Observation) -> bool:
    same = bool(after.codes) and before.codes == after.codes and before.label == after.label
    first, then = before.sub_id or "", after.sub_id or ""
    numbered = (then == "2" and first in {"", "1"}) or (first != "" and then == f"{first}.2")
    units = [unit.raw if unit else None for unit in (before.unit, after.unit)]
    complete = before.second is None and before.value is not None
    return same and numbered and complete and units[0] != units[1] and before.status == after.status


def chapters_of(results: list[Placed], requested: Requested) -> tuple[LabChapter, ...]:
    """Group results by sector, then by panel; `requested` are the panels that the order names (OBR.4).

    When every result has its ranks they give the order; otherwise the file does. Results without a sector stand in
    chapters without a title. A panel of one analysis only, its own, is none.
    """
    if all(placed.place is not None and placed.place.sector_rank is not None for placed in results):
        results = sorted(results, key=_order)
    chapters: dict[object, _Chapter] = {}
    last: object = None
    for number, placed in enumerate(results):
        sector = placed.place.sector if placed.place and placed.place.sector else None
        key: object = (sector, placed.place.sector_rank if placed.place else None, placed.section)
        if sector is None:
            key = last if isinstance(last, int) else number
        last = key
        chapter = chapters.setdefault(key, _Chapter(sector, placed.section))
        _add(chapter, placed, requested)
    return tuple(_finished(chapter) for chapter in chapters.values())


def _order(placed: Placed) -> tuple[int, int, int]:
    place = placed.place
    if place is None:
        return (0, 0, 0)
    return (place.sector_rank or 0, place.panel_rank or 0, place.rank or 0)


def _add(chapter: _Chapter, placed: Placed, requested: Requested) -> None:
    named = requested.get(placed.place.panel, []) if placed.place and placed.place.panel else []
    code = next((one for one in named if one.display == chapter.title), next(iter(named), None))
    own = (
        placed.observation is not None
        and code is not None
        and any(code.code == one.code for one in placed.observation.codes)
    )
    target: _Chapter | _Panel = chapter
    if code is not None and not own:
        if code.display is not None and code.display == chapter.title:
            chapter.own_panel = code
        else:
            target = chapter.panels.setdefault(code.code, _Panel(code))
    if placed.observation is not None:
        target.observations.append(placed.observation)
    elif placed.comment:
        target.comments.append(placed.comment)


def _finished(chapter: _Chapter) -> LabChapter:
    panels = tuple(
        LabChapter(
            title=panel.code.display,
            codes=(panel.code,),
            comment="\n".join(panel.comments) or None,
            observations=tuple(panel.observations),
        )
        for panel in chapter.panels.values()
    )
    return LabChapter(
        title=chapter.title,
        codes=(chapter.own_panel,) if chapter.own_panel else (),
        section=chapter.section,
        comment="\n".join(chapter.comments) or None,
        observations=tuple(chapter.observations),
        chapters=panels,
    )


def requested_panels(codes: Iterable[Coding]) -> Requested:
    """List the analyses of OBR.4 by their code; one code may come with several labels."""
    panels: Requested = {}
    for code in codes:
        panels.setdefault(code.code, []).append(code)
    return panels
