"""Who was told of what, by which channel, and how it ended: for the dossier's page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from router.dossier.keeping import MEMBER_PLACE
from router.journal import tables
from router.journal.view import View
from schemas.circle import Member


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """A notice: of which alert, to whom, by which channel, and what became of it and when (microseconds).

    `state` is queued, leaving, sent, delivered, read, failed or cancelled; `detail` says why, or by what.
    """

    id: int
    alert_id: int
    event: str
    level: str
    at: int
    member_id: int
    who: str
    channel: str
    state: str
    detail: str
    attempts: int
    changed_at: int
    delivery_id: int | None


def notice_lines(
    view: View,
    dossier_id: int,
    *,
    states: Sequence[str] = (),
    alerts: Sequence[int] = (),
    before: int | None = None,
    limit: int = 100,
) -> list[NoticeLine]:
    """Give a dossier's notices, newest first; `states` and `alerts` leave out all others, `before` is a cursor."""
    notice, alert, member = tables.alert_notice.c, tables.alert.c, tables.dossier_member.c
    statement = (
        select(
            tables.alert_notice,
            alert.event,
            alert.level,
            alert.at,
            member.sealed_body,
        )
        .join(tables.alert, alert.id == notice.alert_id)
        .join(tables.dossier_member, member.id == notice.member_id)
        .where(alert.dossier_id == dossier_id)
        .order_by(notice.id.desc())
        .limit(limit)
    )
    if states:
        statement = statement.where(notice.state.in_(states))
    if alerts:
        statement = statement.where(notice.alert_id.in_(alerts))
    if before is not None:
        statement = statement.where(notice.id < before)
    labels: dict[int, str] = {}
    found = []
    for row in view.connection.execute(statement):
        if row.member_id not in labels:
            opened = view.sealer.open(row.sealed_body, MEMBER_PLACE)
            labels[row.member_id] = Member.model_validate_json(opened).label
        found.append(
            NoticeLine(
                row.id,
                row.alert_id,
                row.event,
                row.level,
                row.at,
                row.member_id,
                labels[row.member_id],
                row.channel,
                row.state,
                row.detail,
                row.attempts,
                row.changed_at,
                row.delivery_id,
            )
        )
    return found
