"""The notices that wait to be sent, for the senders of each channel; and what became of them.

A sender takes what is due, sends it, and says how it went: a notice is `sent` only once that is in the journal. One
that was being sent when the router stopped is sent again: its number is the same, and recognises it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select, update

from router.dossier.context import Context, Thing
from router.dossier.keeping import MEMBER_PLACE, dossier_line
from router.dossier.loading import context_for, reader_of
from router.dossier.may import may
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
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


def take_due(channel: Channel, *, now: int, limit: int = 100) -> Change[list[Due]]:
    """Give the notices of a channel that may be sent now, oldest first; one patient's stay in their order.

    Whether each may still be sent is decided anew: one that no longer may is cancelled.
    """

    def change(unit: Unit) -> list[Due]:
        notice = tables.alert_notice.c
        waiting = _due().where(notice.state == "queued", notice.channel == channel.value, notice.not_before <= now)
        contexts: dict[int, Context] = {}
        found: list[Due] = []
        for row in unit.connection.execute(waiting.order_by(notice.id).limit(limit)).all():
            if row.dossier_id not in contexts:
                line = dossier_line(unit.connection.execute(_dossier(row.dossier_id)).one(), unit.sealer)
                contexts[row.dossier_id] = context_for(unit.connection, unit.sealer, line, now=now)
            sealed = row.member_body
            member = Member.model_validate_json(unit.sealer.open(sealed, MEMBER_PLACE))
            reader = reader_of(row.member_id, member, unit.sealer)
            verdict = may(reader, Action.TELL, _thing(row), contexts[row.dossier_id])
            if not verdict.allowed:
                values = {"state": "cancelled", "changed_at": now, "detail": verdict.rule.value}
                unit.connection.execute(update(tables.alert_notice).where(notice.id == row.id).values(values))
                continue
            found.append(
                Due(
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
                    member,
                )
            )
        return found

    return Change(change, note="due notices")


def _due() -> Select[tuple[Any, ...]]:
    notice, alert, entry = tables.alert_notice.c, tables.alert.c, tables.dossier_entry.c
    dossier, member = tables.dossier.c, tables.dossier_member.c
    return (
        select(
            notice.id,
            notice.alert_id,
            notice.member_id,
            notice.attempts,
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

    def change(unit: Unit) -> bool:
        column = tables.alert_notice.c
        values: dict[str, object] = {"state": state, "changed_at": now, "detail": detail[:200]}
        if state == "queued":
            values["not_before"] = now if again_at is None else again_at
        if state in {"queued", "sent", "failed"}:
            values["attempts"] = column.attempts + 1
        if state == "read":
            values["read_at"] = now
        ended = FINAL - ({"delivered"} if state == "read" else set())
        statement = update(tables.alert_notice).where(column.id == notice_id, column.state.not_in(sorted(ended)))
        return unit.connection.execute(statement.values(values)).rowcount > 0

    return Change(change, note="notice")


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
