"""What a back-up says of itself: its files with their digests, and what the journal held at that moment.

The manifest is written last: a folder without one is no back-up, whatever stopped it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from router.faults import Fault

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK = 1024 * 1024


class BackupFault(Fault):
    """The back-up cannot be made, read or restored: one sentence, what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a back-up: its path in it, its bytes, its SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`made_at` is ISO 8601 UTC; `engine` is `sqlite` or `postgresql`; `revision` is the tables' (Alembic).

    `key_id` names the master key without telling it. `audit_head` is what `passerelle audit verify` prints.
    `messages`, `deliveries` and `waiting` (those that have not ended) count what the journal held.
    """

    format: int
    version: str
    made_at: str
    engine: str
    revision: str
    key_id: str
    audit_head: str
    messages: int
    deliveries: int
    waiting: int
    files: tuple[Kept, ...]


def digest_of(path: Path) -> Kept:
    """Give a file's size and digest; its path is its name."""
    found, size = hashlib.sha256(), 0
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            found.update(chunk)
            size += len(chunk)
    return Kept(path.name, size, found.hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all."""
    temporary = folder / f".{MANIFEST}.tmp"
    temporary.write_bytes(orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2))
    temporary.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Read it. Raises BackupFault when the folder is no (whole) back-up, or one of a later version."""
    try:
        told: dict[str, Any] = orjson.loads((folder / MANIFEST).read_bytes())
        files = tuple(Kept(**one) for one in told.pop("files"))
        manifest = Manifest(files=files, **told)
    except FileNotFoundError:
        raise BackupFault(f"{folder} holds no whole back-up: there is no {MANIFEST} in it") from None
    except (ValueError, TypeError, KeyError):
        raise BackupFault(f"{folder / MANIFEST} cannot be read; take another back-up") from None
    if manifest.format != FORMAT:
        raise BackupFault(f"the back-up is of format {manifest.format}: restore it with the version {manifest.version}")
    for one in files:
        parts = PurePosixPath(one.path).parts
        if PurePosixPath(one.path).is_absolute() or ".." in parts or not parts:
            raise BackupFault(f"{folder / MANIFEST} names a file outside of the back-up; take another one")
    return manifest


def damaged(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Give the files that are missing or are not what the manifest says."""
    for one in manifest.files:
        path = folder / one.path
        if not path.is_file():
            yield f"{one.path} is missing"
            continue
        found = digest_of(path)
        if (found.size, found.sha256) != (one.size, one.sha256):
            yield f"{one.path} was altered"
