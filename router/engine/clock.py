"""Time as the journal counts it: microseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Give the present, with its zone."""
    return datetime.now(UTC)


def micros(at: datetime) -> int:
    """Turn an aware datetime into microseconds since the epoch."""
    return int(at.timestamp() * 1_000_000)


def moment(at: int) -> datetime:
    """Turn microseconds since the epoch into an aware datetime (UTC)."""
    return datetime.fromtimestamp(at / 1_000_000, UTC)
