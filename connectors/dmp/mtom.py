"""MTOM/XOP: multipart/related written piece by piece, and read as it arrives with bounded memory. Pure.

    reader = MultipartReader(boundary_of(content_type))
    for event in reader.feed(data): ...          # PartBegins, PartData, in order
    reader.close()                               # raises Malformed when the last boundary never came

A part's bytes are given through untouched. Nothing is decoded but binary, 8bit and 7bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote

PIECE = 64 * 1024
HEADERS = 16 * 1024
"""Bytes of the headers of one part at most."""

PARTS = 64
"""Parts of one answer at most; each call retrieves one document."""

XOP_TYPE = "application/xop+xml"
_PLAIN = frozenset({"", "binary", "8bit", "7bit"})


class Malformed(Exception):
    """This is not multipart as it must be: a stable code, and one sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = f"dmp.multipart.{code}"
        self.message = message


# --- writing


@dataclass(frozen=True, slots=True)
class Part:
    """A document that travels beside the envelope; `cid` is its Content-ID, without brackets."""

    cid: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Multipart:
    """A request ready to be sent: its Content-Type, its length, and its pieces in order."""

    content_type: str
    length: int
    blocks: tuple[bytes, ...]

    def pieces(self) -> Iterator[bytes]:
        """Give the bytes, never more than PIECE at once."""
        for block in self.blocks:
            view = memoryview(block)
            for at in range(0, len(view), PIECE):
                yield bytes(view[at : at + PIECE])


def write_multipart(envelope: bytes, parts: Sequence[Part], boundary: str, action: str) -> Multipart:
    """Write the envelope and its documents; the boundary must stand in none of them (a random one does not)."""
    mark = boundary.encode("ascii")
    if any(b"--" + mark in one for one in (envelope, *(part.content for part in parts))):
        raise Malformed("boundary", "the boundary stands in what is to be sent")
    root = "root@passerelle"
    head = (
        f'--{boundary}\r\nContent-Type: {XOP_TYPE}; charset=UTF-8; type="application/soap+xml"\r\n'
        f"Content-Transfer-Encoding: binary\r\nContent-ID: <{root}>\r\n\r\n"
    )
    blocks: list[bytes] = [head.encode("ascii"), envelope]
    for part in parts:
        head = (
            f"\r\n--{boundary}\r\nContent-Type: {part.media_type}\r\n"
            f"Content-Transfer-Encoding: binary\r\nContent-ID: <{part.cid}>\r\n\r\n"
        )
        blocks += [head.encode("ascii"), part.content]
    blocks.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    content_type = (
        f'multipart/related; type="{XOP_TYPE}"; start="<{root}>"; start-info="application/soap+xml"; '
        f'boundary="{boundary}"; action="{action}"'
    )
    return Multipart(content_type, sum(map(len, blocks)), tuple(blocks))


# --- reading


