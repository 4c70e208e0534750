"""A laboratory report before any wire format: what was measured, for whom, when, with which status."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.sandbox.analyses import PANELS, Analysis, Panel
from connectors.sandbox.people import Person

LABORATORY_CODE = "LABFIC"
LABORATORY_NAME = "LABORATOIRE FICTIF DES ESSAIS"
LABORATORY_AUTHORITY = f"urn:x-authority:{LABORATORY_CODE}"
"""What the laboratory assigns, as a canonical identifier names an authority known by its code alone."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One result: `text` is what is printed (`12.9`, `< 0.6`), `flag` a code of table 0078, `status` of 0085."""

    analysis: Analysis
    text: str
    flag: str
    status: str = "F"
    comment: str = ""

    @property
    def comparator(self) -> str:
        """`<` when the value is under the limit of detection, else nothing."""
        return "<" if self.text.startswith("<") else ""

    @property
    def number(self) -> str:
        """The printed number without its comparator."""
        return self.text.removeprefix("<").strip()


@dataclass(frozen=True, slots=True)
class Report:
    """A report about one person: `report_id` is its identity across corrections, `status` a code of table 0123."""

    person: Person
    report_id: str
    order_id: str
    collected_at: datetime
    issued_at: datetime
    panels: tuple[tuple[Panel, tuple[Measure, ...]], ...]
    status: str = "F"
    conclusion: str = ""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All results, in print order."""
        return tuple(measure for _, measures in self.panels for measure in measures)

    def corrected(self, code: str, value: str, *, issued_at: datetime, comment: str = "") -> Report:
        """Correct one result: the same report again, with status C for the report and for that result alone.

        Raises KeyError when the report does not hold the analysis.
        """
        if code not in {measure.analysis.code for measure in self.measures}:
            raise KeyError(code)
        panels = tuple(
            (
                panel,
                tuple(
                    _corrected(measure, value, comment) if measure.analysis.code == code else measure
                    for measure in measures
                ),
            )
            for panel, measures in self.panels
        )
        return replace(self, panels=panels, status="C", issued_at=issued_at)


def _corrected(measure: Measure, value: str, comment: str) -> Measure:
    flag = measure.analysis.flag(Decimal(value))
    return replace(measure, text=value, flag=flag, status="C", comment=comment)


def measure(draw: random.Random, analysis: Analysis) -> Measure:
    """Draw one plausible result."""
    value = Decimal(f"{max(draw.gauss(analysis.typical, analysis.spread), 0.0):.{analysis.decimals}f}")
    if analysis.detection is not None and value < Decimal(analysis.detection):
        return Measure(analysis, f"< {analysis.detection}", "N" if analysis.high or analysis.low else "")
    return Measure(analysis, str(value), analysis.flag(value))


def draw_report(
    draw: random.Random,
    person: Person,
    number: int,
    at: datetime,
    *,
    panels: Sequence[Panel] | None = None,
) -> Report:
    """Draw a report issued `at`, its samples taken one to three hours before.

    `number` makes the report's and the order's ids, so that two reports of one laboratory never share them. Without
    `panels`, one to four of the catalogue are drawn.
    """
    chosen = (
        tuple(panels)
        if panels is not None
        else tuple(sorted(draw.sample(PANELS, draw.randint(1, 4)), key=PANELS.index))
    )
    return Report(
        person=person,
        report_id=f"LAB{number:08d}",
        order_id=f"DEM{number:08d}",
        collected_at=at - timedelta(minutes=draw.randint(60, 180)),
        issued_at=at,
        panels=tuple((panel, tuple(measure(draw, analysis) for analysis in panel.analyses)) for panel in chosen),
    )
