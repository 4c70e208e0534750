"""The one ZIP reader of the project: over bytes, within bounds, and never a path on a disk.

The central directory is read here rather than by `zipfile`, for three reasons: the number of entries is bounded before
any is made, each entry knows its byte span in the archive, and whatever is wrong is a FormatError with a code.
(PKWARE APPNOTE 6.3; stored and deflated entries, zip64 on reading.)

    archive.not_zip          there is no end of central directory
    archive.truncated        a record or an entry ends after the end of the content
    archive.too_many         more entries than allowed
    archive.too_large        an entry, or all of them, would be larger than allowed once inflated
    archive.ratio            an entry inflates so much that it is a bomb
    archive.too_nested       an archive inside an archive inside…
    archive.encrypted        an entry is encrypted
    archive.method           an entry is neither stored nor deflated
    archive.damaged          an entry does not inflate, or to something else than its checksum says
    archive.overlap          two entries share bytes, as only bombs do
    archive.split            the archive is a part of one on several disks
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Any

from mappings.contracts import FormatError

_EOCD = struct.Struct("<4s4H2IH")
_EOCD64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_LARGEST_COMMENT = 0xFFFF
_UNKNOWN_32 = 0xFFFFFFFF
_UNKNOWN_16 = 0xFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_UTF_8 = 0x0800
_STORED, _DEFLATED = 0, 8
_STEP = 1 << 20
_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold: sizes are inflated bytes, counted while inflating and never taken from a header.

    `ratio` is inflated to compressed bytes, and is looked at once an entry has given more than a megabyte. `levels`
    is how many archives may be inside one another beyond the first.
    """

    entries: int = 2000
    entry_size: int = 256 * 1024 * 1024
    total_size: int = 512 * 1024 * 1024
    ratio: int = 200
    levels: int = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive, the `rank`-th of its directory: `name` has `/` for separators; `raw_name` is as written.

    `outside` says that the name would leave the folder where one unpacks it, or is no name at all. `start` and `end`
    are the span of its (compressed) bytes in the archive, `name_start` and `name_end` that of its name.
    """

    rank: int
    name: str
    raw_name: str
    outside: bool
    is_folder: bool
    method: int
    checksum: int
    size: int
    start: int
    end: int
    name_start: int
    name_end: int

    @property
    def place(self) -> str:
        """How messages name it: its rank, for its name may be a patient's."""
        return _place(self.rank)


class Archive:
    """An opened archive: what it lists, and the bytes of an entry on demand.

    A large file is given mapped into memory, and read with `stream`: nothing of it is then held whole.
    """

    def __init__(self, content: bytes | mmap, limits: Limits | None = None, *, level: int = 0) -> None:
        self.limits = limits or Limits()
        self._content = content
        self._level = level
        self._left = self.limits.total_size
        self.entries = tuple(_entries(content, self.limits))

    def read(self, entry: Entry) -> bytes:
        """Inflate one entry within the bounds, and check it against its checksum."""
        most = min(self.limits.entry_size, self._left)
        packed = self._content[entry.start : entry.end]
        if entry.method == _STORED:
            if len(packed) > most:
                raise _too_large(entry)
            content = packed
        else:
            content = _inflated(packed, most, self.limits.ratio, entry)
        if zlib.crc32(content) != entry.checksum:
            raise FormatError("archive.damaged", entry.place, "the checksum of this entry does not match its content")
        self._left -= len(content)
        return content

    def stream(self, entry: Entry) -> Iterator[bytes]:
        """Inflate one entry piece by piece, within the same bounds; the checksum is looked at after the last piece.

        Raises what `read` does, possibly after pieces were given: whoever uses them keeps nothing until the end.
        """
        most = min(self.limits.entry_size, self._left)
        checksum = total = 0
        for piece in _pieces(self._content, entry, self.limits.ratio):
            total += len(piece)
            if total > most:
                raise _too_large(entry)
            checksum = zlib.crc32(piece, checksum)
            yield piece
        if checksum != entry.checksum:
            raise FormatError("archive.damaged", entry.place, "the checksum of this entry does not match its content")
        self._left -= total

    def open_inside(self, entry: Entry) -> Archive:
        """Open an entry that is itself an archive; both share what may still be inflated."""
        if self._level >= self.limits.levels:
            raise FormatError("archive.too_nested", entry.place, "there are too many archives inside one another")
        inner = Archive(self.read(entry), self.limits, level=self._level + 1)
        inner._left = self._left
        return inner


