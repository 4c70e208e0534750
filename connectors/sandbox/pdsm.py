"""A document-sharing server on loopback: ITI-65, 105, 66, 67 and 68, PATCH of a document's state, faults on demand.

    server = DocumentServer()
    async with serving(server) as base:      # http://127.0.0.1:…/fhir
        server.deposit(SYSTEM, MATRICULE, b"%PDF…", title="Compte rendu")
        server.once(Fault.HALF)

It is written from the guide, and shares neither builder nor parser with the connector.
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from weakref import WeakSet

import orjson
from aiohttp import web

from connectors.sandbox.pdsm_deposit import deposited
from connectors.sandbox.pdsm_patch import DELETED, flagged
from connectors.sandbox.pdsm_rules import Json, Refusal, Resource, at, listed
from connectors.sandbox.pdsm_store import DocumentStore

_FHIR = "application/fhir+json"
_LARGEST_BODY = 64 << 20
_REMEMBERED = 10_000
_DEFAULT_PAGE = 50
_LARGEST_PAGE = 1000


class Fault(StrEnum):
    """How the server behaves: `ok`, or one of the ways in which real ones fail."""

    OK = "ok"
    REFUSE = "refuse"
    """422 with an OperationOutcome."""
    UNAVAILABLE = "unavailable"
    """503 with Retry-After."""
    BUSY = "busy"
    """429 with Retry-After."""
    HANG = "hang"
    """No answer; what was asked for is not done."""
    SILENT = "silent"
    """What was asked for is done, the answer never comes."""
    DROP = "drop"
    """What was asked for is done, the connection is cut before the answer."""
    ABORT = "abort"
    """The connection is cut at once, nothing is done."""
    HALF = "half"
    """A transaction is done and half of its entries are answered."""
    TRUNCATED = "truncated"
    """JSON that ends in the middle."""
    GARBAGE = "garbage"
    """200 with an HTML page."""
    REDIRECT = "redirect"
    """302 to somewhere else."""
    ELSEWHERE = "elsewhere"
    """The next page of results is said to be on another host."""
    CIRCLE = "circle"
    """The next page of results is the same page."""
    CHANGED = "changed"
    """Somebody else changes the document just before our patch: 412."""
    WRONG_BYTES = "wrong-bytes"
    """A file that is fetched is not the one that was stored."""


_FAULT = web.RequestKey("fault", Fault)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it came; headers by lower-cased name."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class DocumentServer:
    """The server: `store` holds what it has, `arrivals` the last requests, `mood` how it answers.

    `token`: the bearer token that it wants; None takes anybody.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    token: str | None = None
    mood: Fault = Fault.OK
    store: DocumentStore = field(init=False)
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    connections: int = 0
    _next_faults: deque[Fault] = field(default_factory=deque)
    _pages: dict[str, list[Resource]] = field(default_factory=dict)
    _transports: WeakSet[asyncio.Transport] = field(default_factory=WeakSet)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.store = DocumentStore(self.now)

    def once(self, *faults: Fault) -> None:
        """Fail so at the next requests, one fault each, whatever the mood."""
        self._next_faults.extend(faults)

    def deposit(self, system: str, number: str, content: bytes, **more: str) -> Resource:
        """Let somebody else submit a document about the patient of this number; gives the DocumentReference.

        `more`: `title`, `unique_id`, `media_type`, `replaces` (the id of a DocumentReference here), `source_id`.
        """
        bundle = deposited(system, number, content, self.now(), **more)
        answer = self.store.transact(bundle)
        if more.get("replaces"):
            key = ("DocumentReference", more["replaces"])
            self.store.update(key[1], "application/json-patch+json", _SUPERSEDED, "")
        (location,) = (
            str(at(one, "response.location"))
            for one in listed(answer["entry"])
            if str(at(one, "response.location")).startswith("DocumentReference/")
        )
        return self.store.visible(location.split("/")[1])

    def application(self, base: str = "/fhir") -> web.Application:
        """Build the aiohttp application: the FHIR base, and `PUT /mood/{mood}` to change how it behaves."""
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._guarded])
        application.add_routes(
            [
                web.post(base, self._transaction),
                web.post(base + "/", self._transaction),
                web.get(base + "/metadata", self._metadata),
                web.post(base + "/DocumentReference", self._publication),
                web.post(base + "/{kind:DocumentReference|List}/_search", self._search),
                web.get(base + "/{kind:DocumentReference|List}", self._search),
                web.get(base + "/_page/{page}", self._page),
                web.get(base + "/{kind:DocumentReference|List|Patient|Binary|Bundle}/{id}", self._read),
                web.patch(base + "/DocumentReference/{id}", self._patch),
                web.patch(base + "/DocumentReference", self._conditional_patch),
                web.put("/mood/{mood}", self._change_mood),
            ]
        )
        return application

    def leave(self) -> None:
        """Let go of the requests that are kept waiting."""
        self._leaving.set()

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], object]
    ) -> web.StreamResponse:  # aiohttp's Handler alias is private
        if request.path.startswith("/mood/"):
            return await handler(request)  # type: ignore[misc, no-any-return]  # aiohttp types handlers loosely
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrivals.append(Arrival(request.method, request.path, request.query_string, body, headers))
        if request.transport is not None and request.transport not in self._transports:
            self._transports.add(request.transport)  # itself: its place in memory may become another one's
            self.connections += 1
        if self.token is not None and headers.get("authorization") != f"Bearer {self.token}":
            return _outcome(401, "login", "", "this server wants a token")
        fault = self._next_faults.popleft() if self._next_faults else self.mood
        early = await self._failed_at_once(fault, request)
        if early is not None:
            return early
        request[_FAULT] = fault
        try:
            answer: web.StreamResponse = await handler(request)  # type: ignore[misc]  # as above
        except Refusal as refused:
            answer = _outcome(refused.status, refused.code, refused.path, refused.sentence)
        return await self._spoiled(fault, request, answer)

    async def _failed_at_once(self, fault: Fault, request: web.Request) -> web.StreamResponse | None:
        match fault:
            case Fault.REFUSE:
                return _outcome(422, "business-rule", "", "this server refuses everything for now")
            case Fault.UNAVAILABLE | Fault.BUSY:
                refusal = _outcome(503 if fault is Fault.UNAVAILABLE else 429, "throttled", "", "come back later")
                refusal.headers["Retry-After"] = "7"
                return refusal
            case Fault.HANG:
                await self._leaving.wait()
                return _outcome(503, "timeout", "", "this server is leaving")
            case Fault.ABORT:
                if request.transport is not None:
                    request.transport.abort()
                return _outcome(503, "timeout", "", "nobody reads this")
            case Fault.GARBAGE:
                return web.Response(
                    text="<html><body>TESTROSE, veuillez vous identifier</body></html>", content_type="text/html"
                )
            case Fault.REDIRECT:
                return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
            case Fault.CHANGED if request.method == "PATCH":
                self._touch(request.match_info.get("id", ""))
        return None

    async def _spoiled(self, fault: Fault, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        if fault is Fault.SILENT:
            await self._leaving.wait()
        elif fault is Fault.DROP and request.transport is not None:
            request.transport.abort()
        elif fault is Fault.TRUNCATED and isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            answer.body = answer.body[: len(answer.body) // 2]
        return answer

    def _touch(self, identifier: str) -> None:
        document = self.store.visible(identifier)
        label: Resource = {"coding": [{"system": "urn:oid:1.2.250.1.213.1.1.4.13", "code": "MASQUE_PS"}]}
        body = orjson.dumps([{"op": "add", "path": "/securityLabel/0", "value": label}])
        self.store.update(str(document["id"]), "application/json-patch+json", body, "")

    async def _transaction(self, request: web.Request) -> web.Response:
        answer = self.store.transact(_json_of(await request.read()))
        if request[_FAULT] is Fault.HALF:
            entries = answer["entry"]
            answer["entry"] = entries[: len(entries) // 2] if isinstance(entries, list) else entries
        return _json(answer)

    async def _publication(self, request: web.Request) -> web.Response:
        condition = request.headers.get("If-None-Exist", "")
        document, made = self.store.publish(_json_of(await request.read()), condition)
        answer = _json(document, 201 if made else 200)
        answer.headers["Location"] = (
            f"{request.url.origin()}/fhir/DocumentReference/{document['id']}/_history/{at(document, 'meta.versionId')}"
        )
        return answer

    async def _search(self, request: web.Request) -> web.Response:
        form = dict(await request.post()) if request.method == "POST" else dict(request.query)
        criteria = {name: str(value) for name, value in form.items()}
        try:
            count = max(1, min(int(criteria.pop("_count", _DEFAULT_PAGE)), _LARGEST_PAGE))
        except ValueError:
            raise Refusal(400, "value", "", "_count is a number") from None
        found = self.store.find(request.match_info["kind"], criteria)
        return self._results(request, found, count, len(found))

    async def _page(self, request: web.Request) -> web.Response:
        name = request.match_info["page"]
        if name not in self._pages:
            raise Refusal(410, "not-found", "", "these results are gone")
        count, _, _ = name.partition("-")
        return self._results(request, self._pages[name], int(count), None)

    def _results(self, request: web.Request, found: list[Resource], count: int, total: int | None) -> web.Response:
        page: Resource = {"resourceType": "Bundle", "type": "searchset"}
        if total is not None:
            page["total"] = total
        page["entry"] = [{"resource": one, "search": {"mode": "match"}} for one in found[:count]]
        rest = found[count:]
        fault = request[_FAULT]
        origin = f"{request.url.origin()}/fhir"
        if fault is Fault.ELSEWHERE:
            page["link"] = [{"relation": "next", "url": "http://127.0.0.1:1/fhir/_page/1"}]
        elif fault is Fault.CIRCLE:
            self._pages[f"{count}-circle"] = found
            page["link"] = [{"relation": "next", "url": f"{origin}/_page/{count}-circle"}]
        elif rest:
            name = f"{count}-{len(self._pages) + 1}"
            self._pages[name] = rest
            page["link"] = [{"relation": "next", "url": f"{origin}/_page/{name}"}]
        return _json(page)

    async def _read(self, request: web.Request) -> web.Response:
        kind, identifier = request.match_info["kind"], request.match_info["id"]
        if kind == "DocumentReference":
            return _json(self.store.visible(identifier))
        resource = self.store.resources.get((kind, identifier))
        if resource is None or (kind == "Binary" and self._is_hidden(identifier)):
            raise Refusal(404, "not-found", "", "there is no such resource")
        if kind == "Binary" and _FHIR not in request.headers.get("Accept", ""):
            content = base64.b64decode(str(resource.get("data")))
            if request[_FAULT] is Fault.WRONG_BYTES:
                content = content[::-1] + b"."
            return web.Response(body=content, content_type=str(resource.get("contentType")))
        return _json(resource)

    def _is_hidden(self, binary: str) -> bool:
        """Say whether a file belongs to a deleted document."""
        return any(
            flagged(document, DELETED)
            and any(at(content, "attachment.url") == f"Binary/{binary}" for content in listed(document.get("content")))
            for document in self.store.of_kind("DocumentReference")
        )

    async def _patch(self, request: web.Request) -> web.Response:
        changed = self.store.update(
            request.match_info["id"],
            request.content_type,
            await request.read(),
            request.headers.get("If-Match", ""),
        )
        return _json(changed)

    async def _conditional_patch(self, request: web.Request) -> web.Response:
        wanted = request.query.get("identifier", "")
        found = [
            one
            for one in self.store.of_kind("DocumentReference")
            if f"{at(one, 'masterIdentifier.system')}|{at(one, 'masterIdentifier.value')}" == wanted
        ]
        if len(found) != 1:
            raise Refusal(412 if found else 404, "not-found", "", "the identifier does not name one document")
        changed = self.store.update(
            str(found[0]["id"]), request.content_type, await request.read(), request.headers.get("If-Match", "")
        )
        return _json(changed)

    async def _change_mood(self, request: web.Request) -> web.Response:
        try:
            self.mood = Fault(request.match_info["mood"])
        except ValueError:
            return _outcome(404, "not-found", "", f"moods are {', '.join(Fault)}")
        return web.json_response({"mood": self.mood.value})

    async def _metadata(self, _: web.Request) -> web.Response:
        interactions: list[Json] = [{"code": code} for code in ("read", "search-type", "create", "patch")]
        return _json(
            {
                "resourceType": "CapabilityStatement",
                "status": "active",
                "kind": "instance",
                "fhirVersion": "4.0.1",
                "format": ["json"],
                "patchFormat": ["application/json-patch+json", "application/fhir+json"],
                "rest": [
                    {
                        "mode": "server",
                        "interaction": [{"code": "transaction"}],
                        "resource": [{"type": "DocumentReference", "interaction": interactions}],
                    }
                ],
            }
        )


_SUPERSEDED = orjson.dumps([{"op": "replace", "path": "/status", "value": "superseded"}])


def _json_of(body: bytes) -> Json:
    try:
        given: Json = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "structure", "", "the body is not JSON") from None
    return given


def _json(resource: Resource, status: int = 200) -> web.Response:
    answer = web.Response(status=status, body=orjson.dumps(resource), content_type=_FHIR)
    version = at(resource, "meta.versionId")
    if isinstance(version, str):
        answer.headers["ETag"] = f'W/"{version}"'
    return answer


def _outcome(status: int, code: str, path: str, text: str) -> web.Response:
    issue: Resource = {"severity": "error", "code": code, "diagnostics": text}
    if path:
        issue["expression"] = [path]
    body = orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    return web.Response(status=status, body=body, content_type=_FHIR)


@asynccontextmanager
async def serving(server: DocumentServer, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the block runs; gives the FHIR base's URL. Port 0 takes a free one."""
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}/fhir"
    finally:
        server.leave()
        await runner.cleanup()
