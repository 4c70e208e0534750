"""Writing ER7: escapes, character set, segments. Delimiters are the standard ones."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable

from mappings.contracts import WriteContext
from mappings.hl7v2.charset import label_of
from mappings.hl7v2.syntax import NULL
from schemas.finding import Finding, Severity

_ESCAPES = str.maketrans(
    {
        "\\": "\\E\\",
        "|": "\\F\\",
        "^": "\\S\\",
        "&": "\\T\\",
        "~": "\\R\\",
        "\n": "\\.br\\",
        "\r": "\\.br\\",
    }
)
_SPECIAL = re.compile(r"[\\|^&~\r\n]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SPELLED = {
    "’": "'",
    "‘": "'",
    "‚": ",",
    "“": '"',
    "”": '"',
    "„": '"',
    "–": "-",
    "—": "-",
    "−": "-",
    "‑": "-",
    "…": "...",
    "•": "-",
    "≤": "<=",
    "≥": ">=",
    "≠": "<>",
    "≈": "~",
    "→": "->",
    "←": "<-",
    "μ": "µ",
    "Ω": "Ohm",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "κ": "kappa",
    "λ": "lambda",
    "‰": "o/oo",
    "Ł": "L",
    "ł": "l",
    "Đ": "D",
    "đ": "d",
    "ı": "i",
    "ẞ": "SS",
    "\u202f": "\u00a0",
    "\u2009": " ",
}


class Pen:
    """Writes segments in one character set, and notes what it could not write as it was."""

    __slots__ = ("_counts", "_place", "codec", "findings", "label", "lines")

    def __init__(self, context: WriteContext) -> None:
        self.codec = codecs.lookup(context.charset or "utf-8").name
        self.label = label_of(self.codec)
        self.findings: list[Finding] = []
        self.lines: list[str] = []
        self._counts: dict[str, int] = {}
        self._place = ""

    def begin(self, name: str) -> str:
        """Say which segment is being written from here on, for the findings."""
        rank = self._counts.get(name, 0) + 1
        self._counts[name] = rank
        self._place = name if rank == 1 else f"{name}[{rank}]"
        return self._place

    def about(self, place: str) -> None:
        """Say what the next findings are about, without a segment of its own."""
        self._place = place

    def text(self, value: str | None) -> str:
        """Escape a text for any field; a line end becomes a line break command (`.br`). None is empty."""
        if not value:
            return ""
        if value.isascii() and value.isprintable() and not _SPECIAL.search(value):
            return "\\X2222\\" if value == NULL else value
        value = value.replace("\r\n", "\n")
        if _CONTROLS.search(value):
            value = _CONTROLS.sub("", value)
            self.note(Severity.WARNING, "hl7v2.write.control", "control characters were left out of a text")
        return self._encodable(value).translate(_ESCAPES)

    def components(self, parts: Iterable[str]) -> str:
        """Join raw components, without the empty ones at the end."""
        return "^".join(parts).rstrip("^")

    def segment(self, name: str, fields: dict[int, str]) -> None:
        """Add a segment from its raw fields by number, without the empty ones at the end."""
        last = max((n for n, raw in fields.items() if raw), default=0)
        self.lines.append("|".join((name, *(fields.get(n, "") for n in range(1, last + 1)))))

    def note(self, severity: Severity, code: str, message: str) -> None:
        """Note something about the segment that is being written."""
        self.findings.append(Finding(severity=severity, code=code, where=self._place, message=message))

    def lost(self, what: str) -> None:
        """Note that something of the Item has no place in the message."""
        self.note(Severity.WARNING, "hl7v2.write.not_carried", f"{what}: HL7v2 has no place for it in this message")

    def content(self) -> bytes:
        """Give the message, each segment ended by CR."""
        return ("\r".join(self.lines) + "\r").encode(self.codec)

    def _encodable(self, value: str) -> str:
        """Spell what the character set does not have with what it has; nothing becomes a question mark."""
        try:
            value.encode(self.codec)
        except UnicodeEncodeError:
            self.note(
                Severity.WARNING,
                "hl7v2.charset.transliterated",
                f"characters that {self.label} does not have were spelled otherwise",
            )
            return "".join(self._spelled(character) for character in value)
        return value

    def _spelled(self, character: str) -> str:
        candidates = (
            character,
            _SPELLED.get(character, ""),
            unicodedata.normalize("NFKC", character),
            "".join(one for one in unicodedata.normalize("NFKD", character) if not unicodedata.combining(one)),
        )
        for candidate in candidates:
            try:
                if candidate and candidate.encode(self.codec):
                    return candidate
            except UnicodeEncodeError:
                continue
        return f"[U+{ord(character):04X}]"
