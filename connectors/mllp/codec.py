"""MLLP framing, without I/O: bytes in, events out (fact sheet hl7v2-fr §1.1).

A frame is `0x0B` content `0x1C 0x0D`. The decoder looks at each byte once, however finely the stream is cut, and never
decodes text. A content longer than `spool_threshold` is given in parts as it arrives, so that it is never held whole.

Tolerated: noise between frames (counted), an end of frame without its `0x0D` (before the next frame, before `0x0A`, or
when the line falls silent: see `FrameDecoder.silence`). A `0x1C` inside a content is content: to end the frame there
would acknowledge a message that was cut.
"""

from __future__ import annotations

from typing import NamedTuple

START_BYTE = 0x0B
END_BYTE = 0x1C
CARRIAGE_RETURN = 0x0D
LINE_FEED = 0x0A

COMMIT_ACK = b"\x0b\x06\x1c\x0d"
"""MLLP release 2: "your block is on stable storage"."""

COMMIT_NAK = b"\x0b\x15\x1c\x0d"
"""MLLP release 2: "it is not; send it again"."""

AFFIRMATIVE = b"\x06"
NEGATIVE = b"\x15"

HEAD_SIZE = 64 * 1024
"""How much of a large content is kept in memory: its MSH is in it."""

PART_SIZE = 256 * 1024
"""Parts are at least this large, the last one excepted: one write to disk for many reads."""

BLANK = b"\r\n\t \x00"


class Frame(NamedTuple):
    """A whole content that is not large."""

    content: bytes


class Part(NamedTuple):
    """The next piece of a large content."""

    data: bytes


class LargeFrame(NamedTuple):
    """The large content whose parts came before is complete: its size in bytes, and its first ones."""

    size: int
    head: bytes


class Garbage(NamedTuple):
    """Bytes outside any frame, dropped; `blank` when they are mere line ends, spaces or NUL."""

    size: int
    blank: bool


class Truncated(NamedTuple):
    """A frame of which `size` bytes came, and no end: forget its parts."""

    size: int


class TooLarge(NamedTuple):
    """A content past `max_frame`: forget its parts. The stream is lost from here on, nothing more is decoded.

    `head` is the beginning of the content, within `max_frame` and HEAD_SIZE.
    """

    head: bytes


Event = Frame | Part | LargeFrame | Garbage | Truncated | TooLarge


def enframe(content: bytes) -> bytes:
    """Wrap a content in its frame."""
    return b"\x0b" + content + b"\x1c\x0d"


def can_be_framed(content: bytes) -> bool:
    """Say whether a content is free of the two bytes that delimit frames."""
    return b"\x0b" not in content and b"\x1c" not in content


