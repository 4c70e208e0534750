"""Habilitation: which categories of data there are, what may be done with them, and up to where somebody is entitled.

The matrix (role family × category) says what a role may; a Habilitation is a ceiling of its own for one structure, one
tool or one professional, below which the matrix still decides.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Organization
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Identifier


class DataCategory(StrEnum):
    """The rows of the habilitation matrix."""

    IDENTITY = "identity"
    EVENTS = "events"
    NOTES = "notes"
    DOCUMENTS = "documents"
    LAB = "lab"
    MEASURES = "measures"
    PLANS = "plans"
    AGENDA = "agenda"
    SOCIAL = "social"


class Level(StrEnum):
    """What a cell of the matrix gives: nothing, to be told that something happened, to read it, to write as well."""

    NONE = "-"
    EVENT = "E"
    READ = "R"
    ALL = "A"

    @property
    def rank(self) -> int:
        """Its place in the order of levels."""
        return list(Level).index(self)


class Action(StrEnum):
    """What somebody is about to do: be told without content, be sent it, read it, write it."""

    TELL = "tell"
    PUSH = "push"
    READ = "read"
    WRITE = "write"

    @property
    def needs(self) -> Level:
        """The least level that allows it."""
        return {Action.TELL: Level.EVENT, Action.WRITE: Level.ALL}.get(self, Level.READ)


class HolderKind(StrEnum):
    """Whose habilitation it is."""

    STRUCTURE = "structure"
    TOOL = "tool"
    PROFESSIONAL = "professional"


class Habilitation(Frozen):
    """A ceiling: no more than `level` on these `categories` (empty: all), from `start` to `end`.

    A tool needs one to act at all, and may be tied to the `structures` for which it acts (empty: any). A structure or a
    professional without one is bound by the matrix alone.
    """

    holder: HolderKind
    name: str
    identifiers: tuple[Identifier, ...] = ()
    structures: tuple[Organization, ...] = ()
    categories: tuple[DataCategory, ...] = ()
    level: Level = Level.ALL
    start: PartialDateTime
    end: PartialDateTime | None = None
