"""Reading messages of the journal twice, as they are configured and as a draft would have it; nothing is kept or sent.

Both readings meet the same patients, at the same moment: what differs comes of the draft alone.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select

from router.config.load import Loaded
from router.engine.clock import moment
from router.engine.plan import plan_of
from router.engine.worker import RawMessage, Worker
from router.journal import tables
from router.journal.blobs import BlobStore
from router.journal.operations import CONTENT_PLACE, DETAIL_PLACE, PARCEL_DETAIL_PLACE, PARCEL_PLACE, REPORT_PLACE
from router.journal.prepared import PreparedDelivery, PreparedItem, PreparedMessage
from router.journal.readers import ReaderChoice
from router.journal.sealing import Sealer
from router.journal.store import Store
from router.whatif.differences import ItemSeen, Report, Seen, Sent

BATCH = 50


@dataclass(frozen=True, slots=True)
class Scope:
    """Which messages: the last so many, of one source or of all, received within a period (microseconds) or ever."""

    last: int = 500
    source: str = ""
    since: int | None = None
    until: int | None = None


def compare(
    store: Store,
    present: Loaded,
    draft: Loaded,
    scope: Scope,
    now: datetime,
    *,
    told: Callable[[int, int], None] = lambda _done, _of: None,
) -> Report:
    """Read the messages both ways and gather the differences; `told` of how many are done of how many."""
    numbers = list(_numbers(store, scope))
    master = store.sealer.master
    workers = [Worker(plan_of(loaded, master), store) for loaded in (present, draft)]
    sealer, report, blobs = store.sealer.clone(), Report(), store.blobs
    for start in range(0, len(numbers), BATCH):
        raws = load_raws(store, sealer, numbers[start : start + BATCH])
        sources = {raw.message_id: raw.source for raw in raws}
        before, after = (
            [seen(blobs, sealer, prepared, sources) for prepared in worker.process(raws, now)] for worker in workers
        )
        for one, other in zip(before, after, strict=True):
            report.add(one, other)
        told(start + len(raws), len(numbers))
    return report


def _numbers(store: Store, scope: Scope) -> Iterator[int]:
    column = tables.message.c
    wanted = select(column.id).order_by(column.id.desc()).limit(scope.last)
    if scope.source:
        wanted = wanted.where(column.source == scope.source)
    if scope.since is not None:
        wanted = wanted.where(column.received_at >= scope.since)
    if scope.until is not None:
        wanted = wanted.where(column.received_at < scope.until)
    with store.reading() as connection:
        yield from reversed(list(connection.execute(wanted).scalars()))


def load_raws(store: Store, sealer: Sealer, numbers: list[int]) -> list[RawMessage]:
    """Load messages as the journal has them."""
    column, content = tables.message.c, tables.message_content.c
    wanted = (
        select(tables.message, content.sealed_content, content.sealed_detail)
        .join(tables.message_content, content.message_id == column.id)
        .where(column.id.in_(numbers))
        .order_by(column.id)
    )
    with store.reading() as connection:
        return [_raw(sealer, row) for row in connection.execute(wanted)]


def with_mappings(raws: list[RawMessage], number: int) -> list[RawMessage]:
    """Have messages read with a version of the mappings."""
    return [replace(raw, mappings=number) for raw in raws]


def _raw(sealer: Sealer, row: Any) -> RawMessage:
    detail: dict[str, Any] = {}
    if row.sealed_detail is not None:
        detail = orjson.loads(sealer.open(row.sealed_detail, DETAIL_PLACE))
    return RawMessage(
        message_id=row.id,
        source=row.source,
        content=None if row.sealed_content is None else sealer.open(row.sealed_content, CONTENT_PLACE),
        blob=row.blob,
        control_id=row.control_id,
        message_type=row.message_type,
        received_at=moment(row.received_at),
        replays=row.replays,
        filename=detail.get("filename"),
        siblings={name: base64.b64decode(data) for name, data in detail.get("siblings", {}).items()},
        reader=ReaderChoice.of(detail),
    )


def seen(blobs: BlobStore, sealer: Sealer, prepared: PreparedMessage, sources: dict[int, str]) -> Seen:
    """Give what was made of a message in the form that is compared."""
    findings: tuple[str, ...] = ()
    if prepared.sealed_report is not None:
        report = orjson.loads(sealer.open(prepared.sealed_report, REPORT_PLACE))
        findings = tuple(one["code"] for one in report["findings"])
    return Seen(
        prepared.message_id,
        sources[prepared.message_id],
        prepared.state.value,
        findings,
        tuple(_item(blobs, sealer, item) for item in prepared.items),
    )


def _item(blobs: BlobStore, sealer: Sealer, item: PreparedItem) -> ItemSeen:
    sent: dict[str, Sent] = {}
    for delivery in item.deliveries:
        # One destination may have several recipients: each is compared with the one of its rank.
        rank = sum(name.partition("#")[0] == delivery.destination for name in sent)
        sent[f"{delivery.destination}#{rank + 1}" if rank else delivery.destination] = _sent(blobs, sealer, delivery)
    return ItemSeen(item.kind, item.state.value, item.reason or "", item.patient_id, sent)


def _sent(blobs: BlobStore, sealer: Sealer, delivery: PreparedDelivery) -> Sent:
    if delivery.detail is not None:
        return Sent(delivery.format, b"", refusal=delivery.detail)
    if delivery.blob is not None:
        content = blobs.get(delivery.blob)
    else:
        content = b"" if delivery.sealed_content is None else sealer.open(delivery.sealed_content, PARCEL_PLACE)
    files: dict[str, bytes] = {}
    if delivery.sealed_detail is not None:
        detail = orjson.loads(sealer.open(delivery.sealed_detail, PARCEL_DETAIL_PLACE))
        files = {name: base64.b64decode(data) for name, data in detail.get("attachments", {}).items()}
    return Sent(delivery.format, content, files)
