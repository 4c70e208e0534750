"""Statuses of results (OBX-11, table 0085) and of orders (OBR-25, table 0123), both ways."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.lab import ResultStatus as S

OF_RESULT = {
    "F": S.FINAL,
    "P": S.PRELIMINARY,
    "R": S.PRELIMINARY,
    "S": S.PRELIMINARY,
    "C": S.CORRECTED,
    "A": S.AMENDED,
    "B": S.AMENDED,
    "D": S.ENTERED_IN_ERROR,
    "W": S.ENTERED_IN_ERROR,
    "X": S.CANCELLED,
    "N": S.CANCELLED,
    "I": S.REGISTERED,
    "U": S.FINAL,
    "V": S.FINAL,
}
"""OBX-11. N (not asked) is a result that will not come; U turns a preliminary result final; V is *verified* (2.8)."""

DETAIL_ONLY = "O"
"""OBX-11 of a line that details the order and is no result."""

OF_ORDER = {
    "F": S.FINAL,
    "P": S.PRELIMINARY,
    "M": S.PRELIMINARY,
    "C": S.CORRECTED,
    "A": S.PARTIAL,
    "R": S.PARTIAL,
    "O": S.REGISTERED,
    "I": S.REGISTERED,
    "S": S.REGISTERED,
    "X": S.CANCELLED,
    "Y": S.ENTERED_IN_ERROR,
    "Z": S.ENTERED_IN_ERROR,
}
"""OBR-25."""

TO_RESULT = {
    S.FINAL: "F",
    S.PRELIMINARY: "P",
    S.PARTIAL: "S",
    S.CORRECTED: "C",
    S.AMENDED: "A",
    S.CANCELLED: "X",
    S.REGISTERED: "I",
    S.ENTERED_IN_ERROR: "W",
    S.UNKNOWN: "",
}
TO_ORDER = {
    S.FINAL: "F",
    S.PRELIMINARY: "P",
    S.PARTIAL: "A",
    S.CORRECTED: "C",
    S.AMENDED: "C",
    S.CANCELLED: "X",
    S.REGISTERED: "I",
    S.ENTERED_IN_ERROR: "X",
    S.UNKNOWN: "",
}

_UNFINISHED = frozenset({S.REGISTERED, S.PARTIAL, S.PRELIMINARY})
REVISING = frozenset({S.CORRECTED, S.AMENDED, S.ENTERED_IN_ERROR})
"""Statuses of a report that replaces one that was already sent."""


def overall(statuses: Iterable[S | None]) -> S:
    """Fold the statuses of several orders into the one of their report.

    As long as one order is unfinished, the report is partial; else one correction makes it corrected.
    """
    stated = {status for status in statuses if status is not None}
    if len(stated) == 1:
        return stated.pop()
    if stated & _UNFINISHED:
        return S.PARTIAL
    for status in (S.CORRECTED, S.AMENDED, S.FINAL, S.CANCELLED):
        if status in stated:
            return status
    return S.UNKNOWN
