"""What is erased once its time is over, by kind, in groups that never hold the writer for long; and what must stay.

A hold keeps one message, or everything about one patient, from being erased until it is lifted: a complaint, an
inquiry, an expert's report. What waits to be sent or decided is never erased either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, or_, select, update

from router.faults import Fault
from router.journal import tables
from router.journal.auditing import append_audit, erase_audit
from router.journal.flow_hours import remember_erased
from router.journal.operations import Change
from router.journal.tables import OPEN_DELIVERIES, DeliveryState, MessageState
from router.journal.unit import Unit

DAY_MICROS = 86_400_000_000


class Kind(StrEnum):
    """What has a retention of its own."""

    MESSAGES = "messages"
    NOTICES = "notices"
    ALERTS = "alerts"
    ACCESSES = "accesses"
    AUDIT = "audit"


class HoldFault(Fault):
    """A hold cannot be set or lifted: one sentence, what to do."""


@dataclass(frozen=True, slots=True)
class Due:
    """What an erasure would take, or leave: rows before the limit, those that wait, those that a hold keeps.

    `limit` is microseconds, None for a kind that is kept for good; `oldest` and `newest` are of what would go.
    """

    kind: Kind
    limit: int | None
    rows: int = 0
    waiting: int = 0
    held: int = 0
    oldest: int | None = None
    newest: int | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as it is kept; times are microseconds."""

    id: int
    subject: str
    number: int
    at: int
    actor: str
    reason: str
    lifted_at: int | None
    lifted_by: str | None


_WAITING = [state.value for state in (*OPEN_DELIVERIES, DeliveryState.HELD)]
_SETTLED = (MessageState.PROCESSED.value, MessageState.REJECTED.value)


def _settled() -> ColumnElement[bool]:
    message, delivery = tables.message.c, tables.delivery.c
    return and_(
        message.state.in_(_SETTLED), ~exists().where(delivery.message_id == message.id, delivery.state.in_(_WAITING))
    )


def _held() -> ColumnElement[bool]:
    """Whether a hold keeps a message: its own, or one of a patient that it is about, under whichever number."""
    message, item, hold = tables.message.c, tables.item.c, tables.legal_hold.c
    merged = tables.patient.alias().c
    own = exists().where(hold.lifted_at.is_(None), hold.subject == "message", hold.number == message.id)
    about = exists().where(
        hold.lifted_at.is_(None),
        hold.subject == "patient",
        item.message_id == message.id,
        or_(
            item.patient_id == hold.number,
            exists().where(
                or_(
                    and_(merged.id == item.patient_id, merged.merged_into == hold.number),
                    and_(merged.id == hold.number, merged.merged_into == item.patient_id),
                )
            ),
        ),
    )
    return or_(own, about)


def any_hold(connection: Connection) -> bool:
    """Whether anything is held at all."""
    hold = tables.legal_hold.c
    return connection.execute(select(hold.id).where(hold.lifted_at.is_(None)).limit(1)).first() is not None


def erasable(connection: Connection, limit: int, after: tuple[int, int], size: int) -> list[tuple[int, int]]:
    """Find messages received before `limit`, after (time, number), that nothing waits for: their (time, number)."""
    message = tables.message.c
    wanted = (
        select(message.received_at, message.id)
        .where(message.received_at < limit, _beyond(after), _settled())
        .order_by(message.received_at, message.id)
        .limit(size)
    )
    if any_hold(connection):
        wanted = wanted.where(~_held())
    return [(at, number) for at, number in connection.execute(wanted)]


def _beyond(after: tuple[int, int]) -> ColumnElement[bool]:
    message = tables.message.c
    later = and_(message.received_at == after[0], message.id > after[1])
    return and_(message.received_at >= after[0], or_(message.received_at > after[0], later))


def erase_messages(unit: Unit, numbers: Sequence[int]) -> int:
    """Erase messages with all that came of them, but those for which something waits again; gives how many."""
    message = tables.message.c
    still = select(message.id).where(message.id.in_(numbers), _settled())
    if any_hold(unit.connection):
        still = still.where(~_held())
    gone = list(unit.connection.execute(still).scalars())
    if gone:
        remember_erased(unit, gone)
        unit.connection.execute(delete(tables.message).where(message.id.in_(gone)))
    return len(gone)


