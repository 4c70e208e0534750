"""The blob store: large contents outside the tables, encrypted, content-addressed, streamed both ways.

A blob's name is a keyed digest of its plain bytes, so equal contents share one file and the name reveals nothing. The
file is a sequence of chunks of at most 1 MiB, each sealed with AES-GCM and bound to its blob's salt, its rank and
whether it is the last: a truncated or reordered file does not open. It is written under a temporary name, synced,
renamed and its folder synced before its name may be committed to the journal.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from router.journal.sealing import NUMBER_BYTES, KeyFault, Sealer

CHUNK = 1024 * 1024
"""Plain bytes per chunk."""

LARGE = 256 * 1024
"""Contents above this many bytes go to the blob store instead of a table."""

SALT_BYTES = 16

SWEEP_AGE = 3600.0
"""Seconds before an unreferenced file may be swept: younger ones may be about to be committed."""


class BlobStore:
    """Blobs under `root`, spool files under `spool`. Names are 32 hex digits; they never come from a message."""

    def __init__(self, root: Path, spool: Path, sealer: Sealer) -> None:
        self._root = root
        self._spool = spool
        self._sealer = sealer

    def spool(self) -> Path:
        """Name a fresh spool file (not created) for content that is still arriving."""
        self._spool.mkdir(parents=True, exist_ok=True)
        return self._spool / f"{secrets.token_hex(12)}.spool"

    def put(self, content: bytes) -> str:
        """Store bytes; returns the name once they are durable."""
        return self._write(memoryview(content)[at : at + CHUNK] for at in range(0, len(content) or 1, CHUNK))

    def adopt(self, path: Path) -> str:
        """Store a spool file's content and remove the file; returns the name once the blob is durable."""
        with path.open("rb") as handle:
            name = self._write(iter(lambda: handle.read(CHUNK), b""))
        path.unlink(missing_ok=True)
        return name

    def _write(self, chunks: Iterator[bytes | memoryview]) -> str:
        self._root.mkdir(parents=True, exist_ok=True)
        temporary = self._root / f".{secrets.token_hex(12)}.tmp"
        # The name depends on the whole content, so it cannot be in the seals: a random salt stands for it.
        salt = os.urandom(SALT_BYTES)
        sealer = self._sealer.clone()  # several threads store at once; a Sealer serves one
        digest = hashlib.sha256()
        try:
            with temporary.open("xb") as out:
                temporary.chmod(0o600)
                out.write(salt)
                held: bytes | memoryview = b""
                rank = 0
                for chunk in chunks:
                    if rank or len(held):
                        _append(out, sealer, held, salt, rank, last=False)
                        rank += 1
                    digest.update(chunk)
                    held = chunk
                _append(out, sealer, held, salt, rank, last=True)
                out.flush()
                os.fsync(out.fileno())
            name = self.name_of(digest.digest())
            target = self._path(name)
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        for folder in (target.parent, self._root):
            _sync(folder)
        return name

    def name_of(self, sha256: bytes) -> str:
        """Give the name under which a content with this SHA-256 is stored."""
        return self._sealer.digest(b"blob", sha256).hex()

    def stream(self, name: str) -> Iterator[bytes]:
        """Give a blob's content chunk by chunk. Raises FileNotFoundError, or KeyFault when it was damaged."""
        sealer = self._sealer.clone()
        with self._path(name).open("rb") as handle:
            salt = handle.read(SALT_BYTES)
            rank = 0
            while True:
                head = handle.read(5)
                if len(head) < 5:
                    raise KeyFault("a stored content is cut short: restore it from a backup")
                last = head[4:] == b"\x01"
                yield sealer.open(handle.read(int.from_bytes(head[:4], "big")), place_of(salt, rank, last=last))
                if last:
                    return
                rank += 1

    def get(self, name: str) -> bytes:
        """Give a blob's whole content."""
        return b"".join(self.stream(name))

    def is_there(self, name: str) -> bool:
        """Whether a content is stored."""
        return self._path(name).is_file()

    def names(self, after: str, limit: int) -> list[str]:
        """Give the names of stored contents that follow one, in their order; an empty one is before all."""
        found: list[str] = []
        for folder in sorted(path for path in self._root.glob("??") if path.name >= after[:2]):
            found += sorted(path.name for path in folder.iterdir() if path.name > after and len(path.name) == 32)
            if len(found) >= limit:
                break
        return found[:limit]

    def reseal(self, name: str, *, only_look: bool = False) -> bool:
        """Write a content anew, under its name, when an older key sealed it; whoever reads it meanwhile goes on.

        Gives whether an older one did; with `only_look` it stays as it is.

        Raises FileNotFoundError when it is gone, KeyFault when it does not open.
        """
        with self._path(name).open("rb") as handle:
            handle.seek(SALT_BYTES + 5)
            if self._sealer.is_newest(handle.read(1 + NUMBER_BYTES)):
                return False
        if not only_look and self._write(self.stream(name)) != name:
            raise KeyFault("a stored content is not what its name says: restore it from a backup")
        return True

    def sweep(self, used: set[str], *, now: float | None = None) -> int:
        """Remove blobs that no row names, and spool or temporary files left by a crash; returns how many went."""
        limit = (time.time() if now is None else now) - SWEEP_AGE
        files = (path for path in self._root.glob("*/*") if path.name not in used)
        return _remove((*files, *self._root.glob(".*.tmp")), limit) + self.sweep_spool(now=now)

    def sweep_spool(self, *, now: float | None = None) -> int:
        """Remove spool files left by a crash; returns how many went."""
        limit = (time.time() if now is None else now) - SWEEP_AGE
        return _remove(self._spool.glob("*.spool"), limit)

    def _path(self, name: str) -> Path:
        if len(name) != 32 or not set(name) <= set("0123456789abcdef"):
            raise FileNotFoundError("not the name of a stored content")
        return self._root / name[:2] / name


def _append(out: BinaryIO, sealer: Sealer, chunk: bytes | memoryview, salt: bytes, rank: int, *, last: bool) -> None:
    sealed = sealer.seal(bytes(chunk), place_of(salt, rank, last=last))
    out.write(len(sealed).to_bytes(4, "big") + (b"\x01" if last else b"\x00") + sealed)


def place_of(salt: bytes, rank: int, *, last: bool) -> bytes:
    """Give what a chunk's seal is bound to."""
    return b"blob" + salt + rank.to_bytes(8, "big") + (b"\x01" if last else b"\x00")


def _remove(paths: Iterable[Path], limit: float) -> int:
    gone = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < limit:
                path.unlink()
                gone += 1
    return gone


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
