"""Every text of the dashboard, in French and in English: one folder a language, one file a family, the same keys.

A text may hold named places (`{count}`); a table with `one` and `many` is chosen by its `count`. What fills a place is
escaped unless it is markup already, so that a text can be put into a page, or into an attribute, as it is.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from markupsafe import Markup, escape

LANGUAGES = ("fr", "en")
DEFAULT = "fr"

Catalogue = dict[str, str | dict[str, str]]


@cache
def catalogue(language: str) -> Catalogue:
    """Load a language's texts, with dotted keys."""
    found: Catalogue = {}
    for file in sorted((files(__name__) / language).iterdir(), key=lambda file: file.name):
        with file.open("rb") as handle:
            texts = _flat("", tomllib.load(handle))
        repeated = [key for key, _ in texts if key in found]
        if repeated:
            raise ValueError(f"the text {repeated[0]} stands twice in {language}, the second time in {file.name}")
        found.update(texts)
    return found


def _flat(prefix: str, table: dict[str, object]) -> list[tuple[str, str | dict[str, str]]]:
    found: list[tuple[str, str | dict[str, str]]] = []
    for name, value in table.items():
        if isinstance(value, str):
            found.append((prefix + name, value))
        elif isinstance(value, dict):
            if set(value) == {"one", "many"}:
                found.append((prefix + name, value))
            else:
                found += _flat(f"{prefix}{name}.", value)
    return found


_TURNING = re.compile("[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]")
"""Letters written from right to left, and marks that turn the direction of what follows (Unicode UAX #9)."""


def _isolated(value: object) -> object:
    """Keep a name that runs the other way from turning the sentence around it: isolate it (FSI … PDI)."""
    if not isinstance(value, str) or not _TURNING.search(value):
        return value
    return type(value)("\u2068") + value + type(value)("\u2069")


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    language: str
    _texts: Catalogue = field(repr=False, default_factory=dict)

    @classmethod
    def of(cls, language: str) -> Texts:
        """Give a language's texts; French for a language that there is not."""
        known = language if language in LANGUAGES else DEFAULT
        return cls(known, catalogue(known))

    def say(self, key: str, /, count: int | None = None, **places: object) -> Markup:
        """Give the text of a key with its places filled; raises KeyError when there is none.

        `count` chooses between one and many, and fills the place `count` unless `shown` says how it is written.
        """
        found = self._texts[key]
        if isinstance(found, dict):
            number = count or 0
            single = number in {0, 1} if self.language == "fr" else number == 1
            found = found["one" if single else "many"]
        if count is not None:
            places.setdefault("count", places.pop("shown", count))
        text = escape(found)
        return text.format(**{name: _isolated(value) for name, value in places.items()}) if places else text

    def has(self, key: str) -> bool:
        """Whether there is a text of this key."""
        return key in self._texts

    def word(self, family: str, value: str) -> Markup:
        """Give the word for a value of a family of keys (`state.delivery`), or the value itself when it has none."""
        key = f"{family}.{value}"
        return self.say(key) if key in self._texts else escape(value)
