"""Signings-in that are half done: kept in the journal for some minutes, found by a random token, gone on with once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import orjson
from sqlalchemy import Connection, delete, func, insert, select

from router.journal import tables
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from router.web.accounts import digest

LIFE_MICROS = 600_000_000
"""A step that nobody went on with for ten minutes is over."""

MOST = 10_000
"""Steps that wait at a time: beyond, the oldest go, so that strangers cannot fill the journal."""

_PLACE = b"sign_in_step.sealed_detail "

Detail = Mapping[str, str]


def begin_step(kind: str, detail: Detail, *, now: int) -> tuple[str, Change[None]]:
    """Give the token of a new step, and the change that keeps it; those that are over are swept."""
    token = secrets.token_urlsafe(32)

    def change(unit: Unit) -> None:
        column, connection = tables.sign_in_step.c, unit.connection
        connection.execute(delete(tables.sign_in_step).where(column.created_at < now - LIFE_MICROS))
        if connection.execute(select(func.count()).select_from(tables.sign_in_step)).scalar_one() >= MOST:
            oldest = connection.execute(select(func.min(column.created_at))).scalar_one()
            connection.execute(delete(tables.sign_in_step).where(column.created_at == oldest))
        sealed = unit.sealer.seal(orjson.dumps(dict(detail)), _PLACE + kind.encode())
        row = {"token_hash": digest(token), "kind": kind, "sealed_detail": sealed, "created_at": now}
        connection.execute(insert(tables.sign_in_step).values(row))

    return token, Change(change, note="sign-in step")


def find_step(connection: Connection, sealer: Sealer, kind: str, token: str, *, now: int) -> Detail | None:
    """Give what was kept of a step, None when there is none or its time is over."""
    column = tables.sign_in_step.c
    row = connection.execute(
        select(column.sealed_detail).where(
            column.token_hash == digest(token), column.kind == kind, column.created_at >= now - LIFE_MICROS
        )
    ).one_or_none()
    if row is None:
        return None
    found: dict[str, str] = orjson.loads(sealer.open(bytes(row.sealed_detail), _PLACE + kind.encode()))
    return found


def take_step(kind: str, token: str, *, now: int) -> Change[Detail | None]:
    """Take a step out, so that nobody goes on with it again, and give what was kept of it."""

    def change(unit: Unit) -> Detail | None:
        found = find_step(unit.connection, unit.sealer, kind, token, now=now)
        unit.connection.execute(delete(tables.sign_in_step).where(tables.sign_in_step.c.token_hash == digest(token)))
        return found

    return Change(change, note="sign-in step")
