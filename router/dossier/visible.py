"""The decision of `router.dossier.may`, put to a query: what a reader may read, so that nothing else is ever counted.

A `Visible` is a value: an empty one shows nothing. It holds for the moment of its context only.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, and_, false, or_, true

from router.dossier.context import Context, Reader, Thing
from router.dossier.may import Verdict, denied_for, masks, standings_of
from router.journal.tables import dossier_entry
from schemas.habilitation import Action, DataCategory
from schemas.visibility import Mark


@dataclass(frozen=True, slots=True)
class Part:
    """What one standing shows: these categories, but for things that have one of the marks, of its period.

    `author_marks` are those that keep a thing from its own author. `hidden` are the things kept back in this dossier.
    """

    categories: frozenset[DataCategory]
    marks: Mark
    author_marks: Mark
    since: int | None
    until: int | None
    hidden: frozenset[int]

    def shows(self, thing: Thing, tokens: frozenset[int]) -> bool:
        """Say whether a thing is shown."""
        if thing.category not in self.categories or (thing.thing is not None and thing.thing in self.hidden):
            return False
        if thing.at is not None:
            if self.since is not None and thing.at < self.since:
                return False
            if self.until is not None and thing.at >= self.until:
                return False
        author = thing.author is not None and thing.author in tokens
        return not thing.marks & (self.author_marks if author else self.marks)

    def where(self, tokens: frozenset[int], entry: FromClause) -> ColumnElement[bool]:
        """Give the same as a condition on `dossier_entry`, or on an alias of it."""
        column = entry.c
        unmarked: ColumnElement[bool] = column.marks.bitwise_and(int(self.marks)) == 0
        if tokens and self.author_marks != self.marks:
            own = column.author.in_(sorted(tokens)) & (column.marks.bitwise_and(int(self.author_marks)) == 0)
            unmarked = or_(unmarked, own)
        conditions = [column.category.in_(sorted(one.value for one in self.categories)), unmarked]
        if self.since is not None:
            conditions.append(column.at >= self.since)
        if self.until is not None:
            conditions.append(column.at < self.until)
        if self.hidden:
            conditions.append(column.thing.not_in(sorted(self.hidden)))
        return and_(*conditions)


@dataclass(frozen=True, slots=True)
class Visible:
    """What a reader may read of a dossier: what one of its parts shows, or `everything` (auditors)."""

    parts: tuple[Part, ...] = ()
    everything: bool = False
    tokens: frozenset[int] = frozenset()

    @property
    def categories(self) -> frozenset[DataCategory]:
        """The categories of which anything at all may be shown."""
        if self.everything:
            return frozenset(DataCategory)
        return frozenset().union(*(part.categories for part in self.parts))

    def shows(self, thing: Thing) -> bool:
        """Say whether a thing is shown: what `may` says of reading it."""
        return self.everything or any(part.shows(thing, self.tokens) for part in self.parts)

    def where(self, entry: FromClause = dossier_entry) -> ColumnElement[bool]:
        """Give the condition on `dossier_entry` for a query; counts, pages and includes all take it."""
        if self.everything:
            return true()
        return or_(false(), *(part.where(self.tokens, entry) for part in self.parts))


def visible(reader: Reader, context: Context) -> Visible:
    """Give what a reader may read of a dossier."""
    standings = standings_of(reader, Action.READ, context)
    if isinstance(standings, Verdict):
        return Visible(everything=standings.allowed)
    parts: list[Part] = []
    for standing in standings:
        hidden = frozenset(
            thing
            for thing, decided in context.restrictions.items()
            if any(one.keeps_from(standing.member, standing.family) for one in decided)
        )
        by_marks: dict[tuple[Mark, Mark], set[DataCategory]] = {}
        for category in DataCategory:
            if denied_for(reader, Action.READ, category, standing, context) is None:
                kept = (
                    masks(standing, category, context, author=False),
                    masks(standing, category, context, author=True),
                )
                by_marks.setdefault(kept, set()).add(category)
        parts += [
            Part(frozenset(categories), marks, own, standing.since, standing.until, hidden)
            for (marks, own), categories in by_marks.items()
        ]
    return Visible(tuple(parts), tokens=reader.tokens)
