"""Dates in searches: periods of microseconds compared as FHIR's prefixes say."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, or_

from router.journal import tables

_R, _D = tables.resource.c, tables.resource_date.c


class Compare(StrEnum):
    """Prefixes of dates (FHIR R4 §3.1.1.4.5)."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"
    SA = "sa"
    EB = "eb"
    AP = "ap"


def changed_at(compare: Compare, low: int, high: int) -> ColumnElement[bool]:
    """Compare the time of the last change with a moment: a feed asked for after a second misses nothing of it."""
    column = _R.updated_at
    match compare:
        case Compare.GT | Compare.SA:
            return and_(column > low)
        case Compare.GE:
            return and_(column >= low)
        case Compare.LT | Compare.EB:
            return and_(column < low)
        case Compare.LE:
            return and_(column < high)
        case Compare.NE:
            return or_(column < low, column >= high)
        case Compare.EQ | Compare.AP:
            return and_(column >= low, column < high)


def dated(name: str, compare: Compare, low: int, high: int) -> ColumnElement[bool]:
    """Compare the periods of a date parameter with a period, as the prefix says."""
    return exists().where(_D.resource_id == _R.id, _D.name == name, _spans(compare, low, high))


def _spans(compare: Compare, low: int, high: int) -> ColumnElement[bool]:
    match compare:
        case Compare.EQ:
            return and_(_D.low >= low, _D.high <= high)
        case Compare.NE:
            return or_(_D.low < low, _D.high > high)
        case Compare.GT:
            return and_(_D.high > high)
        case Compare.LT:
            return and_(_D.low < low)
        case Compare.GE:
            return or_(_D.low >= low, _D.high > high)
        case Compare.LE:
            return or_(_D.low < low, _D.high <= high)
        case Compare.SA:
            return and_(_D.low >= high)
        case Compare.EB:
            return and_(_D.high <= low)
        case Compare.AP:
            return and_(_D.low < high, _D.high > low)
