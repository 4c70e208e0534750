"""The circle of care: adding, changing and ending memberships, and reading them as they are or were.

A member is never removed: their period ends. Somebody who comes back is added again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, insert, select, update

from router.dossier.context import Seat
from router.dossier.keeping import (
    HISTORY_PLACE,
    MEMBER_PLACE,
    By,
    Done,
    DossierLine,
    Refusal,
    dossier_of,
    keep_history,
    opened,
)
from router.dossier.moments import beginning, ending
from router.engine.clock import moment
from router.journal import tables
from router.journal.operations import Change
from router.journal.ready import Ready
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from router.journal.view import View
from schemas.circle import Member, MemberState, Preferences, RoleFamily, party_keys
from schemas.dossier import DossierState

_MEMBERS = Ready(
    select(tables.dossier_member)
    .where(tables.dossier_member.c.dossier_id == bindparam("dossier"))
    .order_by(tables.dossier_member.c.id)
)
STANDING = frozenset({MemberState.ACTIVE, MemberState.PROPOSED})


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A membership: as which `seat`, who added it and when (microseconds), and whether it stands at this moment."""

    seat: Seat
    added_at: int
    added_by: str
    updated_at: int
    standing: bool

    @property
    def rpps(self) -> str | None:
        """The RPPS number of a professional."""
        return self.seat.member.rpps

    @property
    def mailbox(self) -> str | None:
        """The MSSanté address, if known."""
        return self.seat.member.mailbox


def members(view: View, patient_id: int, *, now: int) -> list[MemberLine]:
    """Give the circle of a patient's dossier, former members included, in the order in which they were added."""
    line = dossier_of(view.connection, view.sealer, patient_id)
    return [] if line is None else lines_of(view.connection, view.sealer, line, now=now)


def lines_of(connection: Connection, sealer: Sealer, line: DossierLine, *, now: int) -> list[MemberLine]:
    """Give the members of a dossier; nobody stands in one that is closed."""
    rows = _MEMBERS.rows(connection, dossier=line.id)
    found = []
    for row in rows:
        seat = _seat(row, sealer)
        standing = row.start_at <= now and (row.end_at is None or row.end_at > now) and seat.member.state in STANDING
        standing = standing and line.state is not DossierState.CLOSED
        found.append(MemberLine(seat, row.added_at, row.added_by, row.updated_at, standing))
    return found


def seats_of(connection: Connection, sealer: Sealer, dossier_id: int) -> tuple[Seat, ...]:
    """Give the memberships of a dossier, former ones included: what decisions look at."""
    return tuple(_seat(row, sealer) for row in _MEMBERS.rows(connection, dossier=dossier_id))


def _seat(row: Any, sealer: Sealer) -> Seat:
    member = Member.model_validate_json(sealer.open(row.sealed_body, MEMBER_PLACE))
    return Seat(row.id, member, row.start_at, row.end_at, seat_keys(row.id, member))


def seat_keys(number: int, member: Member) -> frozenset[str]:
    """Give what recognises a member: their numbers, and the number of the membership itself."""
    return party_keys(member.identifiers) | {f"member|{number}"}


def add_member(patient_id: int, member: Member, *, by: By) -> Change[Done]:
    """Add a member. A professional or structure needs a number; of one who is there, nothing is doubled."""

    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        period = _period(member, by.now)
        if period is None:
            return Done(refusal=Refusal.PERIOD)
        keys = party_keys(member.identifiers)
        if not keys and member.family is not RoleFamily.RELATIVE:
            return Done(refusal=Refusal.NO_NUMBER)
        for line in lines_of(unit.connection, unit.sealer, found, now=by.now):
            over = line.seat.end is not None and line.seat.end <= max(period[0], by.now)
            apart = over or (period[1] is not None and period[1] <= line.seat.start)
            if keys & line.seat.keys and not apart and line.seat.member.state in STANDING:
                return Done(line.seat.id, found.version, Refusal.MEMBER_THERE)
        values = {
            "dossier_id": found.id,
            "state": member.state.value,
            "family": member.family.value,
            "start_at": period[0],
            "end_at": period[1],
            "added_at": by.now,
            "added_by": by.actor[:120],
            "updated_at": by.now,
            "sealed_body": unit.sealer.seal(member.model_dump_json().encode(), MEMBER_PLACE),
        }
        added = insert(tables.dossier_member).values(values).returning(tables.dossier_member.c.id)
        number: int = unit.connection.execute(added).scalar_one()
        rows = [{"token": party_token(unit.sealer, key), "member_id": number} for key in sorted(keys)]
        if rows:
            unit.connection.execute(insert(tables.dossier_member_token), rows)
        return Done(number, keep_history(unit, found.id, "add member", by, subject=number, circle=True))

    return Change(change, note="add member")


