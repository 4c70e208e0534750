"""Subscriptions in the journal: made, changed, matched with what changed, and what came of their notices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, exists, func, insert, or_, select, update

from router.dossier.leaving.ends import events_ended
from router.dossier.store.drafts import LIVE, draft
from router.dossier.store.elements import Resource
from router.dossier.store.writing import Keeper, body_of
from router.dossier.subscriptions.wanted import Wanted, loaded_wanted
from router.journal import tables
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from router.journal.view import View

SETTINGS_PLACE = b"subscription.sealed_settings"
ON = ("requested", "active")

_S, _E, _R = tables.subscription.c, tables.subscription_event.c, tables.resource.c


@dataclass(frozen=True, slots=True)
class Line:
    """A subscription as it is kept. `version` is that of its resource: what it wants changes with it."""

    id: int
    logical_id: str
    version: int
    tool: str
    state: str
    cursor: int
    events: int
    detail: str
    next_heartbeat_at: int | None
    next_handshake_at: int | None
    handshake_attempts: int
    wanted: Wanted

    @property
    def key(self) -> str:
        """Its reference."""
        return f"Subscription/{self.logical_id}"


_LINES: Select[Any] = select(tables.subscription, _R.logical_id, _R.version).join(
    tables.resource, _R.id == _S.resource_id
)


def lines(view: View, known: Mapping[tuple[int, int], Wanted] | None = None) -> list[Line]:
    """Give the subscriptions that are on; `known` spares opening what was opened before."""
    rows = view.connection.execute(_LINES.where(_S.state.in_(ON)).order_by(_S.resource_id)).all()
    return [_line(row, view.sealer, known or {}) for row in rows]


def line_of(view: View, logical_id: str, tool: str) -> Line | None:
    """Give a tool's own subscription, on or off."""
    statement = _LINES.where(_R.type == "Subscription", _R.logical_id == logical_id, _S.tool == tool)
    row = view.connection.execute(statement).one_or_none()
    return None if row is None else _line(row, view.sealer, {})


def _line(row: Row[Any], sealer: Sealer, known: Mapping[tuple[int, int], Wanted]) -> Line:
    found = known.get((row.resource_id, row.version))
    return Line(
        row.resource_id,
        row.logical_id,
        row.version,
        row.tool,
        row.state,
        row.cursor,
        row.events,
        row.detail,
        row.next_heartbeat_at,
        row.next_handshake_at,
        row.handshake_attempts,
        found or loaded_wanted(sealer.open(row.sealed_settings, SETTINGS_PLACE)),
    )


def keep_subscription(
    unit: Unit, resource: Resource, wanted: Wanted, tool: str, now: int, *, off: bool
) -> tuple[int, int]:
    """Keep a new or changed subscription; gives its version and moment. It begins with what happens from now on."""
    keeper = Keeper(unit, now)
    made = draft(unit.sealer, resource, None)
    (kept,) = keeper.keep([made], owner=tool)
    values: dict[str, Any] = {
        "tool": tool,
        "state": "off" if off else "requested",
        "ends_at": wanted.ends_at,
        "heartbeat": wanted.heartbeat,
        "next_heartbeat_at": None,
        "handshake_attempts": 0,
        "next_handshake_at": None if off else now,
        "detail": "",
        "sealed_settings": unit.sealer.seal(wanted.dumped(), SETTINGS_PLACE),
    }
    there = select(_S.resource_id).where(_S.resource_id == kept.id)
    if unit.connection.execute(there).first() is None:
        unit.connection.execute(insert(tables.subscription).values(resource_id=kept.id, cursor=kept.at, **values))
    else:
        unit.connection.execute(update(tables.subscription).where(_S.resource_id == kept.id).values(**values))
    return kept.version, kept.at


def set_state(unit: Unit, number: int, state: str, detail: str, now: int, **values: Any) -> None:
    """Change the state of a subscription, in its resource as well."""
    statement = update(tables.subscription).where(_S.resource_id == number, _S.state != state)
    changed = unit.connection.execute(statement.values(state=state, detail=detail[:200], **values)).rowcount
    if not changed:
        return
    keeper = Keeper(unit, now)
    found = unit.connection.execute(select(_R.logical_id).where(_R.id == number, _R.state == LIVE)).scalar()
    row = None if found is None else keeper.row("Subscription", found)
    if row is not None:
        resource: Resource = {**body_of(unit.connection, unit, row.id, row.version), "status": state}
        resource.pop("error", None)
        if detail and state in {"error", "off"}:
            resource["error"] = detail
        keeper.change(row, resource)


def put_off(unit: Unit, number: int, **values: int | str) -> None:
    """Note when a handshake or heartbeat is next, beside its resource: nothing of what was asked changes by it."""
    unit.connection.execute(update(tables.subscription).where(_S.resource_id == number).values(**values))


