"""Who may pass: sessions for pages, sessions or keys for the API, and a proof that a form is one of ours."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from router.journal.view import View
from router.web.accounts import Right, find_api_key
from router.web.desk import Desk, desk_of
from router.web.faults import NotAllowed, NotEntitled, NotSignedIn
from router.web.sessions import Session, find_session, touch_session
from router.web.visits import LIVE_HEADER, SESSION_COOKIE, Visit, visit_of

CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
LARGEST_PASTED = 16_000_000
"""Bytes of a message that is pasted to be tried."""


Office = Annotated[Desk, Depends(desk_of)]


def visitor(request: Request, desk: Office) -> Visit:
    """Let anybody pass."""
    return visit_of(request, now=desk.now(), zone=desk.context.timezone)


async def signed_in(request: Request, desk: Office) -> Visit:
    """Let pass who has a session. Raises NotSignedIn."""
    session = await _session(request, desk)
    if session is None:
        raise NotSignedIn
    return visit_of(request, now=desk.now(), zone=desk.context.timezone, session=session)


async def asked(request: Request, desk: Office) -> Visit:
    """Let pass a form of somebody who has a session, with its fields. Raises NotSignedIn or NotAllowed."""
    visit = await signed_in(request, desk)
    form = await form_of(request)
    brought = (form.get(CSRF_FIELD) or [request.headers.get(CSRF_HEADER, "")])[0]
    if not comes_from_here(request) or not hmac.compare_digest(brought.encode(), visit.csrf.encode()):
        raise NotAllowed
    return replace(visit, form=form)


async def posted(request: Request, desk: Office) -> Visit:
    """Let pass a form that runs the router. Raises NotEntitled as well."""
    return _entitled(await asked(request, desk), Right.OPERATE)


async def configured(request: Request, desk: Office) -> Visit:
    """Let pass a form that changes the configuration. Raises NotEntitled as well."""
    return _entitled(await asked(request, desk), Right.CONFIGURE)


async def decided(request: Request, desk: Office) -> Visit:
    """Let pass a form that decides about an identity. Raises NotEntitled as well."""
    return _entitled(await asked(request, desk), Right.DECIDE)


async def coordinated(request: Request, desk: Office) -> Visit:
    """Let pass a form that changes a coordination dossier. Raises NotEntitled as well."""
    return _entitled(await asked(request, desk), Right.COORDINATE)


@dataclass(frozen=True, slots=True)
class Brought:
    """A form that may bring a file: its bytes and name, empty when none was chosen."""

    visit: Visit
    content: bytes = b""
    filename: str = ""


async def tried(request: Request, desk: Office) -> Brought:
    """Let pass a form of whoever runs the router, with one file. Raises NotSignedIn, NotAllowed or NotEntitled."""
    visit = await signed_in(request, desk)
    fields: dict[str, list[str]] = {}
    content, filename = b"", ""
    async with request.form(max_files=1, max_fields=20, max_part_size=LARGEST_PASTED) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content, filename = await value.read(), (value.filename or "")[:160]
            else:
                fields.setdefault(name, []).append(value)
    token = (fields.get(CSRF_FIELD) or [""])[0]
    if not comes_from_here(request) or not hmac.compare_digest(token.encode(), visit.csrf.encode()):
        raise NotAllowed
    return Brought(_entitled(replace(visit, form=fields), Right.OPERATE), content, filename)


def _entitled(visit: Visit, right: Right) -> Visit:
    if not visit.may(right):
        raise NotEntitled
    return visit


async def form_of(request: Request) -> dict[str, list[str]]:
    """Read a form's fields; files are left out."""
    fields: dict[str, list[str]] = {}
    async with request.form(max_files=0, max_fields=2_000) as form:
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                fields.setdefault(name, []).append(value)
    return fields


def comes_from_here(request: Request) -> bool:
    """Say whether a form was sent by a page of this very site, as far as the browser tells."""
    said = request.headers.get("Sec-Fetch-Site")
    if said is not None:
        return said in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host", "")


async def _session(request: Request, desk: Desk) -> Session | None:
    token = request.cookies.get(SESSION_COOKIE, "")
    if not token:
        return None
    now = desk.now()

    def find(view: View) -> Session | None:
        return find_session(view.connection, token, now=now, rules=desk.rules)

    session = await desk.look(find)
    if session is not None and session.is_stale(now) and LIVE_HEADER not in request.headers:
        await desk.submit(touch_session(session.key, now=now))
    return session


@dataclass(frozen=True, slots=True)
class Caller:
    """Who uses the API: `key:<name>` or an account's name, and what it may do beside looking."""

    name: str
    rights: frozenset[Right] = frozenset()


async def caller(request: Request, desk: Office) -> Caller:
    """Let pass an API key (`Authorization: Bearer`), or a session whose changes carry its CSRF token."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        name = await desk.look(lambda view: find_api_key(view.connection, key.strip()))
        if name is None:
            raise NotSignedIn
        return Caller(f"key:{name}", frozenset(Right))
    session = await _session(request, desk)
    if session is None:
        raise NotSignedIn
    if request.method not in {"GET", "HEAD"}:
        brought = request.headers.get(CSRF_HEADER, "")
        if not comes_from_here(request) or not hmac.compare_digest(brought.encode(), session.csrf.encode()):
            raise NotAllowed
    return Caller(session.account, session.role.rights)


async def operator(request: Request, desk: Office) -> Caller:
    """Let pass who may run the router. Raises NotEntitled as well."""
    return _capable(await caller(request, desk), Right.OPERATE)


async def decider(request: Request, desk: Office) -> Caller:
    """Let pass who may decide about identities. Raises NotEntitled as well."""
    return _capable(await caller(request, desk), Right.DECIDE)


async def coordinator(request: Request, desk: Office) -> Caller:
    """Let pass who may keep coordination dossiers. Raises NotEntitled as well."""
    return _capable(await caller(request, desk), Right.COORDINATE)


def _capable(found: Caller, right: Right) -> Caller:
    if right not in found.rights:
        raise NotEntitled
    return found


Anybody = Annotated[Visit, Depends(visitor)]
Signed = Annotated[Visit, Depends(signed_in)]
Asked = Annotated[Visit, Depends(asked)]
Posted = Annotated[Visit, Depends(posted)]
Tried = Annotated[Brought, Depends(tried)]
Configured = Annotated[Visit, Depends(configured)]
Decided = Annotated[Visit, Depends(decided)]
Coordinated = Annotated[Visit, Depends(coordinated)]
Called = Annotated[Caller, Depends(caller)]
Operator = Annotated[Caller, Depends(operator)]
Decider = Annotated[Caller, Depends(decider)]
Coordinator = Annotated[Caller, Depends(coordinator)]
