"""Two spellings side by side, with the characters that differ marked: what an eye passes over forty times a morning.

Case, accents and the kind of an apostrophe are no difference: RNIV compares what INSi would.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import groupby
from typing import NamedTuple

from schemas.traits import normalised

_NUMBERS = re.compile(r"[\d/. -]+")
"""Dates and numbers: a figure is compared with the one in the same place."""

ALIKE = 0.5
"""Share of characters in common below which two texts are simply different: marking the chance letters that two names
share would only distract."""

LONGEST = 200
"""Characters of a text that are compared one by one; what is longer is marked whole."""


class Part(NamedTuple):
    """A run of characters; `differs` when the other side does not have it there."""

    text: str
    differs: bool


Marked = tuple[Part, ...]


def marked(one: str, other: str) -> tuple[Marked, Marked]:
    """Cut two texts into the runs that they share and those in which they differ."""
    if normalised(one) == normalised(other):
        return _whole(one, differs=False), _whole(other, differs=False)
    if not one or not other or max(len(one), len(other)) > LONGEST:
        return _whole(one, differs=bool(other)), _whole(other, differs=bool(one))
    if _NUMBERS.fullmatch(one) and _NUMBERS.fullmatch(other) and len(one) == len(other):
        return _by_place(one, other), _by_place(other, one)
    matcher = SequenceMatcher(None, _folded(one), _folded(other), autojunk=False)
    if matcher.ratio() < ALIKE:
        return _whole(one, differs=True), _whole(other, differs=True)
    blocks = matcher.get_opcodes()
    left = [Part(one[a:b], tag != "equal") for tag, a, b, _, _ in blocks if b > a]
    right = [Part(other[a:b], tag != "equal") for tag, _, _, a, b in blocks if b > a]
    return tuple(left), tuple(right)


def _by_place(one: str, other: str) -> Marked:
    pairs = zip(one, other, strict=True)
    runs = groupby(pairs, key=lambda pair: pair[0] != pair[1])
    return tuple(Part("".join(char for char, _ in run), differs) for differs, run in runs)


def _whole(text: str, *, differs: bool) -> Marked:
    return (Part(text, differs),) if text else ()


def _folded(text: str) -> list[str]:
    # One element a character, so that places in it are places in the text; a blank folds to itself.
    return [normalised(char) or char for char in text]
