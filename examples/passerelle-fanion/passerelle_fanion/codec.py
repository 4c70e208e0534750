"""One message, one line of JSON. No I/O here: what can be tested without a file is."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from connectors.contracts import Parcel


class NotALine(ValueError):
    """A line is not one of ours; the sentence does not quote it, for it may hold health data."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message and its identity."""

    identity: str
    content: bytes


def write_line(parcel: Parcel) -> bytes:
    """Make the line of a Parcel, with its line end."""
    body = base64.b64encode(parcel.content).decode("ascii")
    line = {"identity": parcel.identity, "media_type": parcel.media_type, "content": body}
    return json.dumps(line).encode() + b"\n"


def read_line(line: bytes) -> Line:
    """Read a line; raises NotALine."""
    try:
        value = json.loads(line)
        return Line(str(value["identity"]), base64.b64decode(value["content"], validate=True))
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise NotALine("the line is not a JSON object with an identity and a content in base64") from None