@dataclass(frozen=True, slots=True)
class Changed:
    """A version of a resource that somebody may want to be told of."""

    resource_id: int
    type: str
    logical_id: str
    patient: int | None
    category: str
    version: int
    at: int


def changes_since(view: View, moment: int, count: int) -> list[Changed]:
    """Give versions of patients' resources after a moment, in order."""
    body = tables.resource_body.c
    statement = (
        select(_R.id, _R.type, _R.logical_id, _R.patient_id, _R.category, body.version, body.at)
        .join(tables.resource_body, body.resource_id == _R.id)
        .where(body.at > moment)
        # Alerts go to those who are told, by their own way (`router.dossier.leaving`).
        .where(or_(_R.type != "CommunicationRequest", ~exists().where(tables.alert.c.resource_id == _R.id)))
        .order_by(body.at)
        .limit(count)
    )
    return [
        Changed(row.id, row.type, row.logical_id, row.patient_id, row.category, row.version, row.at)
        for row in view.connection.execute(statement)
    ]


def keep_events(unit: Unit, matched: Mapping[int, Sequence[Changed]], upto: int) -> int:
    """Give numbers to what each subscription is to be told, and note up to which moment all were looked at."""
    kept = 0
    for number, changes in matched.items():
        found = unit.connection.execute(
            select(_S.cursor).where(_S.resource_id == number, _S.state == "active")
        ).one_or_none()
        if found is not None:
            kept += number_events(unit, number, [one for one in changes if one.at > found.cursor])
    behind = update(tables.subscription).where(_S.state.in_(ON), _S.cursor < upto)
    unit.connection.execute(behind.values(cursor=upto))
    return kept


def number_events(unit: Unit, number: int, changes: Sequence[Changed], notice: int | None = None) -> int:
    """Give the next numbers of a subscription to what it is to be told; gives how many. `notice` is what they carry."""
    events = unit.connection.execute(select(_S.events).where(_S.resource_id == number)).scalar_one()
    rows = [
        {
            "subscription_id": number,
            "number": events + rank,
            "resource_id": one.resource_id,
            "version": one.version,
            "patient_id": one.patient,
            "at": one.at,
            "state": "pending",
            "next_attempt_at": 0,
            "notice_id": notice,
        }
        for rank, one in enumerate(changes, start=1)
    ]
    if rows:
        unit.connection.execute(insert(tables.subscription_event), rows)
        counted = update(tables.subscription).where(_S.resource_id == number)
        unit.connection.execute(counted.values(events=events + len(rows)))
    return len(rows)


@dataclass(frozen=True, slots=True)
class Pending:
    """A notice to be sent: the first that waits of its subscription and dossier."""

    subscription: int
    number: int
    resource_id: int
    type: str
    logical_id: str
    patient: int | None
    at: int
    attempts: int
    next_attempt_at: int
    notice: int | None = None
    """The notice to a member that it carries."""


def pending(view: View, count: int, *, but: Collection[int] = ()) -> list[Pending]:
    """Give the notices that wait, in order: of one subscription and dossier the first alone.

    `but` are subscriptions that have enough under way.
    """
    first = (
        select(func.min(_E.number).label("number"), _E.subscription_id)
        .where(_E.state == "pending")
        .group_by(_E.subscription_id, _E.patient_id)
        .subquery()
    )
    statement = (
        select(tables.subscription_event, _R.type, _R.logical_id)
        .join(first, (first.c.number == _E.number) & (first.c.subscription_id == _E.subscription_id))
        .join(tables.subscription, _S.resource_id == _E.subscription_id)
        .join(tables.resource, _R.id == _E.resource_id)
        .where(_S.state == "active", _S.resource_id.not_in(sorted(but)))
        .order_by(_E.next_attempt_at)
        .limit(count)
    )
    return [
        Pending(
            row.subscription_id,
            row.number,
            row.resource_id,
            row.type,
            row.logical_id,
            row.patient_id,
            row.at,
            row.attempts,
            row.next_attempt_at,
            row.notice_id,
        )
        for row in view.connection.execute(statement)
    ]


def settle(unit: Unit, one: Pending, state: str, detail: str, now: int, next_at: int | None = None) -> None:
    """Note what came of an attempt."""
    values: dict[str, Any] = {"state": state, "detail": detail[:200], "attempts": _E.attempts + 1}
    values["ended_at"] = None if state == "pending" else now
    if next_at is not None:
        values["next_attempt_at"] = next_at
    statement = update(tables.subscription_event).where(
        _E.subscription_id == one.subscription, _E.number == one.number, _E.state == "pending"
    )
    if unit.connection.execute(statement.values(**values)).rowcount and one.notice is not None:
        events_ended(unit, one.notice, now)
