"""One message: its life, the original, what was understood, what was sent, why, and what was noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError

from router.journal.actions import replay_messages, sendable
from router.journal.queries_lines import ItemLine
from router.journal.queries_message import (
    MessageDetail,
    attempt_answer,
    delivery_content,
    item_body,
    load_message,
    message_content,
)
from router.journal.tables import MessageState
from router.journal.view import View
from router.web.access import Asked, Looking, Office, Posted
from router.web.answers import Values, go, page
from router.web.attachments import Shown, attachment, attachments_of
from router.web.desk import Desk
from router.web.document_facts import document_card, restricted
from router.web.documents import Paper, paper
from router.web.facts import Fact, item_facts, patient_facts
from router.web.faults import NotEntitled, NotThere
from router.web.formatting import Formats
from router.web.previews import Form, Preview, preview
from router.web.recipients import ShownRecipient, recipient_of
from router.web.reports import Reported, reported
from router.web.rereading import chosen_reader, version_asked
from router.web.revealing import noted
from router.web.rights import Right
from router.web.timeline import headline, timeline
from router.web.visits import Visit
from router.web.why import whys
from schemas.item import ITEM, DocumentItem, NoteItem
from schemas.lab import LabReport

router = APIRouter()

TABS = ("understood", "original", "sent", "why", "findings")
SEEN_BY_ALL = ("why",)
"""Tabs that say nothing of what a message holds."""
"""Tabs of this page; `router.web.pages.side` draws one more."""
_FORMS: dict[str, Form] = {"1": "raw", "exact": "exact"}
ANSWERS = {"": 3, "raw": 3, "exact": 12}
"""Answers of one Delivery that are shown, the last ones."""

CONTENT_TABS = frozenset({"understood", "original", "sent"})
"""Tabs that show what a message says: opening one is noted in the audit."""


@dataclass(frozen=True, slots=True)
class Understood:
    """One Item as it is read on the page; `problem` when its canonical form no longer fits today's model.

    `card` is the head of a document, None for other kinds; `report` is a laboratory report as a table; `paper` is what
    the Item's files say. `prose` is the text of a note.
    """

    line: ItemLine
    patient: list[Fact] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    card: list[Fact] | None = None
    title: str = ""
    restricted: bool = False
    report: Reported | None = None
    paper: Paper | None = None
    attachments: tuple[Shown, ...] = ()
    problem: Preview | None = None
    prose: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one Delivery carries, and what its last attempt was answered."""

    content: Preview
    files: tuple[tuple[int, str, int], ...]
    answers: dict[int, Preview]
    findings: tuple[object, ...]
    recipient: ShownRecipient | None = None


@router.get("/messages/{number}")
async def message(number: int, desk: Office, visit: Looking) -> Response:
    """Show a message on the tab that says most about it."""
    return await _show(desk, visit, number, "")


@router.get("/messages/{number}/{tab}")
async def message_tab(number: int, tab: str, request: Request, desk: Office, visit: Looking) -> Response:
    """Show one tab of a message."""
    if tab not in TABS:
        raise NotThere
    return await _show(desk, visit, number, tab, form=_FORMS.get(request.query_params.get("raw", ""), ""))


@router.post("/messages/{number}/replay")
async def replay(number: int, desk: Office, visit: Posted) -> Response:
    """Read a message again with today's routes; by the reader and the mappings that were chosen on its page, if any."""
    reader = chosen_reader(visit.posted("format"), visit.posted("charset")) if "format" in visit.form else None
    chosen = await version_asked(desk, visit.posted("mappings"))
    mappings = chosen.id if chosen is not None else None
    await desk.submit(replay_messages([number], actor=visit.account, now=desk.now(), reader=reader, mappings=mappings))
    desk.changed()
    return go(f"/messages/{number}")


@router.post("/messages/{number}/items/{item}/seen")
async def seen(number: int, item: int, request: Request, desk: Office, visit: Asked) -> Response:
    """Show what the routes' conditions saw of an Item; noted in the audit first."""
    detail = await desk.look(lambda view: load_message(view, number))
    found = next((one for one in detail.current if one.line.id == item), None) if detail is not None else None
    if detail is None or found is None:
        raise NotThere
    question = await noted(desk, visit, request, "reveal values", f"item {item}")
    if question is not None:
        return question

    def draw(view: View) -> str:
        told = whys(found, detail.line, item_body(view, item))
        return desk.pages.draw(
            visit, "_why_routes.html", {"whys": told, "item": found, "message": detail, "routes": {}}
        )

    return HTMLResponse(await desk.look(draw))


