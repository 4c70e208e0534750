"""The messages that Passerelle reads: message type and trigger event, and what they become.

The French set is that of IHE PAM France 2.11 (`data/triggers.csv`). The events Z80 to Z98 of older French editions are
taken as movements whose action ZBE-4 names.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from schemas.item import ItemKind
from schemas.stay import StayStatus


class Trigger(NamedTuple):
    """One trigger event: its message structure (2.5), the kind of Item it becomes, its canonical event and status."""

    message: str
    trigger: str
    structure: str
    kind: ItemKind
    event: str
    status: StayStatus
    meaning: str


@cache
def triggers() -> dict[tuple[str, str], Trigger]:
    """Give the table, by (message type, trigger)."""
    text = (files("mappings.hl7v2") / "data" / "triggers.csv").read_text(encoding="utf-8")
    return {
        (row["message"], row["trigger"]): Trigger(
            row["message"],
            row["trigger"],
            row["structure"],
            ItemKind(row["kind"]),
            row["event"],
            StayStatus(row["status"] or "unknown"),
            row["meaning"],
        )
        for row in csv.DictReader(text.splitlines(), delimiter=";")
    }


@cache
def message_types() -> frozenset[str]:
    """Give the message types of the table (`ORU`, `MDM`, `ADT`)."""
    return frozenset(message for message, _ in triggers())


def trigger_of(message: str, event: str) -> Trigger | None:
    """Look up one trigger. An ORU without an event is read as R01; anything that is not in the table is None."""
    if message == "ORU" and not event:
        event = "R01"
    return triggers().get((message, event))
