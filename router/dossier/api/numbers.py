"""Numbers as a search names them, and references that nothing was found for."""

from __future__ import annotations

from collections.abc import Sequence

from router.dossier.store.elements import Json, Resource, children, said


def identifiers_of(resource: Resource) -> list[str]:
    """Give the identifiers of a resource as values of a search."""
    return numbers_of(children(resource, "identifier"))


def numbers_of(identifiers: Sequence[Resource]) -> list[str]:
    """Give identifiers as values of a search; one without a system or value finds nobody."""
    return [
        f"{_escaped(said(one, 'system'))}|{_escaped(said(one, 'value'))}"
        for one in identifiers
        if said(one, "system") and said(one, "value")
    ]


def _escaped(text: str) -> str:
    for special in ("\\", ",", "|", "$"):
        text = text.replace(special, f"\\{special}")
    return text


def unresolved(node: Json, place: str = "") -> str:
    """Give the place of a reference by urn:uuid that nothing was found for, empty when there is none."""
    if isinstance(node, dict):
        for name, value in node.items():
            here = f"{place}.{name}" if place else name
            if name == "reference" and isinstance(value, str) and value.startswith("urn:uuid:"):
                return here
            if found := unresolved(value, here):
                return found
    elif isinstance(node, list):
        for rank, value in enumerate(node):
            if found := unresolved(value, f"{place}[{rank}]"):
                return found
    return ""
