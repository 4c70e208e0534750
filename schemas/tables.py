"""The package's own data files: small CSV tables, read once by the modules that give them a meaning."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType


@cache
def rows(name: str) -> tuple[Mapping[str, str], ...]:
    """Read `schemas/data/<name>`: UTF-8, comma-separated, one header line, every cell a text."""
    text = files("schemas").joinpath("data", name).read_text(encoding="utf-8")
    return tuple(MappingProxyType(row) for row in csv.DictReader(text.splitlines()))
