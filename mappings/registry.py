"""The formats that are installed, ours and third parties', found through the entry point `passerelle.formats`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mappings.contracts import Format, FormatError

SURE_ENOUGH = 0.2
"""Below this, `detect` says that it does not know rather than guess."""


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="passerelle.formats")}


@cache
def _loaded(name: str) -> Format:
    found: Format = _entries()[name].load()
    return found


def format_names() -> list[str]:
    """List the registered formats' names, without loading any."""
    return sorted(_entries())


def formats() -> dict[str, Format]:
    """Load every registered format, by name, in alphabetical order."""
    return {name: _loaded(name) for name in format_names()}


def format_named(name: str) -> Format:
    """Give one format by its name; raises FormatError with the names that exist when there is none."""
    if name not in _entries():
        known = ", ".join(format_names())
        raise FormatError("format.unknown", "", f"there is no format named {name!r}; installed: {known}")
    return _loaded(name)


def detect(content: bytes) -> Format:
    """Recognise a content's format by its bytes alone; raises FormatError when no format is sure enough."""
    scored = [(candidate.sniff(content), name, candidate) for name, candidate in formats().items()]
    score, _, best = max(scored, default=(0.0, "", None), key=lambda entry: (entry[0], entry[1]))
    if best is None or score < SURE_ENOUGH:
        raise FormatError(
            "format.not_recognised",
            "content",
            "no installed format recognises this content; name one with --from",
        )
    return best
