"""What a reading left behind of a document: `Reading.unread`."""

from __future__ import annotations

from collections import Counter

from lxml import etree

from mappings.cda.reading.node import LONGEST, Node

_ENVELOPE = frozenset({"realmCode", "typeId", "templateId"})
"""What says that this is such a document, and by which templates: structure, not information."""


def unread_of(root: Node, ignored: frozenset[int] = frozenset()) -> list[tuple[str, str]]:
    """List what nobody took: the place of the largest element that is wholly unread, and its values, in order.

    Places are written `author[2]/assignedAuthor/addr` from `root` on, attributes with `@`. `ignored` are the ids of
    elements that are kept whole elsewhere.
    """
    found: list[tuple[str, str]] = []
    _collect(root, "", ignored, found)
    return found


def _collect(node: Node, place: str, ignored: frozenset[int], found: list[tuple[str, str]]) -> None:
    children = node.children
    counts = Counter(child.name for child in children) if len(children) > 1 else _ONE
    ranks: dict[str, int] = {}
    for child in children:
        name = child.name
        rank = ranks[name] = ranks.get(name, 0) + 1
        if name in _ENVELOPE or id(child) in ignored:
            continue
        step = name if counts[name] < 2 else f"{name}[{rank}]"
        where = f"{place}/{step}" if place else step
        if child.element is not None:
            if child.untouched and (said := _narrated(child.element)):
                found.append((where, said[:LONGEST]))
        elif not _touched(child):
            values = [value for one in child.walk() if one.name not in _ENVELOPE for value in _values(one)]
            if values:
                found.append((where, " ".join(values)[:LONGEST]))
        else:
            own = child.left()
            if own:
                found.append((where, " ".join(own)[:LONGEST]))
            if child.children:
                _collect(child, where, ignored, found)


_ONE: Counter[str] = Counter()


def _touched(node: Node) -> bool:
    """Tell whether anything of an element was taken; its depth is bounded by `parse_xml`."""
    return not node.untouched or any(_touched(child) for child in node.children if child.name not in _ENVELOPE)


def _values(node: Node) -> list[str]:
    if node.element is not None:
        return [_narrated(node.element)]
    return node.left()


def _narrated(element: etree._Element) -> str:
    return " ".join("".join(map(str, element.itertext())).split())