def is_archive(content: bytes | mmap) -> bool:
    """Say whether a content begins like a ZIP that has an entry."""
    return content[:4] == b"PK\x03\x04"


# --- the directory


def _entries(content: bytes | mmap, limits: Limits) -> Iterator[Entry]:
    directory = _directory(content)
    end = directory.start + directory.size
    if directory.count > limits.entries or directory.size > limits.entries * (_CENTRAL.size + 1024):
        raise FormatError("archive.too_many", "", f"there are more than {limits.entries} entries")
    spans: list[tuple[int, int, str]] = []
    at = directory.start
    while at < end and len(spans) < directory.count:
        entry, at, local = _entry(content, len(spans) + 1, at, end, directory.shift)
        spans.append((local, entry.end, entry.place))
        yield entry
    if len(spans) < directory.count:
        raise FormatError("archive.truncated", "central directory", "the directory lists fewer entries than it says")
    _check_overlaps(spans)


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the directory really is, and by how much whatever stands before the first entry moved every offset."""

    count: int
    size: int
    start: int
    shift: int


def _directory(content: bytes | mmap) -> _Directory:
    at = content.rfind(b"PK\x05\x06", max(0, len(content) - _EOCD.size - _LARGEST_COMMENT))
    if at < 0:
        if is_archive(content):
            raise FormatError("archive.truncated", "", "the archive is cut before its directory")
        raise FormatError("archive.not_zip", "", "this is not a ZIP archive")
    _, disk, first_disk, here, count, size, offset, _ = _unpack(_EOCD, content, at)
    if _UNKNOWN_16 in (here, count) or _UNKNOWN_32 in (size, offset):
        wide = _directory_64(content, at)
        if wide is not None:
            return wide
    return _placed(at, (disk, first_disk), here, count, size, offset)


def _directory_64(content: bytes | mmap, end: int) -> _Directory | None:
    """Read the zip64 record that the locator before the end of the directory announces, if there is one."""
    locator = end - _LOCATOR64.size
    if locator < 0 or content[locator : locator + 4] != b"PK\x06\x07":
        return None
    at = content.rfind(b"PK\x06\x06", 0, locator)
    if at < 0:
        raise FormatError("archive.truncated", "zip64", "the zip64 record is missing")
    _, _, _, _, disk, first_disk, here, count, size, offset = _unpack(_EOCD64, content, at)
    return _placed(at, (disk, first_disk), here, count, size, offset)


def _placed(end: int, disks: tuple[int, int], here: int, count: int, size: int, offset: int) -> _Directory:
    """Place the directory right before its end, whatever offset was written."""
    if any(disks) or here != count:
        raise FormatError("archive.split", "", "this is one part of an archive on several disks")
    start = end - size
    if start < 0 or offset > start:
        raise FormatError("archive.truncated", "central directory", "the directory begins before the archive")
    return _Directory(count, size, start, start - offset)


def _entry(content: bytes | mmap, rank: int, at: int, end: int, shift: int) -> tuple[Entry, int, int]:
    """Read one record of the directory; give the entry, where the next record is, and where its local header is."""
    magic, _, _, flags, method, _, _, *numbers, where = _unpack(_CENTRAL, content, at)
    checksum, packed, size, name_length, extra_length, comment_length = numbers[:6]
    following = at + _CENTRAL.size + name_length + extra_length + comment_length
    if magic != b"PK\x01\x02" or following > end:
        raise FormatError("archive.truncated", "central directory", "the directory is cut")
    name_start = at + _CENTRAL.size
    raw = content[name_start : name_start + name_length]
    raw_name = raw.decode("utf-8", "replace") if flags & _UTF_8 else raw.decode("cp437")
    extra = content[name_start + name_length : name_start + name_length + extra_length]
    size, packed, where = _widened(extra, size, packed, where)
    name, outside = _normalised(raw_name)
    if flags & _ENCRYPTED:
        raise FormatError("archive.encrypted", _place(rank), "this entry is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise FormatError("archive.method", _place(rank), "this entry is compressed in a way that is not supported")
    local = where + shift
    local_magic, *_, local_name, local_extra = _unpack(_LOCAL, content, local)
    start = local + _LOCAL.size + local_name + local_extra
    if local_magic != b"PK\x03\x04" or start + packed > len(content):
        raise FormatError("archive.truncated", _place(rank), "this entry is cut, or is not where the directory says")
    entry = Entry(
        rank=rank,
        name=name,
        raw_name=raw_name,
        outside=outside,
        is_folder=name.endswith("/"),
        method=method,
        checksum=checksum,
        size=size,
        start=start,
        end=start + packed,
        name_start=name_start,
        name_end=name_start + name_length,
    )
    return entry, following, local


def _widened(extra: bytes, size: int, packed: int, where: int) -> tuple[int, int, int]:
    """Take from the zip64 extra field the numbers that 32 bits could not hold, in the order of APPNOTE 4.5.3."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{len(body) // 8}Q", body))
            if size == _UNKNOWN_32:
                size = next(numbers, size)
            if packed == _UNKNOWN_32:
                packed = next(numbers, packed)
            if where == _UNKNOWN_32:
                where = next(numbers, where)
            break
        at += 4 + length
    return size, packed, where


