"""The Bundle of a notice (R5 subscriptions backport for R4): a history whose first entry is the SubscriptionStatus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from mappings.uuids import uuid5_text
from router.dossier.api.bundles import instant, shown
from router.dossier.store.drafts import name_id
from router.dossier.store.elements import Json, Resource
from router.dossier.store.searching import Found

_STATUS = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"
_NAMESPACE = bytes.fromhex("5061737365726c6c6580000000000001")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a subscription: its number, when, and the resource as its reader may see it now."""

    number: int
    at: int
    focus: Found


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription stands: its reference, topic, FHIR status, and how many events it had."""

    subscription: str
    topic: str
    state: str
    events: int
    error: str = ""


def notice(base: str, standing: Standing, kind: str, events: Sequence[Event], content: str, now: int) -> Resource:
    """Make a notice of a kind: handshake, heartbeat, event-notification, query-status or query-event."""
    entries: list[Json] = [_status(base, standing, kind, events, content)]
    if content == "full-resource":
        entries += [
            {
                "fullUrl": f"{base}/{one.focus.key}",
                "resource": shown(one.focus),
                "request": {"method": "POST" if one.focus.version == 1 else "PUT", "url": one.focus.key},
                "response": {"status": "200"},
            }
            for one in events
        ]
    bundle: Resource = {"resourceType": "Bundle", "type": "history", "timestamp": instant(now), "entry": entries}
    return bundle


def _status(base: str, standing: Standing, kind: str, events: Sequence[Event], content: str) -> Resource:
    parameters: list[Json] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/{standing.subscription}"}}
    ]
    if standing.topic:
        parameters.append({"name": "topic", "valueCanonical": standing.topic})
    parameters += [
        {"name": "status", "valueCode": standing.state},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(standing.events)},
    ]
    for one in events:
        parts: list[Json] = [
            {"name": "event-number", "valueString": str(one.number)},
            {"name": "timestamp", "valueInstant": instant(one.at)},
        ]
        if content != "empty":
            parts.append({"name": "focus", "valueReference": {"reference": f"{base}/{one.focus.key}"}})
        parameters.append({"name": "notification-event", "part": parts})
    if standing.error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": standing.error}})
    name = name_id("notice", standing.subscription, kind, ",".join(str(one.number) for one in events))
    resource: Resource = {
        "resourceType": "Parameters",
        "id": name,
        "meta": {"profile": [_STATUS]},
        "parameter": parameters,
    }
    entry: Resource = {"fullUrl": f"urn:uuid:{name}", "resource": resource}
    entry["request"] = {"method": "GET", "url": f"{standing.subscription}/$status"}
    entry["response"] = {"status": "200"}
    return entry


def identity(subscription: int, number: int) -> str:
    """Name a notice: the same at each attempt, so that a receiver recognises one that it has."""
    return uuid5_text(_NAMESPACE, f"{subscription}/{number}")


def written(bundle: Resource) -> bytes:
    """Write a notice."""
    return orjson.dumps(bundle)
