"""One message side by side: what came, what was understood, what was sent; what belongs together is linked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError

from mappings.contracts import Reading
from mappings.leaves import leaves_of
from router.engine.attachments import with_data
from router.identity.attached import attached
from router.identity.patients import load_patients
from router.journal.queries_message import (
    DeliveryLine,
    MessageDetail,
    delivery_content,
    item_body,
    load_message,
    message_content,
)
from router.journal.view import View
from router.linking.links import LinksAsked
from router.web.access import Office, Signed
from router.web.answers import Values, page
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.filters import row_number
from router.web.formatting import Formats
from router.web.linking import Linking
from router.web.sides import Column, link, place, values, wire
from router.web.timeline import headline, timeline
from router.web.visits import Visit
from schemas.finding import Finding
from schemas.item import ITEM, Item, dump_item

router = APIRouter()

TAB = "side"
SMALL = 700
"""Up to this many pieces, the links are looked for without being asked for."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The three columns. `deliveries` may be chosen from; `chosen` is the one shown, None when nothing was sent."""

    original: Column
    canonical: Column
    sent: Column
    deliveries: tuple[DeliveryLine, ...]
    chosen: DeliveryLine | None
    kinds: Mapping[int, str]


@router.get("/messages/{number}/side")
async def side(number: int, request: Request, desk: Office, visit: Signed) -> Response:
    """Show the three columns; the links come with them where they are known already."""
    detail = await desk.look(lambda view: load_message(view, number))
    if detail is None:
        raise NotThere
    chosen = _chosen(detail, request)
    linking = desk.linkings.find(_key(detail, chosen))
    if not visit.partial:
        await desk.audit(visit.account, "read message", f"message {number}", TAB)
        desk.linkings.look(visit.key, number)

    def ask(view: View) -> Values:
        formats = Formats(visit.texts, visit.zone, visit.now)
        head = {
            "message": detail,
            "tab": TAB,
            "comparable": desk.context.read_again is not None,
            "headline": headline(detail, formats),
            "timeline": timeline(detail, formats),
        }
        return head if visit.partial else head | _drawn(view, detail, chosen, linking)

    return await page(desk, visit, "message.html", ask)


@router.get("/messages/{number}/side/links")
async def links(number: int, request: Request, desk: Office, visit: Signed) -> Response:
    """Look for the links: say how far it is, and give the columns once they are found."""
    detail = await desk.look(lambda view: load_message(view, number))
    if detail is None:
        raise NotThere
    chosen = _chosen(detail, request)
    linking = await _search(desk, detail, chosen)
    found = {"message": detail, "linking": linking, "chosen": chosen}
    if linking.running:
        return await _piece(desk, visit, "_side_search.html", lambda _view: found)
    if not desk.linkings.looked(visit.key, number):
        await desk.audit(visit.account, "read message", f"message {number}", TAB)
    answer = await _piece(desk, visit, "_side.html", lambda view: _drawn(view, detail, chosen, linking))
    answer.headers["HX-Retarget"] = "#sides"
    answer.headers["HX-Reswap"] = "outerHTML"
    return answer


async def _piece(desk: Desk, visit: Visit, template: str, ask: Callable[[View], Values]) -> HTMLResponse:
    return HTMLResponse(await desk.look(lambda view: desk.pages.draw(visit, template, ask(view))))


async def _search(desk: Desk, detail: MessageDetail, chosen: DeliveryLine | None) -> Linking:
    key = _key(detail, chosen)
    known = desk.linkings.find(key)
    if known is not None:
        return known
    return desk.linkings.start(key, await desk.look(lambda view: _asked(desk, view, detail, chosen)))


def _key(detail: MessageDetail, chosen: DeliveryLine | None) -> tuple[int, int, int]:
    return (detail.line.id, detail.line.replays, chosen.id if chosen is not None else 0)


def _chosen(detail: MessageDetail, request: Request) -> DeliveryLine | None:
    """Give the Delivery that is asked for, else the last one that has bytes and is of a present Item."""
    wanted = row_number(request.query_params.get("delivery", ""))
    present = _choices(detail)
    return next((one for one in present if one.id == wanted), present[-1] if present else None)


def _choices(detail: MessageDetail) -> tuple[DeliveryLine, ...]:
    own = {item.line.id for item in detail.current}
    return tuple(one for one in detail.deliveries if one.size and one.item_id in own)


def _drawn(
    view: View, detail: MessageDetail, chosen: DeliveryLine | None, linking: Linking | None
) -> dict[str, object]:
    came = message_content(view, detail.line.id)
    original = wire(came.content if came is not None else b"", detail.line.format or "")
    canonical = values(leaves_of(Reading(items=tuple(_items(view, detail)))))
    sent, written = Column(), tuple[Finding, ...]()
    if chosen is not None:
        found = delivery_content(view, chosen.id)
        sent = wire(found.content if found is not None else b"", chosen.format)
        written = found.findings if found is not None else ()
    found_links = linking.links if linking is not None else None
    link(found_links, original, canonical, sent)
    place(detail.findings, original, canonical)
    place(written, sent, canonical)
    kinds = {rank: item.line.kind for rank, item in enumerate(detail.current)}
    pieces = sum(1 for _ in original.rows())
    return {
        "message": detail,
        "sides": Sides(original, canonical, sent, _choices(detail), chosen, kinds),
        "linking": linking,
        "links": found_links,
        "chosen": chosen,
        "pieces": pieces,
        "small": pieces <= SMALL,
    }


def _items(view: View, detail: MessageDetail) -> list[Item]:
    found = []
    for one in detail.current:
        try:
            found.append(ITEM.validate_json(item_body(view, one.line.id) or b""))
        except ValidationError:
            continue  # kept under an older model: the tab «understood» shows it as it is kept
    return found


def _asked(desk: Desk, view: View, detail: MessageDetail, chosen: DeliveryLine | None) -> LinksAsked:
    came, line, context = message_content(view, detail.line.id), detail.line, desk.context
    reading = replace(
        context.reads(line.source),
        received_at=datetime.fromtimestamp(line.received_at / 1_000_000, UTC),
        filename=(came.filename or None) if came is not None else None,
        siblings=came.beside if came is not None else {},
    )
    items = _items(view, detail)
    asked = LinksAsked(
        came.content if came is not None else b"", line.format or "", reading, tuple(dump_item(one) for one in items)
    )
    if chosen is None or len(items) != len(detail.current):
        return asked
    place_of = next(rank for rank, one in enumerate(detail.current) if one.line.id == chosen.item_id)
    at = datetime.fromtimestamp(chosen.created_at / 1_000_000, UTC)
    writing = context.writes(chosen.destination, at, chosen.identity)
    leaving = dump_item(_leaving(view, detail.current[place_of].line.patient_id, items[place_of]))
    return replace(asked, leaving=(place_of, leaving), target=chosen.format, writing=writing)


def _leaving(view: View, patient_id: int | None, item: Item) -> Item:
    whole = with_data(item, view.blobs)
    if patient_id is None:
        return whole
    known = load_patients(view.connection, view.sealer, [patient_id]).get(patient_id)
    return attached(whole, known.identity) if known is not None else whole
