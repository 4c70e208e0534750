"""The lexical rules of one message: its delimiters, its escapes (HL7 2.5 §2.7), and how raw text becomes text.

Delimiters come from MSH-1 and MSH-2. Decoding is always the last step, after splitting: an escaped delimiter is text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

NULL = '""'
"""The raw value that asks the receiver to delete what it has."""


class Delimiters(NamedTuple):
    """MSH-1 (`field`) and the characters of MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


STANDARD = Delimiters()

_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
_COUNTED = re.compile(r"\.(sp|sk)\s*\+?(\d{0,3})")
_LAYOUT = re.compile(r"H|N|\.(?:fi|nf|(?:in|ti)\s*[+-]?\d{0,3})")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n?")
_SPARE = "\ue000\ue001\ue002\ue003"
"""Private-use characters that stand for a delimiter that a message does not have."""


@lru_cache(maxsize=256)
def delimiters_of(separator: str, encoding: str) -> tuple[Delimiters, bool]:
    """Read MSH-1 and MSH-2; the flag says that MSH-2 was repaired (doubled, missing or impossible characters)."""
    given: list[str] = []
    for character in encoding:
        if character != separator and character not in given and not character.isalnum() and not character.isspace():
            given.append(character)
    chosen = given[:4]
    for position in range(len(chosen), 4):
        usual = STANDARD[position + 1]
        chosen.append(_SPARE[position] if usual in chosen or usual == separator else usual)
    repaired = len(encoding) < 4 or given != list(encoding)
    return Delimiters(separator, *chosen), repaired


class Syntax:
    """How to read one message's raw text: its delimiters, its codec, and whether line ends or NULs lie inside fields.

    Instances are shared (`syntax_of`), so that values parsed under the same rules can be cached by their raw text.
    """

    __slots__ = (
        "codec",
        "component",
        "delimiters",
        "dirty",
        "escape",
        "field",
        "letters",
        "repetition",
        "subcomponent",
    )

    def __init__(self, delimiters: Delimiters, codec: str, *, dirty: bool) -> None:
        self.delimiters = delimiters
        self.field, self.component, self.repetition, self.escape, self.subcomponent = delimiters
        self.codec = codec
        self.dirty = dirty
        self.letters = {
            "F": self.field,
            "S": self.component,
            "T": self.subcomponent,
            "R": self.repetition,
            "E": self.escape,
            ".br": "\n",
            ".ce": "\n",
        }

    def text(self, raw: str) -> str:
        """Decode one piece of raw text that holds no delimiter of its own level."""
        if self.dirty:
            raw = _LINE_END.sub("\n", raw.replace("\0", ""))
        if self.escape in raw:
            return self._unescaped(raw)
        return raw

    def code(self, raw: str) -> str:
        """Decode a code, a name or an identifier: surrounding blanks do not count, Null is empty."""
        if raw == NULL:
            return ""
        return self.text(raw).strip()

    def components(self, raw: str) -> list[str]:
        """Split one repetition into raw components."""
        return raw.split(self.component)

    def repetitions(self, raw: str) -> list[str]:
        """Split a field into raw repetitions; an empty field has none."""
        if not raw:
            return []
        return raw.split(self.repetition) if self.repetition in raw else [raw]

    def subcomponents(self, raw: str) -> list[str]:
        """Split a component into raw subcomponents."""
        return raw.split(self.subcomponent)

    def unknown_escapes(self, raw: str) -> bool:
        """Say whether decoding leaves something that looks like an escape as it stands."""
        return self.escape in raw and self._decode(raw)[1]

    def _unescaped(self, raw: str) -> str:
        return self._decode(raw)[0]

    def _decode(self, raw: str) -> tuple[str, bool]:
        escape, end = self.escape, len(raw)
        out: list[str] = []
        kept = False
        at = 0
        while (opening := raw.find(escape, at)) >= 0:
            out.append(raw[at:opening])
            closing = raw.find(escape, opening + 1)
            if closing < 0:
                kept, at = True, opening
                break
            token = raw[opening + 1 : closing]
            at = closing + 1
            if token[:1] == "X" and (pair := _HEX.fullmatch(token)):
                digits = pair[1]
                # A character of several bytes may be spread over adjacent escapes.
                while raw.startswith(escape + "X", at) and (more := raw.find(escape, at + 1)) > 0:
                    if not (pair := _HEX.fullmatch(raw, at + 1, more)):
                        break
                    digits += pair[1]
                    at = more + 1
                decoded = self._from_bytes(bytes.fromhex(digits))
            else:
                decoded = self._meaning(token)
            if decoded is None:
                # Not an escape: the text stays as written, and the second mark may open a real one.
                kept = True
                if token[:1] == "X" and _HEX.fullmatch(token):
                    out.append(raw[opening:at])
                else:
                    out.append(raw[opening:closing])
                    at = closing
            else:
                out.append(decoded)
        if at < end:
            out.append(raw[at:])
        return "".join(out), kept

    def _meaning(self, token: str) -> str | None:
        if (plain := self.letters.get(token)) is not None:
            return plain
        if counted := _COUNTED.fullmatch(token):
            count = int(counted[2] or 1)
            return ("\n" if counted[1] == "sp" else " ") * max(count, 1)
        return "" if _LAYOUT.fullmatch(token) else None

    def _from_bytes(self, data: bytes) -> str | None:
        try:
            text = data.decode(self.codec)
        except UnicodeError:
            text = ""
        if not text:
            try:
                text = data.decode("cp1252")
            except UnicodeError:
                return None
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return None if _UNPRINTABLE.search(text) else text


@lru_cache(maxsize=256)
def syntax_of(delimiters: Delimiters, codec: str, dirty: bool = False) -> Syntax:
    """Give the shared Syntax of these rules."""
    return Syntax(delimiters, codec, dirty=dirty)
