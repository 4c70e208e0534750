"""The API as a web application of its own, mounted at `/fhir`: whatever happens, the answer is FHIR."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from router.dossier.api import calendars, reading, receipts, sent, subscriptions, writing
from router.dossier.api.authentication import Unknown, authenticated
from router.dossier.api.bundles import instant
from router.dossier.api.calls import LARGEST_BODY, Answer, Call, accepts_fhir, parameters_of
from router.dossier.api.capability import WRITABLE, capability
from router.dossier.api.outcomes import Refused, outcome
from router.dossier.api.service import Service
from router.dossier.api.steps import create_step, delete_step, patch_step, transaction_steps, update_step
from router.dossier.store.parameters import TYPES
from router.faults import BodyFault
from router.journal.sealing import KeyFault
from router.journal.store import JournalFault
from router.quotas import TooMany

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


class FhirApp:
    """Serves the API."""

    def __init__(self, service: Service, version: str) -> None:
        self._service = service
        self._version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a defect of ours is told by its kind and place, never by its text."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except Unknown as refused:
            answer = Answer(401, outcome("login", str(refused)), headers={"WWW-Authenticate": 'Bearer realm="fhir"'})
        except Refused as refused:
            answer = Answer(refused.status, outcome(refused.code, refused.sentence, refused.where))
        except TooMany as much:
            told = outcome("throttled", "Too much was asked; wait as long as Retry-After says.")
            answer = Answer(429, told, headers={"Retry-After": str(much.seconds)})
        except BodyFault:
            raise
        except (JournalFault, KeyFault) as fault:
            answer = Answer(503, outcome("transient", f"{fault}."), headers={"Retry-After": "5"})
        except Exception as defect:
            place = _place(defect)
            await self._service.journal.report(f"the FHIR API failed ({type(defect).__name__} at {place})")
            answer = Answer(500, outcome("exception", "The request failed by a defect of Passerelle; it was noted."))
        await answer.response()(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        path = tuple(part for part in request.scope["path"].removeprefix("/fhir").split("/") if part)
        base = self._base(request)
        now = self._service.journal.now()
        if path == ("metadata",):
            if request.method not in {"GET", "HEAD"}:
                raise Refused(405, "metadata is read with GET.")
            accepts_fhir(_headers(request), parameters_of(request, b""))
            return Answer(resource=capability(base, self._version, instant(now)))
        may = await authenticated(self._service, request, now)
        body = await _body(request)
        pairs = parameters_of(request, body)
        headers = _headers(request)
        method = "GET" if request.method == "HEAD" else request.method
        call = Call(method, path, pairs, headers, body, base, now, may)
        if path[:1] != ("Binary",) and path[-1:] != ("$agenda",):
            accepts_fhir(headers, pairs)
        return await self._dispatched(call)

    def _base(self, request: Request) -> str:
        if self._service.settings.url:
            return self._service.settings.url.rstrip("/")
        return f"{request.url.scheme}://{request.headers.get('host', 'localhost')}/fhir"

    async def _dispatched(self, call: Call) -> Answer:
        service, path = self._service, call.path
        if not path and call.method == "POST":
            return await writing.transaction(service, call, transaction_steps)
        if not path:
            raise Refused(405, "Send a Bundle with POST, or ask for a type: GET /fhir/metadata lists them.")
        kind = path[0]
        if kind not in TYPES:
            raise Refused(404, "This server has no resource type of that name; GET /fhir/metadata lists them.")
        if kind == "Subscription" and (answer := await self._subscription(call, path[1:])) is not None:
            return answer
        match call.method, path[1:]:
            case "GET", ():
                return await reading.search(service, call, kind)
            case "POST", ():
                return await writing.one(service, call, lambda asked: create_step(asked, kind))
            case "PUT", ():
                return await writing.one(service, call, lambda asked: update_step(asked, kind))
            case "PATCH", ():
                return await writing.one(service, call, lambda asked: patch_step(asked, kind))
            case "DELETE", ():
                return await writing.one(service, call, lambda asked: delete_step(asked, kind))
            case "PUT", (logical_id,) if _ID.fullmatch(logical_id):
                return await writing.one(service, call, lambda asked: update_step(asked, kind, logical_id))
            case "PATCH", (logical_id,) if _ID.fullmatch(logical_id):
                return await writing.one(service, call, lambda asked: patch_step(asked, kind, logical_id))
            case "DELETE", (logical_id,) if _ID.fullmatch(logical_id):
                return await writing.one(service, call, lambda asked: delete_step(asked, kind, logical_id))
            case "POST" | "GET", ("_search",):
                return await reading.search(service, call, kind)
            case "GET", ("_history",):
                return await reading.changes(service, call, kind)
            case "GET", (logical_id,) if _ID.fullmatch(logical_id):
                return await reading.read(service, call, kind, logical_id)
            case "GET", (logical_id, "$agenda") if kind == "Patient" and _ID.fullmatch(logical_id):
                return await calendars.give_agenda(service, call, logical_id)
            case "POST", (logical_id, "$mark-read") if _ID.fullmatch(logical_id):
                return await receipts.mark_read(service, call, kind, logical_id)
            case "GET", (logical_id, "$sent") if kind in WRITABLE and _ID.fullmatch(logical_id):
                return await sent.sent(service, call, kind, logical_id)
            case "GET", (logical_id, "$read-by") if _ID.fullmatch(logical_id):
                return await receipts.read_by(service, call, kind, logical_id)
            case "GET", (logical_id, "_history") if kind != "Binary":
                return await reading.versions(service, call, kind, logical_id)
            case "GET", (logical_id, "_history", version) if kind != "Binary":
                return await reading.read(service, call, kind, logical_id, version)
        raise Refused(405, "This cannot be asked in that way; GET /fhir/metadata says what can.")

    async def _subscription(self, call: Call, rest: tuple[str, ...]) -> Answer | None:
        """Answer what a Subscription has of its own; None for what it has in common with others."""
        service = self._service
        match call.method, rest:
            case "POST", ():
                return await subscriptions.create(service, call)
            case "PUT", (logical_id,) if _ID.fullmatch(logical_id):
                return await subscriptions.update(service, call, logical_id)
            case "DELETE", (logical_id,) if _ID.fullmatch(logical_id):
                return await subscriptions.delete(service, call, logical_id)
            case "GET" | "POST", (logical_id, "$status") if _ID.fullmatch(logical_id):
                return await subscriptions.status(service, call, logical_id)
            case "GET" | "POST", (logical_id, "$events") if _ID.fullmatch(logical_id):
                return await subscriptions.events(service, call, logical_id)
            case (("PUT" | "PATCH" | "DELETE"), _):
                raise Refused(405, "A Subscription is changed under its id.")
        return None


def _headers(request: Request) -> Mapping[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise Refused(413, f"A request has {LARGEST_BODY:,} bytes at most.")
    return bytes(content)


def _place(defect: Exception) -> str:
    frames = traceback.extract_tb(defect.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown place"
