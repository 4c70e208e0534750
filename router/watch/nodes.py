"""The nodes of a cluster as the journal remembers them: who was there, who said that it stops, who just fell silent.

Whoever has the jobs notes once a minute whom it hears; a node that stops in good order notes that itself. The list is
one row of `setting`: a few names, changed by transactions that are one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import orjson
from sqlalchemy import Connection, insert, select, update

from router.cluster.contracts import NodeStatus
from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.unit import Unit
from router.watch.signs import MICROS, ROUTER, Sign, SignKind

MINUTE = 60 * MICROS

SETTLING = MINUTE
"""Microseconds for which a watch must have listened before it says that somebody is silent: after the servers of NATS
were away, all nodes are heard again within seconds, one after the other."""

REMEMBERED = 24 * 60 * MINUTE
"""Microseconds after which a node that stopped in good order is forgotten."""

NEEDED = ("receive", "work")
"""Roles of which a cluster needs a node at every moment, and two to lose one."""

_ROW = "cluster_nodes"


@dataclass(frozen=True, slots=True)
class Heard:
    """A node that was heard since this process began. `at` is when it last was, by the clock of who heard it."""

    status: NodeStatus
    at: int
    is_there: bool


Listening = Callable[[], Mapping[str, Heard]]
"""Gives whom this process has heard, by name."""


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node that was there. `started_at` tells its runs apart; `left`: this run has said that it stops."""

    roles: tuple[str, ...]
    started_at: int
    heard_at: int
    left: bool = False


def known_nodes(connection: Connection) -> dict[str, KnownNode]:
    """Give the nodes that the journal remembers, by name; none on a single machine."""
    value = connection.execute(select(tables.setting.c.value).where(tables.setting.c.name == _ROW)).scalar()
    return {} if value is None else {name: KnownNode(**said) for name, said in orjson.loads(value).items()}


def note_heard(heard: Mapping[str, Heard], now: int) -> Change[None]:
    """Note who is there now, and forget who stopped in good order long ago."""

    def change(unit: Unit) -> None:
        known = known_nodes(unit.connection)
        for name, one in heard.items():
            status, there = one.status, known.get(name)
            # What a node says while it stops is said by the run that has already said good-bye.
            same = there is not None and there.started_at == status.started_at
            if one.is_there and not (there is not None and same and there.left):
                known[name] = KnownNode(status.roles, status.started_at, one.at)
            elif there is not None and same and there.heard_at < one.at and not there.left:
                known[name] = replace(there, heard_at=one.at)
        _keep(unit, {name: one for name, one in known.items() if not (one.left and one.heard_at < now - REMEMBERED)})

    return Change(change, note="nodes heard")


def note_leaving(status: NodeStatus, now: int) -> Change[None]:
    """Note that a node stops in good order: that it is silent from now on is no alarm."""

    def change(unit: Unit) -> None:
        known = known_nodes(unit.connection)
        known[status.name] = KnownNode(status.roles, status.started_at, now, left=True)
        _keep(unit, known)

    return Change(change, note="node leaves")


def forget_node(number: int, *, actor: str, now: int) -> Change[bool]:
    """Close the alarm of a node that will not come back. False when there is no such open alarm."""

    def change(unit: Unit) -> bool:
        column, connection = tables.alarm.c, unit.connection
        which = (column.id == number, column.kind == SignKind.NODE.value, column.closed_at.is_(None))
        name = connection.execute(select(column.subject).where(*which)).scalar()
        if name is None:
            return False
        known = known_nodes(connection)
        _keep(unit, {other: one for other, one in known.items() if other[:120] != name})
        connection.execute(update(tables.alarm).where(*which).values(closed_at=now))
        append_audit(unit, actor=actor, action="forget node", target=f"node {name}"[:120], detail="", now=now)
        return True

    return Change(change, note="forget node")


def _keep(unit: Unit, known: Mapping[str, KnownNode]) -> None:
    value = orjson.dumps({name: asdict(one) for name, one in sorted(known.items())}).decode()
    row = tables.setting
    if not unit.connection.execute(update(row).where(row.c.name == _ROW).values(value=value)).rowcount:
        unit.connection.execute(insert(row).values(name=_ROW, value=value))


def silent_nodes(
    known: Mapping[str, KnownNode],
    heard: Mapping[str, Heard],
    told: Sequence[str],
    *,
    minutes: float,
    began: int,
    now: int,
) -> list[Sign]:
    """Look for nodes that were there, have not said that they stop, and have not been heard for so many minutes.

    `began` is since when this watch listens; whom there is an alarm of already (`told`) stays silent until it is heard.
    """
    there = [one.status for one in heard.values() if one.is_there]
    names = {status.name for status in there}
    found = []
    for name, one in known.items():
        last = max(one.heard_at, heard[name].at if name in heard else 0)
        late = now - last >= minutes * MINUTE and now - began >= min(SETTLING, minutes * MINUTE)
        if one.left or name in names or not (late or name[:120] in told):
            continue
        facts: dict[str, str | int | float] = {"since": last, "roles": " ".join(one.roles)}
        for role in NEEDED:
            left = sum(role in status.roles for status in there)
            if role in one.roles and left < 2:
                facts[role] = left
        found.append(Sign(SignKind.NODE, name, facts, ROUTER))
    return found
