"""A coordination tool at work: told by webhook, or coming by itself; what it reads becomes its users' feed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

import orjson
from aiohttp import web

from connectors.sandbox.tools import page, resources
from connectors.sandbox.tools.client import Reply, ToolClient
from connectors.sandbox.tools.notices import TOPIC, Notice, understood
from connectors.sandbox.tools.profile import ToolProfile

Resource = dict[str, Any]

SECRET_URL = "https://passerelle.example/fhir/StructureDefinition/webhook-secret"  # noqa: S105 - a URL
ALERT = "CommunicationRequest"
STALE = 300
"""Seconds after which a signed notice is refused: somebody plays it again."""


class Mood(StrEnum):
    """How the tool answers a notice."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    """500, as while it is being maintained."""
    GONE = "gone"
    """410: it wants nothing more."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A line that the tool's users read: its own word for it, the title, the resource."""

    word: str
    title: str
    reference: str
    resource: Resource = field(repr=False)


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert as the tool's users see it: what happened, to whom, where and when, and when they were told."""

    at: float
    title: str
    whose: str
    place: str
    happened: str
    reference: str
    event: str
    urgent: bool


@dataclass(slots=True)
class Tool:
    """A tool. `server` is the address of the router; `mood`, or `answers` (statuses in turn), answer notices.

    `about` is a sentence on its page (`address`), which says who looks at it.
    """

    profile: ToolProfile
    server: str
    name: str
    secret: str = field(repr=False)
    user: str = ""
    user_name: str = "TESTOUTIL"
    host: str = "127.0.0.1"
    port: int = 0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    mood: Mood = Mood.OK
    answers: list[int] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    feed: list[FeedLine] = field(default_factory=list)
    alerts: list[AlertLine] = field(default_factory=list)
    about: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: dict[str, str] = field(default_factory=dict)
    _since: dict[str, str] = field(default_factory=dict)
    _told_of: list[str] = field(default_factory=list)
    _people: dict[str, str] = field(default_factory=dict)
    _hook: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _runner: web.AppRunner | None = None
    _numbers: int = 0
    client: ToolClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = ToolClient(self.server, self.name, self.secret, self.user)

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=32 << 20)
        application.add_routes(
            [
                web.post("/notices", self._notified),
                web.put("/mood/{mood}", self._change_mood),
                web.get("/", self._page),
                web.get("/board", self._board),
                web.get("/page.css", _file("text/css", page.STYLE)),
                web.get("/page.js", _file("text/javascript", page.SCRIPT)),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def endpoint(self) -> str:
        """Where it takes notices."""
        return f"http://{self.host}:{self.port}/notices"

    @property
    def address(self) -> str:
        """Where its page is."""
        return f"http://{self.host}:{self.port}/"

    async def _page(self, _: web.Request) -> web.Response:
        return _html(page.page(self))

    async def _board(self, _: web.Request) -> web.Response:
        return _html(page.board(self))

    # --- what it is told --------------------------------------------------------------------------------------------

    async def subscribe(self, criteria: Sequence[str] = ()) -> list[str]:
        """Ask to be told, of its profile's topics unless searches are given; gives the subscriptions' references."""
        wanted = list(criteria) or [TOPIC + one for one in self.profile.topics]
        made = []
        for one in wanted:
            asked = resources.subscription(
                one,
                self.endpoint,
                content=self.profile.content,
                secret=self._hook,
                secret_url=SECRET_URL,
                label=self.profile.label,
            )
            found = await self.client.expect("POST", "Subscription", asked)
            made.append(f"Subscription/{found['id']}")
        return made

    async def _notified(self, request: web.Request) -> web.Response:
        body = await request.read()
        wrong = self._unsigned(request.headers.get("X-Passerelle-Signature", ""), body)
        if wrong:
            self.refused.append(wrong)
            return web.Response(status=401, text=wrong)
        status = self.answers.pop(0) if self.answers else {Mood.OK: 200, Mood.UNAVAILABLE: 500}.get(self.mood, 410)
        bundle: Resource = orjson.loads(body) if body else {}
        identity = request.headers.get("X-Passerelle-Notice", "")
        again = any(one.identity == identity and one.status < 300 for one in self.notices)
        notice = understood(bundle, identity, status)
        self.notices.append(notice)
        if status < 300 and not again:
            self._told_of += [one for one in notice.focus if one.startswith(f"{ALERT}/")]
            for entry in bundle.get("entry", [])[1:]:
                self._take(entry["resource"])
        self.changed.set()
        return web.Response(status=status)

    def _unsigned(self, header: str, body: bytes) -> str:
        """Say what is wrong with a signature; nothing where it is right and recent."""
        parts = dict(part.partition("=")[::2] for part in header.split(","))
        try:
            moment = int(parts.get("t", ""))
        except ValueError:
            return "the notice is not signed"
        expected = hmac.new(self._hook.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, parts.get("v1", "")):
            return "the signature of the notice is wrong"
        return "the notice is old" if abs(self.now().timestamp() - moment) > STALE else ""

    async def _change_mood(self, request: web.Request) -> web.Response:
        if request.match_info["mood"] not in set(Mood):
            return web.json_response({"moods": list(Mood)}, status=404)
        self.mood = Mood(request.match_info["mood"])
        return web.json_response({"mood": self.mood.value})

    # --- what it comes for ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until it is cancelled, in its own rhythm: pull when told, or every so often."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), self.profile.every)
            self.changed.clear()
            await self.pull()

    async def pull(self) -> list[FeedLine]:
        """Take what changed since the last time, of each type that it follows; gives what is new to its users."""
        before = len(self.feed)
        for kind in self.profile.follows:
            asked = {"_sort": "_lastUpdated"}
            if kind in self._since:
                asked["_lastUpdated"] = f"gt{self._since[kind]}"
            for resource in await self.client.search(kind, self.profile.page, **asked):
                self._since[kind] = resource["meta"]["lastUpdated"]
                self._take(resource)
        await self._take_alerts()
        return self.feed[before:]

    async def _take_alerts(self) -> None:
        """Fetch the alerts that it was told of: a notice says little more than that there is one."""
        while self._told_of:
            reply = await self.client.call("GET", self._told_of[0])
            if reply.status == 200 and self._is_new(reply.resource):
                self.alerts.append(await self._understood(reply.resource))
            del self._told_of[0]

    async def _understood(self, resource: Resource) -> AlertLine:
        said = {one["url"].rpartition("/")[2]: one for one in resource.get("extension", ())}
        codings = said.get("event-type", {}).get("valueCodeableConcept", {}).get("coding", [{}])
        hospitals = (one.get("name", "") for one in resource.get("contained", ()))
        withdrawn = "Annulé : " if resource.get("status") == "revoked" else ""
        return AlertLine(
            at=time.time(),
            title=withdrawn + " ".join(one.get("contentString", "") for one in resource.get("payload", ())),
            whose=await self._person(resource.get("subject", {}).get("reference", "")),
            place=next(hospitals, ""),
            happened=said.get("event-time", {}).get("valueDateTime", ""),
            reference=f"{resource['resourceType']}/{resource['id']}",
            event=codings[0].get("code", ""),
            urgent=resource.get("priority") in ("urgent", "asap"),
        )

    async def _person(self, reference: str) -> str:
        """Give the name of a person, as far as the tool may read it."""
        if reference and reference not in self._people:
            reply = await self.client.call("GET", reference)
            names = reply.resource.get("name", [{}]) if reply.status == 200 else [{}]
            self._people[reference] = " ".join([names[0].get("family", ""), *names[0].get("given", ())[:1]]).strip()
        return self._people.get(reference, "")

    def _take(self, resource: Resource) -> None:
        if not self._is_new(resource):
            return
        reference = f"{resource['resourceType']}/{resource['id']}"
        profiles = resource["meta"].get("profile", [])
        kind = "note" if resources.CDL + "cdl-document-reference" in profiles else resource["resourceType"]
        self.feed.append(FeedLine(self.profile.word(kind), _title(resource), reference, resource))

    def _is_new(self, resource: Resource) -> bool:
        """Say whether this version was not seen yet, which it is from now on."""
        reference, version = f"{resource['resourceType']}/{resource['id']}", resource["meta"]["versionId"]
        known = self._seen.get(reference) == version
        self._seen[reference] = version
        return not known

    # --- what it writes ---------------------------------------------------------------------------------------------

    async def post_note(self, patient: str, word: str, title: str, words: str, **more: Any) -> Resource:
        """Write a note of one of its own kinds. Raises ToolFault for a kind that it has not, ServerRefused."""
        code = self.profile.note_type(word)
        made = resources.note(
            patient, code, title, words, number=self.number(), author=self.author, at=self.now(), **more
        )
        return await self.client.expect("POST", "DocumentReference", made)

    async def post_plan(self, patient: str, word: str, content: bytes, *, replaces: str = "") -> Resource:
        """Publish a version of a plan, as a document; `replaces` is the reference of the former version."""
        kind = self.profile.plans[word]
        return await self.post_document(patient, kind.type, kind.category, kind.title, content, replaces=replaces)

    async def post_document(
        self, patient: str, type_code: str, category: str, title: str, content: bytes, *, replaces: str = ""
    ) -> Resource:
        """Publish a document. Raises ServerRefused."""
        structure = resources.structure_of("670000009", f"{self.profile.label} FICTIF")
        made = resources.document(
            patient,
            type_code,
            category,
            title,
            content,
            oid=f"{self.profile.system}.{secrets.randbits(48)}",
            author=self.author,
            custodian=structure,
            at=self.now(),
            replaces=replaces,
        )
        return await self.client.expect("POST", "DocumentReference", made)

    async def file_of(self, resource: Resource, rank: int = 0) -> Reply:
        """Fetch the bytes of a part of a note or document."""
        url = resource["content"][rank]["attachment"]["url"]
        return await self.client.call("GET", url.partition("/fhir/")[2] or url, Accept="*/*")

    @property
    def author(self) -> Resource:
        """Its user, as the author of what it writes."""
        return resources.author_of(self.user, self.user_name)

    def number(self) -> tuple[str, str]:
        """Give the next number of its own."""
        self._numbers += 1
        return self.profile.system, f"{self.name}-{self._numbers}-{secrets.token_hex(4)}"


def _title(resource: Resource) -> str:
    """Give what a resource calls itself; of a stay, where it is."""
    named = resource.get("description") or resource.get("title") or resource.get("code", {}).get("text")
    if not named and resource["resourceType"] == "Encounter":
        named = resource.get("serviceProvider", {}).get("display")
    return str(named or "")


def _html(text: str) -> web.Response:
    headers = {"Content-Security-Policy": page.POLICY, "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", headers=headers)


def _file(media_type: str, text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def give(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=media_type)

    return give
