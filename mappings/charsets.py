"""Charset and line ends of text that declares neither, as French laboratories send it (hprim 2.3 and 3.1).

`decode` tries, in order: what it is told, a byte order mark, UTF-8, and then the charset in which the bytes spell
French best among Windows-1252, ISO-8859-15, MacRoman and CP850. `encode` goes the other way without losing a sign's
meaning silently.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

REPLACEMENT = "\ufffd"
"""What stands for bytes that mean nothing in the charset (or that somebody before us had already lost)."""

ANY_LINE_END = re.compile(r"\r*\n|\r")
_LFCR_LINE_END = re.compile(r"\n\r")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CANDIDATES = ("cp1252", "iso8859_15", "mac_roman", "cp850")
_SAMPLE = 4000
"""High bytes looked at when charsets are compared; more of them do not change the verdict."""

_WEIGHTS = {
    **dict.fromkeys("é", 6.0),
    **dict.fromkeys("èà", 4.0),
    **dict.fromkeys("êçÉ°µ", 3.0),
    **dict.fromkeys("ôùîûâëïœŒÈÀÇÊ’²³«»", 2.0),
    **dict.fromkeys("ÂÎÔÛÙËÏüöäñ–—…€±×½≤≥‰·\u00a0", 1.0),
    **dict.fromkeys("áíóúÁÍÓÚßÄÖÜ§“”®¼¾", 0.0),
}
_STRANGE, _IMPOSSIBLE = -2.0, -6.0
_BETWEEN_LETTERS_ALLOWED = frozenset("’µ°·\u00a0")

_DOUBLE = re.compile(
    r"[\u00c2-\u00df][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
    r"|\u00e2[\u0080-\u00bf\u20ac\u201a\u2030][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u02dc\u2013-\u203a\u20ac\u2122]"
)
_SURROGATE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded content.

    `raw` is the text whose characters stand for the content's bytes one after the other (`byte_offsets` relies on
    it); `text` is what to read: `raw` with a double encoding repaired and lost bytes as U+FFFD. `start` is the length
    of the byte order mark. `confidence` runs from 0 to 1; `ascii_only` says that there was nothing to decide.
    `line_end` is the commonest one, `mixed` says that there are others.
    """

    raw: str
    text: str
    charset: str
    confidence: float
    start: int
    ascii_only: bool
    line_end: str
    mixed: bool
    repaired: bool
    lost: int


def decode(content: bytes, forced: str | None = None) -> Decoded:
    """Decode a content whose charset nobody declared; `forced` is a Python codec name that ends the discussion.

    Never raises, but for LookupError when `forced` names no codec.
    """
    start, charset, confidence, raw = _first_reading(content, forced)
    ascii_only = raw.isascii()
    text, lost, repaired = raw, 0, False
    if not ascii_only:
        text = _SURROGATE.sub(REPLACEMENT, raw)
        lost = text.count(REPLACEMENT)
        text, repaired = repair_double_encoding(text)
    line_end, mixed = _line_end(text)
    return Decoded(raw, text, charset, confidence, start, ascii_only, line_end, mixed, repaired, lost)


def _first_reading(content: bytes, forced: str | None) -> tuple[int, str, float, str]:
    """Choose the charset: length of the mark, codec, confidence, text with undecodable bytes as lone surrogates."""
    for mark, charset in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return len(mark), charset, 1.0, _lossless(content[len(mark) :], charset)
    if forced is not None:
        return 0, codecs.lookup(forced).name, 1.0, _lossless(content, forced)
    wide = _utf_16_without_mark(content)
    if wide is not None:
        return 0, wide, 0.9, _lossless(content, wide)
    if content.isascii():
        return 0, "ascii", 1.0, content.decode("ascii")
    text = content.decode("utf-8", "surrogateescape")
    bad = len(_SURROGATE.findall(text))
    if not bad:
        return 0, "utf-8", 0.99, text
    if bad * 4 <= sum(1 for char in text if char > "\x7f") - bad:
        return 0, "utf-8", 0.7, text
    charset, confidence = _most_french(content)
    return 0, charset, confidence, _lossless(content, charset)


