"""What an identity event does to the patient that it is about (IHE PAM France: A28, A31, A01, A40, A47, A24, A37).

The worker prepares what follows from an Item whose patient is known; the writer applies it in the transaction that
commits the Item. A patient is never created by a message, and one that is unknown is never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import insert, select, update

from router.identity.flows_keeping import keep_identity, patient_now
from router.identity.flows_merge import merge, refusal
from router.identity.flows_published import Cause
from router.identity.flows_traits import former_ins, pairs, updated
from router.identity.patients import Patient, identifier_token, look_up
from router.identity.standing import published_token
from router.identity.tasks import TaskKind, open_task
from router.journal import tables
from router.journal.following import Followed
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from schemas.coding import Identifier
from schemas.identity import IdentityStatus, PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.item import IdentityItem, Item, StayItem

BY_IDENTIFIER = "identifier"
BY_PERSON = "person"

_ADMISSIONS = frozenset({"A01", "A04", "A05"})
_ABOUT_NUMBERS = frozenset({TaskKind.CLAIMED, TaskKind.OTHER_INS})


class FlowHold(StrEnum):
    """Why an identity Item waits although it was understood, beside `flows_merge.MergeRefusal`."""

    AWAITS_ABSORBED = "merge_awaits_absorbed"
    """The patient that is to disappear is not known (yet): the merge came before its creation."""
    AWAITS_SURVIVOR = "merge_awaits_survivor"
    SEVERAL = "several_candidates"


def asked(item: Item) -> PatientIdentity:
    """Give the identity by which an Item's patient is looked up.

    A change of number (A47) is about whoever has the old one: the new one is known to nobody yet.
    """
    sent = item.patient
    if not isinstance(item, IdentityItem) or item.content.event != "patient.identifier_changed":
        return sent
    old = former_ins(item.content)
    local = tuple(one for one in item.content.absorbed if pairs([one]))
    changes: dict[str, object] = {"identifiers": sent.identifiers + local} if local else {}
    if old:
        changes |= {"ins": old[0], "status": IdentityStatus.QUALIFIED}
    return sent.model_copy(update=changes) if changes else sent


def flow_of(item: Item, patient: Patient | None, by: str, sender: str = "") -> IdentityFlow | None:
    """Give what follows from an Item, None when nothing does: most movements say nothing new of a person.

    `sender` is the URI of the authority of identifiers that were sent without one.
    """
    if isinstance(item, IdentityItem):
        event = item.content
        if event.event == "patient.merged":
            merging = event.model_copy(update={"absorbed": _assigned(event.absorbed, sender)})
            sent = item.patient.model_copy(update={"identifiers": _assigned(item.patient.identifiers, sender)})
            return IdentityFlow(sent, merging, patient.id if patient is not None else None, by)
        if patient is None:
            return None
        if event.event not in ("patient.linked", "patient.unlinked") and not _says_something(
            patient, item.patient, event
        ):
            return None
        return IdentityFlow(item.patient, event, patient.id, by)
    if not isinstance(item, StayItem) or patient is None or item.content.trigger not in _ADMISSIONS:
        return None
    update_only = IdentityEvent(event="patient.updated", trigger=item.content.trigger)
    return IdentityFlow(item.patient, update_only, patient.id, by) if _says_something(patient, item.patient) else None


def _assigned(identifiers: tuple[Identifier, ...], sender: str) -> tuple[Identifier, ...]:
    if not sender or all(one.system for one in identifiers):
        return identifiers
    return tuple(one if one.system else one.model_copy(update={"system": sender}) for one in identifiers)


def _says_something(patient: Patient, sent: PatientIdentity, event: IdentityEvent | None = None) -> bool:
    change = updated(patient.identity, sent, event)
    return change.identity != patient.identity or bool(change.tasks)


@dataclass(frozen=True, slots=True)
class IdentityFlow:
    """An identity event to apply; `by` says what recognised the patient (`Decision.by`)."""

    sent: PatientIdentity
    event: IdentityEvent
    patient_id: int | None
    by: str

    def apply(self, unit: Unit, item_id: int, now: int) -> Followed:
        """Apply it to the register as this transaction sees it."""
        if self.event.event == "patient.merged":
            return self._merge(unit, item_id, now)
        known = patient_now(unit, self.patient_id) if self.patient_id is not None else None
        if known is None:
            return Followed()
        if self.event.event in ("patient.linked", "patient.unlinked"):
            self._link(unit, known, item_id, now)
            return Followed()
        return self._update(unit, known, item_id, now)

    # --- A28, A31, A01, A47 ---------------------------------------------------------------------------------------

    def _update(self, unit: Unit, known: Patient, item_id: int, now: int) -> Followed:
        change = updated(known.identity, self.sent, self.event)
        identity, tasks = change.identity, list(change.tasks)
        free = tuple(
            one
            for one in identity.identifiers
            if one in known.identity.identifiers or _owners(unit, [one]) <= {known.id}
        )
        if free != identity.identifiers:
            identity = identity.model_copy(update={"identifiers": free})
            tasks.append(TaskKind.NUMBER)
        stopped, changed = False, identity != known.identity
        if changed:
            cause = Cause(now, change.why, item_id)
            stopped = keep_identity(unit, known.id, known.identity, identity, cause)
        for kind in tasks:
            subject = self._number(unit.sealer) if kind in _ABOUT_NUMBERS else None
            open_task(unit, known.id, kind, now=now, item_id=item_id, subject=subject)
        return Followed(changed=(known.id,) if changed else (), stopped=stopped)

    def _number(self, sealer: Sealer) -> int | None:
        return None if self.sent.ins is None else published_token(sealer, self.sent.ins)

    # --- A40 ------------------------------------------------------------------------------------------------------

    def _merge(self, unit: Unit, item_id: int, now: int) -> Followed:
        survivors = _owners(unit, self.sent.identifiers)
        if self.by == BY_PERSON and self.patient_id is not None:
            survivors = {self.patient_id}
        absorbed = _owners(unit, self.event.absorbed)
        if not survivors and not absorbed:
            return Followed()
        hold = self._not_now(survivors, absorbed)
        people = {number: patient_now(unit, number) for number in sorted(survivors | absorbed)}
        two = tuple(people)
        if hold is None and survivors == absorbed:
            return Followed()  # one patient already
        patients = [people[number] for number in (*survivors, *sorted(absorbed - survivors))]
        survivor, others = patients[0] if patients else None, [one for one in patients[1:] if one is not None]
        why: StrEnum | None = hold
        if why is None and survivor is not None:
            why = next((no for one in others if (no := refusal(survivor.identity, one.identity))), None)
        if why is not None or survivor is None:
            return self._refused(unit, why, two, item_id, now)
        stopped = False
        cause = Cause(now, "merged", item_id)
        for one in others:
            stopped = merge(unit, survivor, one, self.event.absorbed, cause) or stopped
            survivor = patient_now(unit, survivor.id) or survivor
        return Followed(changed=two, stopped=stopped)

    def _not_now(self, survivors: set[int], absorbed: set[int]) -> FlowHold | None:
        if len(survivors) > 1:
            return FlowHold.SEVERAL
        if not survivors:
            return FlowHold.AWAITS_SURVIVOR
        return None if absorbed else FlowHold.AWAITS_ABSORBED

    def _refused(self, unit: Unit, why: StrEnum | None, two: Sequence[int], item_id: int, now: int) -> Followed:
        if self.by != BY_PERSON or self.patient_id is None:
            return Followed(hold=why.value if why is not None else None, candidates=tuple(two))
        # A person said whose Item it is; whether two patients are one is another question, and stays open.
        open_task(unit, self.patient_id, TaskKind.MERGE_REFUSED, now=now, item_id=item_id)
        return Followed()

    # --- A24, A37 -------------------------------------------------------------------------------------------------

    def _link(self, unit: Unit, known: Patient, item_id: int, now: int) -> None:
        column = tables.patient_link.c
        for other in sorted(_owners(unit, self.event.absorbed) - {known.id}):
            pair = (column.patient_id == known.id) & (column.other_id == other)
            reverse = (column.patient_id == other) & (column.other_id == known.id)
            standing = (pair | reverse) & column.unlinked_at.is_(None)
            if self.event.event == "patient.unlinked":
                unit.connection.execute(update(tables.patient_link).where(standing).values(unlinked_at=now))
            elif unit.connection.execute(select(column.id).where(standing)).first() is None:
                values = {"patient_id": known.id, "other_id": other, "linked_at": now, "item_id": item_id}
                unit.connection.execute(insert(tables.patient_link).values(values))


def _owners(unit: Unit, identifiers: Sequence[Identifier]) -> set[int]:
    """Give the patients who have one of these local identifiers; an INS is none."""
    tokens = [identifier_token(unit.sealer, *pair) for pair in sorted(pairs(identifiers))]
    return set().union(*look_up(unit.connection, tokens).active.values())
