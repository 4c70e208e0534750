"""Coordination dossiers: their circle, consents and restrictions; who may see what, and why. Every read is audited."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from router.dossier.accesses import AccessLine, accesses
from router.dossier.circle import add_member, change_member, end_member
from router.dossier.consents import open_emergency, record_consent, withdraw_consent
from router.dossier.doors import explained
from router.dossier.dossiers import HistoryLine, change_state, history, open_dossier, open_dossiers
from router.dossier.keeping import SENTENCES, By, Done, Refusal, dossier_of
from router.dossier.listed import NotListed, listed_member
from router.dossier.merging import adopt_dossier
from router.dossier.overview import overview
from router.dossier.restrictions import lift_restriction, restrict
from router.engine.clock import moment
from router.journal.operations import Change
from router.journal.view import View
from router.web.access import Called, Caller, Coordinator, Office
from router.web.api.models_dossiers import (
    ConsentIn,
    DecisionsOut,
    DoneOut,
    DossierIn,
    DossiersOut,
    EmergencyIn,
    EndIn,
    HistoriesOut,
    ListedMemberIn,
    MemberIn,
    OverviewOut,
    RestrictionIn,
    StateIn,
    VerdictOut,
    WhyIn,
    decision_out,
    dossier_out,
    history_out,
    overview_out,
)
from router.web.api.problems import Refused
from router.web.desk import Desk
from router.web.faults import NotThere
from schemas.circle import party_keys
from schemas.coding import Identifier
from schemas.habilitation import Action

router = APIRouter(tags=["dossiers"])

_MISSING = frozenset({Refusal.NO_PATIENT, Refusal.NO_DOSSIER, Refusal.NO_MEMBER, Refusal.NO_RECORD, Refusal.NO_ENTRY})
_CONFLICTS = frozenset(
    {
        Refusal.OPEN_ALREADY,
        Refusal.MERGED_HAS_ONE,
        Refusal.CLOSED,
        Refusal.NO_CONSENT,
        Refusal.MEMBER_ENDED,
        Refusal.MEMBER_THERE,
        Refusal.WITHDRAWN,
        Refusal.STALE,
        Refusal.OPPOSED,
        Refusal.NOT_MERGED,
    }
)

Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/dossiers")
async def list_dossiers(desk: Office, _caller: Called, after: int = 0, limit: Limit = 50) -> DossiersOut:
    """List the open dossiers by number; nothing of the persons is here but their numbers in the register."""
    found = await desk.look(lambda view: open_dossiers(view, after=after, limit=limit + 1))
    shown = [dossier_out(line) for line in found[:limit]]
    return DossiersOut(dossiers=shown, next=shown[-1].id if len(found) > limit else None)


@router.post("/dossiers", status_code=201)
async def open_one(given: DossierIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Open a patient's dossier; with the consent to its opening it is active at once."""
    change = open_dossier(
        given.patient_id,
        given.owner,
        by=_by(desk, caller, given.why),
        consent=given.consent,
        tools=given.tools,
        identifiers=given.identifiers,
        reason=given.reason,
        topics=given.topics,
    )
    return await _done(desk, change)


@router.get("/dossiers/{patient_id}")
async def show(patient_id: int, desk: Office, caller: Called) -> OverviewOut:
    """Give a patient's dossier: circle, consents, restrictions, who may do what by which rule."""
    await desk.audit(caller.name, "read dossier", f"patient {patient_id}")
    found = await desk.look(lambda view: overview(view, patient_id, now=desk.now()))
    if found is None:
        raise NotThere
    return overview_out(found)


