"""A tool that receives notices of its subscriptions, and what it reads in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from mappings.fhir.check import check_with_fhirclient
from router.dossier.subscriptions.sending import Sent
from router.dossier.subscriptions.wanted import Wanted

ENDPOINT = "https://outil.example.org/crochet"


@dataclass
class Subscriber:
    """Receives notices, and answers what the test wants: statuses in turn, then 200."""

    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def send(self, wanted: Wanted, body: bytes, identity: str, now: datetime) -> Sent:
        if body:
            assert check_with_fhirclient(body) == ()
        self.got.append((identity, orjson.loads(body) if body else {}))
        status = self.statuses.pop(0) if self.statuses else 200
        return Sent(status < 300, f"HTTP {status}", gone=status == 410)

    async def close(self) -> None:
        return None

    @property
    def kinds(self) -> list[str]:
        """The types of the notices that came."""
        return [part(bundle, "type") for _, bundle in self.got]


def part(bundle: dict[str, Any], name: str) -> Any:
    """Give a parameter of a notice's status."""
    for one in bundle["entry"][0]["resource"]["parameter"]:
        if one["name"] == name:
            return next((value for key, value in one.items() if key.startswith("value")), one.get("part"))
    return None


def event(bundle: dict[str, Any]) -> dict[str, Any]:
    """Give the parts of the first event."""
    return {
        one["name"]: next(value for key, value in one.items() if key.startswith("value"))
        for one in part(bundle, "notification-event")
    }


def subscription(criteria: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "essai",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": ENDPOINT, "payload": "application/fhir+json"},
        **more,
    }
