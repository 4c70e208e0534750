"""Writing the configuration file: whole or not at all, the former kept beside it.

FileChanged              somebody changed the file since: nothing was written
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from router.config.versions import digest_of
from router.faults import Fault

STAGED, FORMER = ".new", ".former"


class FileChanged(Fault):
    """The file is no longer the one that was looked at."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path.name} was changed on disk since this draft was begun; nothing was written: look at what changed, "
            "and begin from the file as it is now"
        )


class StagedFile:
    """A new text that waits beside the file that it is to replace. Raises OSError when it cannot be written."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._staged = path.with_name(path.name + STAGED)
        _write(self._staged, text, path)

    def commit(self, base: str) -> None:
        """Put it in its place and keep the former text; raises FileChanged unless the file's digest is `base`."""
        former = read_text(self._path)
        if digest_of(former) != base:
            self.discard()
            raise FileChanged(self._path)
        kept = self._path.with_name(self._path.name + FORMER)
        beside = kept.with_name(kept.name + STAGED)
        _write(beside, former, self._path)
        beside.replace(kept)
        self._staged.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Take it away."""
        self._staged.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Read the file as it is, line ends included."""
    return path.read_bytes().decode("utf-8")


def tidy(path: Path) -> None:
    """Take away what a router that was killed left staged."""
    for name in (path.name + STAGED, path.name + FORMER + STAGED):
        with contextlib.suppress(OSError):
            path.with_name(name).unlink(missing_ok=True)


def _write(path: Path, text: str, like: Path) -> None:
    path.unlink(missing_ok=True)
    mode = like.stat().st_mode & 0o777
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(out.fileno(), mode)
        out.write(text.encode())
        out.flush()
        os.fsync(out.fileno())
