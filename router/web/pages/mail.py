"""Mails: conversations with what each mail carried, and how far each that left has come.

A subject names a patient more often than not: it is shown one at a time, and noted first. A patient's address is an INS
and is never shown.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from router.journal.queries_mail import (
    MailFilters,
    MailWish,
    find_conversations,
    load_conversation,
    load_head,
)
from router.journal.view import View
from router.web.access import Asked, Looking, Office, Signed
from router.web.answers import Values, go, page
from router.web.boards import late_at
from router.web.context import is_mail
from router.web.faults import NotThere
from router.web.filters import enum_of, mail_chips, query_of, row_number
from router.web.formatting import Formats
from router.web.revealing import noted

router = APIRouter()

PATH = "/mail"
WISHES = ("search", "state", "box")


@router.get(PATH)
async def mail(request: Request, desk: Office, visit: Looking) -> Response:
    """Show a page of conversations; `before` is the cursor."""
    query = query_of(PATH, request.query_params, WISHES)
    before = row_number(request.query_params.get("before", ""))
    key = query.get("search")
    text = desk.searches.recall(visit.key, key) if key else None
    late = late_at(desk.context, visit.now)
    filters = MailFilters(query.get("box") or None, enum_of(MailWish, query.get("state")), text, late)

    def ask(view: View) -> Values:
        found = find_conversations(view, filters, before=before)
        names = [flow.name for flow in desk.context.flows() if is_mail(flow)]
        return {
            "query": query,
            "text": text,
            "expired": bool(key) and text is None,
            "chips": mail_chips(query, Formats(visit.texts, visit.zone, visit.now), names),
            "rows": found.rows,
            "capped": found.capped,
            "following": found.before,
            "walked": found.walked,
            "hours": desk.context.receipt_hours,
            "refresh": query.with_(before=str(before) if before is not None else None),
        }

    return await page(desk, visit, "mail.html", ask)


@router.post(PATH + "/search")
async def search(desk: Office, visit: Asked) -> Response:
    """Remember the Message-ID that is looked for, and go to its page: the address holds a random word in its place."""
    query = query_of(PATH, {name: visit.posted(name) for name in WISHES}, WISHES)
    text = visit.posted("text").strip()[:1_000]
    if not text:
        return go(query.with_(search=None))
    await desk.audit(visit.account, "search", "mail")
    return go(query.with_(search=desk.searches.keep(visit.key, text)))


@router.get(PATH + "/{number}")
async def conversation(number: int, desk: Office, visit: Signed) -> Response:
    """Show the conversation that a mail belongs to, oldest mail first."""
    late = late_at(desk.context, visit.now)
    found = await desk.look(lambda view: load_conversation(view, number, late))
    if found is None:
        raise NotThere
    values = {"found": found, "number": number, "hours": desk.context.receipt_hours, "refresh": f"{PATH}/{number}"}
    return await page(desk, visit, "mail_thread.html", lambda _view: values)


@router.post(PATH + "/{number}/subject")
async def subject(number: int, request: Request, desk: Office, visit: Asked) -> Response:
    """Show the subject of a mail; noted in the audit first."""
    head = await desk.look(lambda view: load_head(view, number))
    if head is None:
        raise NotThere
    question = await noted(desk, visit, request, "reveal subject", f"mail {number}")
    if question is not None:
        return question
    return HTMLResponse(await desk.work(lambda: desk.pages.draw(visit, "revealed_text.html", {"text": head.subject})))
