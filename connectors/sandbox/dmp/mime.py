"""Multipart (RFC 2046) without I/O: bytes in, events out, never more than one delimiter's length held back.

A delimiter counts only at the start of a line and when nothing but blanks follows it, so that a document may hold a
line that begins as the boundary does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

HEADERS_LIMIT = 16 * 1024
PARTS_LIMIT = 200


@dataclass(frozen=True, slots=True)
class PartBegins:
    """The headers of a part, names in lower case."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the current part, unchanged."""

    content: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The current part is whole."""


Event = PartBegins | PartData | PartEnds


class MalformedMultipart(ValueError):
    """The bytes are no multipart message; the sentence says what is missing."""


class _Where(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


class MultipartReader:
    """Reads one multipart body: `feed` each piece of it, then `finish`. Both raise MalformedMultipart."""

    def __init__(self, boundary: str) -> None:
        if not 1 <= len(boundary) <= 70:
            raise MalformedMultipart("the boundary has 1 to 70 characters")
        self._delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
        # The first delimiter may begin the body: this line end stands before it.
        self._held = bytearray(b"\r\n")
        self._where = _Where.PREAMBLE
        self._parts = 0

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes; give what they complete."""
        events: list[Event] = []
        if self._where is _Where.EPILOGUE:
            return events
        self._held += data
        while self._headers(events) if self._where is _Where.HEADERS else self._content(events):
            pass
        return events

    def finish(self) -> None:
        """Say that no byte follows: a body whose closing delimiter has not come was cut."""
        if self._where is not _Where.EPILOGUE:
            raise MalformedMultipart("the body ends before its closing delimiter")

    def _content(self, events: list[Event]) -> bool:
        """Read up to the next delimiter; says whether there is more to do with what is held."""
        found = self._held.find(self._delimiter)
        if found < 0:
            self._give(max(0, len(self._held) - len(self._delimiter) + 1), events)
            return False
        after = found + len(self._delimiter)
        line = bytes(self._held[after : after + _LONGEST_PADDING])
        padding = _PADDING.match(line)
        if line.startswith(b"--"):
            self._end_part(found, events)
            self._held.clear()
            self._where = _Where.EPILOGUE
            return False
        if padding is not None:
            self._end_part(found, events)
            # The delimiter's line end stays: an empty header block is that one and the next.
            del self._held[: after - found + padding.end() - 2]
            self._where = _Where.HEADERS
            return True
        if len(line) < _LONGEST_PADDING and _MAY_BECOME.fullmatch(line) is not None:
            self._give(found, events)
            return False
        # A line of the content that only begins as the boundary does.
        self._give(found + 2, events)
        return True

    def _headers(self, events: list[Event]) -> bool:
        end = self._held.find(b"\r\n\r\n")
        if end > HEADERS_LIMIT or (end < 0 and len(self._held) > HEADERS_LIMIT):
            raise MalformedMultipart("the headers of a part are too long")
        if end < 0:
            return False
        self._parts += 1
        if self._parts > PARTS_LIMIT:
            raise MalformedMultipart(f"there are more than {PARTS_LIMIT} parts")
        events.append(PartBegins(_parsed(bytes(self._held[:end]))))
        del self._held[: end + 4]
        self._where = _Where.BODY
        return True

    def _end_part(self, found: int, events: list[Event]) -> None:
        self._give(found, events)
        if self._where is _Where.BODY:
            events.append(PartEnds())

    def _give(self, count: int, events: list[Event]) -> None:
        if count and self._where is _Where.BODY:
            events.append(PartData(bytes(self._held[:count])))
        del self._held[:count]


_LONGEST_PADDING = 256
_PADDING = re.compile(rb"[ \t]*\r\n")
_MAY_BECOME = re.compile(rb"-?|[ \t]*\r?")


def _parsed(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", block).decode("utf-8", "replace")
    for line in unfolded.split("\r\n"):
        if not line:
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise MalformedMultipart("a header of a part is not `Name: value`")
        headers[name.strip().lower()] = value.strip()
    return headers
