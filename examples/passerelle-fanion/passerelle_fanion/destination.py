"""Appends, and says what became of it."""

from __future__ import annotations

import asyncio
import errno
import os

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry, Services
from passerelle_fanion.codec import write_line
from passerelle_fanion.settings import FanionDestinationSettings


class FanionDestination:
    """A line is written whole and synced, or cut off again: `send` never leaves half of one."""

    def __init__(self, name: str, settings: FanionDestinationSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._health = services.health
        self._health.state = "ready"
        self._writing = asyncio.Lock()

    async def send(self, parcel: Parcel) -> Outcome:
        """Append once; a repetition is recognised by the identity in its line."""
        if parcel.attachments:
            return Refused("a line has no way to carry files beside the message")
        async with self._writing:
            outcome = await asyncio.to_thread(self._append, write_line(parcel))
        self._health.state = "degraded" if isinstance(outcome, Retry) else "ready"
        return outcome

    async def close(self) -> None:
        """Nothing is kept open."""

    def _append(self, line: bytes) -> Outcome:
        try:
            descriptor = os.open(self._settings.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        except OSError as failure:
            return _outcome_of(failure)
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        except OSError as failure:
            os.ftruncate(descriptor, size)
            return _outcome_of(failure)
        finally:
            os.close(descriptor)
        return Delivered("appended")


def _outcome_of(failure: OSError) -> Outcome:
    """Say what the system said, without the file's name."""
    reason = failure.strerror or type(failure).__name__
    if failure.errno == errno.EFBIG:
        return Refused(f"the message cannot be appended: {reason}")
    return Retry(f"the file cannot be written: {reason}", reached=False)
