"""Bundles that the API answers: results of searches, histories."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime

from router.dossier.store.drafts import DELETED
from router.dossier.store.elements import Json, Resource
from router.dossier.store.searching import Found

_SUBSETTED: Resource = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset(
    {"resourceType", "id", "meta", "status", "subject", "content", "code", "class", "intent", "mode", "participant"}
    | {
        "scope",
        "category",
        "patient",
        "schedule",
        "start",
        "end",
        "actor",
        "contentType",
        "criteria",
        "channel",
        "reason",
    }
)
"""What is given whatever `_elements` says: without what is mandatory, a resource would be none."""


def instant(at: int) -> str:
    """Write a moment of the journal (microseconds) as a FHIR instant, to the microsecond."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000).isoformat()


def http_date(at: int) -> str:
    """Write a moment as a header."""
    return format_datetime(datetime.fromtimestamp(at // 1_000_000, UTC), usegmt=True)


def shown(found: Found, elements: frozenset[str] = frozenset()) -> Resource:
    """Give a resource as it is answered, with what the store says of it; of some elements only, marked as such."""
    resource = found.resource
    meta = resource.get("meta")
    marked: Resource = dict(meta) if isinstance(meta, dict) else {}
    # Whatever version a tool sent back with its change, the store says which one this is.
    marked |= {"versionId": str(found.version), "lastUpdated": instant(found.at)}
    if elements:
        resource = {name: value for name, value in resource.items() if name in elements | _ALWAYS}
        tags = marked.get("tag")
        marked["tag"] = [*(tags if isinstance(tags, list) else []), _SUBSETTED]
    return {"resourceType": found.type, "id": found.logical_id, **resource, "meta": marked}


def searchset(
    base: str,
    matches: Iterable[Found],
    included: Iterable[Found],
    *,
    total: int | None,
    links: Iterable[tuple[str, str]],
    elements: frozenset[str] = frozenset(),
) -> Resource:
    """Make the answer to a search."""
    entries: list[Json] = [
        {
            "fullUrl": f"{base}/{one.key}",
            "resource": shown(one, elements if mode == "match" else frozenset()),
            "search": {"mode": mode},
        }
        for mode, those in (("match", matches), ("include", included))
        for one in those
    ]
    return _bundle("searchset", entries, total, links)


def history(base: str, versions: Iterable[Found], *, total: int | None, links: Iterable[tuple[str, str]]) -> Resource:
    """Make a history, newest version first."""
    entries: list[Json] = []
    for one in versions:
        gone = one.state == DELETED
        method = "DELETE" if gone else "POST" if one.version == 1 else "PUT"
        entry: Resource = {
            "fullUrl": f"{base}/{one.key}",
            "request": {"method": method, "url": one.type if method == "POST" else one.key},
            "response": {
                "status": "204" if gone else "201" if one.version == 1 else "200",
                "etag": f'W/"{one.version}"',
                "lastModified": instant(one.at),
            },
        }
        if not gone:
            entry["resource"] = shown(one)
        entries.append(entry)
    return _bundle("history", entries, total, links)


def _bundle(kind: str, entries: list[Json], total: int | None, links: Iterable[tuple[str, str]]) -> Resource:
    bundle: Resource = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        bundle["total"] = total
    found: list[Json] = [{"relation": relation, "url": url} for relation, url in links]
    if found:
        bundle["link"] = found
    if entries:
        bundle["entry"] = entries
    return bundle
