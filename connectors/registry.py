"""The connectors that are installed, ours and third parties', found through the entry point `passerelle.connectors`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from connectors.contracts import Connector


class UnknownConnector(LookupError):
    """The configuration names a connector that no installed package provides."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no connector named {name!r}; installed: {', '.join(known)}")
        self.name = name
        self.known = known


@cache
def connectors() -> dict[str, Connector]:
    """Load every registered connector, by the name of its entry point, in alphabetical order."""
    found = sorted(entry_points(group="passerelle.connectors"), key=lambda entry: entry.name)
    return {entry.name: entry.load() for entry in found}


def connector_named(name: str) -> Connector:
    """Give one connector by its name; raises UnknownConnector with the names that exist when there is none."""
    try:
        return connectors()[name]
    except KeyError:
        raise UnknownConnector(name, list(connectors())) from None
