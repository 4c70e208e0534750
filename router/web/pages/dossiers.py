"""Coordination dossiers: the open ones; one with its circle, consents, and who may see what, by which rule."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from router.desk.merges import has_merges
from router.dossier.accesses import AccessLine, accesses
from router.dossier.agenda import MEDIA_TYPE, agenda, written
from router.dossier.circle import end_member
from router.dossier.circle_door import CircleDoor
from router.dossier.consents import record_consent, withdraw_consent
from router.dossier.context import Reader, ReaderKind
from router.dossier.dossiers import HistoryLine, change_state, history, open_dossiers
from router.dossier.keeping import By, Done, DossierLine, Refusal, dossier_of
from router.dossier.leaving.channels import WHY
from router.dossier.may import Rule
from router.dossier.overview import MemberAccess, Overview, overview
from router.dossier.restrictions import lift_restriction
from router.engine.clock import moment
from router.identity.patients import load_patients
from router.journal.operations import Change
from router.journal.queries_lines import PatientLine
from router.journal.view import View
from router.web.access import Coordinated, Office, Signed
from router.web.answers import Values, go, page
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.masking import masked
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.dossier import DossierState
from schemas.habilitation import DataCategory

router = APIRouter()

PATH = "/dossiers"
PAGE = 50
SHOWN = 30
"""Lines of history and of accesses on a dossier's page; the API and the command line give the rest."""


@dataclass(frozen=True, slots=True)
class Row:
    """An open dossier with whose it is, masked."""

    line: DossierLine
    patient: str


@router.get(PATH)
async def dossiers(request: Request, desk: Office, visit: Signed) -> Response:
    """Show the open dossiers."""
    after = row_number(request.query_params.get("after", "")) or 0

    def ask(view: View) -> Values:
        found = open_dossiers(view, after=after, limit=PAGE + 1)
        patients = load_patients(view.connection, view.sealer, [line.patient_id for line in found])
        rows = [Row(line, masked(PatientLine.of(patients[line.patient_id].identity))) for line in found[:PAGE]]
        return {"rows": rows, "following": found[PAGE - 1].id if len(found) > PAGE else None}

    return await page(desk, visit, "dossiers.html", ask)


@router.get(PATH + "/{patient_id}")
async def dossier(patient_id: int, request: Request, desk: Office, visit: Signed) -> Response:
    """Show one dossier; noted in the audit first."""
    refused = request.query_params.get("refused", "")

    def find(view: View) -> tuple[Overview, list[HistoryLine], list[AccessLine]] | None:
        found = overview(view, patient_id, now=desk.now())
        if found is None:
            return None
        number = found.line.id
        return found, history(view, number, limit=SHOWN), accesses(view, number, limit=SHOWN)

    await desk.audit(visit.account, "read dossier", f"patient {patient_id}")
    found = await desk.look(find)
    if found is None:
        raise NotThere
    shown, changes, decisions = found

    def ask(view: View) -> Values:
        return {
            "dossier": shown,
            "was_merged": has_merges(view, patient_id),
            "patient": masked(PatientLine.of(shown.patient.identity)),
            "rows": [(one, _why_not(one)) for one in shown.members],
            "names": {one.line.seat.id: one.line.seat.member.label for one in shown.members},
            "categories": [one.value for one in DataCategory],
            "rules": {one.value for one in Rule},
            "whys": WHY,
            "kinds": [one.value for one in ConsentKind],
            "channels": [one.value for one in ConsentChannel],
            "states": _states(shown.line.state),
            "history": changes,
            "accesses": decisions,
            "refused": refused if refused in set(Refusal) else "",
        }

    return await page(desk, visit, "dossier.html", ask)


