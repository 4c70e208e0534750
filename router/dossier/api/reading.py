"""Reading: one resource, its versions, files, and searches with what they bring along."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from router.dossier.accesses import Access as Decided
from router.dossier.api import cursors
from router.dossier.api.bundles import history, http_date, searchset, shown
from router.dossier.api.calls import FHIR_JSON, Answer, Call, media_type
from router.dossier.api.having import fetched_by
from router.dossier.api.outcomes import Refused, not_found, too_wide
from router.dossier.api.queries import Asked, Include, understood
from router.dossier.api.service import Service
from router.dossier.store.access import Access
from router.dossier.store.drafts import DELETED, LIVE
from router.dossier.store.elements import Resource, said, walk
from router.dossier.store.parameters import Kind, Parameter, is_hidden, parameters
from router.dossier.store.searching import MOST_INCLUDED, Found, Page, Search, TooWide
from router.journal.view import View
from schemas.habilitation import Action

ROUNDS = 3
"""How often `_include:iterate` goes on from what it brought along."""

PLAIN_TYPES = frozenset(
    {"application/pdf", "image/jpeg", "image/png", "text/plain", "text/xml", "application/xml", "application/dicom"}
)
"""Media types under which files are given as they are; what a browser might run is given as mere bytes."""


async def read(service: Service, call: Call, kind: str, logical_id: str, version: str | None = None) -> Answer:
    """Read a resource, or one version of it."""
    call.require("read", kind)

    def find(view: View) -> tuple[Found | None, list[Decided], bytes, list[tuple[int, int]]]:
        access = service.access(view, call)
        runner = Search(access)
        found = runner.one(kind, logical_id)
        if found is None:
            return None, refused_of(access, runner, kind, logical_id), b"", []
        fetched = fetched_by(access, [found])
        decided = decided_of(access, [found], Action.READ)
        if version is not None:
            those = runner.versions(found, before=_number(version) + 1, count=1)
            found = next((one for one in those if str(one.version) == version), None)
        content = b""
        if found is not None and kind == "Binary" and found.state == LIVE:
            content = content_of(view, found)
        return found, decided, content, fetched

    found, decided, content, fetched = await service.journal.look(find)
    await service.noted(call, f"{kind}/{logical_id}", decided, fetched)
    if found is None:
        raise not_found(kind)
    if found.state == DELETED:
        raise Refused(410, f"This {kind} was deleted.")
    headers = {"ETag": f'W/"{found.version}"', "Last-Modified": http_date(found.at)}
    if call.headers.get("if-none-match") == headers["ETag"]:
        return Answer(304, headers=headers)
    if kind == "Binary":
        return _file(call, found, content, headers)
    return Answer(resource=shown(found), headers=headers)


def _number(version: str) -> int:
    return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0


def content_of(view: View, found: Found) -> bytes:
    """Give the bytes of a Binary that may be seen."""
    if found.blobs:
        return view.blobs.get(found.blobs)
    try:
        return base64.b64decode(said(found.resource, "data"))
    except binascii.Error:
        return b""


def _file(call: Call, found: Found, content: bytes, headers: dict[str, str]) -> Answer:
    """Give a file in its own media type, or as a Binary to who asks for FHIR."""
    own = said(found.resource, "contentType") or "application/octet-stream"
    asked = [media_type(one) for one in call.headers.get("accept", "").split(",") if one.strip()]
    asked += [value.replace(" ", "+") for name, value in call.pairs if name == "_format"]
    if FHIR_JSON in asked or ("application/json" in asked and own != "application/json"):
        resource: Resource = {**shown(found), "data": base64.b64encode(content).decode()}
        return Answer(resource=resource, headers=headers)
    # Types that a browser would run are given as bytes to be saved, whatever the sender called them.
    safe = media_type(own) if media_type(own) in PLAIN_TYPES else "application/octet-stream"
    disposition = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return Answer(content=content, media_type=safe, headers={**headers, **disposition})


def decided_of(access: Access, found: Iterable[Found], action: Action) -> list[Decided]:
    """Give the decisions to keep about resources that are about to be shown: one a patient and category."""
    decided: dict[tuple[int, str], list[Decided]] = {}
    for one in found:
        if one.patient is not None and one.thing is not None:
            key = one.patient, one.thing.category.value
            if key not in decided:
                decided[key] = access.decisions(action, [one.patient], one.thing)
    return [one for those in decided.values() for one in those]


def refused_of(access: Access, runner: Search, kind: str, logical_id: str) -> list[Decided]:
    """Give the decision to keep when somebody asked for what they may not see, whatever they would do with it.

    They are answered as if it were not there (`not_found`); where it is not there, nothing is to be kept.
    """
    hidden = runner.hidden(kind, logical_id)
    return [] if hidden is None else access.decisions(Action.READ, [hidden[0]], hidden[1])


async def search(service: Service, call: Call, kind: str) -> Answer:
    """Search in a type: one page, with the link to the next."""
    call.require("read", kind)
    posted = call.method == "POST"
    sent = next((value for name, value in call.pairs if name == "_cursor"), "")

    def find(view: View) -> tuple[Resource, list[Decided], list[tuple[int, int]]]:
        reader = call.may.reader.name
        if sent:
            cursor = cursors.read(view.sealer, sent, kind, reader, call.now)
            pairs, after = cursor.pairs, cursor.after
        else:
            pairs, after = call.pairs, None
        asked = understood(kind, pairs, call.base)
        access = service.access(view, call)
        runner = Search(access)
        try:
            if asked.only_count:
                total = runner.count(asked.query)
                empty = searchset(call.base, [], [], total=total, links=[])
                return empty, _of_patients(access, runner, asked, []), []
            page = runner.page(asked.query, after, counted=False if after is not None else asked.counted)
        except TooWide:
            raise too_wide() from None
        included = _brought(runner, call, asked, page.matches)
        for one in included:
            call.require("read", one.type)
        links = [("self", f"{call.base}/{kind}" + ("/_search" if posted else _again(call.pairs)))]
        if page.more:
            links.append(("next", _next(view, call, kind, pairs, page)))
        bundle = searchset(call.base, page.matches, included, total=page.total, links=links, elements=asked.elements)
        shown_ones = [*page.matches, *included]
        decided = _of_patients(access, runner, asked, shown_ones)
        return bundle, decided, fetched_by(access, shown_ones)

    bundle, decided, fetched = await service.journal.look(find)
    await service.noted(call, f"search {kind}", decided, fetched)
    return Answer(resource=bundle)


def _of_patients(access: Access, runner: Search, asked: Asked, found: Sequence[Found]) -> list[Decided]:
    """Give the decisions to keep about a search: of what it shows, and of patients of whom it shows nothing."""
    decided = decided_of(access, found, Action.READ)
    named = runner.patients_of(asked.query) or frozenset()
    silent = named - {one.patient for one in found}
    return decided + access.decisions(Action.READ, sorted(silent)[:20])


def _next(view: View, call: Call, kind: str, pairs: Sequence[tuple[str, str]], page: Page) -> str:
    last = page.matches[-1]
    ends = call.now + cursors.MINUTES * 60_000_000
    kept = tuple((name, value) for name, value in pairs if name != "_cursor")
    cursor = cursors.Cursor(kind, kept, (last.sort, last.id), call.may.reader.name, ends)
    return f"{call.base}/{kind}?_cursor={cursors.written(view.sealer, cursor)}"


def _again(pairs: Sequence[tuple[str, str]]) -> str:
    return f"?{urlencode(pairs)}" if pairs else ""


def _brought(runner: Search, call: Call, asked: Asked, matches: Sequence[Found]) -> list[Found]:
    """Bring along what the matches point at (`_include`) and what points at them (`_revinclude`), as far as seen."""
    known = {one.key: one for one in matches}
    brought: dict[str, Found] = {}
    fresh: Sequence[Found] = matches
    for round_ in range(ROUNDS):
        includes = [one for one in asked.includes if one.iterate or not round_]
        reverse = [one for one in asked.reverse if one.iterate or not round_]
        keys = [key for one in includes for found in fresh for key in _pointed(found, one, call.base)]
        found = runner.by_keys(key for key in dict.fromkeys(keys) if key not in known and key not in brought)
        for one in reverse:
            if one.parameter is None:
                raise Refused(400, "_revinclude names one reference: Type:parameter.")
            if fresh:
                found += runner.referring(one.type, one.parameter, fresh)
        fresh = [one for one in found if one.key not in known and one.key not in brought]
        brought.update({one.key: one for one in fresh})
        if len(brought) > MOST_INCLUDED:
            raise Refused(400, "A page would bring along more than 1,000 resources; ask for fewer with _count.")
        if not fresh or not any(one.iterate for one in (*asked.includes, *asked.reverse)):
            break
    return list(brought.values())


def _pointed(found: Found, include: Include, base: str) -> Iterable[str]:
    if include.type != found.type:
        return
    chosen: Iterable[Parameter] = (
        (include.parameter,)
        if include.parameter is not None
        else (one for one in parameters(found.type).values() if one.kind is Kind.REFERENCE and not is_hidden(one))
    )
    for parameter in chosen:
        for path in parameter.paths:
            for node in walk(found.resource, path):
                reference = said(node, "reference").removeprefix(f"{base}/")
                kind, slash, rest = reference.partition("/")
                if slash and not rest.startswith("_") and include.target in {"", kind}:
                    yield f"{kind}/{rest.partition('/')[0]}"


async def versions(service: Service, call: Call, kind: str, logical_id: str) -> Answer:
    """Give the history of a resource, newest first."""
    call.require("read", kind)
    asked = understood(kind, [pair for pair in call.pairs if pair[0] == "_count"])
    before = next((_number(value) for name, value in call.pairs if name == "_before"), None)

    def find(view: View) -> tuple[Resource | None, list[Decided]]:
        access = service.access(view, call)
        runner = Search(access)
        found = runner.one(kind, logical_id)
        if found is None:
            return None, refused_of(access, runner, kind, logical_id)
        those = runner.versions(found, before=before, count=asked.query.count + 1)
        links = [("self", f"{call.base}/{found.key}/_history")]
        if len(those) > asked.query.count:
            those = those[: asked.query.count]
            further = urlencode({"_count": asked.query.count, "_before": those[-1].version})
            links.append(("next", f"{call.base}/{found.key}/_history?{further}"))
        total = 1 if found.state else found.version
        return history(call.base, those, total=total, links=links), decided_of(access, [found], Action.READ)

    bundle, decided = await service.journal.look(find)
    await service.noted(call, f"history {kind}/{logical_id}", decided)
    if bundle is None:
        raise not_found(kind)
    return Answer(resource=bundle)


async def changes(service: Service, call: Call, kind: str) -> Answer:
    """Give the history of a type (`_since`, `_count`), newest first: every version of what may be seen."""
    call.require("read", kind)
    asked = understood(kind, [pair for pair in call.pairs if pair[0] in {"_count", "_since"}])
    sent = next((value for name, value in call.pairs if name == "_cursor"), "")

    def find(view: View) -> tuple[Resource, list[Decided]]:
        access = service.access(view, call)
        runner = Search(access)
        before: int | None = None
        query = asked.query
        pairs = tuple(pair for pair in call.pairs if pair[0] in {"_count", "_since"})
        if sent:
            cursor = cursors.read(view.sealer, sent, f"_history {kind}", call.may.reader.name, call.now)
            before, pairs = cursor.after[0], cursor.pairs
            query = understood(kind, pairs).query
        those = runner.type_versions(query, before)
        links = [("self", f"{call.base}/{kind}/_history")]
        if len(those) > query.count:
            those = those[: query.count]
            ends = call.now + cursors.MINUTES * 60_000_000
            again = cursors.Cursor(f"_history {kind}", pairs, (those[-1].at, 0), call.may.reader.name, ends)
            links.append(("next", f"{call.base}/{kind}/_history?_cursor={cursors.written(view.sealer, again)}"))
        return history(call.base, those, total=None, links=links), decided_of(access, those, Action.READ)

    bundle, decided = await service.journal.look(find)
    await service.noted(call, f"history {kind}", decided)
    return Answer(resource=bundle)
