"""What the API takes and answers about held Items and decisions, as pydantic models. Times are ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from router.desk.deciding import LONGEST_NOTE, TOGETHER
from router.desk.history import DecisionLine
from router.desk.merges import MergeLine, MergeState
from router.desk.queue import Heap, Held, Waiting
from router.desk.reasons import Why
from router.identity.comparison import TRAITS, Agreement, Comparison
from router.identity.flows_foreseen import Foreseen
from router.identity.flows_merge import LONGEST_WHY, UndoRefusal
from router.journal.decisions import DeskAction
from router.web.api.models import at, moment
from schemas.identity import PatientIdentity


class HeapOut(BaseModel):
    """How many Items wait (at least, if capped), and since when the oldest does."""

    count: int
    capped: bool
    oldest_at: datetime | None


class ReasonOut(HeapOut):
    """Items to decide that are held for one reason."""

    reason: str


class SummaryOut(BaseModel):
    """Both piles; `alert` is true once the oldest Item waits for more than `alert_hours`."""

    todo: HeapOut
    aside: HeapOut
    reasons: list[ReasonOut]
    alert: bool
    alert_hours: int


class HeldOut(BaseModel):
    """An Item of the queue, without health data. `decided` is what was decided last about it, if anything."""

    item_id: int
    message_id: int
    kind: str
    reason: str
    since: datetime
    decided: DeskAction | None = None


class HeldListOut(BaseModel):
    """A page, the oldest first. `next` goes on from here as `after`; null at the end."""

    items: list[HeldOut]
    next: int | None


class DossierOut(BaseModel):
    """A patient whom an Item may be about.

    `by` says what pointed to them; `traits` how each strict trait agrees: E equal, Q equal but for spelling, D
    different, M missing on one side.
    """

    patient_id: int
    by: str
    in_coordination: bool
    identity: PatientIdentity
    traits: dict[str, Agreement]


class DecisionOut(BaseModel):
    """A decision; `items` counts those taken at once, `standing` says that it can be undone."""

    id: int
    at: datetime
    actor: str
    action: DeskAction
    item_id: int
    patient_id: int | None
    reason: str
    why: Why
    note: str
    undoes: int | None
    items: int
    standing: bool


class DecisionsOut(BaseModel):
    """A page, newest first. `next` goes on from here as `before`; null at the end."""

    decisions: list[DecisionOut]
    next: int | None


class ComparedOut(HeldOut):
    """One Item with its identity as it was sent, and whom it may be about.

    `to_decide` says whether a decision is possible; `rule` is the row of the decision table, `rule_text` what it says;
    `alike` are the other Items that state exactly the same identity.
    """

    source: str
    state: str
    to_decide: bool
    rule: str
    rule_text: str
    identity: PatientIdentity | None
    candidates: list[DossierOut]
    alike: list[int]
    decisions: list[DecisionOut]


class DecisionIn(BaseModel):
    """A decision to take. `patient_id` is whose it is (attach), or the patient who is doubtful too."""

    action: DeskAction
    why: Why
    patient_id: int | None = None
    note: str = Field("", max_length=LONGEST_NOTE)
    also: list[int] = Field([], max_length=TOGETHER - 1)


class UndoIn(BaseModel):
    """Why a decision is undone."""

    why: Why = Why.MISTAKE
    note: str = Field("", max_length=LONGEST_NOTE)


class DecidedOut(BaseModel):
    """The decision, and how many Items it covers."""

    decision_id: int
    items: int


class UndoneOut(BaseModel):
    """The undoing: Items held again, Deliveries cancelled, and those that had left: their receivers must be told."""

    decision_id: int
    items: int
    cancelled: int
    left: int


class MergeOut(BaseModel):
    """A merge of two patients that a message made, without health data.

    `refusal` says why it cannot be undone now, null when it can; `later_merge_id` is the merge to undo first.
    `message_id` is null once its message is erased.
    """

    id: int
    at: datetime
    state: MergeState
    message_id: int | None
    item_id: int | None
    survivor_id: int
    absorbed_id: int
    undone_at: datetime | None
    undone_by: str
    why: str
    refusal: UndoRefusal | None
    later_merge_id: int | None


class MergesOut(BaseModel):
    """A page, newest first. `next` goes on from here as `before`; null at the end."""

    merges: list[MergeOut]
    next: int | None


class ForeseenOut(BaseModel):
    """What undoing a merge does.

    `came`: Items that came or were prepared since; `moved`: those that are not the survivor's alone; `anew`: those
    decided and prepared anew; `stopped`: Deliveries that wait and are stopped; `told`: Deliveries that left under an
    INS that is not their patient's: a task for each asks that its receiver be told.
    """

    came: int
    moved: int
    anew: int
    stopped: int
    told: int


class MergeDetailOut(MergeOut):
    """One merge; `foreseen` is what undoing it would do now, null when it cannot be undone."""

    foreseen: ForeseenOut | None


class UnmergeIn(BaseModel):
    """Why a merge is undone: kept sealed."""

    why: str = Field(min_length=1, max_length=LONGEST_WHY)


class UnmergedOut(ForeseenOut):
    """What the undoing did; both patients may have tasks."""

    merge_id: int
    survivor_id: int
    absorbed_id: int


def heap_out(heap: Heap) -> HeapOut:
    """Give a count."""
    return HeapOut(count=heap.count.count, capped=heap.count.more, oldest_at=moment(heap.oldest_at))


def reason_out(heap: Heap) -> ReasonOut:
    """Give a count of one reason."""
    return ReasonOut(reason=heap.reason, **heap_out(heap).model_dump())


def waiting_out(found: Waiting | Held) -> HeldOut:
    """Give an Item of the queue."""
    line = found.line
    return HeldOut(
        item_id=line.id,
        message_id=line.message_id,
        kind=line.kind,
        reason=line.reason or "",
        since=at(line.created_at),
        decided=found.newest.action if found.newest is not None else None,
    )


def traits_out(traits: Comparison) -> dict[str, Agreement]:
    """Give the agreement of each strict trait."""
    return {name: getattr(traits, name) for name in TRAITS}


def decision_out(line: DecisionLine) -> DecisionOut:
    """Give a decision."""
    return DecisionOut(
        id=line.id,
        at=at(line.at),
        actor=line.actor,
        action=line.action,
        item_id=line.item_id,
        patient_id=line.patient_id,
        reason=line.reason,
        why=line.why,
        note=line.note,
        undoes=line.undoes,
        items=line.items,
        standing=line.standing,
    )


def merge_out(line: MergeLine) -> MergeOut:
    """Give a merge."""
    return MergeOut(
        id=line.id,
        at=at(line.at),
        state=line.state,
        message_id=line.item.message_id if line.item is not None else None,
        item_id=line.item.id if line.item is not None else None,
        survivor_id=line.survivor.patient_id,
        absorbed_id=line.absorbed.patient_id,
        undone_at=moment(line.undone_at),
        undone_by=line.undone_by,
        why=line.why,
        refusal=line.refusal,
        later_merge_id=line.later,
    )


def foreseen_out(found: Foreseen) -> ForeseenOut:
    """Give what undoing a merge does."""
    return ForeseenOut(came=found.came, moved=found.moved, anew=found.anew, stopped=found.stopped, told=found.told)
