"""Names of fields and meanings of codes of the two HPRIM formats, from each package's own tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class FieldName:
    """A field's name in French and English, and its type."""

    fr: str
    en: str
    type: str

    @property
    def both(self) -> str:
        """Give both names, French first."""
        return f"{self.fr} / {self.en}"


def _rows(package: str, table: str) -> list[dict[str, str]]:
    text = files(f"mappings.{package}").joinpath("tables", table).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def field_names(package: str) -> dict[str, FieldName]:
    """List a format's fields by key (`RES-05`, `OBX-5`, `line 7`)."""
    return {row["key"]: FieldName(row["fr"], row["en"], row["type"]) for row in _rows(package, "fields.csv")}


@cache
def code_meanings(package: str) -> dict[tuple[str, str], str]:
    """Give the French meaning of each code by (field, code)."""
    return {(row["field"], row["code"]): row["fr"] for row in _rows(package, "codes.csv")}


def explained(package: str, key: str, text: str) -> str:
    """Write a coded field's content with its meaning (`F · validé`); anything else as it is."""
    meaning = code_meanings(package).get((key, text.strip()))
    return f"{text.strip()} · {meaning}" if meaning else text
