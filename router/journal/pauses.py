"""Pauses: which sources, destinations and routes a person stopped for a while, why, and since when.

PauseFault               the pause cannot be noted: one sentence, what to do
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from router.faults import Fault
from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.unit import Unit

LONGEST_REASON = 400


class PauseFault(Fault):
    """The pause cannot be noted."""


class FlowSide(StrEnum):
    """What can be paused."""

    SOURCE = "source"
    DESTINATION = "destination"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class Pause:
    """A source, destination or route that a person paused; `at` is microseconds."""

    side: FlowSide
    name: str
    at: int
    actor: str
    reason: str


Pauses = Mapping[tuple[FlowSide, str], Pause]
"""Pauses that hold, by what is paused."""


def load_pauses(connection: Connection) -> dict[tuple[FlowSide, str], Pause]:
    """Give the pauses that hold, the oldest first."""
    column = tables.flow_pause.c
    rows = connection.execute(select(tables.flow_pause).order_by(column.at, column.side, column.name))
    found = [Pause(FlowSide(row.side), row.name, row.at, row.actor, row.reason) for row in rows]
    return {(one.side, one.name): one for one in found}


def pause_flow(side: FlowSide, name: str, reason: str, *, actor: str, now: int) -> Change[bool]:
    """Pause something; False when it is paused already. Raises PauseFault when no reason is given."""
    said = " ".join(reason.split())
    if not said:
        raise PauseFault("say why it is paused: whoever finds it so tomorrow must know")
    if len(said) > LONGEST_REASON:
        raise PauseFault(f"the reason has {LONGEST_REASON} characters at most")

    def change(unit: Unit) -> bool:
        if _found(unit.connection, side, name):
            return False
        values = {"side": side.value, "name": name, "at": now, "actor": actor[:120], "reason": said}
        unit.connection.execute(insert(tables.flow_pause).values(values))
        append_audit(unit, actor=actor, action="pause flow", target=f"{side.value} {name}", detail=said, now=now)
        return True

    return Change(change, note="pause")


def resume_flow(side: FlowSide, name: str, *, actor: str, now: int) -> Change[bool]:
    """Let something go on; False when no person paused it."""

    def change(unit: Unit) -> bool:
        if not _found(unit.connection, side, name):
            return False
        column = tables.flow_pause.c
        unit.connection.execute(delete(tables.flow_pause).where(column.side == side.value, column.name == name))
        append_audit(unit, actor=actor, action="resume flow", target=f"{side.value} {name}", detail="", now=now)
        return True

    return Change(change, note="resume")


def _found(connection: Connection, side: FlowSide, name: str) -> bool:
    column = tables.flow_pause.c
    wanted = select(column.at).where(column.side == side.value, column.name == name)
    return connection.execute(wanted).scalar() is not None
