"""The identity desk: counts and ages, the queue, one Item compared, decisions and their undoing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from router.desk.deciding import Decide, Refusal
from router.desk.dossiers import Dossier, dossiers
from router.desk.history import DecisionLine, decision, decisions
from router.desk.queue import Held, Pile, held_item, piles, same_identity, waiting
from router.desk.reasons import CHOICES, Why
from router.desk.undoing import Undo
from router.identity.decisions import rule_of
from router.journal.decisions import DeskAction
from router.journal.view import View
from router.web.access import Called, Decider, Office
from router.web.api.models_identities import (
    ComparedOut,
    DecidedOut,
    DecisionIn,
    DecisionsOut,
    DossierOut,
    HeldListOut,
    SummaryOut,
    UndoIn,
    UndoneOut,
    decision_out,
    heap_out,
    reason_out,
    traits_out,
    waiting_out,
)
from router.web.api.problems import Refused
from router.web.boards import HOUR
from router.web.faults import NotThere

router = APIRouter(tags=["identities"])

_REFUSALS = {
    Refusal.NO_ITEM: (404, "There is no such item."),
    Refusal.NOT_HELD: (409, "This item is not held; nothing was changed."),
    Refusal.DECIDED: (409, "Somebody has decided about this item already; undo that decision first."),
    Refusal.NO_PATIENT: (422, "There is no such patient in the register; nothing was changed."),
    Refusal.NO_DECISION: (404, "There is no such decision."),
    Refusal.SUPERSEDED: (409, "A later decision was taken on this item: undo that one."),
}


@router.get("/identities/summary")
async def summary(desk: Office, _caller: Called) -> SummaryOut:
    """Count what waits to be decided, and what was set aside, with the age of the oldest."""
    found = await desk.look(piles)
    hours = desk.context.identity_alert_hours
    oldest = [heap.oldest_at for heap in (found.todo, found.aside) if heap.oldest_at is not None]
    return SummaryOut(
        todo=heap_out(found.todo),
        aside=heap_out(found.aside),
        reasons=[reason_out(heap) for heap in found.reasons],
        alert=bool(oldest) and desk.now() - min(oldest) > hours * HOUR,
        alert_hours=hours,
    )


@router.get("/identities")
async def list_held(
    desk: Office,
    _caller: Called,
    pile: Pile = Pile.TODO,
    reason: str = "",
    after: int = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> HeldListOut:
    """List held Items, the oldest first: those `todo`, or those set `aside`."""
    found = await desk.look(lambda view: waiting(view, pile, reason=reason, after=after, limit=limit + 1))
    shown = [waiting_out(one) for one in found[:limit]]
    return HeldListOut(items=shown, next=shown[-1].item_id if len(found) > limit else None)


@router.get("/identities/decisions")
async def list_decisions(
    desk: Office,
    _caller: Called,
    item: int | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DecisionsOut:
    """List decisions, newest first, of everything or of one Item."""
    found = await desk.look(lambda view: decisions(view, item=item, before=before, limit=limit + 1))
    shown = [decision_out(one) for one in found[:limit]]
    return DecisionsOut(decisions=shown, next=shown[-1].id if len(found) > limit else None)


@router.get("/identities/{number}")
async def compare(number: int, desk: Office, caller: Called) -> ComparedOut:
    """Give an Item's identity beside those whom it may be about; noted in the audit."""

    def find(view: View) -> tuple[Held, list[Dossier], list[int], list[DecisionLine]] | None:
        held = held_item(view, number)
        if held is None:
            return None
        return held, dossiers(view, held), same_identity(view, held), decisions(view, item=number)

    found = await desk.look(find)
    if found is None:
        raise NotThere
    held, candidates, alike, taken = found
    numbers = ", ".join(str(one.patient.id) for one in candidates)
    await desk.audit(caller.name, "compare identities", f"item {number}", f"patients {numbers}" if numbers else "")
    rule = rule_of(held.rule) if held.rule else None
    return ComparedOut(
        **waiting_out(held).model_dump(),
        source=held.source,
        state=held.line.state.value,
        to_decide=held.to_decide,
        rule=held.rule,
        rule_text=rule.english if rule is not None else "",
        identity=held.item.patient if held.item is not None else None,
        candidates=[
            DossierOut(
                patient_id=one.patient.id,
                by=one.by,
                in_coordination=one.patient.in_coordination,
                identity=one.patient.identity,
                traits=traits_out(one.traits),
            )
            for one in candidates
        ],
        alike=alike,
        decisions=[decision_out(one) for one in taken],
    )


@router.post("/identities/{number}/decisions", status_code=201)
async def decide(number: int, given: DecisionIn, desk: Office, caller: Decider) -> DecidedOut:
    """Attach an Item to a patient, set it aside with a task, declare it doubtful, or refuse it."""
    if given.action is DeskAction.UNDO:
        raise Refused(422, "A decision is undone by its own address: POST /identities/decisions/{id}/undo.")
    if given.action is DeskAction.ATTACH and given.patient_id is None:
        raise Refused(422, "Attaching needs the patient_id of whose it is.")
    if given.action in {DeskAction.TASK, DeskAction.REFUSE} and given.patient_id is not None:
        raise Refused(422, "Only attach and doubtful take a patient_id.")
    _check(given.action, given.why, given.note)
    items = [number, *given.also]
    operation = Decide(given.action, items, caller.name, given.why, desk.now(), given.patient_id, given.note.strip())
    decided = await desk.submit(operation)
    if decided.decision_id is None:
        raise _refused(decided.refusal)
    desk.changed()
    return DecidedOut(decision_id=decided.decision_id, items=decided.items)


@router.post("/identities/decisions/{number}/undo", status_code=201)
async def undo(number: int, given: UndoIn, desk: Office, caller: Decider) -> UndoneOut:
    """Take a decision back: the Item is held again, what is open is cancelled, what had left is marked."""
    _check(DeskAction.UNDO, given.why, given.note)
    if await desk.look(lambda view: decision(view, number)) is None:
        raise NotThere
    undone = await desk.submit(Undo(number, caller.name, given.why, desk.now(), given.note.strip()))
    if undone.decision_id is None:
        raise _refused(undone.refusal)
    desk.changed()
    return UndoneOut(decision_id=undone.decision_id, items=undone.items, cancelled=undone.cancelled, left=undone.left)


def _check(action: DeskAction, why: Why, note: str) -> None:
    if why not in CHOICES[action]:
        raise Refused(422, f"With {action.value}, why is one of: {', '.join(one.value for one in CHOICES[action])}.")
    if why is Why.OTHER and not note.strip():
        raise Refused(422, "The reason `other` needs a note.")


def _refused(refusal: Refusal | None) -> Refused:
    return Refused(*_REFUSALS[refusal]) if refusal is not None else Refused(409, "Nothing was changed.")
