"""When the journal last took a write that was made to see whether it does."""

from __future__ import annotations

from dataclasses import dataclass

PROBED_SECONDS = 5
"""A write that succeeded is believed for so long: who probes often must not load the journal."""


@dataclass(slots=True)
class Probe:
    """`at` is microseconds."""

    at: int = -PROBED_SECONDS * 1_000_000
