"""The audit: who saw which patient, when and why; whether its chain is whole; and a patient's own copy."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import func, select

from router.identity.patients import load_patients
from router.journal import tables
from router.journal.auditing import Chain, verify_audit
from router.journal.queries_audit import AuditFilters, audit_lines
from router.journal.queries_lines import PatientLine
from router.journal.store import JournalFault
from router.journal.view import View
from router.web.access import Audited, Auditing, Office
from router.web.answers import Values, download, go, page
from router.web.auditing import (
    VERIFIED,
    VERIFIED_TARGET,
    WISHES,
    Verification,
    as_csv,
    as_json,
    detail_words,
    filters_of,
    last_verification,
    target_words,
    verdict,
)
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import query_of, row_number
from router.web.formatting import Formats

router = APIRouter()

PATH = "/audit"
PAGE = 50
MOST_EXPORTED = 200_000


@router.get(PATH)
async def audit(request: Request, desk: Office, visit: Auditing) -> Response:
    """Show who did and saw what."""
    query = query_of(PATH, request.query_params, WISHES)
    before = row_number(request.query_params.get("before", ""))
    filters = filters_of(query, visit.zone)

    def ask(view: View) -> Values:
        rows = audit_lines(view, filters, before=before, limit=PAGE + 1)
        verified = audit_lines(view, AuditFilters(target=VERIFIED_TARGET), limit=1)
        patient = None
        if filters.patient is not None:
            known = load_patients(view.connection, view.sealer, [filters.patient]).get(filters.patient)
            patient = PatientLine.of(known.identity) if known is not None else None
        return {
            "query": query,
            "rows": rows[:PAGE],
            "following": rows[PAGE - 1].id if len(rows) > PAGE else None,
            "before": before,
            "refresh": query.with_(before=str(before) if before is not None else None),
            "actors": _actors(view),
            "patient": patient,
            "verification": desk.verification,
            "verified": last_verification(verified),
            "target_words": lambda target: target_words(target, visit.texts),
            "detail_words": lambda detail: detail_words(detail, visit.texts),
        }

    return await page(desk, visit, "audit.html", ask)


def _actors(view: View) -> list[str]:
    """Give the accounts, whom one may choose from; others are chosen by a row of theirs."""
    return list(view.connection.execute(select(tables.account.c.name).order_by(tables.account.c.name)).scalars())


@router.post(PATH + "/verify")
async def verify(desk: Office, visit: Audited) -> Response:
    """Begin to verify the chain, unless that is under way."""
    if desk.verification is None or not desk.verification.running:
        desk.verification = Verification()
        run = _verify(desk, desk.verification, visit.account, visit.posted("known").strip())
        desk.verification.task = asyncio.create_task(run, name="verify audit")
    return go(PATH)


async def _verify(desk: Desk, verification: Verification, actor: str, known: str) -> None:
    def run(view: View) -> Chain:
        verification.total = view.connection.execute(select(func.count()).select_from(tables.audit)).scalar() or 0

        def told(done: int) -> None:
            verification.done = done

        chain = verify_audit(view.connection, view.sealer, known, told=told)
        verification.done = verification.total
        return chain

    try:
        chain = await desk.look(run)
        await desk.audit(actor, VERIFIED, VERIFIED_TARGET, verdict(chain))
        verification.chain = chain
    except JournalFault as fault:
        verification.problem = str(fault)


@router.get(PATH + "/patients/{number}/accesses.{form}")
async def export(number: int, form: str, desk: Office, visit: Auditing) -> Response:
    """Give a patient's copy of who saw or did what about them (the right of access), as CSV or JSON."""
    if form not in {"csv", "json"}:
        raise NotThere
    formats = Formats(visit.texts, visit.zone, visit.now)

    def ask(view: View) -> bytes | None:
        if not load_patients(view.connection, view.sealer, [number]):
            return None
        rows = audit_lines(view, AuditFilters(patient=number), limit=MOST_EXPORTED, newest_first=False)
        return as_csv(rows, formats) if form == "csv" else as_json(rows, formats, number)

    content = await desk.look(ask)
    if content is None:
        raise NotThere
    await desk.audit(visit.account, "export accesses", f"patient {number}", form)
    media = "text/csv" if form == "csv" else "application/json"
    return download(content, f"acces-patient-{number}.{form}", media)