def _lossless(content: bytes, charset: str) -> str:
    """Decode so that each character can be counted back into bytes: U+FFFD for one byte of a one-byte charset."""
    name = codecs.lookup(charset).name
    return content.decode(charset, "surrogateescape" if name == "utf-8" else "replace")


def _utf_16_without_mark(content: bytes) -> str | None:
    head = content[:400]
    if len(head) < 8 or b"\0" not in head:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) * 0.3 and even * 8 < odd:
        return "utf-16-le"
    if even > len(head) * 0.3 and odd * 8 < even:
        return "utf-16-be"
    return None


def _most_french(content: bytes) -> tuple[str, float]:
    """Compare the candidates on the high bytes and their neighbours; Windows-1252 wins a tie (hprim 2.3)."""
    seen: Counter[bytes] = Counter()
    for number, match in enumerate(re.finditer(rb"[\x80-\xff]", content)):
        if number == _SAMPLE:
            break
        at = match.start()
        seen[(content[at - 1 : at] or b" ") + content[at : at + 2].ljust(2)] += 1
    scores = []
    for charset in _CANDIDATES:
        total = 0.5 if charset == "cp1252" else 0.0
        for three, times in seen.items():
            total += _plausibility(three, charset) * times
        scores.append((total, charset))
    (best, charset), (second, _) = sorted(scores, key=lambda entry: -entry[0])[:2]
    margin = best - second
    if charset == "cp1252" and second == scores[1][0]:  # ISO-8859-15 says the same: it is no rival
        margin = best - max(score for score, name in scores if name not in {"cp1252", "iso8859_15"})
    likely = 0.5 + 0.49 * max(margin, 0.0) / (max(margin, 0.0) + 4.0)
    return charset, round(likely if best > 0 else min(likely, 0.5), 2)


@lru_cache(maxsize=16_384)
def _plausibility(three: bytes, charset: str) -> float:
    """Weigh the middle one of three bytes: how at home is its sign in French, there."""
    before, char, after = tuple(three.decode(charset, "replace"))
    weight = _WEIGHTS.get(char)
    if weight is None:
        category = unicodedata.category(char)
        known = category[0] == "L" or category in {"Sc", "Pi", "Pf"}
        weight = _STRANGE if known else _IMPOSSIBLE if category in {"Cc", "So", "Co"} else _STRANGE
    if char.isalpha():
        if not (before.isalpha() or after.isalpha()):
            return weight if char in "àÀµ" else weight / 4
        if char.isupper() and before.islower():
            return weight - 6.0
        if char.islower() and (before + after).isupper():
            return weight - 4.0
        if char in "àÀ" and before.isalpha() and after.isalpha():
            return weight - 3.0
        return weight
    if before.isalpha() and after.isalpha() and char not in _BETWEEN_LETTERS_ALLOWED:
        return weight - 3.0
    return weight


def repair_double_encoding(text: str) -> tuple[str, bool]:
    """Undo UTF-8 that somebody read as Windows-1252 (`Ã©` for `é`), when most high signs are such pairs."""
    pairs = _DOUBLE.findall(text)
    if not pairs or 2 * sum(map(len, pairs)) < sum(1 for char in text if char > "\x7f"):
        return text, False
    repaired = _DOUBLE.sub(lambda match: _undo(match.group()), text)
    return repaired, repaired != text


def _undo(pair: str) -> str:
    code = b"".join(char.encode("latin-1") if char < "\u0100" else char.encode("cp1252", "ignore") for char in pair)
    try:
        return code.decode("utf-8")
    except UnicodeDecodeError:
        return pair