@router.get(PATH + "/{patient_id}/agenda.ics")
async def calendar(patient_id: int, request: Request, desk: Office, visit: Signed) -> Response:
    """Give the appointments of a dossier as a calendar; noted in the audit first."""
    reader = Reader(ReaderKind.AUDITOR, visit.account)

    def find(view: View) -> bytes | None:
        line = dossier_of(view.connection, view.sealer, patient_id)
        if line is None:
            return None
        found = agenda(view, CircleDoor(), reader, patient_id, now=desk.now())
        return written(found, line.id, request.url.hostname or "passerelle.invalid", now=desk.now())

    await desk.audit(visit.account, "read dossier agenda", f"patient {patient_id}")
    content = await desk.look(find)
    if content is None:
        raise NotThere
    return Response(content, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _states(state: DossierState) -> list[str]:
    """Give the states that a person may give to a dossier in this one."""
    return {
        DossierState.PROPOSED: ["active", "closed"],
        DossierState.ACTIVE: ["suspended", "closed"],
        DossierState.SUSPENDED: ["active", "closed"],
        DossierState.CLOSED: [],
    }[state]


def _why_not(one: MemberAccess) -> list[tuple[str, list[str]]]:
    """Give the rules that keep a member from something, each with the categories; none where it keeps from all."""
    kept: dict[str, list[str]] = {}
    for each in one.accesses:
        if each.level.value == "-":
            kept.setdefault(each.rule.value, []).append(each.category.value)
    whole = len(one.accesses)
    return [(rule, [] if len(names) == whole else names) for rule, names in kept.items()]


@router.post(PATH + "/{patient_id}/state")
async def state(patient_id: int, desk: Office, visit: Coordinated) -> Response:
    """Activate, suspend or close a dossier."""
    try:
        wanted = DossierState(visit.posted("state"))
    except ValueError:
        raise NotThere from None
    by = By(visit.account, desk.now(), visit.posted("why").strip())
    return await _done(desk, patient_id, change_state(patient_id, wanted, by=by))


@router.post(PATH + "/{patient_id}/members/{number}/end")
async def end(patient_id: int, number: int, desk: Office, visit: Coordinated) -> Response:
    """End a membership now."""
    by = By(visit.account, desk.now(), visit.posted("why").strip())
    return await _done(desk, patient_id, end_member(patient_id, number, by=by))


@router.post(PATH + "/{patient_id}/consents")
async def consent(patient_id: int, desk: Office, visit: Coordinated) -> Response:
    """Record a consent or an opposition."""
    by = By(visit.account, desk.now(), visit.posted("why").strip())
    try:
        record = Consent(
            kind=ConsentKind(visit.posted("kind")),
            given=visit.posted("given") != "no",
            at=moment(by.now).isoformat(timespec="seconds"),
            collected_by=visit.posted("collected_by").strip()[:120] or visit.account,
            channel=ConsentChannel(visit.posted("channel")),
            proof=visit.posted("proof").strip()[:400] or None,
            members=tuple(int(one) for one in visit.form.get("member", ()) if row_number(one) is not None),
            categories=tuple(DataCategory(one) for one in visit.form.get("category", ()) if one),
        )
    except (ValueError, ValidationError):
        raise NotThere from None
    return await _done(desk, patient_id, record_consent(patient_id, record, by=by))


@router.post(PATH + "/{patient_id}/consents/{number}/withdraw")
async def withdraw(patient_id: int, number: int, desk: Office, visit: Coordinated) -> Response:
    """Withdraw a consent, or lift an opposition."""
    by = By(visit.account, desk.now(), visit.posted("why").strip())
    return await _done(desk, patient_id, withdraw_consent(patient_id, number, by=by))


@router.post(PATH + "/{patient_id}/restrictions/{number}/lift")
async def lift(patient_id: int, number: int, desk: Office, visit: Coordinated) -> Response:
    """Lift a restriction."""
    by = By(visit.account, desk.now(), visit.posted("why").strip())
    return await _done(desk, patient_id, lift_restriction(patient_id, number, by=by))


async def _done(desk: Desk, patient_id: int, change: Change[Done]) -> Response:
    found = await desk.submit(change)
    if found.refusal in {Refusal.NO_DOSSIER, Refusal.NO_RECORD, Refusal.NO_MEMBER}:
        raise NotThere
    desk.changed()
    return go(f"{PATH}/{patient_id}" + (f"?refused={found.refusal.value}" if found.refusal is not None else ""))
