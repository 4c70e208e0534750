"""What follows from an Item for its patient's dossier: its entry, and the alerts to the circle, in its own transaction.

A feed never opens a dossier: an Item about a patient who has none stays out of any, and makes a task for a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, update

from mappings.contracts import PARIS
from router.dossier.accesses import seen_by
from router.dossier.classifying import Entry, entry_of
from router.dossier.context import Context, Thing
from router.dossier.entries import keep_entry
from router.dossier.happenings import Event, Happening, happenings
from router.dossier.keeping import By, DossierLine, dossier_of
from router.dossier.loading import context_for, reader_of
from router.dossier.notices import AlertLevel, Audience, Former, NoticeRule, default_rules, told
from router.identity.tasks import TaskKind, open_task
from router.journal import tables
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from schemas.dossier import DossierState
from schemas.habilitation import DataCategory
from schemas.item import Item

_EMERGENCY = NoticeRule(name="emergency access", event=Event.EMERGENCY, to=(Audience.PCP,), level=AlertLevel.URGENT)


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be kept of an Item for a dossier, and who may have to be told. Pickled: the writer applies it."""

    entry: Entry
    found: tuple[tuple[Happening, tuple[NoticeRule, ...]], ...]
    zone: ZoneInfo = PARIS

    def apply(self, unit: Unit, item_id: int, patient_id: int, now: int, *, has_dossier: bool) -> None:
        """Apply it; the Item is in the journal already, and belongs to this patient."""
        line = dossier_of(unit.connection, unit.sealer, patient_id) if has_dossier else None
        if line is None or line.state is DossierState.CLOSED:
            asked = unit.sealer.token("without dossier", str(patient_id), "" if line is None else str(line.id))
            open_task(unit, patient_id, TaskKind.NO_DOSSIER, now=now, item_id=item_id, subject=asked)
        if line is None:
            return
        kept = keep_entry(unit, item_id, self.entry, now)
        if line.state is not DossierState.ACTIVE or not self.found:
            return
        thing = Thing(kept.category, kept.marks, kept.at, kept.author, kept.thing)
        context = context_for(unit.connection, unit.sealer, line, now=now)
        for happening, rules in self.found:
            number = tell(unit, line, happening, thing, rules, context, item_id=item_id, zone=self.zone)
            if number is not None and _prescriber_is_outside(happening, context):
                asked = unit.sealer.token("prescriber outside", str(number))
                open_task(unit, patient_id, TaskKind.PRESCRIBER, now=now, item_id=item_id, subject=asked)


def _prescriber_is_outside(happening: Happening, context: Context) -> bool:
    """Say whether critical results press somebody whom the circle does not know.

    Sharing what a dossier holds outside of the circle needs the person's prior consent (L.1110-4 CSP); that the result
    exists is the laboratory's to tell who ordered it. So nothing is sent: whoever keeps the dossier is asked to call.
    """
    if happening.event is not Event.CRITICAL or not happening.prescribers:
        return False
    return not any(seat.keys & happening.prescribers for seat in context.seats)


def telling_of(
    item: Item, sealer: Sealer, rules: tuple[NoticeRule, ...] | None = None, zone: ZoneInfo = PARIS
) -> Telling | None:
    """Give what follows from an Item for a dossier, None when it is nothing for one."""
    entry = entry_of(item, sealer)
    if entry is None:
        return None
    known = default_rules() if rules is None else rules
    found = []
    for happening in happenings(item):
        meeting = tuple(rule for rule in known if rule.meets(happening))
        # An annulment takes back what waits to be told, whoever is told of it.
        if meeting or happening.event is Event.ANNULLED:
            found.append((happening, meeting))
    return Telling(entry, tuple(found), zone)


