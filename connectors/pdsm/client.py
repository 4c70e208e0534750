"""A document-sharing server as its client sees it: searches, reads, files, patches.

Each call gives what was asked for, or raises Interrupted with the Outcome that the server or the network made of it.
Searches travel by POST, so that a patient's number is in no address (FHIR R4 §3.1.1.1).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from yarl import URL

from connectors.contracts import Outcome, Refused, Retry
from connectors.fhir.codec import judge
from connectors.outbound_http import HttpAnswer, HttpPeer
from connectors.pdsm.addresses import Unfollowed, file_address, page_address, under
from connectors.pdsm.answers import NotFhir, Page, read_page
from connectors.pdsm.resources import Resource, kind, parsed, text
from connectors.pdsm.settings import PdsmPeerSettings
from connectors.pdsm.updates import PatchForm

FHIR = "application/fhir+json"
OK = 200
GONE = frozenset({404, 410})
ALL_STATUSES = "current,superseded,entered-in-error"


class Interrupted(Exception):
    """A search or fetch came to no end: `outcome` says what became of it, and whether it is worth another try."""

    def __init__(self, outcome: Retry | Refused) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a document's file, and the media type that came with them."""

    content: bytes
    media_type: str


class PdsmClient:
    """One server. Safe to be used by several tasks at once."""

    def __init__(self, settings: PdsmPeerSettings, now: Callable[[], datetime], headers: Mapping[str, str]) -> None:
        self._settings = settings
        self._now = now
        self._peer = HttpPeer(settings, {"User-Agent": "passerelle", "Accept": FHIR, **headers})

    @property
    def base(self) -> URL:
        """The FHIR base."""
        return self._peer.url

    async def close(self) -> None:
        """Release the pooled connections."""
        await self._peer.close()

    async def submit(self, body: bytes, headers: Mapping[str, str], *, simplified: bool) -> HttpAnswer | Retry:
        """Post a transaction to the base, or a lone DocumentReference to its type."""
        url = under(self.base, "DocumentReference") if simplified else self.base
        return await self._peer.request("POST", url, body, {"Content-Type": FHIR, **headers}, self._now())

    async def pages(self, of_kind: str, criteria: Mapping[str, str]) -> AsyncIterator[Page]:
        """Search, page by page. Raises Interrupted when the server fails, or leads elsewhere."""
        form = urlencode(criteria)
        if self._settings.search == "post":
            url = under(self.base, f"{of_kind}/_search")
            content = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self._peer.request("POST", url, form.encode(), content, self._now())
        else:
            answer = await self._peer.request(
                "GET", URL(f"{under(self.base, of_kind)}?{form}", encoded=True), None, {}, self._now()
            )
        seen: set[str] = set()
        while True:
            page = _page(answer)
            yield page
            if not page.next:
                return
            if page.next in seen:
                raise Interrupted(Refused("the pages of results go round in a circle"))
            seen.add(page.next)
            try:
                following = page_address(self.base, page.next)
            except Unfollowed as refused:
                raise Interrupted(Refused(refused.message)) from None
            answer = await self._peer.request("GET", following, None, {}, self._now())

    async def look_up(self, identifier: tuple[str, str], patient: str) -> Resource | None:
        """Find a document by its unique id, whatever its status; None when the server has none.

        Raises Interrupted when the server fails, or knows several: the one meant cannot be told.
        """
        criteria = {"identifier": token(*identifier), "status": ALL_STATUSES}
        if patient:
            criteria["patient.identifier"] = token(*patient.split("|", 1))
        found: list[Resource] = []
        async for page in self.pages("DocumentReference", criteria):
            found += [one for one in page.matches if kind(one) == "DocumentReference" and text(one, "id")]
        if len(found) > 1:
            raise Interrupted(Refused(f"the server has {len(found)} documents of this unique id"))
        return found[0] if found else None

    async def read(self, of_kind: str, server_id: str) -> Resource | None:
        """Read one resource; None when it is gone. Raises Interrupted when the server fails."""
        url = under(self.base, f"{of_kind}/{quote(server_id, safe='')}")
        answer = await self._peer.request("GET", url, None, {}, self._now())
        if isinstance(answer, HttpAnswer) and answer.status in GONE:
            return None
        resource = parsed(_good(answer).body)
        if resource is None or kind(resource) != of_kind:
            raise Interrupted(Retry("a read was answered with something else than the resource"))
        return resource

    async def fetch(self, url: str, media_type: str, allowed: tuple[str, ...]) -> Fetched:
        """Fetch a document's file (ITI-68). Raises Unfollowed for where we do not go, Interrupted when it fails."""
        address = file_address(self.base, url, allowed)
        limit = int(self._settings.max_document)
        accept = media_type if media_type.isprintable() and media_type else "*/*"
        # A Binary resource around the bytes is a third longer than they are.
        answer = await self._peer.request(
            "GET", address, None, {"Accept": accept}, self._now(), limit=limit + limit // 2
        )
        if isinstance(answer, Retry):
            raise Interrupted(answer)
        if answer.status != OK:
            _interrupt(judge(answer))
        if not answer.whole:
            raise Unfollowed("pdsm.document.too_large", f"the file is longer than {limit} bytes (max_document)")
        return Fetched(answer.body, answer.media_type)

    async def patch(self, server_id: str, body: bytes, form: PatchForm, version: str) -> HttpAnswer | Retry:
        """Patch a document, provided that it is still at this version."""
        headers = {"Content-Type": form.media_type, **({"If-Match": version} if version else {})}
        url = under(self.base, f"DocumentReference/{quote(server_id, safe='')}")
        return await self._peer.request("PATCH", url, body, headers, self._now())


def token(system: str, value: str) -> str:
    """Write a token criterion, its own delimiters escaped (FHIR R4 §3.1.1.4.2)."""
    escaped = "".join(f"\\{sign}" if sign in "\\,|$" else sign for sign in value)
    return f"{system}|{escaped}"


def _page(answer: HttpAnswer | Retry) -> Page:
    try:
        return read_page(_good(answer))
    except NotFhir as strange:
        raise Interrupted(Retry(str(strange))) from None


def _good(answer: HttpAnswer | Retry) -> HttpAnswer:
    if isinstance(answer, Retry):
        raise Interrupted(answer)
    if answer.status != OK:
        _interrupt(judge(answer))
    return answer


def _interrupt(outcome: Outcome) -> None:
    if isinstance(outcome, Retry | Refused):
        raise Interrupted(outcome)
    raise Interrupted(Refused("the server answered with a success that is none"))
