"""Bytes to keep: the original, files beside it, attachments, what was sent and what was answered. Each is audited."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response

from router.journal.queries_message import attempt_answer, delivery_content, message_content
from router.journal.view import View
from router.web.access import Office, Signed
from router.web.answers import download
from router.web.attachments import File, attachment, media
from router.web.desk import Desk
from router.web.faults import NotThere
from router.web.pages.views import found_in
from router.web.visits import Visit

router = APIRouter()


@router.get("/download/messages/{number}")
async def original(number: int, desk: Office, visit: Signed) -> Response:
    """Give a message byte for byte."""

    def find(view: View) -> File | None:
        found = message_content(view, number)
        if found is None:
            return None
        return found.filename or f"message-{number}.bin", "application/octet-stream", found.content

    return await _give(desk, visit, find, f"message {number}")


@router.get("/download/messages/{number}/beside/{rank}")
async def beside_message(number: int, rank: int, desk: Office, visit: Signed) -> Response:
    """Give a file that came beside a message."""

    def find(view: View) -> File | None:
        found = message_content(view, number)
        return _nth(found.beside, rank) if found is not None else None

    return await _give(desk, visit, find, f"message {number}")


@router.get("/download/items/{number}/attachments/{rank}")
async def item_attachment(number: int, rank: int, desk: Office, visit: Signed) -> Response:
    """Give a file that an Item holds."""

    def find(view: View) -> File | None:
        return found_in(view, number, lambda inside, item: attachment(inside, item, rank))

    return await _give(desk, visit, find, f"item {number}")


@router.get("/download/items/{number}/attachments/{rank}/media/{inner}")
async def inner_file(number: int, rank: int, inner: int, desk: Office, visit: Signed) -> Response:
    """Give a file that is inside a CDA that an Item holds."""

    def find(view: View) -> File | None:
        return found_in(view, number, lambda inside, item: media(inside, item, rank, inner))

    return await _give(desk, visit, find, f"item {number}")


@router.get("/download/deliveries/{number}")
async def sent(number: int, desk: Office, visit: Signed) -> Response:
    """Give the exact bytes of a Delivery."""

    def find(view: View) -> File | None:
        found = delivery_content(view, number)
        if found is None:
            return None
        return found.filename or f"delivery-{number}.bin", found.media_type, found.content

    return await _give(desk, visit, find, f"delivery {number}")


@router.get("/download/deliveries/{number}/beside/{rank}")
async def beside_delivery(number: int, rank: int, desk: Office, visit: Signed) -> Response:
    """Give a file that travels beside a Delivery."""

    def find(view: View) -> File | None:
        found = delivery_content(view, number)
        return _nth(found.beside, rank) if found is not None else None

    return await _give(desk, visit, find, f"delivery {number}")


@router.get("/download/deliveries/{number}/answers/{attempt}")
async def answer(number: int, attempt: int, desk: Office, visit: Signed) -> Response:
    """Give what the peer answered to one attempt."""

    def find(view: View) -> File | None:
        found = attempt_answer(view, number, attempt)
        return None if found is None else (f"answer-{number}-{attempt}.txt", "application/octet-stream", found)

    return await _give(desk, visit, find, f"delivery {number}")


def _nth(files: dict[str, bytes], rank: int) -> File | None:
    if not 0 <= rank < len(files):
        return None
    name, content = list(files.items())[rank]
    return name, "application/octet-stream", content


async def _give(desk: Desk, visit: Visit, find: Callable[[View], File | None], target: str) -> Response:
    found = await desk.look(find)
    if found is None:
        raise NotThere
    await desk.audit(visit.account, "download", target)
    name, media_type, content = found
    return download(content, name, media_type)
