"""Opening an extraction, ZIP or text: its texts in pieces, so that a file of any size takes the same memory.

annuaire.not_text        a line has no end: this is no text file
archive.…                what the guarded ZIP reader says (`mappings.archive`)
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mappings.archive import Archive, Limits, is_archive
from mappings.contracts import FormatError

PIECE = 1 << 20
LONGEST_LINE = 1 << 16
"""Bytes of a line at most; the longest that the extractions have are about a thousand."""

RATIO = 200
"""How often a text may inflate: extractions do some twelve times."""


@dataclass(frozen=True, slots=True)
class OpenText:
    """One text of an extraction: its name for messages, its size once inflated (0 where unknown), and its bytes."""

    name: str
    size: int
    pieces: Iterator[bytes]


@contextmanager
def opened(path: Path, *, most_bytes: int) -> Iterator[Iterator[OpenText]]:
    """Give the texts of a file, one after the other. Raises FormatError, here or while they are read; OSError."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise FormatError("annuaire.empty", path.name, "the file is empty")
        if file.read(4) != b"PK\x03\x04":
            file.seek(0)
            yield iter([OpenText(path.name, path.stat().st_size, iter(lambda: file.read(PIECE), b""))])
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield _inside(mapped, path.name, most_bytes)


def _inside(mapped: mmap.mmap, name: str, most_bytes: int) -> Iterator[OpenText]:
    if not is_archive(mapped):
        raise FormatError("archive.not_zip", name, "this is not a ZIP archive")
    limits = Limits(entries=100, entry_size=most_bytes, total_size=2 * most_bytes, ratio=RATIO, levels=0)
    archive = Archive(mapped, limits)
    for rank, entry in enumerate(archive.entries, start=1):
        if not entry.is_folder:
            yield OpenText(f"{name}, file {rank}", entry.size, archive.stream(entry))


def lines(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Cut pieces into lines without their ends (LF or CRLF); False with the last one when nothing ended it."""
    left = b""
    for piece in pieces:
        parts = (left + piece).split(b"\n")
        left = parts.pop()
        if len(left) > LONGEST_LINE:
            raise FormatError("annuaire.not_text", "", "a line does not end: this is not an extraction")
        for part in parts:
            yield part.removesuffix(b"\r"), True
    if left:
        yield left.removesuffix(b"\r"), False
