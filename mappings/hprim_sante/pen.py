r"""Writing segments: escapes or replacements, fields, lines of at most 220 bytes (hprim 3.1, 3.2, 6.5).

What stands for a delimiter in data depends on the partner: `\F\ \S\ \R\ \T\ \E\` when it knows them (option `escape` =
`hl7`), else another sign, with a Finding.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from mappings.charsets import encode
from mappings.contracts import FormatError, WriteContext
from mappings.hprim_sante.syntax import Delimiters
from mappings.notes import Notes
from mappings.plain_text import without_controls

LINE_ENDS = {"cr": b"\r", "crlf": b"\r\n", "lf": b"\n"}
LONGEST_LINE = 220
SHORTEST_LINE = 40

T = TypeVar("T")
_REPLACED = {"|": "/", "~": " ", "^": " ", "\\": "/", "&": "+"}
_ESCAPED = {"|": "\\F\\", "~": "\\S\\", "^": "\\R\\", "\\": "\\E\\", "&": "\\T\\"}
_SPECIAL = re.compile(r"[|~^\\&]")


class Pen:
    """Writes the segments of one message, with the usual delimiters.

    Options: `escape` (`replace`, `hl7`), `eol` (`cr`, `crlf`, `lf`), `max_line` (bytes with the line end, 40 to 220).
    """

    def __init__(self, context: WriteContext, notes: Notes) -> None:
        self.notes = notes
        self.charset = context.charset or "cp1252"
        self.escapes = _choice(context, "escape", {"replace": False, "hl7": True})
        self.line_end = _choice(context, "eol", LINE_ENDS)
        self.longest = _longest(context)
        self.delimiters = Delimiters()
        self.segments: list[str] = []
        self.missing: set[str] = set()
        try:
            compatible = "H|\r".encode(self.charset) == b"H|\r" and codecs.lookup(self.charset) is not None
        except LookupError:
            raise FormatError("hprim.charset.unknown", "", f"there is no charset named {self.charset!r}") from None
        if not compatible:
            raise FormatError("hprim.charset.unsuited", "", "HPRIM Santé needs a charset that extends ASCII")

    def text(self, text: str | None, where: str) -> str:
        """Write one line of data; `where` names the field in the Finding when a delimiter had to be replaced."""
        if not text:
            return ""
        safe = self._spelled(without_controls(text.replace("\n", " ").replace("\t", " ")))
        if not _SPECIAL.search(safe):
            return safe
        if self.escapes:
            return _SPECIAL.sub(lambda found: _ESCAPED[found.group()], safe)
        self.notes.warning("hprim.write.replaced", where, "delimiters in the data are written as other signs")
        power = {**_REPLACED, "^": "*"} if where == "OBX.6" else _REPLACED
        return _SPECIAL.sub(lambda found: power[found.group()], safe)

    def _spelled(self, text: str) -> str:
        """Spell what the charset lacks, before delimiters are looked for: `10⁹` becomes `10^9`."""
        if text.isascii():
            return text
        data, missing = encode(text, self.charset)
        self.missing.update(missing)
        return data.decode(self.charset) if missing else text

    def lines(self, text: str | None, where: str) -> str:
        """Write a text of several lines: a repetition each."""
        return self.delimiters.repeat.join(
            self.text(line.rstrip(), where) for line in (text or "").strip("\n").split("\n")
        )

    def components(self, texts: Iterable[str | None], where: str) -> str:
        """Write sub-fields; empty ones at the end are left out."""
        return self.delimiters.component.join(self.text(text, where) for text in texts).rstrip(
            self.delimiters.component
        )

    def repeated(self, written: Iterable[str]) -> str:
        """Put repetitions together, each already written; empty ones are left out."""
        return self.delimiters.repeat.join(one for one in written if one)

    def segment(self, name: str, fields: dict[int, str]) -> None:
        """Add a segment, with its fields by number, each already written."""
        last = max((number for number, text in fields.items() if text), default=0)
        cells = [name, *(fields.get(number, "") for number in range(1, last + 1))]
        self.segments.append(self.delimiters.field.join(cells))

    def content(self) -> bytes:
        """Give the bytes: each segment encoded, cut into lines, `A` and the separator before each but the first."""
        lines: list[bytes] = []
        for segment in self.segments:
            lines += self._folded(segment.encode(self.charset))
        if self.missing:
            message = f"{len(self.missing)} characters that {self.charset} lacks are spelled otherwise"
            self.notes.warning("hprim.write.transliterated", "content", message)
        return b"".join(line + self.line_end for line in lines)

    def _folded(self, data: bytes) -> list[bytes]:
        """Cut after a sign that is no blank, since receivers strip the end of lines, and never inside a character."""
        room = self.longest - len(self.line_end)
        lines: list[bytes] = []
        prefix = b""
        while len(prefix) + len(data) > room:
            at = room - len(prefix)
            while at > 1 and (data[at] & 0xC0 == 0x80 if self.charset.lower().startswith("utf") else False):
                at -= 1
            solid = len(data[:at].rstrip(b" "))
            at = solid or at
            lines.append(prefix + data[:at])
            data, prefix = data[at:], b"A|"
        return [*lines, prefix + data]


def _choice(context: WriteContext, option: str, choices: Mapping[str, T]) -> T:
    wanted = context.options.get(option, next(iter(choices)))
    if wanted not in choices:
        raise FormatError("hprim.option", option, f"this option is one of {', '.join(choices)}")
    return choices[wanted]


def _longest(context: WriteContext) -> int:
    wanted = context.options.get("max_line", str(LONGEST_LINE))
    if not (wanted.isascii() and wanted.isdigit() and SHORTEST_LINE <= int(wanted) <= LONGEST_LINE):
        raise FormatError("hprim.option", "max_line", f"this option is from {SHORTEST_LINE} to {LONGEST_LINE}")
    return int(wanted)
