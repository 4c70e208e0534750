"""Trying a message: read, matched, routed and written as any other would be, and nothing of it kept or sent.

AttemptFailed            no worker survived it: one sentence
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from router.engine.plan import Plan, RoutePlan, SourcePlan
from router.engine.worker import RawMessage, Worker
from router.faults import Fault
from router.journal.blobs import BlobStore
from router.journal.operations import BODY_PLACE, PARCEL_DETAIL_PLACE, PARCEL_PLACE, REPORT_PLACE
from router.journal.prepared import PreparedDelivery, PreparedItem, PreparedMessage
from router.journal.sealing import Sealer
from router.journal.store import Store
from schemas.finding import Finding


class AttemptFailed(Fault):
    """No worker survived the message."""


@dataclass(frozen=True, slots=True)
class RouteVerdict:
    """What a route said: it takes the Item or not, `verdict` None when it was not asked or failed; `why` says which.

    `why` is `source` (it looks at other sources), `unattached` (it wants a patient who is known), `condition` (its
    condition failed, `detail` says how), or empty.
    """

    name: str
    when: str
    to: tuple[str, ...]
    verdict: bool | None
    why: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AttemptedDelivery:
    """What would be sent to one destination; `detail` says why it could not be, or would wait."""

    destination: str
    route: str
    format: str
    media_type: str
    filename: str
    content: bytes
    files: tuple[tuple[str, int], ...]
    state: str
    detail: str
    recipient: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class AttemptedItem:
    """One Item that the message says; `body` is its canonical JSON, `patient_id` the known person whose it is."""

    kind: str
    state: str
    reason: str
    patient_id: int | None
    body: bytes
    routes: tuple[RouteVerdict, ...]
    deliveries: tuple[AttemptedDelivery, ...]


@dataclass(frozen=True, slots=True)
class Attempted:
    """What would be made of a message. `unread` are parts that no mapping used: where, and the text."""

    format: str | None
    charset: str | None
    state: str
    findings: tuple[Finding, ...]
    unread: tuple[tuple[str, str], ...]
    items: tuple[AttemptedItem, ...]


class PassingBlobs(BlobStore):
    """Blobs that are kept in memory only, over those that the journal has."""

    def __init__(self, root: Path, sealer: Sealer, beneath: BlobStore) -> None:
        super().__init__(root / "blobs", root / "spool", sealer)
        self._beneath = beneath
        self._passing: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        """Keep bytes for as long as this lives."""
        name = self.name_of(hashlib.sha256(content).digest())
        self._passing[name] = content
        return name

    def stream(self, name: str) -> Iterator[bytes]:
        """Give a content, the journal's when it is none of ours."""
        if name in self._passing:
            yield self._passing[name]
        else:
            yield from self._beneath.stream(name)


def attempt(
    plan: Plan, store: Store, raw: RawMessage, format_name: str | None, charset: str | None, now: datetime
) -> Attempted:
    """Try one message; `format_name` and `charset` stand in the place of what its source says."""
    source = plan.sources.get(raw.source, SourcePlan(None, None, {}))
    chosen = replace(source, format=format_name or source.format, charset=charset or source.charset)
    tried = replace(plan, sources={**plan.sources, raw.source: chosen})
    passing = Store(store.place, store.engine, store.sealer.clone())
    passing.blobs = PassingBlobs(store.place.data, store.sealer.clone(), store.blobs)
    prepared = Worker(tried, passing).process([raw], now)[0]
    return _Opening(passing, tried).message(prepared, raw)


@dataclass(frozen=True, slots=True)
class _Opening:
    store: Store
    plan: Plan

    def message(self, prepared: PreparedMessage, raw: RawMessage) -> Attempted:
        report: dict[str, Any] = {"findings": [], "unread": [], "charset": None}
        if prepared.sealed_report is not None:
            report |= orjson.loads(self.store.sealer.open(prepared.sealed_report, REPORT_PLACE))
        return Attempted(
            prepared.format,
            report["charset"],
            prepared.state.value,
            tuple(Finding.model_validate(one) for one in report["findings"]),
            tuple((where, text) for where, text in report["unread"]),
            tuple(self.item(item, raw) for item in prepared.items),
        )

    def item(self, item: PreparedItem, raw: RawMessage) -> AttemptedItem:
        verdicts: dict[str, bool | str] = orjson.loads(item.routes) if item.routes else {}
        return AttemptedItem(
            item.kind,
            item.state.value,
            item.reason or "",
            item.patient_id,
            self.store.sealer.open(item.sealed_body, BODY_PLACE),
            tuple(_verdict(route, verdicts, raw.source) for route in self.plan.routes),
            tuple(self.delivery(one) for one in item.deliveries),
        )

    def delivery(self, delivery: PreparedDelivery) -> AttemptedDelivery:
        sealer = self.store.sealer
        content = b""
        if delivery.blob is not None:
            content = self.store.blobs.get(delivery.blob)
        elif delivery.sealed_content is not None:
            content = sealer.open(delivery.sealed_content, PARCEL_PLACE)
        detail: dict[str, Any] = {}
        if delivery.sealed_detail is not None:
            detail = orjson.loads(sealer.open(delivery.sealed_detail, PARCEL_DETAIL_PLACE))
        files = {name: len(base64.b64decode(data)) for name, data in detail.get("attachments", {}).items()}
        return AttemptedDelivery(
            delivery.destination,
            delivery.route,
            delivery.format,
            delivery.media_type,
            delivery.filename,
            content,
            tuple(files.items()),
            delivery.state.value,
            delivery.detail or "",
            delivery.recipient,
            tuple(Finding.model_validate(one) for one in detail.get("findings", ())),
        )


def _verdict(route: RoutePlan, verdicts: dict[str, bool | str], source: str) -> RouteVerdict:
    said = verdicts.get(route.name)
    if isinstance(said, bool):
        return RouteVerdict(route.name, route.when, route.to, said)
    if said is not None:
        return RouteVerdict(route.name, route.when, route.to, None, "condition", said)
    why = "source" if route.sources and source not in route.sources else "unattached"
    return RouteVerdict(route.name, route.when, route.to, None, why)
