"""Large contents on their way to disk: written as they arrive, synced before they are handed over, never held whole."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

APART = 64 * 1024
"""Contents longer than this may be stored apart by the inbox, which takes longer than committing a small one: where
order matters, nothing is submitted behind one of them before its receipt."""


class SpoolFile:
    """A file that `Inbox.spool` named. Each call blocks a thread, never the event loop; OSError comes through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._file: BinaryIO | None = None

    async def write(self, data: bytes) -> None:
        """Append; the file is made by the first call, readable by us alone."""
        await asyncio.to_thread(self._write, data)
        self.size += len(data)

    async def commit(self) -> Path:
        """Sync to stable storage and close; the path is then ready for an Inbound."""
        await asyncio.to_thread(self._commit)
        return self.path

    async def discard(self) -> None:
        """Close and remove whatever was written."""
        await asyncio.to_thread(self._discard)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = open_new(self.path)
        self._file.write(data)

    def _commit(self) -> None:
        if self._file is None:
            self._file = open_new(self.path)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _discard(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                # What could not be flushed (disk full) is being thrown away: only the descriptor matters, and it is
                # released even when close reports the failed flush.
                self._file = None
        self.path.unlink(missing_ok=True)


def open_new(path: Path, mode: int = 0o600) -> BinaryIO:
    """Create a file that must not exist, and open it for writing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    return os.fdopen(descriptor, "wb")


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system knows how to."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
