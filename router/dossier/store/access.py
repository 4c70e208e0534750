"""What one reader may see, as conditions of queries: asked of the door once a request, for the patients that matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, false, or_

from router.dossier.accesses import Access as Decided
from router.dossier.circle import party_token
from router.dossier.context import Reader, Thing
from router.dossier.door import Door, Sight
from router.dossier.may import Verdict
from router.dossier.store import requests
from router.dossier.store.parameters import OF_NOBODY
from router.journal import tables
from router.journal.view import View
from schemas.habilitation import Action

_R = tables.resource.c


class Access:
    """One reader's eyes during one request."""

    def __init__(self, view: View, door: Door, reader: Reader, now: int) -> None:
        self.view = view
        self.reader = reader
        self._door = door
        self._now = now
        self._sights: dict[int, Sight | None] = {}
        self._everybody: tuple[int, ...] | None = None
        self._conditions: dict[frozenset[int] | None, ColumnElement[bool]] = {}
        self._decided: dict[tuple[Action, int, Thing | None], Decided | None] = {}

    def everybody(self) -> tuple[int, ...]:
        """Give the patients of whom the reader may see anything."""
        if self._everybody is None:
            self._everybody = tuple(sorted(self._door.patients(self.view, self.reader)))
        return self._everybody

    def condition(self, kind: str, patients: Iterable[int] | None) -> ColumnElement[bool]:
        """Give the condition under which rows of a type are seen; `patients` None is everybody the reader knows."""
        if kind == "Subscription":
            return _R.owner == self.reader.tool
        if kind in OF_NOBODY:
            return _R.patient_id.is_(None)
        key = None if patients is None else frozenset(patients)
        if key not in self._conditions:
            self._conditions[key] = self._condition(self.everybody() if key is None else tuple(sorted(key)))
        if kind == "CommunicationRequest":
            return and_(self._conditions[key], self._told())
        if kind == requests.KIND:
            return or_(self._conditions[key], requests.apart(self.view.sealer, self.reader))
        return self._conditions[key]

    def _told(self) -> ColumnElement[bool]:
        """Give the condition that leaves out alerts that others were told: whom to tell is more than who may read."""
        alert, notice, token = tables.alert.c, tables.alert_notice.c, tables.dossier_member_token.c
        keys = sorted(self.reader.keys | self.reader.structures)
        mine = (
            exists()
            .where(alert.resource_id == _R.id)
            .where(notice.alert_id == alert.id, notice.state != "cancelled")
            .where(token.member_id == notice.member_id)
            .where(token.token.in_([party_token(self.view.sealer, key) for key in keys]))
        )
        return or_(~exists().where(alert.resource_id == _R.id), mine)

    def _condition(self, wanted: Sequence[int]) -> ColumnElement[bool]:
        groups: dict[Sight, list[int]] = {}
        self._ask(wanted)
        for number in wanted:
            sight = self._sights[number]
            if sight is not None:
                groups.setdefault(sight, []).append(number)
        if not groups:
            return false()
        return or_(*(and_(_among(_R.patient_id, numbers), sight.clause(_R)) for sight, numbers in groups.items()))

    def _ask(self, patients: Sequence[int]) -> None:
        unknown = [number for number in patients if number not in self._sights]
        if unknown:
            found = self._door.visible(self.view, self.reader, unknown, self._now)
            self._sights.update({number: found.get(number) for number in unknown})

    def may(self, action: Action, patient: int, thing: Thing) -> Verdict:
        """Ask about one thing."""
        decided = self._decision(action, patient, thing)
        if decided is not None:
            return decided.verdict
        return self._door.may(self.view, self.reader, action, patient, thing, self._now)

    def decisions(self, action: Action, patients: Iterable[int], thing: Thing | None = None) -> list[Decided]:
        """Give what is to be kept of a request, for each patient whom it is about."""
        found = (self._decision(action, one, thing) for one in dict.fromkeys(patients))
        return [one for one in found if one is not None]

    def _decision(self, action: Action, patient: int, thing: Thing | None) -> Decided | None:
        key = action, patient, thing
        if key not in self._decided:
            self._decided[key] = self._door.decision(self.view, self.reader, action, patient, thing, self._now)
        return self._decided[key]


class ToldAccess(Access):
    """The eyes of somebody who is told of one alert: they see its resource, and the patient's own only to match it."""

    def __init__(self, view: View, door: Door, reader: Reader, now: int, patient: int, resource_id: int) -> None:
        super().__init__(view, door, reader, now)
        self._patient = patient
        self._resource = resource_id

    def condition(self, kind: str, patients: Iterable[int] | None) -> ColumnElement[bool]:
        """Give the condition of that one resource; who is told knows whom it is about."""
        if kind == "CommunicationRequest":
            return _R.id == self._resource
        return _R.patient_id == self._patient


def _among(column: Any, numbers: Sequence[int]) -> ColumnElement[bool]:
    if len(numbers) == 1:
        return and_(column == numbers[0])
    # Written into the statement: they are our own integers, and there may be more than a driver takes as values.
    return and_(column.in_(bindparam(None, list(numbers), expanding=True, literal_execute=True)))
