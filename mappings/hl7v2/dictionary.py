"""Names and data types of segments, fields and components: HL7's from hl7apy, France's from our own tables.

hl7apy is imported at the first question only: it is slow to load, and nothing on the hot path asks.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

_USUAL = "2.5"
_LATEST = "2.8.2"


class Entry(NamedTuple):
    """What the dictionary says of a field or component: official name, data type, table (`0001`)."""

    name: str = ""
    type: str = ""
    table: str = ""


@cache
def _rows(name: str) -> list[dict[str, str]]:
    text = (files("mappings.hl7v2") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter=";"))


@cache
def _library(version: str) -> Any:
    """Load hl7apy's dictionary of a version, that of 2.5 for one that it does not know."""
    from hl7apy import SUPPORTED_LIBRARIES, load_library

    return load_library(version if version in SUPPORTED_LIBRARIES else _USUAL)


@cache
def _segments() -> dict[str, str]:
    return {row["segment"]: row["name"] for row in _rows("segments.csv")}


@cache
def _fields() -> dict[tuple[str, int], Entry]:
    return {
        (row["segment"], int(row["field"])): Entry(row["name"], row["type"], row["table"])
        for row in _rows("fields.csv")
    }


@cache
def _meanings() -> dict[tuple[str, str], str]:
    return {(row["table"], row["code"]): row["meaning"] for row in _rows("tables.csv")}


def segment_name(segment: str) -> str:
    """Name a segment; one that is in no dictionary is its own name."""
    return _segments().get(segment, segment)


def field_entry(segment: str, n: int, version: str) -> Entry:
    """Describe a field: France's own words first, then the version of the message, then the latest version."""
    if (known := _fields().get((segment, n))) is not None:
        return known
    for candidate in (version, _LATEST):
        found = _library(candidate).FIELDS.get(f"{segment}_{n}")
        if found is not None:
            return _entry(found)
    return Entry()


def component_entry(data_type: str, number: int, version: str) -> Entry:
    """Describe a component of a data type."""
    for candidate in (version, _LATEST):
        found = _library(candidate).DATATYPES.get(f"{data_type}_{number}")
        if found is not None:
            return _entry(found)
    return Entry()


def meaning(table: str, code: str) -> str:
    """Give the French meaning of a code, empty when our tables do not have it."""
    return _meanings().get((table, code), "")


def _entry(found: Any) -> Entry:
    """Read hl7apy's tuple: kind, parts, data type, long name, table, length."""
    words = str(found[3] or "").replace("_", " ").strip().lower()
    table = str(found[4] or "").removeprefix("HL7")
    return Entry(words[:1].upper() + words[1:], str(found[2] or ""), table)
