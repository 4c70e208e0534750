"""French laboratory units and their UCUM codes.

The table is `schemas/data/units.csv`: a UCUM code and the spellings of French laboratories that mean exactly it, or
that give the same number (`µUI/mL` is `m[IU]/L`). A unit that is not there has no UCUM code: nothing is guessed.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple

from schemas.tables import rows

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_POWER = re.compile(r"^[x×*]?10(?:\^|\*\*?|[eE]\+?|exp|EXP)?([⁰¹²³⁴⁵⁶⁷⁸⁹]+|(?<!10)\d{1,2})(?=\D|$)")
_SPACES = re.compile(r"\s+")
_MICRO = str.maketrans({"µ": "u", "μ": "u"})


class _Table(NamedTuple):
    exact: dict[str, str]
    caseless: dict[str, str | None]


def _key(raw: str) -> str:
    """Write a spelling in the one way the table is keyed: no blanks, `u` for micro, `10*9` for powers of ten."""
    text = _SPACES.sub("", raw).translate(_MICRO)
    power = _POWER.match(text)
    if power:
        text = f"10*{power.group(1).translate(_SUPERSCRIPTS)}{text[power.end() :]}"
    return text.translate(_SUPERSCRIPTS).replace("1,73", "1.73")


@cache
def _table() -> _Table:
    exact: dict[str, str] = {}
    caseless: dict[str, str | None] = {}
    for row in rows("units.csv"):
        ucum = row["ucum"]
        for spelling in row["spellings"].split(" ; "):
            key = _key(spelling)
            if exact.setdefault(key, ucum) != ucum:
                raise ValueError(f"units.csv gives two meanings to {spelling!r}")
            folded = key.casefold()
            caseless[folded] = ucum if caseless.get(folded, ucum) == ucum else None
    return _Table(exact, caseless)


@lru_cache(maxsize=4096)
def ucum_of(raw: str) -> str | None:
    """Give the UCUM code of a unit as a laboratory wrote it, or None when it is not known for certain.

    Case decides first (`G/L` is 10*9/L, `g/L` is grams per litre); a spelling in another case is accepted only when
    one meaning is left, and not when a capital `M` among small letters may say mega. Blanks, `µ`/`μ`, `²` and the
    many ways to write a power of ten do not matter.
    """
    key = _key(raw)
    if not key:
        return None
    table = _table()
    found = table.exact.get(key)
    if found is not None or (key.startswith("M") and not key.isupper()):
        return found
    return table.caseless.get(key.casefold())


def known_ucum() -> frozenset[str]:
    """List the UCUM codes that the table can give."""
    return frozenset(_table().exact.values())
