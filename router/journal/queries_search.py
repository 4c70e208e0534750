"""Search: from what a person typed to the messages that it may mean, through the blind indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, text

from router.identity.patients import load_patients
from router.journal import tables
from router.journal.operations import SUMMARY_PLACE
from router.journal.view import View

CANDIDATES = 2_000
"""Messages that one search looks at, the newest ones."""

WITH_PATIENT = text("item.patient_id IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Search:
    """What a person looks for: blind tokens of the text, and the text itself as a control id or a message's number.

    With a `birth_date` (ISO 8601), only what is about somebody born on that day. `references` are tokens of a name
    under which a partner may know a Delivery.
    """

    tokens: tuple[int, ...]
    text: str
    birth_date: str = ""
    references: tuple[int, ...] = ()


def candidates(view: View, search: Search, *, low: int = 0, high: int | None = None) -> tuple[list[int], bool]:
    """Give the messages numbered from `low` to under `high` that a search may mean, and whether some were left out."""
    found: set[int] = set()
    capped = False
    within = [tables.item.c.message_id >= low, *([tables.item.c.message_id < high] if high is not None else [])]
    if search.tokens:
        for ids in (_by_item(view, search, within), _by_patient(view, search, within)):
            capped = capped or len(ids) > CANDIDATES
            found.update(ids[:CANDIDATES])
    if not search.birth_date:
        found.update(_itself(view, search))
    return sorted(found, reverse=True)[:CANDIDATES], capped or len(found) > CANDIDATES


def _by_item(view: View, search: Search, within: Sequence[ColumnElement[bool]]) -> list[int]:
    item, token = tables.item.c, tables.item_token.c
    statement = (
        select(item.message_id, item.sealed_summary)
        .join(tables.item_token, token.item_id == item.id)
        .where(token.token.in_(search.tokens), *within)
        .order_by(token.item_id.desc())
        .limit(CANDIDATES + 1)
    )
    rows = view.connection.execute(statement).all()
    if not search.birth_date:
        return [row.message_id for row in rows]
    return [row.message_id for row in rows if _born(view, row.sealed_summary) == search.birth_date]


def _born(view: View, sealed: bytes) -> object:
    patient = view.json_object(sealed, SUMMARY_PLACE).get("patient")
    return patient.get("birth_date") if isinstance(patient, dict) else None


def _by_patient(view: View, search: Search, within: Sequence[ColumnElement[bool]]) -> list[int]:
    connection, item, owner = view.connection, tables.item.c, tables.patient_token.c
    named = select(owner.patient_id).where(owner.token.in_(search.tokens)).distinct().limit(CANDIDATES + 1)
    people = set(connection.execute(named).scalars())
    if search.birth_date and people:
        known = load_patients(connection, view.sealer, people)
        people = {number for number, one in known.items() if one.identity.birth_date == search.birth_date}
    if not people:
        return []
    statement = (
        select(item.message_id)
        .where(item.patient_id.in_(_one_person_each(view, people)), WITH_PATIENT, *within)
        .order_by(item.id.desc())
        .limit(CANDIDATES + 1)
    )
    return list(connection.execute(statement).scalars())


def _itself(view: View, search: Search) -> set[int]:
    columns, known = tables.message.c, tables.delivery_reference.c
    itself: list[ColumnElement[bool]] = [columns.control_id == search.text]
    number = search.text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 16:
        itself.append(columns.id == int(number))
    # Statements of their own rather than one OR: each then uses its own index.
    found: set[int] = set()
    for condition in itself:
        statement = select(columns.id).where(condition).order_by(columns.id.desc()).limit(CANDIDATES)
        found.update(view.connection.execute(statement).scalars())
    if search.references:
        named = (
            select(tables.delivery.c.message_id)
            .join(tables.delivery_reference, known.delivery_id == tables.delivery.c.id)
            .where(known.token.in_(search.references))
            .limit(CANDIDATES)
        )
        found.update(view.connection.execute(named).scalars())
    return found


def by_control_id(view: View, wanted: str) -> tuple[list[int], bool]:
    """Give the messages with a control id, or whose control id begins so when `*` ends what is wanted; newest first."""
    columns = tables.message.c
    if wanted.endswith("*"):
        begins = wanted.rstrip("*")
        condition = columns.control_id.startswith(begins, autoescape=True)
        bounds: list[ColumnElement[bool]] = [columns.control_id >= begins, condition] if begins else []
        if begins and view.connection.dialect.name == "sqlite":
            # There the order is that of the bytes: the range is a part of the index.
            bounds.append(columns.control_id < begins[:-1] + chr(ord(begins[-1]) + 1))
    else:
        bounds = [columns.control_id == wanted]
    if not bounds:
        return [], False
    # The numbers first, then the newest: the order of numbers would lead through the whole journal.
    inner = select(columns.id).where(*bounds).limit(CANDIDATES + 1)
    found = list(view.connection.execute(inner).scalars())
    return sorted(found, reverse=True)[:CANDIDATES], len(found) > CANDIDATES


def _one_person_each(view: View, people: set[int]) -> list[int]:
    """Add to patients those who were merged with them: a survivor is found with what came under the other number."""
    patient = tables.patient.c
    survivors = select(patient.merged_into).where(patient.id.in_(people), patient.merged_into.is_not(None))
    people = people | set(view.connection.execute(survivors).scalars())
    absorbed = select(patient.id).where(patient.merged_into.in_(people))
    return sorted(people | set(view.connection.execute(absorbed).scalars()))
