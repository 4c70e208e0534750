"""What waits for a person, the oldest first, in two piles: to decide, and set aside (a task, a doubt)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, and_, func, or_, select

from router.desk.deciding import TOGETHER
from router.identity.tasks import count_open
from router.journal import tables
from router.journal.decisions import ASIDE, DeskAction, Newest, newest_action, newest_decisions
from router.journal.operations import BODY_PLACE
from router.journal.queries_lines import HELD_ITEMS, ItemLine, item_lines
from router.journal.view import Capped, View
from schemas.item import ITEM, Item

NONE = Capped(0)
CAP = 1_000
"""Held Items that are counted; a longer queue is said to be longer."""


class Pile(StrEnum):
    """Where a held Item lies."""

    TODO = "todo"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class Heap:
    """Items of one pile, or of one reason in it: how many, and since when the oldest waits (microseconds)."""

    count: Capped = NONE
    oldest_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Piles:
    """Both piles, the one that was asked for by reason (the largest first), and how many tasks are open.

    `tasks` are those that the router opened about patients (`router.identity.tasks`).
    """

    todo: Heap
    aside: Heap
    reasons: tuple[Heap, ...]
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """One held Item in a list; `newest` is what was decided last about it."""

    line: ItemLine
    newest: Newest | None


@dataclass(frozen=True, slots=True)
class Held:
    """An Item to decide: where it came from, what it says, why it is held, and who may be meant.

    `rule` is the row of the decision table. `item` is None when it was kept under a model that is no more.
    """

    line: ItemLine
    source: str
    received_at: int
    rule: str
    candidates: tuple[int, ...]
    lane: int
    item: Item | None
    newest: Newest | None

    @property
    def to_decide(self) -> bool:
        """Whether a decision is possible: it is held, and nobody attached it a moment ago."""
        attached = self.newest is not None and self.newest.action is DeskAction.ATTACH
        return self.line.state.value == "held" and not attached


def piles(view: View, pile: Pile = Pile.TODO) -> Piles:
    """Count both piles; the reasons are those of `pile`."""
    return Piles(_heap(view, Pile.TODO), _heap(view, Pile.ASIDE), tuple(_reasons(view, pile)), count_open(view)[0])


def next_held(view: View, pile: Pile, *, reason: str = "", after: int = 0) -> int | None:
    """Give the next Item of a pile after this one, or the first when none follows; None when the pile is empty."""
    column = tables.item.c
    first = select(column.id).where(*_conditions(pile, reason)).order_by(column.id).limit(1)
    following: int | None = view.connection.execute(first.where(column.id > after)).scalar()
    if following is None and after:
        following = view.connection.execute(first).scalar()
    return following


def waiting(view: View, pile: Pile, *, reason: str = "", after: int = 0, limit: int = 50) -> list[Waiting]:
    """Give Items of a pile, the oldest first, from the cursor `after` on."""
    lines = list(item_lines(view, *_conditions(pile, reason), tables.item.c.id > after, limit=limit))
    newest = newest_decisions(view.connection, [line.id for line in lines])
    return [Waiting(line, newest.get(line.id)) for line in lines]


def held_item(view: View, number: int) -> Held | None:
    """Give one Item, held or not, as it is looked at on the desk; None when there is none."""
    line = next(iter(item_lines(view, tables.item.c.id == number, replaced=True)), None)
    if line is None:
        return None
    column, message = tables.item.c, tables.message.c
    row = view.connection.execute(
        select(column.sealed_body, column.lane, column.decision, column.candidates, message.source, message.received_at)
        .join(tables.message, message.id == column.message_id)
        .where(column.id == number)
    ).one()
    candidates = tuple(int(one) for one in (row.candidates or "").split())
    newest = newest_decisions(view.connection, [number]).get(number)
    item = _opened(view, row.sealed_body)
    return Held(line, row.source, row.received_at, row.decision or "", candidates, row.lane, item, newest)


def same_identity(view: View, held: Held) -> list[int]:
    """Give the other Items to decide that say exactly the same of their patient, for one decision about them all."""
    if held.item is None:
        return []
    column = tables.item.c
    found = (
        select(column.id, column.sealed_body)
        .where(*_conditions(Pile.TODO, held.line.reason or ""), column.lane == held.lane, column.id != held.line.id)
        .order_by(column.id)
        .limit(TOGETHER - 1)
    )
    alike = []
    for row in view.connection.execute(found):
        other = _opened(view, row.sealed_body)
        if other is not None and other.patient == held.item.patient:
            alike.append(row.id)
    return alike


def _opened(view: View, sealed: bytes) -> Item | None:
    try:
        return ITEM.validate_json(view.sealer.open(sealed, BODY_PLACE))
    except ValidationError:
        return None  # kept under an older model: the message's page shows it as it is kept


def _conditions(pile: Pile, reason: str = "") -> list[ColumnElement[bool] | Any]:
    """Give the conditions of a pile; an Item that the engine is about to release is in neither."""
    aside = [action.value for action in ASIDE]
    newest = newest_action()
    if pile is Pile.ASIDE:
        # Those that persons ever set aside are few beside those that wait for one.
        decided = tables.identity_decision.c
        ever = select(decided.item_id).where(decided.action.in_(aside))
        where: ColumnElement[bool] = and_(tables.item.c.id.in_(ever), newest.in_(aside))
    else:
        where = or_(newest.is_(None), newest == DeskAction.UNDO.value)
    return [HELD_ITEMS, where, *([tables.item.c.reason == reason] if reason else [])]


def _heap(view: View, pile: Pile) -> Heap:
    column = tables.item.c
    found = select(column.created_at).where(*_conditions(pile)).order_by(column.id).limit(CAP + 1).subquery().c
    row = view.connection.execute(
        select(func.count().label("number"), func.min(found.created_at).label("oldest"))
    ).one()
    return Heap(Capped.of(row.number, CAP), row.oldest)


def _reasons(view: View, pile: Pile) -> Iterable[Heap]:
    column = tables.item.c
    limited = select(column.reason, column.created_at).where(*_conditions(pile)).order_by(column.id).limit(CAP)
    found = limited.subquery().c
    grouped = (
        select(found.reason, func.count().label("number"), func.min(found.created_at).label("oldest"))
        .group_by(found.reason)
        .order_by(func.count().desc(), found.reason)
    )
    for row in view.connection.execute(grouped):
        yield Heap(Capped(row.number), row.oldest, row.reason or "")
