"""A Subscription resource, understood: what is asked for, where notices go, and in which form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from router.dossier.api.outcomes import Refused
from router.dossier.api.queries import understood
from router.dossier.store.elements import Resource, child, children, said, span
from router.dossier.store.parameters import OF_NOBODY, TYPES
from router.dossier.store.searching import Query
from router.dossier.subscriptions.addresses import AddressPolicy, Forbidden
from schemas.habilitation import DataCategory

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
SECRET = "https://passerelle.example/fhir/StructureDefinition/webhook-secret"  # noqa: S105 - a URL
TOPIC = "https://passerelle.example/topic/"

TOPICS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    TOPIC + "dossier-event": (("CommunicationRequest", "Encounter"), frozenset({DataCategory.EVENTS.value})),
    TOPIC + "document-available": (
        ("DocumentReference",),
        frozenset(one.value for one in DataCategory if one is not DataCategory.NOTES),
    ),
    TOPIC + "note-available": (
        ("DocumentReference", "Communication"),
        frozenset({DataCategory.NOTES.value}),
    ),
    TOPIC + "lab-report-available": (("DiagnosticReport",), frozenset({DataCategory.LAB.value})),
}
"""What a topic is about: types, and the categories among them."""

CONTENTS = ("empty", "id-only", "full-resource")
LEAST_SECRET = 16
SHORTEST_HEARTBEAT = 60
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9\-]{0,60}):[ \t]*([\x20-\x7e]{1,600})", re.ASCII)
_OURS = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "cookie", "te"}
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tool asked to be told, and how. `content` is one of CONTENTS, `payload` False for an empty body."""

    endpoint: str
    headers: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str], ...]
    types: tuple[str, ...]
    categories: frozenset[str] | None
    topic: str
    payload: bool
    content: str
    heartbeat: int | None
    ends_at: int | None
    secret: str = field(default="", repr=False)
    users: tuple[tuple[str, str], ...] = ()

    def queries(self) -> dict[str, Query]:
        """Give the search that a resource of each type must meet."""
        return {kind: understood(kind, self.pairs).query for kind in self.types}

    def dumped(self) -> bytes:
        """Write it for the journal."""
        return orjson.dumps(
            [
                self.endpoint,
                self.headers,
                self.pairs,
                self.types,
                None if self.categories is None else sorted(self.categories),
                self.topic,
                self.payload,
                self.content,
                self.heartbeat,
                self.ends_at,
                self.secret,
                self.users,
            ]
        )


def loaded_wanted(content: bytes) -> Wanted:
    """Read it back."""
    found: list[Any] = orjson.loads(content)
    return Wanted(
        endpoint=found[0],
        headers=tuple((name, value) for name, value in found[1]),
        pairs=tuple((name, value) for name, value in found[2]),
        types=tuple(found[3]),
        categories=None if found[4] is None else frozenset(found[4]),
        topic=found[5],
        payload=found[6],
        content=found[7],
        heartbeat=found[8],
        ends_at=found[9],
        secret=found[10],
        users=tuple((system, value) for system, value in found[11]),
    )


def wanted(resource: Resource, policy: AddressPolicy) -> Wanted:
    """Understand a Subscription. Raises Refused (422) with the place."""
    channel = child(resource, "channel") or {}
    if said(channel, "type") != "rest-hook":
        raise _wrong("Notices go to a rest-hook.", "Subscription.channel.type")
    endpoint = said(channel, "endpoint")
    try:
        policy.check(endpoint)
    except Forbidden as refused:
        raise _wrong(str(refused), "Subscription.channel.endpoint") from None
    payload = said(channel, "payload")
    if payload not in {"", "application/fhir+json", "application/json"}:
        raise _wrong("The payload is application/fhir+json, or left out.", "Subscription.channel.payload")
    types, pairs, categories, topic = _asked(resource)
    content = _content(child(channel, "_payload"))
    heartbeat = _heartbeat(channel)
    end = said(resource, "end")
    ends = span(end) if end else None
    if end and ends is None:
        raise _wrong("This is not a moment.", "Subscription.end")
    secret = next(
        (said(one, "valueString") for one in children(resource, "extension") if said(one, "url") == SECRET), ""
    )
    if secret and len(secret) < LEAST_SECRET:
        raise _wrong(f"The secret has {LEAST_SECRET} characters at least.", "Subscription.extension")
    found = Wanted(
        endpoint,
        _headers(channel),
        pairs,
        types,
        categories,
        topic,
        bool(payload) or bool(topic),
        content if payload or topic else "empty",
        heartbeat,
        None if ends is None else ends[1],
        secret,
    )
    found.queries()
    return found


def _wrong(sentence: str, *where: str) -> Refused:
    return Refused(422, sentence, where=where, code="business-rule")


def _asked(
    resource: Resource,
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], frozenset[str] | None, str]:
    criteria = said(resource, "criteria")
    if "/" in criteria.partition("?")[0]:
        known = TOPICS.get(criteria)
        if known is None:
            raise _wrong(f"The topics are {', '.join(TOPICS)}.", "Subscription.criteria")
        filters = [
            said(one, "valueString")
            for one in children(child(resource, "_criteria"), "extension")
            if said(one, "url") == BACKPORT + "filter-criteria"
        ]
        pairs = [pair for one in filters for pair in _pairs(one.rpartition("?")[2])]
        return known[0], tuple(pairs), known[1], criteria
    kind, _, query = criteria.partition("?")
    if kind not in TYPES or kind in OF_NOBODY or kind == "Binary":
        raise _wrong(
            "The criteria are a search in a type of this server that is about patients.", "Subscription.criteria"
        )
    return (kind,), tuple(_pairs(query)), None, ""


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    if any(name.startswith("_") and name != "_id" for name, _ in pairs):
        raise _wrong("Criteria are search parameters of the type.", "Subscription.criteria")
    return pairs


def _content(payload: Resource | None) -> str:
    for one in children(payload, "extension"):
        if said(one, "url") == BACKPORT + "payload-content":
            content = said(one, "valueCode")
            if content not in CONTENTS:
                raise _wrong(f"The content is {', '.join(CONTENTS)}.", "Subscription.channel._payload")
            return content
    return "id-only"


def _heartbeat(channel: Resource) -> int | None:
    for one in children(channel, "extension"):
        if said(one, "url") == BACKPORT + "heartbeat-period":
            seconds = one.get("valueUnsignedInt")
            if not isinstance(seconds, int) or not SHORTEST_HEARTBEAT <= seconds <= 86_400:
                raise _wrong(f"A heartbeat comes every {SHORTEST_HEARTBEAT} s to 86,400 s.", "Subscription.channel")
            return seconds
    return None


def _headers(channel: Resource) -> tuple[tuple[str, str], ...]:
    given = channel.get("header")
    headers: list[tuple[str, str]] = []
    for rank, line in enumerate(given if isinstance(given, list) else []):
        found = _HEADER.fullmatch(line) if isinstance(line, str) else None
        if found is None or found[1].lower() in _OURS or found[1].lower().startswith("x-passerelle"):
            raise _wrong("This is not a header that may be sent.", f"Subscription.channel.header[{rank}]")
        headers.append((found[1], found[2]))
    if len(headers) > 20:
        raise _wrong("A subscription has 20 headers at most.", "Subscription.channel.header")
    return tuple(headers)
