"""The client of the directory's FHIR API: one key, so many calls a second, pages by the server's own links.

    client = AnnuaireClient(settings, now=utc_now)
    answer = await client.person("10003456780")      # an Answer or a NoAnswer; never raises for what the network did

A link to the next page is followed on the server that we asked alone: the key would go to whoever it names. There are
no second tries: a quota that is exceeded (429) or troubles in a row leave the API alone for a while, for all callers.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from connectors.annuaire.asked import Kept
from connectors.annuaire.directory import bare_rpps
from connectors.annuaire.entries import Entry
from connectors.annuaire.reading import FINESS_SYSTEM, RPPS_SYSTEM, Page, read_page
from connectors.annuaire.settings import AnnuaireSettings
from connectors.outbound_http import retry_after
from connectors.pace import Breaker, Clock, Sleep, Throttle
from connectors.tls import ClientTls
from mappings.contracts import FormatError

LIMIT = 16 << 20
"""Bytes of one page at most."""

COUNT = 50
AT_ONCE = 4
PATIENCE = 10.0
"""Seconds for which a caller waits for its turn."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said. `whole` is False when there were more pages than are read; `changed` when it is as kept."""

    entries: tuple[Entry, ...]
    etag: str = ""
    whole: bool = True
    changed: bool = True


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The API did not say: nothing is known. `again` when it may later, `after` seconds when it said when."""

    code: str
    detail: str
    again: bool = True
    after: float | None = None


Reply = Answer | NoAnswer


class AnnuaireClient:
    """Asks the API. Safe to use from many tasks of one loop. `settings.url` must be set."""

    def __init__(
        self,
        settings: AnnuaireSettings,
        *,
        now: Callable[[], datetime],
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._now = now
        self._base = httpx.URL(str(settings.url).rstrip("/"))
        self._throttle = Throttle(settings.per_second * 60, clock, sleep)
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_seconds, clock)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._http: httpx.AsyncClient | None = None

    async def person(self, rpps: str, kept: Kept | None = None) -> Reply:
        """Ask for a professional by RPPS, with places and mailboxes, those of the red list too."""
        query = {"identifier": f"{RPPS_SYSTEM}|{bare_rpps(rpps)}", "_revinclude": "PractitionerRole:practitioner"}
        return await self._search("Practitioner", query, kept)

    async def structure(self, finess: str, kept: Kept | None = None) -> Reply:
        """Ask for a structure by FINESS."""
        return await self._search("Organization", {"identifier": f"{FINESS_SYSTEM}|{finess}"}, kept)

    async def at(self, address: str) -> Reply:
        """Ask whose an address is: a person's, a person's at a place, or a structure's."""
        entries: list[Entry] = []
        whole = True
        for kind in ("Practitioner", "PractitionerRole", "Organization"):
            query = {"mailbox-mss:exact": address.strip().lower()}
            if kind == "PractitionerRole":
                query["_include"] = "*"
            reply = await self._search(kind, query, None)
            if isinstance(reply, NoAnswer):
                return reply
            whole = whole and reply.whole
            entries += [one for one in reply.entries if one.address == query["mailbox-mss:exact"]]
        return Answer(tuple(entries), whole=whole)

    async def named(self, name: str) -> Reply:
        """Ask for professionals by the beginning of a name; the red list is left out of what is listed."""
        reply = await self._search("Practitioner", {"name": name, "active": "true"}, None)
        if isinstance(reply, NoAnswer):
            return reply
        return Answer(tuple(one for one in reply.entries if not one.red), reply.etag, reply.whole)

    async def close(self) -> None:
        """Close the connections; a later call would open new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _search(self, kind: str, query: Mapping[str, str], kept: Kept | None) -> Reply:
        url = self._base.copy_with(path=f"{self._base.path}/{kind}", params={**query, "_count": str(COUNT)})
        entries: list[Entry] = []
        etag = ""
        seen: set[str] = set()
        for number in range(self._settings.most_pages):
            tag = kept.etag if kept is not None and number == 0 else ""
            page = await self._page(url, tag)
            if isinstance(page, NoAnswer):
                return page
            found, page_tag = page
            if found is None:
                return Answer(kept.entries if kept is not None else (), tag, changed=False)
            # What a second page says may change under the tag of the first: only one page is recognised again.
            etag = page_tag if number == 0 and found.following is None else ""
            entries += found.entries
            if found.following is None:
                return Answer(tuple(entries), etag)
            seen.add(str(url))
            following = self._following(url, found.following)
            if following is None:
                said = "the next page of the directory's answer is on another server: it is not asked"
                return NoAnswer("annuaire.page.elsewhere", said, again=False)
            if str(following) in seen:
                return NoAnswer(
                    "annuaire.page.again", "the pages of the directory's answer go in a circle", again=False
                )
            url = following
        return Answer(tuple(entries), whole=False)

    def _following(self, url: httpx.URL, link: str) -> httpx.URL | None:
        try:
            following = url.join(link)
        except (httpx.InvalidURL, ValueError):
            return None
        here = (self._base.scheme, self._base.host, self._base.port)
        inside = following.path == self._base.path or following.path.startswith(self._base.path + "/")
        same = (following.scheme, following.host, following.port) == here and not following.userinfo
        return following if same and inside else None

    async def _page(self, url: httpx.URL, tag: str) -> tuple[Page | None, str] | NoAnswer:
        """Ask for one page, if it may be asked now; None as the page is as it was."""
        # Who waited for a slot learns what became of those before: a crowd does not follow them into a trouble.
        async with self._slots:
            return await self._let_in(url, tag)

    async def _let_in(self, url: httpx.URL, tag: str) -> tuple[Page | None, str] | NoAnswer:
        if not self.breaker.enter():
            wait = self.breaker.remaining or None
            return NoAnswer("annuaire.left_alone", "the directory had troubles and is left alone for now", after=wait)
        try:
            if not await self._throttle.turn(PATIENCE):
                self.breaker.left()
                return NoAnswer("annuaire.throttled", "too many calls wait for the directory: ask again later")
            page = await self._call(url, tag)
        except BaseException:
            self.breaker.left()
            raise
        if isinstance(page, NoAnswer) and (page.again or page.after is not None):
            self.breaker.bad(page.after)
        else:
            self.breaker.good()
        return page

    async def _call(self, url: httpx.URL, tag: str) -> tuple[Page | None, str] | NoAnswer:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._exchange(url, tag)
        except (httpx.ConnectError, httpx.ConnectTimeout) as failure:
            return NoAnswer("annuaire.unreachable", f"cannot connect to the directory ({type(failure).__name__})")
        except (TimeoutError, httpx.TimeoutException):
            return NoAnswer("annuaire.timeout", f"no whole answer within {self._settings.timeout:g} s")
        except httpx.HTTPError as failure:
            return NoAnswer("annuaire.broken", f"the exchange broke off ({type(failure).__name__})")
        except FormatError as refused:
            return NoAnswer(refused.code, refused.message)
        except (OSError, ssl.SSLError, ValueError) as problem:
            return NoAnswer("annuaire.ca", f"the authorities cannot be loaded ({type(problem).__name__})", again=False)

    async def _exchange(self, url: httpx.URL, tag: str) -> tuple[Page | None, str] | NoAnswer:
        key = self._settings.api_key.get_secret_value() if self._settings.api_key is not None else ""
        headers = {"ESANTE-API-KEY": key, "Accept": "application/fhir+json"} | ({"If-None-Match": tag} if tag else {})
        async with self._open().stream("GET", url, headers=headers) as response:
            status = response.status_code
            if status == 304 and tag:
                return None, tag
            if status in (401, 403):
                return NoAnswer("annuaire.key", f"the directory refuses our key ({status})", again=False, after=60.0)
            if status == 429 or status >= 500:
                after = retry_after(response.headers.get("Retry-After"), self._now())
                if status == 429:
                    said = "our quota of the directory is used up: it is left alone for a while"
                    return NoAnswer("annuaire.quota", said, after=after or self._settings.breaker_seconds)
                return NoAnswer("annuaire.down", f"the directory has a trouble ({status})", after=after)
            if status != 200:
                return NoAnswer("annuaire.refused", f"the directory refuses the request ({status})", again=False)
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LIMIT:
                    return NoAnswer("annuaire.too_large", "a page of the directory is too large", again=False)
            return read_page(bytes(body)), response.headers.get("ETag", "")

    def _open(self) -> httpx.AsyncClient:
        if self._http is None:
            settings = self._settings
            self._http = httpx.AsyncClient(
                verify=ClientTls(ca=settings.ca).context() if self._base.scheme == "https" else False,
                proxy=str(settings.proxy) if settings.proxy is not None else None,
                timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
                limits=httpx.Limits(max_connections=AT_ONCE, keepalive_expiry=30.0),
                follow_redirects=False,
                trust_env=False,
            )
        return self._http
