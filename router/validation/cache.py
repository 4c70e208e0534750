"""Stylesheets made from schematrons, kept on disk: what was made from the same files is not made again.

A stylesheet is a program that Saxon runs, so the folder must be the user's own and writable by nobody else; one that is
not is left alone, and stylesheets are then made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

GENERATION = "2"
"""Goes into every key: raise it when the stylesheets are written differently."""


def default_cache() -> Path:
    """Give the user's cache folder for stylesheets (XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "passerelle" / "validation"


def fingerprint(root: Path, files: Iterable[Path]) -> str:
    """Digest the names and contents of the files that a package's stylesheets are made from."""
    digest = hashlib.blake2b(f"{GENERATION}\0{root}\0".encode(), digest_size=20)
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


class StylesheetCache:
    """A folder of stylesheets by key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder if _own(folder) else None

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Give the stylesheet of a key, made and kept when it is not there."""
        if self._folder is None:
            return make()
        place = self._folder / f"{key}.xsl"
        # No file, or one that cannot be read: it is made again.
        with contextlib.suppress(OSError):
            return place.read_bytes()
        content = make()
        _keep(place, content)
        return content


def _keep(place: Path, content: bytes) -> None:
    """Write it whole under its name, or not at all: another process may be reading."""
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=".")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(place)
    except OSError:
        # A full or read-only disk costs the time of making it again, nothing else.
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _own(folder: Path) -> bool:
    """Make the folder, private; say whether it is this user's and writable by nobody else."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        return False
    return os.name != "posix" or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)
