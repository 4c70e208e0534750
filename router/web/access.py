"""Who may pass: sessions for pages, sessions or keys for the API, and a proof that a form is one of ours."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from router.journal.view import View
from router.web.desk import Desk, desk_of
from router.web.entering import peer_of
from router.web.faults import NotAllowed, NotEnrolled, NotEntitled, NotSignedIn
from router.web.keys import find_api_key, touch_api_key
from router.web.rights import Right
from router.web.sessions import Session, find_session, touch_session
from router.web.visits import LIVE_HEADER, SESSION_COOKIE, Visit, visit_of

CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
LARGEST_PASTED = 16_000_000
"""Bytes of a message that is pasted to be tried."""


Office = Annotated[Desk, Depends(desk_of)]


def visitor(request: Request, desk: Office) -> Visit:
    """Let anybody pass."""
    return visit_of(request, now=desk.now(), zone=desk.context.timezone)


Need = Right | None
"""The right that a gate asks for; None for what every account has, its own account's page."""

NEEDS: dict[Callable[..., Any], Need] = {}
"""Every gate with the right that it asks for: a route is reached through exactly one, or is open to anybody."""


async def signed_in(request: Request, desk: Office) -> Visit:
    """Let pass who has a session, whatever its role. Raises NotSignedIn."""
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


def _page(right: Right) -> Callable[..., Any]:
    """Make the gate of a page that asks for a right. Passing raises NotEntitled as well."""

    async def gate(request: Request, desk: Office) -> Visit:
        return _entitled(await signed_in(request, desk), right)

    NEEDS[gate] = right
    return gate


def _form(right: Right) -> Callable[..., Any]:
    """Make the gate of a form that asks for a right. Passing raises NotEntitled as well."""

    async def gate(request: Request, desk: Office) -> Visit:
        return _entitled(await asked(request, desk), right)

    NEEDS[gate] = right
    return gate


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
    token = (fields.get(CSRF_FIELD) or [request.headers.get(CSRF_HEADER, "")])[0]
    if not comes_from_here(request) or not hmac.compare_digest(token.encode(), visit.csrf.encode()):
        raise NotAllowed
    return Brought(_entitled(replace(visit, form=fields), Right.OPERATE), content, filename)


def _entitled(visit: Visit, right: Right) -> Visit:
    if visit.session is not None and visit.session.limited:
        raise NotEnrolled
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
    """Who uses the API: `key:<name>` or an account's name, and what it may do."""

    name: str
    rights: frozenset[Right] = frozenset()


async def caller(request: Request, desk: Office) -> Caller:
    """Let pass an API key (`Authorization: Bearer`), or a session whose changes carry its CSRF token."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return await _keyed(request, desk, key.strip())
    session = await _session(request, desk)
    if session is None:
        raise NotSignedIn
    if request.method not in {"GET", "HEAD"}:
        brought = request.headers.get(CSRF_HEADER, "")
        if not comes_from_here(request) or not hmac.compare_digest(brought.encode(), session.csrf.encode()):
            raise NotAllowed
    return Caller(session.account, session.rights)


async def _keyed(request: Request, desk: Desk, key: str) -> Caller:
    peer, now = peer_of(request), desk.now()
    desk.proofs.check(peer)
    found = await desk.look(lambda view: find_api_key(view.connection, key, now=now))
    if found is None:
        desk.proofs.spend(peer)
        raise NotSignedIn
    desk.calls.take(f"key:{found.name}")
    if found.is_stale(now):
        await desk.submit(touch_api_key(found.name, now=now))
    return Caller(f"key:{found.name}", desk.rules.rights.of(found.role))


def _operation(right: Right) -> Callable[..., Any]:
    """Make the gate of an operation of the API that asks for a right. Passing raises NotEntitled as well."""

    async def gate(request: Request, desk: Office) -> Caller:
        found = await caller(request, desk)
        if right not in found.rights:
            raise NotEntitled
        return found

    NEEDS[gate] = right
    return gate


NEEDS[signed_in] = NEEDS[asked] = None
NEEDS[tried] = Right.OPERATE

Anybody = Annotated[Visit, Depends(visitor)]
Own = Annotated[Visit, Depends(signed_in)]
OwnAsked = Annotated[Visit, Depends(asked)]
Looking = Annotated[Visit, Depends(_page(Right.LOOK))]
Signed = Annotated[Visit, Depends(_page(Right.READ))]
Operating = Annotated[Visit, Depends(_page(Right.OPERATE))]
Auditing = Annotated[Visit, Depends(_page(Right.AUDIT))]
Configuring = Annotated[Visit, Depends(_page(Right.CONFIGURE))]
Keeping = Annotated[Visit, Depends(_page(Right.PEOPLE))]

Asked = Annotated[Visit, Depends(_form(Right.READ))]
Posted = Annotated[Visit, Depends(_form(Right.OPERATE))]
Audited = Annotated[Visit, Depends(_form(Right.AUDIT))]
Decided = Annotated[Visit, Depends(_form(Right.DECIDE))]
Coordinated = Annotated[Visit, Depends(_form(Right.COORDINATE))]
Tried = Annotated[Brought, Depends(tried)]
Configured = Annotated[Visit, Depends(_form(Right.CONFIGURE))]
Kept = Annotated[Visit, Depends(_form(Right.PEOPLE))]

Watcher = Annotated[Caller, Depends(_operation(Right.LOOK))]
Called = Annotated[Caller, Depends(_operation(Right.READ))]
Operator = Annotated[Caller, Depends(_operation(Right.OPERATE))]
Decider = Annotated[Caller, Depends(_operation(Right.DECIDE))]
Coordinator = Annotated[Caller, Depends(_operation(Right.COORDINATE))]
Keeper = Annotated[Caller, Depends(_operation(Right.PEOPLE))]
Configurer = Annotated[Caller, Depends(_operation(Right.CONFIGURE))]