def end_member(patient_id: int, number: int, *, by: By, on: str | None = None) -> Change[Done]:
    """End a membership now, or at the end of a day (`on`); a day that has begun ends it at once."""

    def close(member: Member, start: int) -> Member | Refusal:
        try:
            # A day that has begun is over for this; a day to come lasts until its midnight.
            at = by.now if on is None else ending(on) if beginning(on) > by.now else min(ending(on), by.now)
        except ValueError:
            return Refusal.PERIOD
        if at < start:
            return Refusal.PERIOD
        return member.model_copy(update={"end": moment(at).isoformat()})

    return _changing(patient_id, number, "end member", by, close)


def change_member(patient_id: int, number: int, changed: Member, *, by: By, version: int | None = None) -> Change[Done]:
    """Change a standing member: role, preferences, care team… Who they are, and since when, stays.

    With the `version` of the circle that was looked at, a circle that changed meanwhile is left alone.
    """

    def replace(member: Member, _start: int) -> Member | Refusal:
        same: dict[str, object] = {
            "professional": member.professional,
            "relative": member.relative,
            "start": member.start,
        }
        if changed.is_structure:
            same["organization"] = member.organization
        try:
            return Member.model_validate(changed.model_copy(update=same).model_dump())
        except ValidationError:
            return Refusal.NO_FAMILY  # a family that does not go with who they are

    return _changing(patient_id, number, "change member", by, replace, version)


def prefer(patient_id: int, number: int, preferences: Preferences, *, by: By) -> Change[Done]:
    """Keep how a member wishes to be told."""
    return _changing(
        patient_id,
        number,
        "change member",
        by,
        lambda member, _: member.model_copy(update={"preferences": preferences}),
    )


def _changing(
    patient_id: int,
    number: int,
    action: str,
    by: By,
    edit: Callable[[Member, int], Member | Refusal],
    version: int | None = None,
) -> Change[Done]:
    def change(unit: Unit) -> Done:
        found = opened(unit, patient_id)
        if isinstance(found, Done):
            return found
        if version is not None and version != found.version:
            return Done(number, found.version, Refusal.STALE)
        lines = {line.seat.id: line for line in lines_of(unit.connection, unit.sealer, found, now=by.now)}
        line = lines.get(number)
        if line is None:
            return Done(refusal=Refusal.NO_MEMBER)
        if line.seat.end is not None and line.seat.end <= by.now:
            return Done(number, found.version, Refusal.MEMBER_ENDED)
        edited = edit(line.seat.member, line.seat.start)
        if isinstance(edited, Refusal):
            return Done(number, found.version, edited)
        if not write_member(unit, number, edited, by.now):
            return Done(number, found.version, Refusal.PERIOD)
        return Done(number, keep_history(unit, found.id, action, by, subject=number, circle=True))

    return Change(change, note=action)


def write_member(unit: Unit, number: int, member: Member, now: int) -> bool:
    """Write a membership as it is now; False when its period is none."""
    period = _period(member, now)
    if period is None:
        return False
    values = {
        "state": member.state.value,
        "family": member.family.value,
        "start_at": period[0],
        "end_at": period[1],
        "updated_at": now,
        "sealed_body": unit.sealer.seal(member.model_dump_json().encode(), MEMBER_PLACE),
    }
    unit.connection.execute(update(tables.dossier_member).where(tables.dossier_member.c.id == number).values(values))
    return True


def _period(member: Member, now: int) -> tuple[int, int | None] | None:
    try:
        start = beginning(member.start)
        end = None if member.end is None else ending(member.end)
        if member.end is not None and end is not None and beginning(member.end) <= now < end:
            end = now  # a period whose last day has begun when it is said to end is over
    except ValueError:
        return None
    return None if end is not None and end < start else (start, end)


def party_token(sealer: Sealer, key: str) -> int:
    """Make the blind token of a professional's, a structure's or a relative's key."""
    return sealer.token("party", key)


def circle_at(view: View, dossier_id: int, version: int) -> list[tuple[int, Member]] | None:
    """Give the circle as it was in one of its versions, with the members' numbers; None when there is none."""
    column = tables.dossier_history.c
    found = select(column.sealed_detail).where(column.dossier_id == dossier_id, column.version == version)
    for sealed in view.connection.execute(found.order_by(column.id)).scalars():
        detail = orjson.loads(view.sealer.open(sealed, HISTORY_PLACE))
        if "circle" in detail:
            return [(one["id"], Member.model_validate(one["member"])) for one in detail["circle"]]
    return [] if version == 1 else None


def dossiers_with(view: View, keys: frozenset[str]) -> list[int]:
    """Give the patients in whose circle somebody has a seat, ended ones included; `may` says what it is worth."""
    tokens = [party_token(view.sealer, key) for key in sorted(keys)]
    member, token, dossier = tables.dossier_member.c, tables.dossier_member_token.c, tables.dossier.c
    found = (
        select(dossier.patient_id)
        .join(tables.dossier_member, member.dossier_id == dossier.id)
        .join(tables.dossier_member_token, token.member_id == member.id)
        .where(token.token.in_(tokens))
        .distinct()
        .order_by(dossier.patient_id)
    )
    return list(view.connection.execute(found).scalars()) if tokens else []
