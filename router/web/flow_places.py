"""Where the page of a source, a destination or a route is."""

from __future__ import annotations

from urllib.parse import quote

from router.journal.pauses import FlowSide

PATH = "/flows"


def href_of(side: FlowSide, name: str) -> str:
    """Give the address of a flow's page; a route's name may hold anything."""
    return f"{PATH}/{side.value}s/{quote(name, safe='')}"
