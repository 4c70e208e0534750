"""Search: from what a person typed to the messages that it may mean, through the blind indexes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, text

from router.journal import tables
from router.journal.view import View

CANDIDATES = 2_000
"""Messages that one search looks at, the newest ones."""

WITH_PATIENT = text("item.patient_id IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Search:
    """What a person looks for: blind tokens of the text, and the text itself as a control id or a message's number."""

    tokens: tuple[int, ...]
    text: str


def candidates(view: View, search: Search) -> tuple[list[int], bool]:
    """Give the messages that a search may mean, and whether some were left out."""
    connection = view.connection
    item, token, owner = tables.item.c, tables.item_token.c, tables.patient_token.c
    found: set[int] = set()
    capped = False
    if search.tokens:
        by_item = (
            select(item.message_id)
            .join(tables.item_token, token.item_id == item.id)
            .where(token.token.in_(search.tokens))
            .order_by(token.item_id.desc())
            .limit(CANDIDATES + 1)
        )
        people = set(
            connection.execute(
                select(owner.patient_id).where(owner.token.in_(search.tokens)).distinct().limit(CANDIDATES + 1)
            ).scalars()
        )
        by_patient = (
            select(item.message_id)
            .where(item.patient_id.in_(_one_person_each(view, people)), WITH_PATIENT)
            .order_by(item.id.desc())
            .limit(CANDIDATES + 1)
        )
        for statement in (by_item, by_patient):
            ids = connection.execute(statement).scalars().all()
            capped = capped or len(ids) > CANDIDATES
            found.update(ids[:CANDIDATES])
    columns = tables.message.c
    itself: list[ColumnElement[bool]] = [columns.control_id == search.text]
    number = search.text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 16:
        itself.append(columns.id == int(number))
    # Two statements rather than one OR: each then uses its own index.
    for condition in itself:
        statement = select(columns.id).where(condition).order_by(columns.id.desc()).limit(CANDIDATES)
        found.update(connection.execute(statement).scalars())
    return sorted(found, reverse=True)[:CANDIDATES], capped or len(found) > CANDIDATES


def _one_person_each(view: View, people: set[int]) -> list[int]:
    """Add to patients those who were merged with them: a survivor is found with what came under the other number."""
    patient = tables.patient.c
    survivors = select(patient.merged_into).where(patient.id.in_(people), patient.merged_into.is_not(None))
    people = people | set(view.connection.execute(survivors).scalars())
    absorbed = select(patient.id).where(patient.merged_into.in_(people))
    return sorted(people | set(view.connection.execute(absorbed).scalars()))