def tell(
    unit: Unit,
    line: DossierLine,
    happening: Happening,
    thing: Thing,
    rules: tuple[NoticeRule, ...],
    context: Context,
    *,
    item_id: int | None,
    zone: ZoneInfo = PARIS,
) -> int | None:
    """Make the alert of a happening with its notices; None where it was told already, or nobody is to be told."""
    connection, sealer = unit.connection, unit.sealer
    same = _token(sealer, line, happening.same)
    fact = _token(sealer, line, happening.fact) if happening.fact is not None else None
    former = Former()
    if happening.annuls is not None:
        annulled = _annul(unit, _token(sealer, line, happening.annuls), context.now)
        if annulled is None:
            return None
        former = Former(told=annulled)
    elif happening.of is not None:
        if not _is_news(unit, [_token(sealer, line, happening.of), same], fact):
            return None
    elif _standing(unit, [same]):
        return None
    if happening.event is Event.CORRECTED and thing.thing is not None:
        former = Former(seen=seen_by(connection, thing.thing))
    found = told(
        happening,
        thing,
        rules,
        context,
        former,
        reader_of=lambda seat: reader_of(seat.id, seat.member, sealer),
        zone=zone,
    )
    level = max((one.level for one in found), key=lambda one: one.rank, default=AlertLevel.INFO)
    values = {
        "dossier_id": line.id,
        "item_id": item_id,
        "thing": thing.thing,
        "event": happening.event.value,
        "rule": found[0].rule if found else "",
        "level": level.value,
        "category": thing.category.value,
        "same": same,
        "fact": fact,
        "at": context.now,
    }
    # Told to nobody, it is kept all the same: a resend tomorrow is no news to who has joined since.
    number: int = connection.execute(insert(tables.alert).values(values).returning(tables.alert.c.id)).scalar_one()
    rows = [
        {
            "alert_id": number,
            "member_id": one.member,
            "channel": one.channel.value,
            "state": "queued",
            "not_before": one.not_before,
            "changed_at": context.now,
        }
        for one in found
    ]
    if rows:
        connection.execute(insert(tables.alert_notice), rows)
    return number


def tell_emergency(unit: Unit, line: DossierLine, number: int, by: By) -> None:
    """Tell the general practitioner that an emergency access was opened."""
    context = context_for(unit.connection, unit.sealer, line, now=by.now)
    happening = Happening(Event.EMERGENCY, f"emergency {number}")
    tell(unit, line, happening, Thing(DataCategory.IDENTITY), (_EMERGENCY,), context, item_id=None)


def _token(sealer: Sealer, line: DossierLine, key: str) -> int:
    return sealer.token("alert", str(line.id), key)


def _standing(unit: Unit, same: list[int]) -> bool:
    column = tables.alert.c
    found = select(column.id).where(column.same.in_(same), column.annulled_at.is_(None)).limit(1)
    return unit.connection.execute(found).first() is not None


def _is_news(unit: Unit, same: list[int], fact: int | None) -> bool:
    """Say whether what is said of something told before differs from what was said of it last."""
    column = tables.alert.c
    last = select(column.fact).where(column.same.in_(same), column.annulled_at.is_(None)).order_by(column.id.desc())
    row = unit.connection.execute(last.limit(1)).first()
    return row is not None and row.fact != fact


def _annul(unit: Unit, same: int, now: int) -> frozenset[int] | None:
    """Annul what was told: notices that still wait are cancelled; gives who was told, None when there was nothing."""
    alert, notice = tables.alert.c, tables.alert_notice.c
    found = select(alert.id).where(alert.same == same, alert.annulled_at.is_(None))
    numbers = list(unit.connection.execute(found).scalars())
    if not numbers:
        return None
    unit.connection.execute(update(tables.alert).where(alert.id.in_(numbers)).values(annulled_at=now))
    mine = notice.alert_id.in_(numbers)
    unit.connection.execute(
        update(tables.alert_notice)
        .where(mine, notice.state == "queued")
        .values(state="cancelled", changed_at=now, detail="annulled before it was sent")
    )
    reached = select(notice.member_id).where(mine, notice.state != "cancelled")
    return frozenset(unit.connection.execute(reached).scalars())
