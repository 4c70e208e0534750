"""Try a message: pasted or dropped, it is read and routed as it would be, and nothing of it is kept or sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.responses import Response

from mappings.registry import format_names
from router.engine.attempting import Attempted, AttemptedDelivery, AttemptedItem, AttemptFailed
from router.engine.worker import RawMessage
from router.journal.view import View
from router.web.access import Office, Operating, Tried
from router.web.answers import Values, page
from router.web.attachments import Shown, attachments_of
from router.web.desk import Desk
from router.web.facts import Fact, item_facts, patient_facts
from router.web.faults import NotThere
from router.web.formatting import Formats
from router.web.previews import Preview, preview
from router.web.reports import Reported, reported
from router.web.visits import Visit
from schemas.item import ITEM, NoteItem
from schemas.lab import LabReport

router = APIRouter()

PATH = "/try"
_ENCODING = re.compile(r"""^<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""")
_ER7 = re.compile(r"^\s*(?:MSH|FHS|BHS|H)\|")


@dataclass(frozen=True, slots=True)
class TriedItem:
    """An Item that a message would say, with what would be sent of it."""

    item: AttemptedItem
    patient: list[Fact]
    facts: list[Fact]
    report: Reported | None
    attachments: tuple[Shown, ...]
    prose: str
    sent: tuple[tuple[AttemptedDelivery, Preview], ...]


@router.get(PATH)
async def trying(desk: Office, visit: Operating) -> Response:
    """Show an empty form."""
    return await _show(desk, visit, text="", source="", chosen="", tried=None)


@router.post(PATH)
async def try_it(desk: Office, brought: Tried) -> Response:
    """Try what was pasted, or the file that was dropped."""
    visit = brought.visit
    if desk.context.attempt is None:
        raise NotThere
    text, source, chosen = visit.posted("message"), visit.posted("source"), visit.posted("format")
    known = [flow.name for flow in desk.context.flows() if flow.side == "source"]
    source = source if source in known else ""
    chosen = chosen if chosen in format_names() else ""
    content, charset = (brought.content, None) if brought.content else _bytes_of(text)
    if not content:
        return await _show(desk, visit, text=text, source=source, chosen=chosen, tried=None, problem="empty")
    raw = RawMessage(
        message_id=0,
        source=source,
        content=content,
        blob=None,
        control_id="",
        message_type="",
        received_at=datetime.fromtimestamp(desk.now() / 1_000_000, UTC),
        filename=brought.filename or None,
    )
    try:
        tried = await desk.context.attempt(raw, chosen or None, charset)
    except AttemptFailed as failed:
        return await _show(desk, visit, text=text, source=source, chosen=chosen, tried=None, problem=str(failed))
    # What was dropped is not sent back: the file is still in the hands of whoever dropped it.
    shown = "" if brought.content else text
    return await _show(
        desk, visit, text=shown, source=source, chosen=chosen, tried=tried, content=content, filename=brought.filename
    )


def _bytes_of(text: str) -> tuple[bytes, str | None]:
    """Give a pasted text as the bytes that it came from, as far as it says, and the charset to read them by.

    A browser gives text, whatever the bytes were: XML goes back to the encoding that it declares; segments go back to
    their carriage returns and are read as UTF-8, whatever charset they name.
    """
    unified = text.replace("\r\n", "\n")
    declared = _ENCODING.match(unified.lstrip("\ufeff"))
    if declared is not None:
        try:
            return unified.encode(declared[1]), None
        except (LookupError, UnicodeEncodeError):
            return _ENCODING.sub(lambda found: found[0].replace(found[1], "utf-8"), unified).encode(), None
    if _ER7.match(unified):
        return "\r".join(line for line in unified.split("\n") if line.strip()).encode() + b"\r", "utf-8"
    return unified.encode(), None


async def _show(
    desk: Desk,
    visit: Visit,
    *,
    text: str,
    source: str,
    chosen: str,
    tried: Attempted | None,
    problem: str = "",
    content: bytes = b"",
    filename: str = "",
) -> Response:
    def ask(_view: View) -> Values:
        formats = Formats(visit.texts, visit.zone, visit.now)
        return {
            "text": text,
            "source": source,
            "chosen": chosen,
            "sources": [flow.name for flow in desk.context.flows() if flow.side == "source"],
            "formats": format_names(),
            "problem": problem,
            "tried": tried,
            "filename": filename,
            "items": () if tried is None else tuple(_item(one, formats) for one in tried.items),
            "original": None if tried is None else preview(content, tried.format or ""),
        }

    return await page(desk, visit, "try.html", ask, status=422 if problem else 200)


def _item(one: AttemptedItem, formats: Formats) -> TriedItem:
    item = ITEM.validate_json(one.body)
    note = item.content if isinstance(item, NoteItem) else None
    return TriedItem(
        one,
        patient_facts(item.patient, formats),
        [fact for fact in item_facts(item, formats) if fact[0] != "note_text"],
        reported(item.content, formats) if isinstance(item.content, LabReport) else None,
        attachments_of(item),
        (note.text or "") if note is not None else "",
        tuple((sent, preview(sent.content, sent.format, sent.media_type)) for sent in one.deliveries),
    )
