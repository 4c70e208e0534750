"""Settings: one model a side, each field with the sentence that the configuration reference prints."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from connectors.contracts import Settings


class FanionSourceSettings(Settings):
    """Takes messages from a file of lines that a partner renames into place."""

    file: Path = Field(description="File to take; the partner writes it under another name, then renames it.")
    every: float = Field(5.0, gt=0, description="Seconds between two looks.")


class FanionDestinationSettings(Settings):
    """Appends each message to a file, as one line."""

    file: Path = Field(description="File to append to; its folder must exist.")
    concurrency: int = Field(1, ge=1, description="Messages handed over at the same time; their lines do not mix.")
