"""The accounts of a proof: what senders were promised against what the receiver got."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

REPORT_ID = re.compile(rb"PROVE-(\d{4})-(\d{6})")
"""Finds the patient and the sequence number of a report in whatever carries it."""

Mark = tuple[int, int]
"""One message: its patient's number and its place in that patient's sequence, from 1 on."""


def report_id(mark: Mark) -> str:
    """Write the report id that `REPORT_ID` finds again."""
    return f"PROVE-{mark[0]:04d}-{mark[1]:06d}"


@dataclass(frozen=True, slots=True)
class Identity:
    """How a Bundle is recognised: its Idempotency-Key, and a digest of its bytes."""

    key: str
    digest: bytes


@dataclass(slots=True)
class Ledger:
    """Everything that was said on both sides, in order.

    `attempts` counts how often each message was sent, `acknowledged` holds those with a positive answer, `refused`
    those with a negative one. `arrivals` gives each message's first identity; `order` the sequence numbers of each
    patient by first arrival.
    """

    attempts: dict[Mark, int] = field(default_factory=dict)
    acknowledged: set[Mark] = field(default_factory=set)
    refused: dict[Mark, str] = field(default_factory=dict)
    arrivals: dict[Mark, Identity] = field(default_factory=dict)
    order: dict[int, list[int]] = field(default_factory=dict)
    duplicates: int = 0
    unrecognisable: int = 0

    def sending(self, mark: Mark) -> None:
        """Note one attempt."""
        self.attempts[mark] = self.attempts.get(mark, 0) + 1

    def acknowledge(self, mark: Mark) -> None:
        """Note a positive answer."""
        self.acknowledged.add(mark)

    def arrived(self, key: str, body: bytes) -> set[Mark]:
        """Note a Bundle, and give the messages in it; one that came before must come with the same identity."""
        identity = Identity(key, hashlib.blake2b(body, digest_size=16).digest())
        marks = {(int(patient), int(place)) for patient, place in REPORT_ID.findall(body)}
        for patient, place in marks:
            first = self.arrivals.setdefault((patient, place), identity)
            if first is identity:
                self.order.setdefault(patient, []).append(place)
                continue
            self.duplicates += 1
            if first != identity or not key:
                self.unrecognisable += 1
        return marks

    @property
    def resent(self) -> int:
        """How many attempts were resends."""
        return sum(self.attempts.values()) - len(self.attempts)

    @property
    def lost(self) -> list[Mark]:
        """What was acknowledged and never arrived."""
        return sorted(self.acknowledged - self.arrivals.keys())

    @property
    def never_sent(self) -> list[Mark]:
        """What arrived and was never sent: must be impossible."""
        return sorted(self.arrivals.keys() - self.attempts.keys())

    @property
    def out_of_order(self) -> list[int]:
        """The patients whose first arrivals are not in the order of sending."""
        return sorted(patient for patient, places in self.order.items() if not increasing(places))


def increasing(places: Iterable[int]) -> bool:
    """Say whether each place is greater than the one before."""
    last = 0
    for place in places:
        if place <= last:
            return False
        last = place
    return True
