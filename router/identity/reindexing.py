"""Bringing the blind index of patients up to what this version looks for.

A journal made by an earlier version has patients without the newer kinds of tokens: they are found by their numbers,
and not yet by their traits. Tokens need the journal's key, so that no migration of the tables can make them: the router
does, a few patients at a time, and notes how far it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import insert, select, update

from router.identity.patients import load_patients, patient_tokens
from router.journal import tables
from router.journal.operations import Change
from router.journal.store import JournalFault, Store
from router.journal.unit import Unit

VERSION = "2"
"""Of the kinds of tokens that `patient_tokens` gives: to be counted up when it gives more."""

TOGETHER = 200
"""Patients of one transaction."""

RETRY_SECONDS = 60.0
"""Wait before trying again when the journal does not take it (a full disk)."""

_NAME = "patient_index"
_READ = select(tables.setting.c.value).where(tables.setting.c.name == _NAME)


async def bring_index_up(store: Store, submit: Callable[[Change[bool]], Awaitable[bool]]) -> None:
    """Index patients that an earlier version registered, until there are none left."""
    if await asyncio.to_thread(_is_up, store):
        return
    while True:
        try:
            if not await submit(index_more()):
                return
        except JournalFault:  # the writer has said so
            await asyncio.sleep(RETRY_SECONDS)


def _is_up(store: Store) -> bool:
    with store.reading() as connection:
        return connection.execute(_READ).scalar() == VERSION


def index_more() -> Change[bool]:
    """Index the next patients; gives whether there may be more."""

    def change(unit: Unit) -> bool:
        connection, row = unit.connection, tables.patient_token.c
        noted = connection.execute(_READ).scalar()
        if noted == VERSION:
            return False
        version, _, after = (noted or "").partition(" after ")
        last = int(after) if version == VERSION else 0
        column = tables.patient.c.id
        ids = list(connection.execute(select(column).where(column > last).order_by(column).limit(TOGETHER)).scalars())
        there = {
            (token, number)
            for token, number in connection.execute(select(row.token, row.patient_id).where(row.patient_id.in_(ids)))
        }
        rows = [
            {"token": token, "patient_id": number, "kind": kind}
            for number, patient in load_patients(connection, unit.sealer, ids).items()
            for token, kind in patient_tokens(unit.sealer, patient.identity).items()
            if kind in {"traits", "near"} and (token, number) not in there
        ]
        if rows:
            connection.execute(insert(tables.patient_token), rows)
        value = f"{VERSION} after {ids[-1]}" if ids else VERSION
        if noted is None:
            connection.execute(insert(tables.setting).values(name=_NAME, value=value))
        else:
            connection.execute(update(tables.setting).where(tables.setting.c.name == _NAME).values(value=value))
        return bool(ids)

    return Change(change, note="index patients")
