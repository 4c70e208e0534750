"""The package's own data files: small CSV tables, read once by the modules that give them a meaning."""

from __future__ import annotations

import csv
from importlib.resources import files


def rows(name: str) -> list[dict[str, str]]:
    """Read `schemas/data/<name>`: UTF-8, comma-separated, one header line, every cell a text."""
    text = files("schemas").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
