"""The door as circle, consents and habilitations open it (`router.dossier.may`, `router.dossier.visible`)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true

from router.dossier.accesses import Access
from router.dossier.circle import dossiers_with
from router.dossier.context import Context, Reader, Thing
from router.dossier.door import Sight
from router.dossier.keeping import DOSSIER_OF
from router.dossier.loading import AllHave, context_of_all, own_context
from router.dossier.may import Rule, Verdict, may, standings_of, verdict
from router.dossier.visible import Part, Visible, visible
from router.journal import tables
from router.journal.ready import Ready
from router.journal.view import View
from schemas.dossier import DossierState
from schemas.habilitation import Action, DataCategory

REMEMBERED = 4000
"""Dossiers kept as they were loaded; the newest line of a dossier's history says whether one is still right."""


_HEAD = Ready(
    DOSSIER_OF.with_only_columns(
        tables.dossier.c.id,
        tables.dossier.c.state,
        func.coalesce(
            select(func.max(tables.dossier_history.c.id))
            .where(tables.dossier_history.c.dossier_id == tables.dossier.c.id)
            .scalar_subquery(),
            0,
        ).label("newest"),
    )
)
"""A patient's dossier, and the newest line of its history."""


@dataclass(frozen=True, slots=True)
class CircleSight:
    """A `Visible`, put to the columns of `resource`; what has no date there is of every period."""

    shows: Visible

    def clause(self, columns: Any) -> ColumnElement[bool]:
        """Give the condition: that of any of its parts."""
        if self.shows.everything:
            return true()
        return _of_resources(self.shows) if columns is tables.resource.c else _parts(self.shows, columns)


@lru_cache(maxsize=1024)
def _of_resources(shows: Visible) -> ColumnElement[bool]:
    """Give the condition on `resource`: many dossiers show the same to the same reader."""
    return _parts(shows, tables.resource.c)


def _parts(shows: Visible, columns: Any) -> ColumnElement[bool]:
    return or_(false(), *(_part(part, shows.tokens, columns) for part in shows.parts))


def _part(part: Part, tokens: frozenset[int], columns: Any) -> ColumnElement[bool]:
    seen: ColumnElement[bool] = columns.marks.bitwise_and(int(part.marks)) == 0
    if tokens and part.author_marks != part.marks:
        own = and_(columns.author.in_(sorted(tokens)), columns.marks.bitwise_and(int(part.author_marks)) == 0)
        seen = or_(seen, own)
    conditions = [columns.category.in_(sorted(one.value for one in part.categories)), seen]
    if part.since is not None:
        conditions.append(or_(columns.at.is_(None), columns.at >= part.since))
    if part.until is not None:
        conditions.append(or_(columns.at.is_(None), columns.at < part.until))
    if part.hidden:
        conditions.append(or_(columns.thing.is_(None), columns.thing.not_in(sorted(part.hidden))))
    return and_(*conditions)


@dataclass(slots=True)
class _Seen:
    """What one request has loaded."""

    view: View
    now: int
    shared: AllHave
    loaded: dict[int, tuple[int, Context] | None] = field(default_factory=dict)


class CircleDoor:
    """Opens by the circle. Dossiers are remembered until their history goes on."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[int, Context]] = OrderedDict()
        self._own = threading.local()

    def patients(self, view: View, reader: Reader) -> Sequence[int]:
        """Give the patients in whose circle the reader, or the structure that they act for, has or had a seat."""
        return dossiers_with(view, reader.keys | reader.structures)

    def visible(self, view: View, reader: Reader, patients: Iterable[int], now: int) -> Mapping[int, Sight]:
        """Ask `router.dossier.visible` for each dossier."""
        found: dict[int, Sight] = {}
        for number in patients:
            loaded = self._context(view, number, now)
            if loaded is None:
                continue
            shows = visible(reader, loaded[1])
            if shows.everything or shows.parts:
                found[number] = CircleSight(shows)
        return found

    def may(self, view: View, reader: Reader, action: Action, patient: int, thing: Thing, now: int) -> Verdict:
        """Ask `router.dossier.may`."""
        loaded = self._context(view, patient, now)
        return verdict(Rule.NO_DOSSIER) if loaded is None else may(reader, action, thing, loaded[1])

    def decision(
        self, view: View, reader: Reader, action: Action, patient: int, thing: Thing | None, now: int
    ) -> Access | None:
        """Give the decision with the dossier that it is about."""
        loaded = self._context(view, patient, now)
        if loaded is None:
            return None
        dossier_id, context = loaded
        if thing is None:
            standing = standings_of(reader, action, context)
            said = standing if isinstance(standing, Verdict) else _of_dossier(reader, action, context)
            return Access(dossier_id, reader, action, None, said)
        said = may(reader, action, thing, context)
        return Access(dossier_id, reader, action, thing.category, said, thing=thing.thing)

    def _context(self, view: View, patient: int, now: int) -> tuple[int, Context] | None:
        """Give a dossier's number and the dossier as it is now; one request, on one connection, loads it once."""
        seen: _Seen | None = getattr(self._own, "seen", None)
        if seen is None or seen.view is not view or seen.now != now:
            seen = self._own.seen = _Seen(view, now, context_of_all(view.connection, view.sealer))
        if patient not in seen.loaded:
            seen.loaded[patient] = self._loaded(view, patient, now, seen.shared)
        return seen.loaded[patient]

    def _loaded(self, view: View, patient: int, now: int, shared: AllHave) -> tuple[int, Context] | None:
        head = _HEAD.first(view.connection, patient=patient)
        if head is None:
            return None
        known = self._known.get(head.id)
        if known is None or known[0] != head.newest:
            known = head.newest, own_context(view.connection, view.sealer, head.id)
            self._known[head.id] = known
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return head.id, replace(known[1], now=now, state=DossierState(head.state), **shared)


def _of_dossier(reader: Reader, action: Action, context: Context) -> Verdict:
    """Give the verdict of a list: of the first category that the reader may ask for at all."""
    verdicts = [may(reader, action, Thing(category), context) for category in DataCategory]
    return next((one for one in verdicts if one.allowed), verdicts[0])
