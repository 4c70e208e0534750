"""Which channel comes after another: a member whom one cannot reach is told by the next that they prefer."""

from __future__ import annotations

from sqlalchemy import update

from router.dossier.queue import Due, settle_within
from router.journal import tables
from router.journal.unit import Unit
from schemas.circle import Channel, Member

USUAL = (Channel.WEBHOOK, Channel.MSSANTE)
"""The channels of who prefers none: their tool, else their mailbox of MSSanté."""

SECOND = 1_000_000
WAITS = (1, 5, 30, 120)
"""Seconds before the second, third… attempt; the last one repeats."""

GIVE_UP = 24 * 3600 * SECOND

WHY = {
    "no_tool": "no tool of theirs subscribes to it",
    "no_mssante": "no destination of MSSanté is configured for notices",
    "no_mailbox": "their MSSanté address is not known",
    "no_delivery": "it is about nothing that a mail could be a delivery of",
    "opposed_mail": "the person opposes that professionals are mailed about them",
    "no_mail_server": "no server for ordinary mail is configured for notices",
    "no_gateway": "no SMS gateway is configured for notices",
    "no_address": "their address for this channel is not known",
    "by_tool": "by a subscription of their tool",
}
"""What the detail of a notice says by a code; anything else is what a partner answered."""


def why(detail: str) -> str:
    """Give the sentence of a detail."""
    return WHY.get(detail, detail)


def channels_of(member: Member) -> tuple[Channel, ...]:
    """Give a member's channels in their order, each once."""
    return tuple(dict.fromkeys(member.preferences.channels)) or USUAL


def next_channel(member: Member, channel: Channel) -> Channel | None:
    """Give the channel after this one, None after the last."""
    mine = channels_of(member)
    after = mine[mine.index(channel) + 1 :] if channel in mine else ()
    return after[0] if after else None


def pass_on(unit: Unit, one: Due, why: str, *, now: int) -> bool:
    """Let a notice go by the next channel, or fail with the reason where there is none; True when there is one."""
    following = next_channel(one.member, one.channel)
    if following is None:
        settle_within(unit, one.id, "failed", now=now, detail=why)
        return False
    values = {"channel": following.value, "not_before": now, "changed_at": now, "detail": why[:200], "attempts": 0}
    column = tables.alert_notice.c
    unit.connection.execute(
        update(tables.alert_notice).where(column.id == one.id, column.state == "queued").values(**values)
    )
    return True


def try_again(unit: Unit, one: Due, why: str, *, now: int) -> None:
    """Let a notice whose sending failed wait; after a day it goes by the next channel, or fails."""
    if now - one.at > GIVE_UP:
        pass_on(unit, one, why, now=now)
        return
    wait = WAITS[min(one.attempts, len(WAITS) - 1)] * SECOND
    settle_within(unit, one.id, "queued", now=now, detail=why, again_at=now + wait)
