"""When a Delivery that did not arrive is tried again, and when it is given up."""

from __future__ import annotations

import random
from datetime import timedelta

from connectors.contracts import Retry
from router.config.model import RetrySection
from router.engine.lanes import Entry
from router.journal.tables import DeliveryState


def state_after(entry: Entry, outcome: Retry, retry: RetrySection, *, now: int, resumed_at: int) -> DeliveryState:
    """Say what becomes of it: a closed door is knocked at for hours, an open one so many times. Microseconds."""
    if not outcome.reached:
        age = timedelta(microseconds=now - max(entry.created_at, resumed_at))
        return DeliveryState.DEAD if age > timedelta(hours=retry.give_up_hours) else DeliveryState.RETRYING
    spent = entry.attempts - entry.attempts_before
    return DeliveryState.DEAD if spent >= retry.max_attempts else DeliveryState.RETRYING


def delay(entry: Entry, outcome: Retry, retry: RetrySection, *, closed: int, chance: random.Random) -> int:
    """Exponential back-off with jitter: between half of the step and the whole, in microseconds.

    `closed` is how often the destination's door was found closed.
    """
    if outcome.after is not None:
        return int(min(outcome.after, retry.max_delay) * 1_000_000)
    failures = closed if not outcome.reached else entry.attempts - entry.attempts_before - 1
    step = min(retry.max_delay, retry.first_delay * 2.0 ** min(failures, 40))
    return int(step * (0.5 + 0.5 * chance.random()) * 1_000_000)
