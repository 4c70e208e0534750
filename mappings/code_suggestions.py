"""LOINC codes to propose for a sender's code, by the likeness of its label and by its unit.

A proposal is for a person to accept or not: its score orders the proposals and means nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from schemas.analytes import Analyte, analytes
from schemas.units import ucum_of

MOST = 3
"""Proposals for one code."""

ENOUGH = 0.45
"""Score under which a likeness is not worth a person's glance."""

_SAME_NAME, _SAME_CODE = 1.0, 0.85
_SAME_UNIT, _OTHER_UNIT = 0.25, -0.2
_EQUAL = {"ng/mL": "ug/L", "pg/mL": "ng/L", "10*3/uL": "10*9/L", "10*6/uL": "10*12/L"}
"""UCUM codes under which a result has the same number, written as the one of them that is compared."""

_UNSURE = frozenset({"meq/L"})
"""Units that say nothing for or against: the number is that of mmol/L for ions of one charge only."""

_NOISE = frozenset({"de", "du", "des", "la", "le", "les", "l", "d", "a", "au", "en", "et"})
_MATERIALS = frozenset({"serum", "plasma", "sang", "sanguin", "sanguine", "serique", "plasmatique", "dosage", "taux"})
_URINE = re.compile(r"urin|ecbu|diurese|ur24|/24")


class Suggestion(NamedTuple):
    """A proposed analysis; `same_unit` is None when one of the two units is not known."""

    analyte: Analyte
    score: float
    same_unit: bool | None


@lru_cache(maxsize=4096)
def suggestions(code: str, label: str | None, unit: str | None) -> tuple[Suggestion, ...]:
    """Propose analyses for a sender's code, the likeliest first; none when nothing is like it."""
    words = _words(label or "")
    short = _folded(code)
    if not words and not short:
        return ()
    ucum = _comparable(ucum_of(unit)) if unit else None
    urine = bool(_URINE.search(_plain(f"{label or ''} {code}")))
    found: list[Suggestion] = []
    for known in _table():
        likeness = max(
            max((_likeness(words, name) for name in known.names), default=0.0),
            _SAME_CODE if short and short in known.shorts else 0.0,
        )
        if likeness < ENOUGH or known.urine is not urine:
            continue
        same = None if ucum is None else ucum == known.unit
        score = likeness + (0.0 if same is None else _SAME_UNIT if same else _OTHER_UNIT)
        if score >= ENOUGH:
            found.append(Suggestion(known.analyte, round(score, 3), same))
    found.sort(key=lambda one: -one.score)
    return tuple(found[:MOST])


class _Words(NamedTuple):
    """A text to compare: its words, and its groups of three letters."""

    words: frozenset[str]
    grams: frozenset[str]
    folded: str

    def __bool__(self) -> bool:
        return bool(self.folded)


class _Known(NamedTuple):
    analyte: Analyte
    names: tuple[_Words, ...]
    shorts: frozenset[str]
    unit: str
    urine: bool


@cache
def _table() -> tuple[_Known, ...]:
    return tuple(
        _Known(
            one,
            tuple(_words(name) for name in (*one.names, one.fr.partition("(")[0])),
            frozenset(_folded(name) for name in one.names),
            _comparable(one.ucum) or "",
            "urin" in _plain(one.fr),
        )
        for one in analytes()
    )


def _likeness(given: _Words, known: _Words) -> float:
    """Compare two texts: 1 when they are the same words, less by what they do not share."""
    if not given or not known:
        return 0.0
    if given.folded == known.folded or given.words == known.words:
        return _SAME_NAME
    grams = 2 * len(given.grams & known.grams) / (len(given.grams) + len(known.grams))
    shared = given.words & known.words
    words = 2 * len(shared) / (len(given.words) + len(known.words))
    return max(grams, words) * 0.95


def _words(text: str) -> _Words:
    kept = [word for word in re.findall(r"[a-z0-9%]+", _plain(text)) if word not in _NOISE]
    kept = [word for word in kept if word not in _MATERIALS] or kept
    padded = [f" {word} " for word in kept]
    grams = {word[at : at + 3] for word in padded for at in range(len(word) - 2)}
    return _Words(frozenset(kept), frozenset(grams), "".join(kept))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("γ", "gamma "))
    return "".join(char for char in decomposed.lower() if not unicodedata.combining(char))


def _folded(text: str) -> str:
    return "".join(re.findall(r"[a-z0-9%]+", _plain(text)))


def _comparable(ucum: str | None) -> str | None:
    return None if ucum is None or ucum in _UNSURE else _EQUAL.get(ucum, ucum)