@router.post("/dossiers/{patient_id}/state")
async def state(patient_id: int, given: StateIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Activate, suspend or close a dossier."""
    return await _done(desk, change_state(patient_id, given.state, by=_by(desk, caller, given.why)))


@router.post("/dossiers/{patient_id}/adopt")
async def adopt(patient_id: int, given: WhyIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Let the dossier of a patient who was merged become the survivor's, who has none."""
    return await _done(desk, adopt_dossier(patient_id, by=_by(desk, caller, given.why)))


@router.post("/dossiers/{patient_id}/members", status_code=201)
async def add(patient_id: int, given: MemberIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Add a member to the circle."""
    return await _done(desk, add_member(patient_id, given.member, by=_by(desk, caller, given.why)))


@router.post("/dossiers/{patient_id}/members/listed", status_code=201)
async def add_listed(patient_id: int, given: ListedMemberIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Add a professional to the circle by RPPS number: name, profession and mailbox are the directory's."""
    directory = desk.context.directory
    if directory is None:
        raise Refused(404, "This router has no directory.")
    start = given.start or moment(desk.now()).isoformat(timespec="seconds")
    try:
        member = await listed_member(
            directory,
            given.rpps,
            start=start,
            gp=given.gp,
            family=given.family,
            invited=given.invited,
            basis=given.basis,
        )
    except NotListed as fault:
        raise Refused(422, str(fault)) from None
    return await _done(desk, add_member(patient_id, member, by=_by(desk, caller, given.why)))


@router.put("/dossiers/{patient_id}/members/{number}")
async def change(patient_id: int, number: int, given: MemberIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Change a standing member: role, care team, preferences… Who they are stays."""
    by = _by(desk, caller, given.why)
    return await _done(desk, change_member(patient_id, number, given.member, by=by, version=given.version))


@router.post("/dossiers/{patient_id}/members/{number}/end")
async def end(patient_id: int, number: int, given: EndIn, desk: Office, caller: Coordinator) -> DoneOut:
    """End a membership."""
    return await _done(desk, end_member(patient_id, number, by=_by(desk, caller, given.why), on=given.on))


@router.post("/dossiers/{patient_id}/consents", status_code=201)
async def consent(patient_id: int, given: ConsentIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Record a consent or an opposition; it takes effect at once."""
    return await _done(desk, record_consent(patient_id, given.consent, by=_by(desk, caller, given.why)))


@router.post("/dossiers/{patient_id}/consents/{number}/withdraw")
async def withdraw(patient_id: int, number: int, given: WhyIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Withdraw a consent, or lift an opposition."""
    return await _done(desk, withdraw_consent(patient_id, number, by=_by(desk, caller, given.why)))


@router.post("/dossiers/{patient_id}/restrictions", status_code=201)
async def hide(patient_id: int, given: RestrictionIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Hide an item and its versions to come, or keep it to some."""
    by = _by(desk, caller, given.why)
    return await _done(desk, restrict(patient_id, given.item_id, given.restriction, by=by))


@router.post("/dossiers/{patient_id}/restrictions/{number}/lift")
async def lift(patient_id: int, number: int, given: WhyIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Lift a restriction."""
    return await _done(desk, lift_restriction(patient_id, number, by=_by(desk, caller, given.why)))


@router.post("/dossiers/{patient_id}/emergencies", status_code=201)
async def emergency(patient_id: int, given: EmergencyIn, desk: Office, caller: Coordinator) -> DoneOut:
    """Open an emergency access for a health professional; the general practitioner is told."""
    keys = party_keys([Identifier(value=given.rpps, type="RPPS")])
    by = _by(desk, caller, given.why)
    return await _done(desk, open_emergency(patient_id, keys, given.who, by=by, hours=given.hours))


@router.get("/dossiers/{patient_id}/may")
async def explain(
    patient_id: int, member: int, item: int, desk: Office, caller: Called, action: Action = Action.READ
) -> VerdictOut:
    """Say what a member may do with an item of the dossier, and by which rule."""
    await desk.audit(caller.name, "explain access", f"item {item}")
    found = await desk.look(lambda view: explained(view, patient_id, member, item, action, now=desk.now()))
    if found is None:
        raise NotThere
    said = found.verdict
    return VerdictOut(allowed=said.allowed, rule=said.rule, reason=said.reason, category=found.category)


@router.get("/dossiers/{patient_id}/history")
async def changes(
    patient_id: int, desk: Office, caller: Called, before: int | None = None, limit: Limit = 50
) -> HistoriesOut:
    """List what was changed in a dossier, newest first."""

    def find(view: View) -> list[HistoryLine]:
        line = dossier_of(view.connection, view.sealer, patient_id)
        if line is None:
            raise NotThere
        return history(view, line.id, before=before, limit=limit + 1)

    await desk.audit(caller.name, "read dossier history", f"patient {patient_id}")
    found = await desk.look(find)
    shown = [history_out(one) for one in found[:limit]]
    return HistoriesOut(changes=shown, next=shown[-1].id if len(found) > limit else None)


@router.get("/dossiers/{patient_id}/accesses")
async def decisions(
    patient_id: int, desk: Office, caller: Called, before: int | None = None, limit: Limit = 50
) -> DecisionsOut:
    """List who asked for what in a dossier and what was decided, newest first."""

    def find(view: View) -> list[AccessLine]:
        line = dossier_of(view.connection, view.sealer, patient_id)
        if line is None:
            raise NotThere
        return accesses(view, line.id, before=before, limit=limit + 1)

    await desk.audit(caller.name, "read dossier accesses", f"patient {patient_id}")
    found = await desk.look(find)
    shown = [decision_out(one) for one in found[:limit]]
    return DecisionsOut(accesses=shown, next=shown[-1].id if len(found) > limit else None)


def _by(desk: Desk, caller: Caller, why: str) -> By:
    return By(caller.name, desk.now(), why.strip())


async def _done(desk: Desk, change: Change[Done]) -> DoneOut:
    """Apply a change. Raises Refused with why nothing was changed."""
    found = await desk.submit(change)
    if found.refusal is not None:
        raise refused(found.refusal)
    desk.changed()
    return DoneOut(number=found.number or 0, version=found.version)


def refused(refusal: Refusal) -> Refused:
    """Give the answer for a change that was refused."""
    sentence = SENTENCES[refusal]
    status = 404 if refusal in _MISSING else 409 if refusal in _CONFLICTS else 422
    return Refused(status, f"{sentence[0].upper()}{sentence[1:]}.")