def _normalised(raw: str) -> tuple[str, bool]:
    r"""Give a name with `/` for separators (old Windows programs write `\`), and whether it leads outside."""
    name = raw.replace("\\", "/")
    parts = name.split("/")
    leads_out = ".." in parts or name.startswith("/") or _DRIVE.match(name) is not None
    return name, leads_out or not name or _CONTROL.search(name) is not None


def _place(rank: int) -> str:
    return f"entry {rank}"


def _check_overlaps(spans: list[tuple[int, int, str]]) -> None:
    reached = 0
    for start, end, place in sorted(spans):
        if start < reached:
            raise FormatError("archive.overlap", place, "this entry shares bytes with another")
        reached = end


# --- the content


def _inflated(packed: bytes, most: int, ratio: int, entry: Entry) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    total, left = 0, packed
    ceiling = max(_STEP, ratio * len(packed))
    try:
        while not inflater.eof:
            piece = inflater.decompress(left, _STEP)
            left = inflater.unconsumed_tail
            total += len(piece)
            if total > most:
                raise _too_large(entry)
            if total > ceiling:
                raise FormatError("archive.ratio", entry.place, f"this entry inflates more than {ratio} times")
            if not piece and not left and not inflater.eof:
                raise FormatError("archive.damaged", entry.place, "the compressed content of this entry is cut")
            pieces.append(piece)
    except zlib.error:
        raise FormatError("archive.damaged", entry.place, "this entry does not inflate") from None
    return b"".join(pieces)


def _pieces(content: bytes | mmap, entry: Entry, ratio: int) -> Iterator[bytes]:
    """Give the inflated content of an entry, a megabyte at most at a time."""
    if entry.method == _STORED:
        for start in range(entry.start, entry.end, _STEP):
            yield content[start : min(start + _STEP, entry.end)]
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    ceiling = max(_STEP, ratio * (entry.end - entry.start))
    total, at, left = 0, entry.start, b""
    try:
        while not inflater.eof:
            if not left:
                left = content[at : min(at + _STEP, entry.end)]
                at += len(left)
            ended = not left
            piece = inflater.decompress(left, _STEP)
            left = inflater.unconsumed_tail
            total += len(piece)
            if total > ceiling:
                raise FormatError("archive.ratio", entry.place, f"this entry inflates more than {ratio} times")
            if ended and not piece and not inflater.eof:
                raise FormatError("archive.damaged", entry.place, "the compressed content of this entry is cut")
            if piece:
                yield piece
    except zlib.error:
        raise FormatError("archive.damaged", entry.place, "this entry does not inflate") from None


def _too_large(entry: Entry) -> FormatError:
    return FormatError("archive.too_large", entry.place, "this entry, or the whole archive, is larger than allowed")


def _unpack(layout: struct.Struct, content: bytes | mmap, at: int) -> tuple[Any, ...]:
    if at < 0 or at + layout.size > len(content):
        raise FormatError("archive.truncated", "", "a record of the archive is cut")
    return layout.unpack_from(content, at)
