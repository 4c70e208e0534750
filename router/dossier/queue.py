"""The notices that wait to be sent, for the senders of each channel; and what became of them.

A sender takes what is due, sends it, and says how it went: a notice is `sent` only once that is in the journal. One
that was being sent when the router stopped is sent again: its number is the same, and recognises it. What is handed
over to something durable (a Delivery, a subscription) is `leaving` until that one's end is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, exists, func, select, update

from router.dossier.context import Context, Reader, Thing
from router.dossier.keeping import MEMBER_PLACE, dossier_line
from router.dossier.loading import context_for, reader_of
from router.dossier.may import may
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from schemas.circle import Channel, Member
from schemas.habilitation import Action, DataCategory
from schemas.visibility import Mark

FINAL = frozenset({"delivered", "read", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Due:
    """A notice to send. `at` is when the alert was made (microseconds); what it says is for the sender to word.

    On an ordinary channel that is `ordinary_text` and nothing else.
    """

    id: int
    alert_id: int
    patient_id: int
    item_id: int | None
    event: str
    level: str
    category: str
    at: int
    attempts: int
    member_id: int
    member: Member
    dossier_id: int
    thing: Thing
    channel: Channel
    not_before: int


def take_due(channel: Channel, *, now: int, limit: int = 100) -> Change[list[Due]]:
    """Give the notices of a channel that may be sent now, oldest first; one patient's stay in their order.

    Whether each may still be sent is decided anew: one that no longer may is cancelled.
    """
    return Change(lambda unit: due_within(unit, (channel,), now=now, limit=limit)[0], note="due notices")


def due_within(
    unit: Unit, channels: Sequence[Channel], *, now: int, limit: int = 100
) -> tuple[list[Due], dict[int, Context]]:
    """Give what `take_due` gives within a transaction, with each dossier's context at this moment, by its number.

    A notice whose sending failed holds back the later ones of its member by the same channel.
    """
    notice, earlier = tables.alert_notice.c, tables.alert_notice.alias("earlier")
    held_back = exists().where(
        earlier.c.member_id == notice.member_id,
        earlier.c.channel == notice.channel,
        earlier.c.state == "queued",
        earlier.c.id < notice.id,
        earlier.c.attempts > 0,
        earlier.c.not_before > now,
    )
    waiting = _due().where(
        notice.state == "queued",
        notice.channel.in_([one.value for one in channels]),
        notice.not_before <= now,
        ~held_back,
    )
    contexts: dict[int, Context] = {}
    found: list[Due] = []
    for row in unit.connection.execute(waiting.order_by(notice.id).limit(limit)).all():
        if row.dossier_id not in contexts:
            line = dossier_line(unit.connection.execute(_dossier(row.dossier_id)).one(), unit.sealer)
            contexts[row.dossier_id] = context_for(unit.connection, unit.sealer, line, now=now)
        one = _opened(row, unit)
        verdict = may(
            reader_of(one.member_id, one.member, unit.sealer), Action.TELL, one.thing, contexts[row.dossier_id]
        )
        if verdict.allowed:
            found.append(one)
        else:
            values = {"state": "cancelled", "changed_at": now, "detail": verdict.rule.value}
            unit.connection.execute(update(tables.alert_notice).where(notice.id == row.id).values(values))
    return found, contexts


def _opened(row: Any, unit: Unit) -> Due:
    return Due(
        row.id,
        row.alert_id,
        row.patient_id,
        row.item_id,
        row.event,
        row.level,
        row.category,
        row.alert_at,
        row.attempts,
        row.member_id,
        Member.model_validate_json(unit.sealer.open(row.member_body, MEMBER_PLACE)),
        row.dossier_id,
        _thing(row),
        Channel(row.channel),
        row.not_before,
    )


def still_told(view: View, notice_id: int, reader: Reader, *, now: int) -> bool:
    """Say whether a notice that was handed over may still be told, to its member and to who carries it to them."""
    row = view.connection.execute(_due().where(tables.alert_notice.c.id == notice_id)).one_or_none()
    if row is None:
        return False
    line = dossier_line(view.connection.execute(_dossier(row.dossier_id)).one(), view.sealer)
    context = context_for(view.connection, view.sealer, line, now=now)
    member = Member.model_validate_json(view.sealer.open(row.member_body, MEMBER_PLACE))
    both = (reader_of(row.member_id, member, view.sealer), reader)
    return all(may(one, Action.TELL, _thing(row), context).allowed for one in both)


def _due() -> Select[tuple[Any, ...]]:
    notice, alert, entry = tables.alert_notice.c, tables.alert.c, tables.dossier_entry.c
    dossier, member = tables.dossier.c, tables.dossier_member.c
    return (
        select(
            notice.id,
            notice.alert_id,
            notice.member_id,
            notice.attempts,
            notice.channel,
            notice.not_before,
            dossier.patient_id,
            alert.dossier_id,
            alert.item_id,
            alert.event,
            alert.level,
            alert.category,
            alert.at.label("alert_at"),
            alert.thing,
            entry.marks,
            entry.at,
            entry.author,
            member.sealed_body.label("member_body"),
        )
        .join(tables.alert, alert.id == notice.alert_id)
        .join(tables.dossier, dossier.id == alert.dossier_id)
        .join(tables.dossier_member, member.id == notice.member_id)
        .outerjoin(tables.dossier_entry, entry.item_id == alert.item_id)
    )


def _dossier(number: int) -> Select[tuple[Any, ...]]:
    return select(tables.dossier).where(tables.dossier.c.id == number)


def _thing(row: Any) -> Thing:
    return Thing(DataCategory(row.category), Mark(row.marks or 0), row.at, row.author, row.thing)


def settle(notice_id: int, state: str, *, now: int, detail: str = "", again_at: int | None = None) -> Change[bool]:
    """Say what became of a notice: `sent`, `delivered`, `read`, `failed`; or `queued` again, from `again_at` on.

    False where it is at its end already: what was read is not delivered afterwards. `detail` holds no health data.
    """
    return Change(
        lambda unit: settle_within(unit, notice_id, state, now=now, detail=detail, again_at=again_at), note="notice"
    )


def settle_within(
    unit: Unit,
    notice_id: int,
    state: str,
    *,
    now: int,
    detail: str = "",
    again_at: int | None = None,
    delivery_id: int | None = None,
) -> bool:
    """Settle a notice within a transaction; `leaving` names the Delivery that carries it, where one does."""
    column = tables.alert_notice.c
    values: dict[str, object] = {"state": state, "changed_at": now, "detail": detail[:200]}
    if state == "queued":
        values["not_before"] = now if again_at is None else again_at
    if state in {"queued", "sent", "failed"}:
        values["attempts"] = column.attempts + 1
    if state == "read":
        values["read_at"] = now
    if delivery_id is not None:
        values["delivery_id"] = delivery_id
    if state in {"sent", "delivered", "read"}:
        values["left_at"] = func.coalesce(column.left_at, now)
    ended = FINAL - ({"delivered"} if state == "read" else set())
    statement = update(tables.alert_notice).where(and_(column.id == notice_id, column.state.not_in(sorted(ended))))
    return unit.connection.execute(statement.values(values)).rowcount > 0


ORDINARY = {
    "fr": (
        "Nouveau message",
        "Un nouveau message est dans le dossier. Ouvrez votre outil de coordination pour le lire.",
    ),
    "en": ("New message", "There is a new message in the dossier. Open your coordination tool to read it."),
}


def ordinary_text(language: str) -> tuple[str, str]:
    """Give the subject and the text of a notice on an ordinary channel: no name, no event, no health data."""
    return ORDINARY.get(language, ORDINARY["fr"])
