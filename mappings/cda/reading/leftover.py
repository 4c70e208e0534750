"""What a reading left behind of a document: `Reading.unread`."""

from __future__ import annotations

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
    _survey(root)
    _collect(root, (), ignored, found)
    return found


def _survey(node: Node) -> bool:
    """Note of each element whether anything of it was taken; its depth is bounded by `parse_xml`."""
    touched = not node.untouched
    for child in node.children:
        if _survey(child) and child.name not in _ENVELOPE:
            touched = True
    node.touched = touched
    return touched


def _collect(node: Node, above: tuple[Node, ...], ignored: frozenset[int], found: list[tuple[str, str]]) -> None:
    trail = (*above, node)
    for child in node.children:
        if child.name in _ENVELOPE or id(child) in ignored:
            continue
        if child.element is not None:
            if child.untouched and (said := _narrated(child.element)):
                found.append((_place(trail, child), said[:LONGEST]))
        elif not child.touched:
            values = [value for one in child.walk() if one.name not in _ENVELOPE for value in _values(one)]
            if values:
                found.append((_place(trail, child), " ".join(values)[:LONGEST]))
        else:
            own = child.left()
            if own:
                found.append((_place(trail, child), " ".join(own)[:LONGEST]))
            if child.children:
                _collect(child, trail, ignored, found)


def _place(trail: tuple[Node, ...], last: Node) -> str:
    """Write where an element stands, each step with its rank where its parent has several of the name."""
    steps = []
    for parent, node in zip(trail, (*trail[1:], last), strict=True):
        same = parent.all(node.name)
        rank = next(number for number, one in enumerate(same, start=1) if one is node)
        steps.append(node.name if len(same) < 2 else f"{node.name}[{rank}]")
    return "/".join(steps)


def _values(node: Node) -> list[str]:
    if node.element is not None:
        return [_narrated(node.element)]
    return node.left()


def _narrated(element: etree._Element) -> str:
    return " ".join("".join(map(str, element.itertext())).split())
