"""What the router and the process that checks say to each other over a pipe.

A frame is its length (8 bytes, big-endian) and that many bytes. A question is three frames or more: JSON
(`{"format": "cda", "beside": 0}`), the content, and the files beside it. An answer is one frame of JSON:
`{"findings": […]}`, or `{"fault": "a sentence"}` when the package cannot be used.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_LENGTH = struct.Struct(">Q")
HEAD = _LENGTH.size

LIMIT = 512 * 1024 * 1024
"""Bytes of a frame at most."""


class BrokenFrame(Exception):
    """The other side does not speak in frames, or stopped within one."""


def framed(payload: bytes) -> bytes:
    """Put a length before a payload."""
    return _LENGTH.pack(len(payload)) + payload


def length_of(head: bytes) -> int:
    """Read a length. Raises BrokenFrame when it cannot be one."""
    (length,) = _LENGTH.unpack(head)
    if length > LIMIT:
        raise BrokenFrame
    return int(length)


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read a frame; None at the end of the stream. Raises BrokenFrame when it ends within one."""
    head = stream.read(HEAD)
    if not head:
        return None
    if len(head) < HEAD:
        raise BrokenFrame
    length = length_of(head)
    payload = stream.read(length)
    if len(payload) < length:
        raise BrokenFrame
    return payload