def erase_rows(unit: Unit, kind: Kind, limit: int, size: int) -> int:
    """Erase a group of rows of a kind that is not messages, older than `limit` (microseconds); gives how many."""
    if kind is Kind.AUDIT:
        return erase_audit(unit, limit, size, now=limit)
    found = _old(kind, limit).limit(size)
    numbers = list(unit.connection.execute(found).scalars())
    table = _TABLES[kind]
    if numbers:
        unit.connection.execute(delete(table).where(table.c.id.in_(numbers)))
    return len(numbers)


_TABLES = {
    Kind.NOTICES: tables.notice,
    Kind.ALERTS: tables.alert,
    Kind.ACCESSES: tables.dossier_access,
    Kind.AUDIT: tables.audit,
}


def _old(kind: Kind, limit: int) -> Select[tuple[int]]:
    column = _TABLES[kind].c
    wanted = select(column.id).where(column.at < limit).order_by(column.id)
    if kind is Kind.ALERTS:  # one whose notice is on its way stays until it has arrived
        notice = tables.alert_notice.c
        wanted = wanted.where(~exists().where(notice.alert_id == column.id, notice.state.in_(("queued", "leaving"))))
    return wanted


def preview(connection: Connection, kind: Kind, limit: int | None) -> Due:
    """Count what an erasure would take now, and what it would leave, without touching anything."""
    if limit is None:
        return Due(kind, None)
    if kind is not Kind.MESSAGES:
        column, old = _TABLES[kind].c, _old(kind, limit).subquery()
        found = connection.execute(
            select(func.count(), func.min(column.at), func.max(column.at)).where(column.id.in_(select(old.c.id)))
        ).one()
        return Due(kind, limit, found[0], oldest=found[1], newest=found[2])
    message = tables.message.c
    before = message.received_at < limit
    goes = and_(before, _settled(), ~_held())
    taken = connection.execute(
        select(
            func.count(), func.min(message.received_at), func.max(message.received_at), func.sum(message.size)
        ).where(goes)
    ).one()
    waiting = connection.execute(
        select(func.count()).select_from(tables.message).where(before, ~_settled())
    ).scalar_one()
    held = connection.execute(
        select(func.count()).select_from(tables.message).where(before, _settled(), _held())
    ).scalar_one()
    return Due(kind, limit, taken[0], waiting, held, taken[1], taken[2], int(taken[3] or 0))


def set_hold(subject: str, number: int, reason: str, *, actor: str, now: int) -> Change[int]:
    """Hold a `message` or a `patient`, by its number; gives the hold's. Raises HoldFault when there is no such one."""

    def change(unit: Unit) -> int:
        table = tables.message if subject == "message" else tables.patient
        if unit.connection.execute(select(table.c.id).where(table.c.id == number)).first() is None:
            raise HoldFault(f"there is no {subject} {number}")
        row = {"subject": subject, "number": number, "at": now, "actor": actor, "reason": reason[:400]}
        made = unit.connection.execute(insert(tables.legal_hold).values(row)).inserted_primary_key
        append_audit(unit, actor=actor, action="set hold", target=f"{subject} {number}", detail=reason, now=now)
        return int(made[0]) if made is not None else 0

    return Change(change, note="hold")


def lift_hold(hold_id: int, *, actor: str, now: int) -> Change[None]:
    """Lift a hold, which is kept as history. Raises HoldFault when there is no such one."""

    def change(unit: Unit) -> None:
        hold = tables.legal_hold
        mine = update(hold).where(hold.c.id == hold_id, hold.c.lifted_at.is_(None))
        if not unit.connection.execute(mine.values(lifted_at=now, lifted_by=actor)).rowcount:
            raise HoldFault(f"there is no hold {hold_id} that is in force: `passerelle journal holds` lists them")
        append_audit(unit, actor=actor, action="lift hold", target=f"hold {hold_id}", detail="", now=now)

    return Change(change, note="hold")


def holds(connection: Connection, *, lifted: bool = False) -> list[Hold]:
    """List the holds in force, or all with those that were lifted."""
    hold = tables.legal_hold.c
    wanted = select(*(hold[name] for name in Hold.__dataclass_fields__)).order_by(hold.id)
    if not lifted:
        wanted = wanted.where(hold.lifted_at.is_(None))
    return [Hold(*row) for row in connection.execute(wanted)]
