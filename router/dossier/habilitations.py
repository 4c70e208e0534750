"""Habilitations of structures, tools and professionals: granted, ended, never forgotten."""

from __future__ import annotations

from functools import lru_cache

import orjson
from sqlalchemy import Connection, insert, or_, select, update

from router.dossier.context import Granted
from router.dossier.keeping import By, Done, Refusal
from router.dossier.moments import beginning, ending
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import Change
from router.journal.ready import Ready
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from schemas.circle import party_keys
from schemas.habilitation import Habilitation, HolderKind

HABILITATION_PLACE = b"habilitation.sealed_body"
_ALL = Ready(select(tables.habilitation).order_by(tables.habilitation.c.id))


def grant(habilitation: Habilitation, *, by: By) -> Change[Done]:
    """Grant a habilitation. One for a structure or a professional needs a number that recognises them."""

    def change(unit: Unit) -> Done:
        try:
            start = beginning(habilitation.start)
            end = None if habilitation.end is None else ending(habilitation.end)
        except ValueError:
            return Done(refusal=Refusal.PERIOD)
        if end is not None and end <= start:
            return Done(refusal=Refusal.PERIOD)
        if habilitation.holder is not HolderKind.TOOL and not party_keys(habilitation.identifiers):
            return Done(refusal=Refusal.NO_NUMBER)
        values = {
            "holder": habilitation.holder.value,
            "start_at": start,
            "end_at": end,
            "granted_at": by.now,
            "granted_by": by.actor[:120],
            "sealed_body": unit.sealer.seal(habilitation.model_dump_json().encode(), HABILITATION_PLACE),
        }
        added = insert(tables.habilitation).values(values).returning(tables.habilitation.c.id)
        number: int = unit.connection.execute(added).scalar_one()
        what = f"{habilitation.holder.value}, up to {habilitation.level.value}, {by.why}"
        record_audit(by.actor, "grant habilitation", f"habilitation {number}", now=by.now, detail=what).apply(unit)
        return Done(number)

    return Change(change, note="grant habilitation")


def end_habilitation(number: int, *, by: By) -> Change[Done]:
    """End a habilitation now. Who had one and has it no more is habilitated for nothing."""

    def change(unit: Unit) -> Done:
        column = tables.habilitation.c
        standing = or_(column.end_at.is_(None), column.end_at > by.now)
        statement = update(tables.habilitation).where(column.id == number, standing)
        if not unit.connection.execute(statement.values(end_at=by.now, ended_by=by.actor[:120])).rowcount:
            known = unit.connection.execute(select(column.id).where(column.id == number)).first()
            return Done(refusal=Refusal.NO_RECORD if known is None else Refusal.WITHDRAWN)
        about = f"habilitation {number}"
        record_audit(by.actor, "end habilitation", about, now=by.now, detail=by.why).apply(unit)
        return Done(number)

    return Change(change, note="end habilitation")


def habilitations(connection: Connection, sealer: Sealer) -> tuple[Granted, ...]:
    """Give every habilitation, ended ones included: who had one and has it no more is not habilitated."""
    found = []
    for row in _ALL.rows(connection):
        one, keys, tied = _read(sealer.open(row.sealed_body, HABILITATION_PLACE))
        found.append(Granted(row.id, one, keys, tied, row.start_at, row.end_at))
    return tuple(found)


@lru_cache(maxsize=4096)
def _read(plain: bytes) -> tuple[Habilitation, frozenset[str], frozenset[str]]:
    """Read a habilitation, its holder's keys, and those of the structures that it is tied to: each decision asks."""
    one = Habilitation.model_validate(orjson.loads(plain))
    tied: frozenset[str] = frozenset().union(*(party_keys(each.identifiers) for each in one.structures))
    return one, party_keys(one.identifiers), tied