@dataclass(frozen=True, slots=True)
class PartBegins:
    """The headers of a part, by lower-cased name."""

    headers: Mapping[str, str]

    @property
    def cid(self) -> str:
        """The Content-ID without brackets."""
        return self.headers.get("content-id", "").strip().removeprefix("<").removesuffix(">")


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part that began last."""

    data: bytes


Event = PartBegins | PartData


@dataclass(frozen=True, slots=True)
class Related:
    """What the Content-Type of a multipart/related says."""

    boundary: str
    start: str


def related(content_type: str) -> Related | None:
    """Read a Content-Type; None when it is not multipart. Raises Malformed when its boundary cannot be one."""
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_maintype() != "multipart":
        return None
    boundary = message.get_boundary() or ""
    if not 0 < len(boundary) <= 200 or not boundary.isascii() or any(ord(sign) < 32 for sign in boundary):
        raise Malformed("no_boundary", "the answer names no boundary")
    start = message.get_param("start")
    return Related(boundary, start.strip().strip("<>") if isinstance(start, str) else "")


class MultipartReader:
    """Cuts a multipart body into parts as it arrives; keeps no more than one boundary's length of a part's bytes."""

    def __init__(self, boundary: str) -> None:
        self._mark = b"\r\n--" + boundary.encode("ascii")
        # The first boundary may stand at the very beginning: as if an end of line went before it.
        self._buffer = bytearray(b"\r\n")
        self._state = "preamble"
        self._parts = 0
        self._searched = 0

    def feed(self, data: bytes) -> list[Event]:
        """Take in bytes. Raises Malformed."""
        self._buffer += data
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def close(self) -> None:
        """Say that nothing more comes. Raises Malformed when the last boundary was not seen."""
        if self._state != "epilogue":
            raise Malformed("cut", "the answer ends before its last boundary")

    def _step(self, events: list[Event]) -> bool:
        if self._state == "epilogue":
            self._buffer.clear()
            return False
        if self._state == "headers":
            return self._headers(events)
        return self._body(events)

    def _body(self, events: list[Event]) -> bool:
        buffer, mark = self._buffer, self._mark
        at = buffer.find(mark, self._searched)
        if at < 0:
            self._give(events, max(0, len(buffer) - len(mark) + 1))
            return False
        after = at + len(mark)
        line = buffer.find(b"\r\n", after)
        if line < 0:
            if buffer[after : after + 2] == b"--":
                self._give(events, at)
                self._state = "epilogue"
                return True
            if len(buffer) - after <= 256:
                self._give(events, at)
                return False
            line = after + 256
            if not bytes(buffer[after:line]).strip(b" \t"):
                raise Malformed("padding", "a boundary is followed by blanks without end")
        rest = bytes(buffer[after:line])
        if rest.startswith(b"--"):
            self._give(events, at)
            self._state = "epilogue"
            return True
        if rest.strip(b" \t"):
            # A longer text that begins as the boundary does: it is content.
            self._searched = after
            self._give(events, at + 2)
            return True
        self._give(events, at)
        del buffer[: line + 2 - at]
        self._searched = 0
        self._parts += 1
        if self._parts > PARTS:
            raise Malformed("too_many", f"the answer has more than {PARTS} parts")
        self._state = "headers"
        return True

    def _give(self, events: list[Event], count: int) -> None:
        """Give so many bytes of the buffer out: to the part, or to nobody before the first one."""
        if count <= 0:
            return
        if self._state == "body":
            events.append(PartData(bytes(self._buffer[:count])))
        del self._buffer[:count]
        self._searched = max(0, self._searched - count)

    def _headers(self, events: list[Event]) -> bool:
        buffer = self._buffer
        if buffer[:2] == b"\r\n":
            raw, skip = b"", 2
        else:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(buffer) > HEADERS:
                    raise Malformed("headers", "the headers of a part have no end")
                return False
            if end > HEADERS:
                raise Malformed("headers", "the headers of a part are too long")
            raw, skip = bytes(buffer[:end]), end + 4
        headers = _read_headers(raw)
        encoding = headers.get("content-transfer-encoding", "").strip().lower()
        if encoding not in _PLAIN:
            raise Malformed("encoding", "a part is in an encoding that MTOM does not have")
        # The boundary may follow at once: the end of line before it is the headers' own.
        del buffer[: skip - 2 if buffer[skip - 2 : skip - 2 + len(self._mark)] == self._mark else skip]
        self._searched = 0
        self._state = "body"
        events.append(PartBegins(headers))
        return True


def _read_headers(raw: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    last = ""
    for line in raw.decode("latin-1").split("\r\n"):
        if line[:1] in (" ", "\t") and last:
            headers[last] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not line:
            continue
        if not colon or not name.strip():
            raise Malformed("headers", "a header of a part is none")
        last = name.strip().lower()
        if last in headers:
            raise Malformed("headers", "a header of a part stands twice")
        headers[last] = value.strip()
    return headers


def cid_of(href: str) -> str:
    """Give the Content-ID that an xop:Include means: its `cid:` taken away, percent-encoding undone.

    Raises Malformed for another reference.
    """
    if not href.startswith("cid:"):
        raise Malformed("reference", "a document is referred to by something else than cid:")
    return unquote(href.removeprefix("cid:"))
