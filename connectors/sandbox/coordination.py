"""A coordination tool, seen from outside: a small FHIR server on loopback that can misbehave on demand."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import orjson
from aiohttp import web

from connectors.sandbox.fhir_store import BadTransaction, FhirStore, Json, Resource

_FHIR = "application/fhir+json"
_REMEMBERED_KEYS = 200_000
_REMEMBERED_ARRIVALS = 10_000
_LARGEST_BODY = 64 << 20


class Mood(StrEnum):
    """How the tool behaves: `ok`, or one of the ways in which real receivers fail."""

    OK = "ok"
    REFUSE = "refuse"
    """422 with an OperationOutcome: this Bundle will never be taken."""
    UNAVAILABLE = "unavailable"
    """503 with Retry-After: try again later."""
    HANG = "hang"
    """No answer at all, until the sender gives up."""
    GARBAGE = "garbage"
    """200 with an HTML page, as a misconfigured proxy gives."""
    DROP = "drop"
    """Takes the Bundle, then cuts the connection before the answer: the sender cannot know."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One Bundle as it came: when, its Idempotency-Key, resource types with their counts, whether it was known."""

    at: datetime
    key: str
    kinds: dict[str, int]
    known: bool


class Coordination:
    """The tool: `store` holds what it received, `arrivals` the last Bundles, `mood` how it answers.

    A Bundle whose Idempotency-Key was seen with the same bytes is answered as the first time and applied once; the
    same key with other bytes is refused (422).
    """

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.store = FhirStore()
        self.arrivals: deque[Arrival] = deque(maxlen=_REMEMBERED_ARRIVALS)
        self.mood = Mood.OK
        self._now = now
        self._answers: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()

    def application(self, base: str = "/fhir") -> web.Application:
        """Build the aiohttp application: the FHIR base, and `PUT /mood/{mood}` to change how it behaves."""
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.add_routes(
            [
                web.post(base, self._transaction),
                web.post(base + "/", self._transaction),
                web.get(base + "/metadata", self._metadata),
                web.get(base + "/{kind}", self._search),
                web.get(base + "/{kind}/{id}", self._read),
                web.get(base + "/{kind}/{id}/_history", self._history),
                web.put("/mood/{mood}", self._change_mood),
            ]
        )
        return application

    async def _change_mood(self, request: web.Request) -> web.Response:
        try:
            self.mood = Mood(request.match_info["mood"])
        except ValueError:
            return _outcome(404, "not-found", f"moods are {', '.join(Mood)}")
        return web.json_response({"mood": self.mood.value})

    async def _transaction(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        match self.mood:
            case Mood.REFUSE:
                return _outcome(422, "business-rule", "this coordination tool refuses every Bundle for now")
            case Mood.UNAVAILABLE:
                refusal = _outcome(503, "transient", "this coordination tool is being maintained")
                refusal.headers["Retry-After"] = "1"
                return refusal
            case Mood.HANG:
                await asyncio.Event().wait()
            case Mood.GARBAGE:
                return web.Response(text="<html><body>Bienvenue</body></html>", content_type="text/html")
            case Mood.OK | Mood.DROP:
                pass
        answer = self._taken(request.headers.get("Idempotency-Key", ""), body)
        if self.mood is Mood.DROP and request.transport is not None:
            request.transport.abort()
        return answer

    def _taken(self, key: str, body: bytes) -> web.Response:
        digest = hashlib.blake2b(body, digest_size=16).digest()
        remembered = self._answers.get(key) if key else None
        if remembered is not None and remembered[0] != digest:
            return _outcome(422, "conflict", "this Idempotency-Key came before with another content")
        try:
            bundle: Json = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _outcome(400, "structure", "the body is not JSON")
        self.arrivals.append(Arrival(self._now(), key, _kinds(bundle), known=remembered is not None))
        if remembered is not None:
            return web.Response(body=remembered[1], content_type=_FHIR)
        try:
            content = orjson.dumps(self.store.apply(bundle))
        except BadTransaction as refused:
            return _outcome(400, "invalid", str(refused))
        if key:
            self._answers[key] = (digest, content)
            if len(self._answers) > _REMEMBERED_KEYS:
                self._answers.popitem(last=False)
        return web.Response(body=content, content_type=_FHIR)

    async def _search(self, request: web.Request) -> web.Response:
        try:
            found = self.store.search(request.match_info["kind"], dict(request.query))
        except BadTransaction as refused:
            return _outcome(400, "not-supported", str(refused))
        entries: list[Json] = [{"resource": resource} for resource in found]
        return _json({"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries})

    async def _read(self, request: web.Request) -> web.Response:
        resource = self.store.read(request.match_info["kind"], request.match_info["id"])
        if resource is None:
            return _outcome(404, "not-found", "there is no such resource")
        return _json(resource)

    async def _history(self, request: web.Request) -> web.Response:
        versions = self.store.history.get((request.match_info["kind"], request.match_info["id"]), ())
        entries: list[Json] = [{"resource": version} for version in reversed(versions)]
        return _json({"resourceType": "Bundle", "type": "history", "total": len(entries), "entry": entries})

    async def _metadata(self, _: web.Request) -> web.Response:
        return _json(
            {
                "resourceType": "CapabilityStatement",
                "status": "active",
                "kind": "instance",
                "fhirVersion": "4.0.1",
                "format": ["json"],
                "rest": [{"mode": "server", "interaction": [{"code": "transaction"}]}],
            }
        )


def _kinds(bundle: Json) -> dict[str, int]:
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    resources = (
        [entry.get("resource") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    return dict(Counter(str(resource.get("resourceType")) for resource in resources if isinstance(resource, dict)))


def _json(resource: Resource) -> web.Response:
    return web.Response(body=orjson.dumps(resource), content_type=_FHIR)


def _outcome(status: int, code: str, text: str) -> web.Response:
    issue: Resource = {"severity": "error", "code": code, "diagnostics": text}
    body = orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    return web.Response(status=status, body=body, content_type=_FHIR)


@asynccontextmanager
async def serving(tool: Coordination, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the tool while the block runs; gives the FHIR base's URL. Port 0 takes a free one."""
    runner = web.AppRunner(tool.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}/fhir"
    finally:
        await runner.cleanup()


async def run(host: str = "127.0.0.1", port: int = 0, *, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until cancelled; `ready` is called with the FHIR base once it listens."""
    async with serving(Coordination(), host, port) as base:
        ready(base)
        await asyncio.Event().wait()
