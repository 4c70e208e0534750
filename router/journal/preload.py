"""Filling a journal with settled messages, to measure what its size costs. Used by `passerelle bench --preload`."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import func, select

from router.config.load import load
from router.journal import tables
from router.journal.operations import (
    BODY_PLACE,
    CONTENT_PLACE,
    PARCEL_PLACE,
    SUMMARY_PLACE,
)
from router.journal.store import Store, open_store
from router.journal.tables import DeliveryState, ItemState, MessageState

GROUP = 5000
"""Messages in one transaction."""

PACKED_BYTES = {"content": 620, "summary": 140, "body": 950, "parcel": 1250}
"""Sizes of the sealed columns of the bench's own messages, so that a filled journal weighs what a used one does."""


def preload(folder: Path, rows: int) -> None:
    """Append `rows` processed messages, each with one Item and one acknowledged Delivery, to a router's journal."""
    store = open_store(load(folder / "passerelle.toml").place)
    try:
        done = 0
        while done < rows:
            count = min(GROUP, rows - done)
            append_settled(store, count)
            done += count
    finally:
        store.close()


def append_settled(store: Store, count: int, *, tokens: int = 1) -> None:
    """Append settled messages in one transaction, each Item found by so many tokens."""
    each = tokens
    with store.writing() as connection:
        first = (connection.execute(select(func.max(tables.message.c.id))).scalar() or 0) + 1
        first_item = (connection.execute(select(func.max(tables.item.c.id))).scalar() or 0) + 1
        first_delivery = (connection.execute(select(func.max(tables.delivery.c.id))).scalar() or 0) + 1
        # One sealed value a column serves all rows: only its weight matters here.
        sealed = {
            name: store.sealer.seal(os.urandom(size), place)
            for (name, size), place in zip(
                PACKED_BYTES.items(), (CONTENT_PLACE, SUMMARY_PLACE, BODY_PLACE, PARCEL_PLACE), strict=True
            )
        }
        base = 1_700_000_000_000_000
        messages, contents, items, found_by, deliveries, parcels, attempts = [], [], [], [], [], [], []
        for rank in range(count):
            number, item, delivery = first + rank, first_item + rank, first_delivery + rank
            at = base + number * 1000
            lane = store.sealer.token("lane", str(number % 1000))
            messages.append(
                {
                    "id": number,
                    "received_at": at,
                    "source": "labo",
                    "state": MessageState.PROCESSED.value,
                    "control_id": f"PRELOAD{number}",
                    "message_type": "ORU^R01",
                    "format": "hl7v2",
                    "peer": "127.0.0.1",
                    "size": 1400,
                    "identity": os.urandom(16),
                    "processed_at": at + 10_000,
                }
            )
            contents.append({"message_id": number, "sealed_content": sealed["content"]})
            items.append(
                {
                    "id": item,
                    "message_id": number,
                    "ordinal": 0,
                    "item_key": f"preload{number}",
                    "kind": "lab_report",
                    "state": ItemState.ROUTED.value,
                    "patient_id": number % 1000 + 1,
                    "lane": lane,
                    "created_at": at,
                    "sealed_summary": sealed["summary"],
                    "sealed_body": sealed["body"],
                }
            )
            found_by += [
                {"token": store.sealer.token("value", f"PRELOAD{number}.{rank}" if rank else f"PRELOAD{number}")}
                | {"item_id": item}
                for rank in range(each)
            ]
            deliveries.append(
                {
                    "id": delivery,
                    "item_id": item,
                    "message_id": number,
                    "destination": "coordination",
                    "route": "preload",
                    "lane": lane,
                    "state": DeliveryState.ACKNOWLEDGED.value,
                    "identity": os.urandom(18).hex(),
                    "format": "fhir",
                    "media_type": "application/fhir+json",
                    "filename": "bundle.json",
                    "size": 9000,
                    "created_at": at,
                    "ended_at": at + 20_000,
                    "attempts": 1,
                }
            )
            parcels.append({"delivery_id": delivery, "sealed_content": sealed["parcel"]})
            attempts.append(
                {
                    "delivery_id": delivery,
                    "number": 1,
                    "started_at": at + 15_000,
                    "ended_at": at + 20_000,
                    "outcome": "acknowledged",
                    "detail": "",
                }
            )
        for table, rows in (
            (tables.message, messages),
            (tables.message_content, contents),
            (tables.item, items),
            (tables.item_token, found_by),
            (tables.delivery, deliveries),
            (tables.delivery_content, parcels),
            (tables.attempt, attempts),
        ):
            connection.execute(table.insert(), rows)
