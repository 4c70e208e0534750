"""What to propose for a term on the worklist: LOINC codes by label and unit, UCUM codes by spelling."""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import NamedTuple

from mappings.code_suggestions import suggestions
from mappings.concept_map import TermKind
from router.codes.worklist import Unmapped
from schemas.analytes import analytes
from schemas.units import known_ucum, ucum_of

_PER = re.compile(r"\s+par\s+", re.IGNORECASE)


class Proposal(NamedTuple):
    """A target to propose: its code, its label and, for LOINC, the usual unit."""

    code: str
    label: str
    unit: str = ""


def proposals(one: Unmapped) -> tuple[Proposal, ...]:
    """Propose targets for a term, the likeliest first; none when nothing is like it."""
    if one.term.kind is TermKind.UNIT:
        spelt = _PER.sub("/", one.term.code)
        sure = ucum_of(spelt)
        near = [sure] if sure else difflib.get_close_matches(spelt, sorted(known_ucum()), n=3, cutoff=0.6)
        return tuple(Proposal(code, "") for code in near)
    found = suggestions(one.term.code, one.label or None, one.unit or None)
    return tuple(Proposal(one.analyte.loinc, one.analyte.fr, one.analyte.ucum) for one in found)


def label_of(code: str) -> str:
    """Give the French label of a usual LOINC code, or nothing."""
    return _labels().get(code, "")


@cache
def _labels() -> dict[str, str]:
    return {one.loinc: one.fr for one in analytes()}
