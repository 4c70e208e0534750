"""A tool that receives notices of its subscriptions, and what it reads in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from mappings.fhir.check import check_with_fhirclient
from router.config.model import AlertsSection
from router.dossier.circle_door import CircleDoor
from router.dossier.leaving.ordinary import Ordinary
from router.dossier.leaving.senders import NoticeSenders
from router.dossier.leaving.subscribed import ToTools
from router.dossier.subscriptions.notifying import Notifier
from router.dossier.subscriptions.sending import Sent
from router.dossier.subscriptions.wanted import Wanted
from router.journal import tables

ENDPOINT = "https://outil.example.org/crochet"
ADMISSIONS = "CommunicationRequest?event-type=ADM"

Rig = Any


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


@dataclass
class Alerted:
    """The rig with senders and a notifier, each taken a step at a time."""

    rig: Rig
    subscriber: Subscriber
    notifier: Notifier
    senders: NoticeSenders

    async def run(self) -> None:
        """Do what there is to do."""
        await self.rig.follow()
        for _ in range(20):
            busy = await self.senders.once()
            if not await self.notifier.once() and not busy:
                break

    async def subscribe(self, name: str, criteria: str, user: str, **more: Any) -> str:
        """Subscribe with a tool of that name on behalf of somebody; gives the subscription's id."""
        tool = self.rig.tool(name, user=user, **more)
        answer = await tool.call("POST", "Subscription", subscription(criteria))
        assert answer.status == 201, answer.text
        await self.run()
        return str(answer.json()["id"])

    @property
    def told(self) -> list[tuple[str, str]]:
        """The notices' subscriptions and resources, in the order in which they came."""
        found = []
        for _, bundle in self.subscriber.got:
            parts = bundle["entry"][0]["resource"]["parameter"]
            if any(one.get("valueCode") == "event-notification" for one in parts):
                whose = parts[0]["valueReference"]["reference"].rpartition("/")[2]
                found.append((whose, event(bundle)["focus"]["reference"].removeprefix("https://hub.example/fhir/")))
        return found

    def ends(self) -> dict[int, tuple[str, str]]:
        """The state and detail of each notice, by its member."""
        return {row.member_id: (row.state, row.detail) for row in self.rig.rows(tables.alert_notice)}


def alerted_over(rig: Rig) -> Alerted:
    """Give senders and a notifier over a rig."""
    subscriber, store, door = Subscriber(), rig.scene.journal.store, CircleDoor()
    journal = rig.scene.journal
    notifier = Notifier(store, journal, door, subscriber, rig.moment, lambda _: None, base="https://hub.example/fhir")
    senders = NoticeSenders(
        store, journal, ToTools(door, store.blobs, on=True), Ordinary(AlertsSection()), rig.moment, lambda _: None
    )
    return Alerted(rig, subscriber, notifier, senders)
