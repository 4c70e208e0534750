"""Writing a calendar (RFC 5545): lines of CRLF, folded at 75 octets, moments in UTC, texts escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

PRODUCT = "-//Passerelle//Coordination dossier//FR"
LONGEST = 75
"""Octets of a line, without its end (§3.1)."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class State(StrEnum):
    """How an appointment stands (§3.8.1.11)."""

    TENTATIVE = "TENTATIVE"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Entry:
    """An appointment. `uid` is the same for ever, `sequence` grows with each change; moments have a zone.

    `end` None: it has no end that is known.
    """

    uid: str
    sequence: int
    changed: datetime
    start: datetime
    end: datetime | None
    summary: str
    state: State = State.CONFIRMED
    location: str = ""
    description: str = ""


def calendar(name: str, entries: Iterable[Entry], now: datetime) -> bytes:
    """Write a calendar. `name` is what programs show; `now` when this was made, with its zone."""
    return b"".join(_folded(line) for line in _lines(name, entries, now))


def _lines(name: str, entries: Iterable[Entry], now: datetime) -> Iterator[str]:
    yield "BEGIN:VCALENDAR"
    yield "VERSION:2.0"
    yield f"PRODID:{PRODUCT}"
    yield "CALSCALE:GREGORIAN"
    yield f"NAME:{_text(name)}"
    yield f"X-WR-CALNAME:{_text(name)}"
    yield "REFRESH-INTERVAL;VALUE=DURATION:PT15M"
    for one in entries:
        yield "BEGIN:VEVENT"
        yield f"UID:{_text(one.uid)}"
        yield f"DTSTAMP:{_moment(now)}"
        yield f"LAST-MODIFIED:{_moment(one.changed)}"
        yield f"SEQUENCE:{one.sequence}"
        yield f"DTSTART:{_moment(one.start)}"
        if one.end is not None and one.end > one.start:
            yield f"DTEND:{_moment(one.end)}"
        yield f"SUMMARY:{_text(one.summary)}"
        if one.location:
            yield f"LOCATION:{_text(one.location)}"
        if one.description:
            yield f"DESCRIPTION:{_text(one.description)}"
        yield f"STATUS:{one.state.value}"
        yield "CLASS:CONFIDENTIAL"
        yield f"TRANSP:{'TRANSPARENT' if one.state is State.CANCELLED else 'OPAQUE'}"
        yield "END:VEVENT"
    yield "END:VCALENDAR"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(words: str) -> str:
    """Escape a text (§3.3.11); characters that a calendar may not hold are left out."""
    clean = _CONTROLS.sub("", words.replace("\r\n", "\n").replace("\r", "\n"))
    return clean.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """Fold a line so that no piece is longer than 75 octets, and no character is cut (§3.1)."""
    pieces: list[bytes] = []
    piece, room = bytearray(), LONGEST
    for character in line:
        octets = character.encode()
        if len(piece) + len(octets) > room:
            pieces.append(bytes(piece))
            piece, room = bytearray(), LONGEST - 1
        piece += octets
    pieces.append(bytes(piece))
    return b"\r\n ".join(pieces) + b"\r\n"