async def _show(desk: Desk, visit: Visit, number: int, tab: str, *, form: Form = "") -> Response:
    detail = await desk.look(lambda view: load_message(view, number))
    if detail is None:
        raise NotThere
    tabs = TABS if visit.may(Right.READ) else SEEN_BY_ALL
    chosen = tab or (_telling(detail) if tabs is TABS else tabs[0])
    if chosen not in tabs:
        raise NotEntitled
    if chosen in CONTENT_TABS and not visit.partial:
        await desk.audit(visit.account, "read message", f"message {number}", chosen)

    def ask(view: View) -> Values:
        formats = Formats(visit.texts, visit.zone, visit.now)
        values: dict[str, object] = {
            "message": detail,
            "tab": chosen,
            "tabs": tabs,
            "comparable": desk.context.read_again is not None,
            "headline": headline(detail, formats),
            "timeline": timeline(detail, formats),
            "routes": {route.name: route for route in desk.context.routes()},
            "form": form,
        }
        if not visit.partial:
            values |= _PANELS[chosen](view, detail, formats, form)
        return values

    return await page(desk, visit, "message.html", ask)


def _telling(detail: MessageDetail) -> str:
    """Choose the tab that answers first: what was understood, or why nothing was."""
    if detail.current:
        return "understood"
    return "findings" if detail.line.state is MessageState.REJECTED and detail.findings else "original"


def _understood(view: View, detail: MessageDetail, formats: Formats, form: Form) -> dict[str, object]:
    return {"understood": [_item(view, item.line, formats, form) for item in detail.current]}


def _item(view: View, line: ItemLine, formats: Formats, form: Form) -> Understood:
    body = item_body(view, line.id) or b""
    if form:
        return Understood(line, problem=preview(body, media_type="application/json"))
    try:
        item = ITEM.validate_json(body)
    except ValidationError:
        # Kept under an older model: shown as it is kept.
        return Understood(line, problem=preview(body, media_type="application/json"))

    def load(rank: int) -> bytes | None:
        try:
            found = attachment(view, item, rank)
        except FileNotFoundError:
            return None
        return found[2] if found is not None else None

    document = item if isinstance(item, DocumentItem) else None
    note = item.content if isinstance(item, NoteItem) else None
    facts = [fact for fact in item_facts(item, formats) if fact[0] != "note_text"]
    return Understood(
        line,
        patient_facts(item.patient, formats),
        facts,
        document_card(document, formats) if document is not None else None,
        (document.content.title or "") if document is not None else "",
        document is not None and restricted(document.content),
        reported(item.content, formats) if isinstance(item.content, LabReport) else None,
        paper(item, load),
        attachments_of(item),
        prose=(note.text or "") if note is not None else "",
    )


def _original(view: View, detail: MessageDetail, _formats: Formats, form: Form) -> dict[str, object]:
    found = message_content(view, detail.line.id)
    content = found.content if found is not None else b""
    beside = found.beside if found is not None else {}
    return {
        "original": preview(content, detail.line.format, form=form),
        "filename": found.filename if found is not None else "",
        "beside": [(rank, name, len(data)) for rank, (name, data) in enumerate(beside.items())],
    }


def _sent(view: View, detail: MessageDetail, _formats: Formats, form: Form) -> dict[str, object]:
    sent: dict[int, Sent] = {}
    for delivery in detail.deliveries:
        found = delivery_content(view, delivery.id)
        if found is None:
            continue
        answers = {}
        for attempt in [one for one in delivery.attempts if one.answered][-ANSWERS[form] :]:
            answer = attempt_answer(view, delivery.id, attempt.number)
            if answer:
                answers[attempt.number] = preview(answer, form=form)
        sent[delivery.id] = Sent(
            preview(found.content, delivery.format, found.media_type, form=form),
            tuple((rank, name, len(data)) for rank, (name, data) in enumerate(found.beside.items())),
            answers,
            found.findings,
            recipient_of(view, delivery.id),
        )
    numbers = [delivery.id for delivery in detail.deliveries]
    return {"sent": sent, "barred": sendable(view.connection, view.sealer, numbers)}


def _why(_view: View, detail: MessageDetail, _formats: Formats, _form: Form) -> dict[str, object]:
    return {"whys": {item.line.id: whys(item, detail.line, None) for item in detail.current}}


def _nothing(_view: View, _detail: MessageDetail, _formats: Formats, _form: Form) -> dict[str, object]:
    return {}


_PANELS: dict[str, Callable[[View, MessageDetail, Formats, Form], dict[str, object]]] = {
    "understood": _understood,
    "original": _original,
    "sent": _sent,
    "why": _why,
    "findings": _nothing,
}
