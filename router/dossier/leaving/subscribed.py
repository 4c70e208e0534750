"""Notices to tools: a member's notice becomes an event of the subscriptions that their tool made on their behalf.

Everything happens in one transaction of the journal: the resource of the alert, its number in each subscription, and
that the notice is handed over. The notifier sends the events in order, dossier by dossier; their end is the notice's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from router.dossier.context import Context, Reader
from router.dossier.door import Door
from router.dossier.leaving.channels import pass_on
from router.dossier.leaving.ends import events_ended
from router.dossier.leaving.resource import keep_resource
from router.dossier.loading import reader_of
from router.dossier.may import may
from router.dossier.queue import Due, due_within, settle_within
from router.dossier.subscriptions.keeping import Changed, Line, lines, number_events
from router.dossier.subscriptions.matching import Matcher
from router.dossier.subscriptions.wanted import Wanted
from router.journal import tables
from router.journal.blobs import BlobStore
from router.journal.unit import Unit
from router.journal.view import View
from schemas.circle import Channel
from schemas.habilitation import Action

BY_TOOL = (Channel.WEBHOOK, Channel.PUSH)
LOOKS = 30
"""Looks, a second apart, at whether a tool's other subscriptions are told of the same thing, before it is passed on."""

AGAIN = 1_000_000


@dataclass(slots=True)
class Handed:
    """What one turn did: notices `left` to tools, `passed` on to another channel or failed, `waiting` for a moment."""

    left: int = 0
    passed: int = 0
    waiting: int = 0


class ToTools:
    """Hands notices over to subscriptions. `known` spares opening what was opened before."""

    def __init__(self, door: Door, blobs: BlobStore, *, on: bool) -> None:
        self._door = door
        self._blobs = blobs
        self._on = on
        self._known: dict[tuple[int, int], Wanted] = {}

    def hand_over(self, unit: Unit, now: int) -> Handed:
        """Hand over what is due, within a transaction."""
        due, contexts = due_within(unit, BY_TOOL, now=now)
        handed = Handed()
        if not due:
            return handed
        view = View(unit.connection, unit.sealer, self._blobs)
        active: Sequence[Line] = ()
        if self._on:
            found = lines(view, self._known)
            self._known = {(line.id, line.version): line.wanted for line in found}
            active = [line for line in found if line.state == "active"]
        matcher = Matcher(view, self._door, now)
        for one in due:
            mine = [line for line in active if _is_theirs(matcher.reader(line), one, contexts[one.dossier_id], unit)]
            if mine and self._hand(unit, one, mine, matcher, now):
                handed.left += 1
            elif mine and _tied(unit, one, mine):
                settle_within(unit, one.id, "leaving", now=now)
                events_ended(unit, one.id, now)
                handed.left += 1
            elif mine and one.item_id is not None and one.attempts < LOOKS:
                settle_within(unit, one.id, "queued", now=now, again_at=now + AGAIN)
                handed.waiting += 1
            else:
                pass_on(unit, one, "no_tool", now=now)
                handed.passed += 1
        return handed

    def _hand(self, unit: Unit, one: Due, mine: Sequence[Line], matcher: Matcher, now: int) -> bool:
        if not any("CommunicationRequest" in line.wanted.types for line in mine):
            return False
        kept = keep_resource(unit, one, now)
        category = one.thing.category.value
        change = Changed(kept.id, kept.type, kept.logical_id, one.patient_id, category, kept.version, kept.at)
        taking = [line for line in mine if matcher.accepts(line, change)]
        for line in taking:
            number_events(unit, line.id, [change], notice=one.id)
        if taking:
            settle_within(unit, one.id, "leaving", now=now)
        return bool(taking)


def _is_theirs(reader: Reader | None, one: Due, context: Context, unit: Unit) -> bool:
    """Say whether a subscription was made on behalf of a member, by a tool that may be told this for them."""
    if reader is None:
        return False
    member = reader_of(one.member_id, one.member, unit.sealer)
    own = member.keys & reader.keys
    if one.member.is_structure:
        own = member.structures & reader.structures
    return bool(own) and may(reader, Action.TELL, one.thing, context).allowed


def _tied(unit: Unit, one: Due, mine: Sequence[Line]) -> bool:
    """Tie a notice to the events by which those subscriptions are told of the very thing; True when there is one."""
    event, said = tables.subscription_event.c, tables.resource_item.c
    of_item = select(said.resource_id).where(said.item_id == one.item_id)
    tied = update(tables.subscription_event).where(
        event.subscription_id.in_([line.id for line in mine]),
        event.resource_id.in_(of_item),
        event.notice_id.is_(None),
        event.at >= one.at,
    )
    return one.item_id is not None and unit.connection.execute(tied.values(notice_id=one.id)).rowcount > 0