class FrameDecoder:
    """Turns the bytes of one connection into events. `max_frame` and `spool_threshold` count content bytes."""

    __slots__ = ("_buffer", "_head", "_inside", "_lost", "_max", "_searched", "_streamed", "_threshold")

    def __init__(self, max_frame: int, spool_threshold: int) -> None:
        self._max = max_frame
        self._threshold = min(spool_threshold, max_frame)
        self._buffer = bytearray()  # inside a frame: what is not given yet; outside: empty
        self._searched = 0  # how far the buffer has been looked at
        self._inside = False
        self._streamed = 0  # bytes of the current content already given in parts
        self._head = b""
        self._lost = False

    @property
    def inside(self) -> bool:
        """A frame has begun and not ended."""
        return self._inside

    @property
    def at_end_byte(self) -> bool:
        """The last byte was an end of frame whose `0x0D` is missing: `silence` will settle it."""
        return self._inside and self._searched < len(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream and give what they complete, in order."""
        if not self._inside and len(data) - 3 <= self._threshold and _is_one_frame(data) and not self._lost:
            return [Frame(data[1:-2])]
        if self._lost or not data:
            return []
        events: list[Event] = []
        self._buffer += data
        position = self._scan(events)
        del self._buffer[:position]
        self._searched -= position
        return events

    def silence(self) -> list[Event]:
        """Say that the peer fell silent: an end byte that stands last then ends its frame even without `0x0D`."""
        if not self.at_end_byte:
            return []
        events: list[Event] = []
        self._close(events, 0, len(self._buffer) - 1)
        self._buffer.clear()
        self._searched = 0
        return events

    def finish(self) -> list[Event]:
        """Say that the stream ended: gives the frame that only lacked its `0x0D`, or tells what was cut."""
        events = self.silence()
        if self._inside and not self._lost:
            events.append(Truncated(self._streamed + len(self._buffer)))
        self._lost = True
        self._inside = False
        self._buffer.clear()
        return events

    def _scan(self, events: list[Event]) -> int:
        """Walk the buffer; return how many of its first bytes are done with."""
        buffer = self._buffer
        position = 0
        while not self._lost:
            if not self._inside:
                start = buffer.find(START_BYTE, position)
                until = len(buffer) if start < 0 else start
                if until > position:
                    events.append(Garbage(until - position, not buffer[position:until].strip(BLANK)))
                if start < 0:
                    self._searched = len(buffer)
                    return len(buffer)
                position = self._searched = start + 1
                self._inside = True
            stop = buffer.find(END_BYTE, self._searched)
            restart = buffer.find(START_BYTE, self._searched, len(buffer) if stop < 0 else stop)
            if restart >= 0:
                self._cut(events, position, restart)
                position = restart
                continue
            if stop < 0 or stop + 1 == len(buffer):
                self._searched = len(buffer) if stop < 0 else stop
                return self._overflow(events, position, self._searched)
            follower = buffer[stop + 1]
            if follower in (CARRIAGE_RETURN, LINE_FEED, START_BYTE):
                self._close(events, position, stop)
                position = stop + (1 if follower == START_BYTE else 2)
            else:
                self._searched = stop + 1
        return len(buffer)

    def _overflow(self, events: list[Event], position: int, known: int) -> int:
        """Give or refuse what has come of a content that may be too long to hold; return where the rest begins."""
        size = self._streamed + known - position
        if size > self._max:
            self._refuse(events, position, known)
            return len(self._buffer)
        waiting = known - position
        if size > self._threshold and (self._streamed == 0 or waiting >= PART_SIZE):
            self._give(events, position, known)
            return known
        return position

    def _close(self, events: list[Event], position: int, stop: int) -> None:
        """End the content at `stop`: it is whole, or too large."""
        size = self._streamed + stop - position
        if size > self._max:
            self._refuse(events, position, stop)
            return
        if size > self._threshold:
            if stop > position:
                self._give(events, position, stop)
            events.append(LargeFrame(size, self._head))
        else:
            events.append(Frame(bytes(self._buffer[position:stop])))
        self._reset()

    def _cut(self, events: list[Event], position: int, stop: int) -> None:
        """Give up a content whose end never came."""
        size = self._streamed + stop - position
        if size > self._max:
            self._refuse(events, position, stop)
            return
        events.append(Truncated(size))
        self._reset()

    def _give(self, events: list[Event], position: int, stop: int) -> None:
        data = bytes(self._buffer[position:stop])
        if len(self._head) < HEAD_SIZE:
            self._head += data[: HEAD_SIZE - len(self._head)]
        self._streamed += len(data)
        events.append(Part(data))

    def _refuse(self, events: list[Event], position: int, stop: int) -> None:
        head = self._head + bytes(self._buffer[position : min(stop, position + HEAD_SIZE)])
        events.append(TooLarge(head[: min(HEAD_SIZE, self._max)]))
        self._reset()
        self._lost = True

    def _reset(self) -> None:
        self._inside = False
        self._streamed = 0
        self._head = b""


def _is_one_frame(data: bytes) -> bool:
    """Recognise the usual case, one whole frame in one read, without touching the buffer."""
    return (
        len(data) > 2
        and data[0] == START_BYTE
        and data[-1] == CARRIAGE_RETURN
        and data.find(b"\x1c") == len(data) - 2
        and data.find(b"\x0b", 1) < 0
    )
