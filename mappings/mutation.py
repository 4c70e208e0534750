"""Small plausible changes of a value: another digit, another letter, another code, as a typing mistake would make them.

`explain` uses them to find out what influences what. Every function gives candidates, the likeliest to stay valid
first; none is guaranteed to be.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cache

from schemas.document import DocumentOperation
from schemas.identity import IdentityAttribute, IdentityStatus, Sex
from schemas.lab import ResultStatus
from schemas.stay import MovementAction, StayStatus

SHORT = 3
"""Up to this length a value may be a code: several other codes are tried."""

_CODE_LETTERS = b"TDFMNHLPCIYAREOUXSVKW"
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}")
_ENUMS = (ResultStatus, StayStatus, Sex, IdentityStatus, IdentityAttribute, MovementAction, DocumentOperation)
_LARGE = 4096
_MOST_PARTS = 4
_WORD = re.compile(rb"[^\s,;|^~&()]*[A-Za-z0-9][^\s,;|^~&()]*")
_PAIR = re.compile(rb"(\d+(?:[.,]\d+)?)\s*[-:/]\s*(\d+(?:[.,]\d+)?)")
_IDENTITY = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def byte_candidates(piece: bytes) -> Iterator[bytes]:
    """Change one piece of a content in place: same length, escapes and quotes untouched, then by adding a letter."""
    if piece in {b"true", b"false"}:  # JSON
        yield b"false" if piece == b"true" else b"true"
        return
    places = _places(piece)
    if not places:
        swaps = {b"<": b">", b">": b"<", b"+": b"-", b"-": b"+"}
        yield swaps.get(piece, piece + b"x")
        return
    yield _with(piece, places[-1], _neighbour(piece[places[-1]]))
    if len(piece) <= SHORT and piece.isalpha():
        for letter in _CODE_LETTERS:
            if letter != piece[places[-1]]:
                yield _with(piece, places[-1], letter)
    elif len(places) > 1 and not is_identity(piece):
        yield _with(piece, places[0], _neighbour(piece[places[0]]))


def parts(piece: bytes) -> list[tuple[int, int]]:
    """Cut a piece that may hold several values (a range, a ratio, a name, a line) into at most four words or numbers.

    A date, a URI or an identity is one thing, however many separators it has.
    """
    whole = [(0, len(piece))]
    if len(piece) > _LARGE or b"\\" in piece:
        return whole
    pair = _PAIR.fullmatch(piece)
    if pair:
        return [pair.span(1), pair.span(2)]
    words = [found.span() for found in _WORD.finditer(piece)]
    if len(words) < 2:
        return whole
    return words if len(words) <= _MOST_PARTS else [*words[: _MOST_PARTS - 1], words[-1]]


def is_identity(piece: bytes) -> bool:
    """Tell a piece that holds a UUID: one thing, however many words it seems to have."""
    return _IDENTITY.search(piece) is not None


def _places(piece: bytes) -> list[int]:
    """List where an ASCII letter or digit stands outside the escapes of JSON and ER7; of a file, only in its middle."""
    if len(piece) > _LARGE:
        middle = len(piece) // 2
        return [middle + offset for offset in _places(piece[middle : middle + 64])]
    return [
        place
        for place, byte in enumerate(piece)
        if chr(byte).isalnum() and byte < 0x80 and b"\\" not in piece[max(0, place - 5) : place]
    ]


def _neighbour(byte: int) -> int:
    """Give the next digit or letter: 8 is followed by 9, and 9, z and Z by the one before them."""
    return byte - 1 if byte in b"9zZ" else byte + 1


def _with(piece: bytes, place: int, byte: int) -> bytes:
    return piece[:place] + bytes([byte]) + piece[place + 1 :]


def text_candidates(text: str) -> Iterator[str]:
    """Change a canonical value: a date by a day, a word of a vocabulary for another, anything by a character."""
    if _DATE.match(text):
        yield text[:8] + _another_day(text[8:10]) + text[10:]
        return
    if len(text) >= _LARGE:
        yield from _file_candidates(text)
        return
    for place in range(len(text) - 1, -1, -1):
        if text[place].isalnum() and text[place].isascii():
            yield text[:place] + chr(_neighbour(ord(text[place]))) + text[place + 1 :]
            break
    for vocabulary in _vocabularies():
        if text in vocabulary:
            yield from (word for word in vocabulary if word != text)
    for one, other in (("<", ">"), (">", "<"), ("<=", ">="), (">=", "<=")):
        if text == one:
            yield other
    yield text + "x"


def _another_day(day: str) -> str:
    """Give another day of the same month: the 3rd after the 2nd, the 20th for the 30th."""
    if day[0] == "3":
        return "2" + day[1]
    digit = int(day[1]) if day[1].isdigit() else 1
    return day[0] + str(digit + 1 if digit < 2 else digit - 1)


def _file_candidates(text: str) -> Iterator[str]:
    """Change one byte in the middle of a base64 file, or one letter in the middle of a long text."""
    middle = len(text) // 2 // 4 * 4
    yield text[:middle] + base64.b64encode(b"xyz").decode() + text[middle + 4 :]


@cache
def _vocabularies() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(member.value for member in enum) for enum in _ENUMS)
