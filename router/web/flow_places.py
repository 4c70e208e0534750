"""Where the page of a source, a destination or a route is."""

from __future__ import annotations

from urllib.parse import quote

PATH = "/flows"


def href_of(side: str, name: str) -> str:
    """Give the address of a flow's page, by its side (`router.journal.pauses.FlowSide`); a name may hold anything."""
    return f"{PATH}/{side}s/{quote(name, safe='')}"
