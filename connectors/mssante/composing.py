"""Composes the reading notification of a received mail."""

from __future__ import annotations

from datetime import datetime

from schemas.finding import Finding


def compose_mdn(original: bytes, sender: str, rejection: Finding | None, now: datetime) -> bytes | None:
    """Interim."""
    return None
