"""Traits of identity as INSi compares them: capitals without diacritics, few signs, strict syntax (INS guide, RNIV).

What a person or a message wrote is kept as it was; it is normalised to be compared, sent to INSi or printed in a
datamatrix, never to be stored in its place.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache


class TraitFault(StrEnum):
    """Why a text is no trait."""

    EMPTY = "ERR_EMPTY"
    CHARACTER = "ERR_CHAR"
    SYNTAX = "ERR_SYNTAX"


class NameKind(StrEnum):
    """Which syntax applies: a family name may hold a double hyphen, a given name may not."""

    FAMILY = "family"
    GIVEN = "given"


_LETTERS = str.maketrans(
    {
        "Œ": "OE", "œ": "OE", "Æ": "AE", "æ": "AE", "Ø": "O", "ø": "O", "Ł": "L", "ł": "L",
        "Đ": "D", "đ": "D", "Ð": "D", "ð": "D", "Þ": "TH", "þ": "TH", "ß": "SS", "ẞ": "SS",
        "’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "′": "'",
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-",
    }
)  # fmt: skip
_BLANKS = re.compile(r"\s+")
_ALLOWED = re.compile(r"[A-Z '-]+")
_FAULTY = re.compile(r"''| '|' |^-|---")
_NOT_IN_GIVEN = re.compile(r"--|[-']$")


@lru_cache(maxsize=8192)
def normalised(text: str) -> str:
    """Write a name with the letters of INSi; what has no equivalent stays, for `checked_name` to refuse."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign)).translate(_LETTERS)
    return _BLANKS.sub(" ", bare.upper()).strip()


def checked_name(text: str, kind: NameKind) -> str | TraitFault:
    """Normalise a name and check it as INSi does; gives the name, or what is wrong with it."""
    name = normalised(text)
    if not name:
        return TraitFault.EMPTY
    if not _ALLOWED.fullmatch(name):
        return TraitFault.CHARACTER
    if _FAULTY.search(name) or (kind is NameKind.GIVEN and _NOT_IN_GIVEN.search(name)):
        return TraitFault.SYNTAX
    return name


def loosened(text: str) -> str:
    """Normalise, and let hyphens and apostrophes be blanks: how two spellings of one name are recognised."""
    return _BLANKS.sub(" ", normalised(text).replace("-", " ").replace("'", " ")).strip()


def first_in_list(first: str, given_names: str) -> bool:
    """Say whether a first given name begins the list of birth given names (INS guide, EXI ID 10)."""
    one, several = loosened(first), loosened(given_names)
    return bool(one) and (several == one or several.startswith(one + " "))
