"""How a tool speaks to the dossier's FHIR API: a token for its user, searches by POST, page after page."""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

Resource = dict[str, Any]

_FHIR = "application/fhir+json"
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_RENEWED = 60.0
"""Seconds before its end at which a token is asked for anew."""


class ToolFault(Exception):
    """The tool cannot do this: one sentence."""


class ServerRefused(ToolFault):
    """The server answered that it will not: `status` of HTTP, and the OperationOutcome's words."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"HTTP {status}: {said}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered: `resource` where it is JSON."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def resource(self) -> Resource:
        """The resource of the answer; empty where there is none."""
        return orjson.loads(self.content) if self.content[:1] == b"{" else {}


@dataclass(slots=True)
class ToolClient:
    """One tool's access. `user` is on whose behalf it asks, as `system|value`."""

    base: str
    name: str
    secret: str = field(repr=False)
    user: str = ""
    _session: aiohttp.ClientSession | None = None
    _token: str = ""
    _ends: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def call(self, method: str, path: str, body: Resource | None = None, **headers: str) -> Reply:
        """Make a request to a path under `/fhir`; `headers` are written with underscores."""
        sent = {"Accept": _FHIR, **{name.replace("_", "-"): value for name, value in headers.items()}}
        content = None
        if body is not None:
            content = orjson.dumps(body)
            sent.setdefault("Content-Type", _FHIR)
        return await self._send(method, path, content, sent)

    async def expect(self, method: str, path: str, body: Resource | None = None, **headers: str) -> Resource:
        """Make a request that must be granted. Raises ServerRefused."""
        reply = await self.call(method, path, body, **headers)
        if reply.status >= 300:
            raise ServerRefused(reply.status, _said(reply))
        return reply.resource

    async def search(self, kind: str, count: int = 50, **asked: str) -> list[Resource]:
        """Search by POST, so that no number of a person is in an address; gives every match of every page."""
        matches, _ = await self.search_all(kind, count, **asked)
        return matches

    async def search_all(self, kind: str, count: int = 50, **asked: str) -> tuple[list[Resource], list[Resource]]:
        """Search by POST; gives the matches and what was included, of every page. Raises ServerRefused.

        Parameters are written with `__` for `.`, and `_` before a name that FHIR begins so: `patient__identifier`.
        """
        fields = {"_count": str(count), **{name.replace("__", "."): value for name, value in asked.items()}}
        form = aiohttp.FormData(fields)()
        assert isinstance(form, aiohttp.BytesPayload)  # noqa: S101 - what a form without files becomes
        headers = {"Accept": _FHIR, "Content-Type": "application/x-www-form-urlencoded"}
        reply = await self._send("POST", f"{kind}/_search", form.decode().encode(), headers)
        matches: list[Resource] = []
        included: list[Resource] = []
        while True:
            if reply.status != 200:
                raise ServerRefused(reply.status, _said(reply))
            bundle = reply.resource
            for entry in bundle.get("entry", ()):
                (matches if entry["search"]["mode"] == "match" else included).append(entry["resource"])
            following = next((one["url"] for one in bundle.get("link", ()) if one["relation"] == "next"), None)
            if following is None:
                return matches, included
            reply = await self._send("GET", following, None, {"Accept": _FHIR})

    async def close(self) -> None:
        """Close its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Reply:
        url = path if path.startswith("http") else f"{self.base}/fhir/{path}".rstrip("/")
        if urlsplit(url).netloc != urlsplit(self.base).netloc:
            raise ToolFault(f"the server gave an address elsewhere ({urlsplit(url).netloc}): it is not followed")
        headers = {**headers, "Authorization": f"Bearer {await self._bearer()}"}
        body = None if content is None else io.BytesIO(content)
        async with self._open().request(method, url, data=body, headers=headers) as answer:
            return Reply(answer.status, dict(answer.headers), await answer.read())

    async def _bearer(self) -> str:
        async with self._turn:
            if time.monotonic() >= self._ends:
                form = {"grant_type": "client_credentials", "client_id": self.name, "client_secret": self.secret}
                if self.user:
                    form["on_behalf_of"] = self.user
                async with self._open().post(f"{self.base}/oauth/token", data=form) as answer:
                    found = orjson.loads(await answer.read())
                    if answer.status != 200:
                        raise ServerRefused(answer.status, str(found.get("error_description", found)))
                self._token = found["access_token"]
                self._ends = time.monotonic() + found["expires_in"] - _RENEWED
            return self._token

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False)
        return self._session


def _said(reply: Reply) -> str:
    """Give an OperationOutcome's own words."""
    issues = reply.resource.get("issue", ())
    return "; ".join(str(one.get("diagnostics") or one.get("code")) for one in issues) or "no reason was given"
