"""Merges of two patients that messages made: list them, say what undoing one would do, undo it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from router.desk.merges import SENTENCES, MergeLine, MergeState, merge_line, merges
from router.identity.flows_foreseen import Foreseen
from router.identity.flows_merge import UndoRefusal, foresee_undoing, undo_merge
from router.journal.view import View
from router.web.access import Called, Decider, Office
from router.web.api.models_identities import (
    MergeDetailOut,
    MergesOut,
    UnmergedOut,
    UnmergeIn,
    foreseen_out,
    merge_out,
)
from router.web.api.problems import Refused
from router.web.faults import NotThere
from router.web.retained import retained_since

router = APIRouter(tags=["identities"])

_STATUSES = {UndoRefusal.NO_MERGE: 404}
"""Every other refusal is a conflict: 409."""


@router.get("/identities/merges")
async def list_merges(
    desk: Office,
    _caller: Called,
    state: MergeState | None = None,
    patient: int | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MergesOut:
    """List merges, newest first: those that stand, those undone, of everybody or of one patient."""
    since = retained_since(desk)

    def find(view: View) -> list[MergeLine]:
        return merges(view, state=state, patient_id=patient, before=before, limit=limit + 1, not_before=since)

    found = await desk.look(find)
    shown = [merge_out(one) for one in found[:limit]]
    return MergesOut(merges=shown, next=shown[-1].id if len(found) > limit else None)


@router.get("/identities/merges/{number}")
async def show_merge(number: int, desk: Office, _caller: Called) -> MergeDetailOut:
    """Give one merge, and what undoing it would do now."""
    since = retained_since(desk)

    def find(view: View) -> tuple[MergeLine, Foreseen | UndoRefusal] | None:
        line = merge_line(view, number, not_before=since)
        return None if line is None else (line, foresee_undoing(view, number, not_before=since))

    found = await desk.look(find)
    if found is None:
        raise NotThere
    line, foreseen = found
    said = foreseen_out(foreseen) if isinstance(foreseen, Foreseen) else None
    return MergeDetailOut(**merge_out(line).model_dump(), foreseen=said)


@router.post("/identities/merges/{number}/undo", status_code=201)
async def unmerge(number: int, given: UnmergeIn, desk: Office, caller: Decider) -> UnmergedOut:
    """Undo a merge: both patients are again what they were, and what came since is decided and prepared anew."""
    why = given.why.strip()
    if not why:
        raise Refused(422, "Say why the merge is undone.")
    change = undo_merge(number, actor=caller.name, why=why, now=desk.now(), not_before=retained_since(desk))
    undone = await desk.submit(change)
    if undone.refusal is not None or undone.survivor_id is None or undone.absorbed_id is None:
        refusal = undone.refusal or UndoRefusal.NO_MERGE
        raise Refused(_STATUSES.get(refusal, 409), SENTENCES[refusal])
    desk.changed()
    return UnmergedOut(
        **foreseen_out(undone.done).model_dump(),
        merge_id=number,
        survivor_id=undone.survivor_id,
        absorbed_id=undone.absorbed_id,
    )