def _line_end(text: str) -> tuple[str, bool]:
    crlf, lfcr = text.count("\r\n"), text.count("\n\r")
    cr, lf = text.count("\r"), text.count("\n")
    if lfcr > crlf:
        return "\n\r", cr != lf
    if crlf:
        return "\r\n", cr != crlf or lf != crlf
    return ("\n" if lf else "\r" if cr else "\r\n"), bool(lf and cr)


def line_spans(text: str, line_end: str = "\r\n") -> list[tuple[int, int]]:
    """Cut a text into lines, whatever the line ends (CRLF, LF, CR, LFCR when it is `line_end`), as (start, end).

    A text that ends with a line end has no empty last line.
    """
    ends = _LFCR_LINE_END if line_end == "\n\r" else ANY_LINE_END
    spans, start = [], 0
    for match in ends.finditer(text):
        spans.append((start, match.start()))
        start = match.end()
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def byte_offsets(decoded: Decoded, characters: list[int]) -> dict[int, int]:
    """Turn offsets of characters in `decoded.raw` into offsets of bytes in the content; `characters` in any order."""
    single = decoded.charset not in {"utf-8", "utf-16-le", "utf-16-be"}
    if single or (decoded.raw.isascii() and decoded.charset == "utf-8"):
        return {at: at + decoded.start for at in characters}
    errors = "surrogateescape" if decoded.charset == "utf-8" else "surrogatepass"
    found, at, offset = {}, 0, decoded.start
    for wanted in sorted(set(characters)):
        offset += len(decoded.raw[at:wanted].encode(decoded.charset, errors))
        at = wanted
        found[wanted] = offset
    return found


_SPELLED = {
    "œ": "oe",
    "Œ": "OE",
    "æ": "ae",
    "Æ": "AE",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "–": "-",
    "—": "-",
    "•": "-",
    "€": "EUR",
    "‰": "o/oo",
    "≤": "<=",
    "≥": ">=",
    "≠": "<>",
    "≈": "~",
    "−": "-",
    "‐": "-",
    "‑": "-",
    "‒": "-",
    "―": "-",
    "μ": "µ",
    "→": "->",
    "←": "<-",
    "↑": "(+)",
    "↓": "(-)",
    "ʼ": "'",
    "′": "'",
    "″": '"',
    "∞": "infini",
    "√": "racine de ",
    "α": "alpha",
    "β": "bêta",
    "γ": "gamma",
    "δ": "delta",
    "κ": "kappa",
    "λ": "lambda",
    "Δ": "delta",
    "Ω": "oméga",
    "⁄": "/",
    "☐": "[ ]",
    "☑": "[x]",
    "☒": "[x]",
    "✓": "x",
}
_EXPONENT = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_EXPONENT_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")


def encode(text: str, charset: str) -> tuple[bytes, str]:
    """Encode a text, spelling out what the charset lacks (`≤` as `<=`, `10⁹` as `10^9`, `ā` as `a`, else `?`).

    Gives the bytes, and the characters that were spelled otherwise, once each, in order (empty when none was).
    """
    try:
        return text.encode(charset), ""
    except UnicodeEncodeError:
        missing = "".join(char for char in dict.fromkeys(text) if not _has(char, charset))
    text = _EXPONENT.sub(lambda found: _spell_exponent(found.group(), missing), text)
    for char in missing:
        text = text.replace(char, _spell(char, charset))
    return text.encode(charset, "replace"), missing


def _has(char: str, charset: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _spell_exponent(exponent: str, missing: str) -> str:
    """Keep an exponent one: `10⁹` must not become `109`."""
    return "^" + exponent.translate(_EXPONENT_DIGITS) if any(char in missing for char in exponent) else exponent


def _spell(char: str, charset: str) -> str:
    for attempt in (_SPELLED.get(char, ""), unicodedata.normalize("NFKC", char), unicodedata.normalize("NFKD", char)):
        kept = "".join(one for one in attempt if not unicodedata.combining(one))
        if kept and kept != char and _has(kept, charset):
            return kept
    return "" if unicodedata.combining(char) or unicodedata.category(char) == "Cf" else "?"
