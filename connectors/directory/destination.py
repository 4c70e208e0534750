"""Writes Parcels as files."""

from __future__ import annotations

import asyncio
import errno
from hashlib import sha256
from pathlib import Path

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry, Services
from connectors.directory.codec import safe_name, target_name, with_suffix
from connectors.directory.filing import publish
from connectors.directory.settings import DirectoryDestinationSettings

FULL = (errno.ENOSPC, errno.EDQUOT)
NEVER = (errno.ENAMETOOLONG, errno.EFBIG)


class DirectoryDestination:
    """A file appears whole under its name, or not at all, and never in place of another.

    The same Parcel written twice finds its own bytes and is delivered once. Another content under a name that is taken
    gets a name of its own, made of the Delivery's identity.
    """

    def __init__(self, name: str, settings: DirectoryDestinationSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._mode = int(settings.file_mode, 8)
        self._health = services.health
        self._health.state = "ready"

    async def send(self, parcel: Parcel) -> Outcome:
        """Write the attachments, then the file, then its marker."""
        outcome = await asyncio.to_thread(self._write, parcel)
        if isinstance(outcome, Retry):
            self._health.state, self._health.detail = "degraded", outcome.detail
        else:
            self._health.state, self._health.detail = "ready", ""
        return outcome

    async def close(self) -> None:
        """Nothing is kept open."""

    def _write(self, parcel: Parcel) -> Outcome:
        folder = self._settings.folder
        temporary = folder / f".passerelle-{parcel.delivery_id}.part"
        try:
            if not folder.is_dir():
                return Retry("the folder is not there", reached=False)
            for name, content in parcel.attachments.items():
                if safe_name(name) != name:
                    return Refused("an attachment has a name that is not safe to write")
                if not self._put(content, temporary, folder / name):
                    return Retry("a file of the name of an attachment is there with another content")
            target = self._free_name(parcel, temporary)
            if target is None:
                return Retry("every name for this file is taken by another content")
            if self._settings.ready_suffix is not None:
                self._put(b"", temporary, target.with_name(target.name + self._settings.ready_suffix))
        except OSError as failure:
            return _outcome_of(failure)
        return Delivered(f"written, {len(parcel.content)} bytes")

    def _free_name(self, parcel: Parcel, temporary: Path) -> Path | None:
        """Write under the wanted name or, when it holds something else, under one made of the identity."""
        wanted = target_name(self._settings.filename, parcel)
        mark = sha256(parcel.identity.encode()).hexdigest()[:12]
        for name in (wanted, with_suffix(wanted, mark)):
            target = self._settings.folder / name
            if self._put(parcel.content, temporary, target):
                return target
        return None

    def _put(self, content: bytes, temporary: Path, target: Path) -> bool:
        """Write a file unless its name holds another content; True when it stands there with these bytes."""
        try:
            publish(content, temporary, target, self._mode)
        except FileExistsError:
            return _holds(target, content)
        return True


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False


def _outcome_of(failure: OSError) -> Outcome:
    """Say what the file system said, never of which file."""
    reason = failure.strerror or type(failure).__name__
    if failure.errno in NEVER:
        return Refused(f"the file cannot be written: {reason}")
    if failure.errno in FULL:
        return Retry(f"the disk is full: {reason}", reached=False)
    return Retry(f"the folder cannot be written: {reason}", reached=False)
