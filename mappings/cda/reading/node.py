"""A CDA document as a light tree that knows what was read of it.

Every attribute and text that the reading functions take is marked by the taking itself (`get`, `text`): what holds a
value and was never taken is `Reading.unread`, without any list to keep up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from lxml import etree

from mappings.cda.oids import LAB, SDTC, V3, XSI

LONGEST = 1000
"""Characters of an unread text that are kept."""

_PREFIXES = {V3: "", LAB: "lab:", SDTC: "sdtc:", XSI: "xsi:"}
_NARRATIVE = "text"

STRUCTURE = frozenset(
    {
        "classCode",
        "moodCode",
        "determinerCode",
        "contextControlCode",
        "contextConductionInd",
        "inversionInd",
        "typeCode",
        "nullFlavor",
        "xsi:type",
        "xsi:schemaLocation",
        "codeSystemName",
        "codeSystemVersion",
        "representation",
        "mediaType",
        "ID",
        "styleCode",
    }
)
"""Attributes that say how a value is written or what an element is: alone, they are no information left behind.

The meaning of a class or type code is that of the element which holds it; it is listed with it when nobody read it.
"""


class Node:
    """An element: its name (prefix `lab:`, `sdtc:` where it is not CDA's own), attributes, own text and children.

    `element` is kept where narrative is: a section's text is not turned into nodes. `touched` is for who surveys what
    was taken of an element and of all that it holds.
    """

    __slots__ = ("_read", "_text", "_text_read", "attributes", "children", "element", "name", "touched")

    def __init__(self, name: str, attributes: dict[str, str], text: str | None) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Node] = []
        self.element: etree._Element | None = None
        self._text = text
        self._read: set[str] | None = None
        self._text_read = False
        self.touched = False

    def get(self, name: str) -> str | None:
        """Take an attribute, blanks around it taken off; None when it is absent or empty."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if self._read is None:
            self._read = {name}
        else:
            self._read.add(name)
        return value.strip() or None

    def peek(self, name: str) -> str | None:
        """Look at an attribute without taking it."""
        return self.attributes.get(name)

    @property
    def raw(self) -> str:
        """Take the element's own text exactly as it is: a file in base64."""
        self._text_read = True
        return self._text or ""

    @property
    def text(self) -> str | None:
        """Take the element's own text, blanks folded; None when there is none."""
        if self._text is None:
            return None
        self._text_read = True
        return " ".join(self._text.split()) or None

    def peek_text(self) -> str | None:
        """Look at the element's own text, blanks folded, without taking it."""
        return " ".join((self._text or "").split()) or None

    @property
    def has_text(self) -> bool:
        """Tell whether the element has a text of its own, without taking it."""
        return self._text is not None

    def first(self, *names: str) -> Node | None:
        """Follow child names and give the first element there, or None."""
        node: Node = self
        for name in names:
            for child in node.children:
                if child.name == name:
                    node = child
                    break
            else:
                return None
        return node

    def all(self, name: str) -> list[Node]:
        """List the children of a name."""
        return [child for child in self.children if child.name == name]

    def walk(self) -> Iterator[Node]:
        """Walk through the element and all that it holds, in order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def use(self) -> None:
        """Take everything: what it says is said elsewhere too."""
        for node in self.walk():
            node.use_own()

    def use_own(self) -> None:
        """Take the element's own attributes and text, not its children's."""
        self._read = set(self.attributes)
        self._text_read = True

    def says(self, other: Node | None) -> bool:
        """Tell whether two elements have the same attributes, text and children."""
        return (
            other is not None
            and self.attributes == other.attributes
            and self._text == other._text
            and len(self.children) == len(other.children)
            and all(
                one.name == two.name and one.says(two) for one, two in zip(self.children, other.children, strict=True)
            )
        )

    def left(self) -> list[str]:
        """List the element's own values that nobody took."""
        read = self._read or ()
        if self._text is None and len(read) == len(self.attributes):
            return []
        found = [
            value.strip()
            for name, value in self.attributes.items()
            if name not in read and name not in STRUCTURE and value.strip()
        ]
        if self._text is not None and not self._text_read:
            found.append(" ".join(self._text[: 2 * LONGEST].split()))
        return found

    @property
    def untouched(self) -> bool:
        """Tell whether nothing of the element itself was taken."""
        return not self._read and not self._text_read


def planted(element: etree._Element, *, skip: frozenset[str] = frozenset()) -> Node:
    """Make nodes of an element and all that it holds; children of the element itself named in `skip` are left out.

    A section's narrative stays an element (`Node.element`).
    """
    root = _node(element)
    waiting = [(element, root, skip)]
    while waiting:
        parent, node, without = waiting.pop()
        in_section = node.name == "section"
        for child in parent:
            made = _node(child)
            if made.name in without:
                continue
            node.children.append(made)
            if in_section and made.name == _NARRATIVE:
                made.element = child
            elif len(child):
                waiting.append((child, made, frozenset()))
    return root


_NAMES: dict[str, str] = {}
_MOST_NAMES = 2000


def _name(tag: str) -> str:
    known = _NAMES.get(tag)
    if known is None:
        namespace, _, local = tag.rpartition("}")
        prefix = _PREFIXES.get(namespace[1:])
        known = tag if prefix is None and namespace else f"{prefix or ''}{local}"
        if len(_NAMES) < _MOST_NAMES:
            _NAMES[tag] = known
    return known


def _node(element: etree._Element) -> Node:
    text = element.text
    if text is not None and (not text or text.isspace()):
        text = None
    attributes = dict(cast("list[tuple[str, str]]", element.items()))
    if "{" in "".join(attributes):  # few have a namespace
        attributes = {name if name[0] != "{" else _name(name): value for name, value in attributes.items()}
    return Node(_NAMES.get(element.tag) or _name(element.tag), attributes, text)
