"""The door between tools and what the dossier holds, as the FHIR API and the subscriptions ask it.

It is asked in two ways that agree: `visible` gives a condition that is put into every query, so that totals, includes,
histories and errors tell nothing of what is hidden; `may` decides about one thing, and says by which rule. Without a
door of its own, the dossier is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement

from router.dossier.accesses import Access
from router.dossier.context import Reader, Thing
from router.dossier.may import Rule, Verdict, verdict
from router.journal.view import View
from schemas.habilitation import Action, DataCategory


class Sight(Protocol):
    """What a reader may see of one patient, as a condition on the columns of `resource`. Equal ones share a query."""

    def clause(self, columns: Any) -> ColumnElement[bool]:
        """Give the condition, without the patient."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...


class Door(Protocol):
    """Decides. Called in threads, with a connection of the caller's; `now` is microseconds since the epoch."""

    def patients(self, view: View, reader: Reader) -> Sequence[int]:
        """Give the numbers of the patients of whom the reader may see something: more is told by `visible`."""

    def visible(self, view: View, reader: Reader, patients: Iterable[int], now: int) -> Mapping[int, Sight]:
        """Give what the reader may see of each of these patients; one of whom nothing may be seen is left out."""

    def may(self, view: View, reader: Reader, action: Action, patient: int, thing: Thing, now: int) -> Verdict:
        """Decide about one thing."""

    def decision(
        self, view: View, reader: Reader, action: Action, patient: int, thing: Thing | None, now: int
    ) -> Access | None:
        """Give what is to be kept of a decision about a thing, or about the dossier itself; None without a dossier."""


class Closed:
    """A door through which nobody passes."""

    def patients(self, _view: View, _reader: Reader) -> Sequence[int]:
        """Give nobody."""
        return ()

    def visible(self, _view: View, _reader: Reader, _patients: Iterable[int], _now: int) -> Mapping[int, Sight]:
        """Give nothing."""
        return {}

    def may(self, _view: View, _reader: Reader, _action: Action, _patient: int, _thing: Thing, _now: int) -> Verdict:
        """Refuse."""
        return verdict(Rule.NO_DOSSIER)

    def decision(
        self, _view: View, _reader: Reader, _action: Action, _patient: int, _thing: Thing | None, _now: int
    ) -> Access | None:
        """Keep nothing."""
        return None


UNGOVERNED = DataCategory.IDENTITY
"""The category under which what belongs to no row of the matrix is asked about."""
