"""The directory of professionals and mailboxes: a search, what the last refresh came to, and the white list.

A search is in the address: it names professionals and places, which are public. A patient's mailbox is not looked for.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.annuaire.directory import MOST, Query as Sought
from router.directory.service import DirectoryService, LookedUp
from router.journal.view import View
from router.web.access import Looking, Office, Posted
from router.web.answers import Values, go, page
from router.web.desk import Desk, micros
from router.web.faults import NotThere
from router.web.filters import query_of
from schemas.mailboxes import is_patient_address

router = APIRouter()

PATH = "/directory"
WISHES = ("q", "place")
MOVED_SHOWN = 20
_NUMBER = re.compile(r"8?\d{11}")
_FINESS = re.compile(r"\d[0-9AB]\d{7}", re.IGNORECASE)
_running: set[asyncio.Task[object]] = set()
"""Refreshes that a person began: the loop alone would not keep them."""


@dataclass(frozen=True, slots=True)
class Domain:
    """An address's domain against the white list; `known` is whether there is a list."""

    name: str
    known: bool
    allowed: bool
    operators: tuple[str, ...]


@router.get(PATH)
async def directory(request: Request, desk: Office, visit: Looking) -> Response:
    """Show the directory, and who was looked for."""
    service = _service(desk)
    query = query_of(PATH, request.query_params, WISHES)
    text, place = query.get("q").strip(), query.get("place").strip()
    patient = is_patient_address(text)
    looked = await _looked_up(desk, service, text, place) if (text or place) and not patient else LookedUp(())
    status = await desk.work(service.status)
    moved = await desk.work(lambda: service.directory.moved(limit=MOVED_SHOWN))
    domain = None
    if "@" in text and not patient:
        listed = status.white_list
        name = text.rpartition("@")[2]
        operators = tuple(sorted(listed.operators(name))) if listed is not None else ()
        domain = Domain(name, listed is not None, listed is not None and listed.allowed(name), operators)

    def ask(_view: View) -> Values:
        return {
            "query": query,
            "refresh": query.with_(),
            "status": status,
            "found": looked.found,
            "trouble": looked.trouble,
            "patient_asked": patient,
            "searched": bool(text or place),
            "full": len(looked.found) >= MOST,
            "moved": moved,
            "imported": _micros(status.report["at"]) if status.report is not None else None,
            "list_made": _micros(status.white_list.generated_at) if status.white_list is not None else None,
            "domain": domain,
        }

    return await page(desk, visit, "directory.html", ask)


@router.post(PATH + "/refresh")
async def refresh(desk: Office, visit: Posted) -> Response:
    """Begin a refresh; the page shows how far it is."""
    service = _service(desk)
    await desk.audit(visit.account, "refresh directory", "directory")
    task: asyncio.Task[object] = asyncio.create_task(service.refresh(), name="directory refresh")
    _running.add(task)
    task.add_done_callback(_running.discard)
    return go(PATH)


async def _looked_up(desk: Desk, service: DirectoryService, text: str, place: str) -> LookedUp:
    """Look up by what the text is: an address, an RPPS or FINESS number, else beginnings of names."""
    plain = "".join(text.split())
    if "@" in text:
        return await service.at(text)
    if _NUMBER.fullmatch(plain):
        return await service.person(plain)
    if _FINESS.fullmatch(plain):
        return await service.structure(plain)
    return LookedUp(tuple(await desk.work(lambda: service.directory.search(Sought(text, place)))))


def _micros(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return micros(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def _service(desk: Desk) -> DirectoryService:
    if desk.context.directory is None:
        raise NotThere
    return desk.context.directory
