"""Names of files: which to take, which a message mentions, which are safe to write. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from mmap import mmap
from pathlib import PurePath

from connectors.contracts import Parcel

ALWAYS_IGNORED = (".*", "*.tmp", "*.part", "*.filepart", "*~")
"""Names that writers give to files they have not finished."""

LONGEST_NAME = 200
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
TOKEN = re.compile(rb"[^\x00-\x1f|~^&<>\"']{1,255}")
"""A run of bytes that no format's delimiter cuts: a file name stands alone in its field (OBX-5 of type FIC or RP)."""


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Compare a name with shell patterns, whatever the case."""
    lowered = name.lower()
    return any(fnmatchcase(lowered, pattern.lower()) for pattern in patterns)


def is_candidate(name: str, patterns: Sequence[str], left: Sequence[str]) -> bool:
    """Say whether a name is one to take: it matches `patterns` and nothing of what is left alone."""
    return matches(name, patterns) and not matches(name, left)


def markers(name: str, suffix: str) -> tuple[str, str]:
    """Name the two files that may announce `name` as whole: `report.hpr.ok` and `report.ok`."""
    return name + suffix, PurePath(name).stem + suffix


def mentioned(content: bytes | mmap, patterns: Sequence[str]) -> list[str]:
    """List the file names that a content mentions and that match `patterns`, in order, each once.

    A name is looked for as a whole field, without its path; bytes beyond ASCII are read as Windows-1252.
    """
    if not patterns:
        return []
    endings = tuple(_literal_ending(pattern) for pattern in patterns)
    found: dict[str, None] = {}
    for token in TOKEN.finditer(content):
        raw = token.group().strip()
        if not raw.lower().endswith(endings):
            continue
        name = re.split(r"[/\\]", raw.decode("cp1252", "replace"))[-1].strip()
        if name and matches(name, patterns):
            found.setdefault(name)
    return list(found)


def find_companion(name: str, present: dict[str, str]) -> str | None:
    """Find a mentioned file among those present (by lower-cased name): exactly, else whatever the case."""
    if name in present.values():
        return name
    return present.get(name.lower())


def target_name(pattern: str, parcel: Parcel) -> str:
    """Make the name of a Parcel's file, safe on every file system."""
    pure = PurePath(parcel.filename)
    name = pattern.format(
        filename=parcel.filename,
        stem=pure.stem,
        extension=pure.suffix.removeprefix("."),
        identity=parcel.identity,
        delivery_id=parcel.delivery_id,
    )
    return safe_name(name) or safe_name(parcel.identity) or f"delivery-{parcel.delivery_id}"


def safe_name(name: str) -> str:
    """Keep letters, digits, `-_.`; no path, no leading point, 200 characters at most with the extension kept."""
    name = UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).lstrip(".")
    if len(name) > LONGEST_NAME:
        suffix = PurePath(name).suffix[:20]
        name = name[: LONGEST_NAME - len(suffix)] + suffix
    return name


def with_suffix(name: str, addition: str) -> str:
    """Insert before the extension: `CR.hpr` and `a1b2` give `CR-a1b2.hpr`."""
    pure = PurePath(name)
    return f"{pure.stem}-{addition}{pure.suffix}"


def _literal_ending(pattern: str) -> bytes:
    """Give the lower-cased end of a pattern that has no wildcard, a quick first test."""
    return re.split(r"[*?\]]", pattern.lower())[-1].encode("cp1252", "replace")
