"""The formats that are installed, ours and third parties', found through the entry point `passerelle.formats`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from mappings.contracts import Format, FormatError

SURE_ENOUGH = 0.2
"""Below this, `detect` says that it does not know rather than guess."""


@cache
def formats() -> dict[str, Format]:
    """Load every registered format, by name, in alphabetical order."""
    found = sorted(entry_points(group="passerelle.formats"), key=lambda entry: entry.name)
    return {entry.name: entry.load() for entry in found}


def format_named(name: str) -> Format:
    """Give one format by its name; raises FormatError with the names that exist when there is none."""
    try:
        return formats()[name]
    except KeyError:
        known = ", ".join(formats())
        raise FormatError("format.unknown", "", f"there is no format named {name!r}; installed: {known}") from None


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
