"""The usual analyses of French laboratories with their LOINC codes, to propose one for a code that has none.

The table is `schemas/data/lab_analytes.csv`: LOINC code, French label, usual UCUM unit, and the names and short codes
by which laboratories know the analysis. It proposes; nothing is mapped by it without a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from schemas.tables import rows


@dataclass(frozen=True, slots=True)
class Analyte:
    """An analysis: `names` are what laboratories call it, short codes among them."""

    loinc: str
    fr: str
    ucum: str
    names: tuple[str, ...]


@cache
def analytes() -> tuple[Analyte, ...]:
    """List the analyses, in the table's order: by discipline."""
    return tuple(
        Analyte(row["loinc"], row["fr"], row["ucum"], tuple(row["names"].split(" ; ")))
        for row in rows("lab_analytes.csv")
    )
