"""The door between tools and what the dossier holds: who asks, for what, and what of it may be seen.

Whoever decides (`Door`) is asked in two ways that must agree: `visible` gives a condition that is put into every
query, so that totals, includes, histories and errors tell nothing of what is hidden; `may` decides about one thing, and
says by which rule. Without a door of its own, the dossier is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, false

from router.journal.sealing import Sealer
from router.journal.view import View
from schemas.coding import Identifier
from schemas.habilitation import Action


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: a tool, and the person on whose behalf it does.

    `user` are that person's identifiers (RPPS, or a number inside of `structure`); empty when the tool names nobody.
    `tool` is the name under which the tool is registered.
    """

    tool: str
    user: tuple[Identifier, ...] = ()
    structure: tuple[Identifier, ...] = ()

    @property
    def name(self) -> str:
        """How the audit trail calls the reader."""
        person = self.user[0].value if self.user else ""
        return f"tool:{self.tool}" + (f" for {person}" if person else "")


@dataclass(frozen=True, slots=True)
class Thing:
    """What is read or written: a resource as the door sees it.

    `category` is the data category, `marks` a `schemas.visibility.Mark` as a number, `happened_at` microseconds since
    the epoch, `author` the blind token of who wrote it, `key` its `Type/id` (empty before it has one).
    """

    patient: int
    category: str
    marks: int = 0
    happened_at: int | None = None
    author: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided. `reason` and `rule` are for the audit trail: what is refused is not explained to who asked."""

    allowed: bool
    reason: str
    rule: str = ""


class Sight(Protocol):
    """What a reader may see of one patient, as a condition on the columns of `resource`. Equal ones share a query."""

    def clause(self, columns: Mapping[str, Column[Any]]) -> ColumnElement[bool]:
        """Give the condition, without the patient."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...


class Door(Protocol):
    """Decides. Called in threads, with a connection of the caller's."""

    def patients(self, view: View, reader: Reader, now: int) -> Sequence[int]:
        """Give the numbers of the patients of whom the reader may see anything at all."""

    def visible(self, view: View, reader: Reader, patients: Sequence[int], now: int) -> Mapping[int, Sight]:
        """Give what the reader may see of each of these patients; one of whom nothing may be seen is left out."""

    def may(self, view: View, reader: Reader, action: Action, thing: Thing, now: int) -> Verdict:
        """Decide about one thing."""


class Closed:
    """A door through which nobody passes."""

    def patients(self, _view: View, _reader: Reader, _now: int) -> Sequence[int]:
        """Give nobody."""
        return ()

    def visible(self, _view: View, _reader: Reader, _patients: Sequence[int], _now: int) -> Mapping[int, Sight]:
        """Give nothing."""
        return {}

    def may(self, _view: View, _reader: Reader, _action: Action, _thing: Thing, _now: int) -> Verdict:
        """Refuse."""
        return Verdict(False, "the dossier has no door", "closed")


def author_token(sealer: Sealer, identifiers: Sequence[Identifier]) -> int | None:
    """Make the blind token of an author: of the first key that recognises them, None when nothing does."""
    from schemas.circle import party_keys

    keys = sorted(party_keys(identifiers))
    return sealer.token("author", keys[0]) if keys else None


def nothing() -> ColumnElement[bool]:
    """Give the condition that no row meets."""
    return false()
