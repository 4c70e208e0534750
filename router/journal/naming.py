"""Names that a partner tells only later: of which Deliveries it is to be asked, when, and what came of it.

That a Delivery is to be asked about is written with what its sending came to, in one transaction. Before the partner is
asked this is noted as well, so that a router killed in the middle does not ask again at once; the names and the end of
the asking are written together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import delete, insert, select, update

from connectors.contracts import Learnt, NotAsked
from router.journal import tables
from router.journal.operations import Change
from router.journal.receipts import keep_references
from router.journal.unit import Unit
from router.journal.view import View

MICROS = 1_000_000
UNANSWERED = timedelta(minutes=15)
"""What was asked without an answer (the router was killed) is asked again after that time."""

ABSENT_WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24), timedelta(hours=72))
"""Until it is asked again about what the partner does not know (yet); after the last of them, no more."""


class NamingState(StrEnum):
    """How far it has come: never asked yet, told, not there (yet), not allowed, no answer, or nothing to ask about."""

    WAITING = "waiting"
    LEARNT = "learnt"
    ABSENT = "absent"
    DENIED = "denied"
    TROUBLE = "trouble"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class NamingLine:
    """How far it has come with one Delivery. Microseconds; `due_at` is None once it is not asked any more."""

    state: NamingState
    due_at: int | None
    looked_at: int | None
    detail: str = ""


def ask_later(unit: Unit, delivery_id: int, due_at: int) -> None:
    """Note that the partner is to be asked about a Delivery from `due_at` (microseconds) on."""
    table = tables.delivery_naming
    unit.flush()
    destination = unit.connection.execute(
        select(tables.delivery.c.destination).where(tables.delivery.c.id == delivery_id)
    ).scalar_one()
    unit.connection.execute(delete(table).where(table.c.delivery_id == delivery_id))
    unit.connection.execute(
        insert(table).values(
            delivery_id=delivery_id,
            destination=destination,
            due_at=due_at,
            looks=0,
            state=NamingState.WAITING.value,
            detail="",
        )
    )


def begin_asking(deliveries: Sequence[int], now: int) -> Change[None]:
    """Note that the partner is asked about these Deliveries now."""

    def change(unit: Unit) -> None:
        column = tables.delivery_naming.c
        again = now + _micros(UNANSWERED)
        unit.connection.execute(
            update(tables.delivery_naming)
            .where(column.delivery_id.in_(deliveries))
            .values(looked_at=now, due_at=again, looks=column.looks + 1)
        )

    return Change(change, note="a partner is asked for names")


def keep_answers(answers: Mapping[int, Learnt | NotAsked], now: int) -> Change[int]:
    """Keep what was told of these Deliveries, and when each is asked about again; gives how many names were told of."""

    def change(unit: Unit) -> int:
        column, told = tables.delivery_naming.c, 0
        wanted = select(column.delivery_id, column.looks).where(column.delivery_id.in_(answers))
        for number, looks in unit.connection.execute(wanted).all():  # those purged meanwhile are not among them
            answer = answers[number]
            if isinstance(answer, Learnt) and answer.references:
                keep_references(unit, number, answer.references, now)
                told += 1
            values = _after(answer, looks, now)
            unit.connection.execute(update(tables.delivery_naming).where(column.delivery_id == number).values(values))
        return told

    return Change(change, note="names that a partner told")


def _after(answer: Learnt | NotAsked, looks: int, now: int) -> dict[str, int | str | None]:
    if isinstance(answer, Learnt) and answer.references:
        return {"state": NamingState.LEARNT.value, "due_at": None, "detail": ""}
    if isinstance(answer, Learnt):
        wait = ABSENT_WAITS[looks - 1] if looks <= len(ABSENT_WAITS) else None
        due = now + _micros(wait) if wait is not None else None
        return {"state": NamingState.ABSENT.value, "due_at": due, "detail": ""}
    state = NamingState.DENIED if answer.denied else NamingState.TROUBLE
    if answer.wait is None:
        return {"state": NamingState.NOTHING.value, "due_at": None, "detail": answer.detail[:200]}
    # A look that was none does not count.
    due = now + int(answer.wait * MICROS)
    return {"state": state.value, "due_at": due, "detail": answer.detail[:200], "looks": looks - 1}


def _micros(wait: timedelta) -> int:
    return int(wait.total_seconds() * MICROS)


def namings_of(view: View, deliveries: Sequence[int]) -> dict[int, NamingLine]:
    """Give how far it has come with some Deliveries, by Delivery; one that nothing is asked about is missing."""
    column = tables.delivery_naming.c
    rows = view.connection.execute(select(tables.delivery_naming).where(column.delivery_id.in_(deliveries)))
    return {row.delivery_id: NamingLine(NamingState(row.state), row.due_at, row.looked_at, row.detail) for row in rows}
