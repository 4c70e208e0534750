"""Take values out of parsed JSON: a value of the expected type is removed and given, anything else stays behind.

What stays is reported as unread with its path, so nothing of an unexpected shape is lost without a word. Containers are
never removed: an emptied one holds no value.
"""

from __future__ import annotations

import re

from mappings.fhir.systems import OUR_EXT
from mappings.json_positions import JsonNode
from schemas.base import DECIMAL, PARTIAL_DATE_TIME

Node = dict[str, JsonNode]

_FINE_SECONDS = re.compile(r"(\.\d{6})\d+")


def said(node: Node, key: str) -> str:
    """Look at a text without taking it; empty when there is none, or it is not a text."""
    value = node.get(key)
    return value if isinstance(value, str) else ""


def take_text(node: Node, key: str) -> str | None:
    """Take a text (or a number, which is kept as text)."""
    value = node.get(key)
    if isinstance(value, str) and value:
        del node[key]
        return value
    return None


def take_flag(node: Node, key: str) -> bool | None:
    """Take a boolean."""
    value = node.get(key)
    if isinstance(value, bool):
        del node[key]
        return value
    return None


def take_number(node: Node, key: str) -> str | None:
    """Take a decimal, as the text that was written."""
    value = node.get(key)
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        del node[key]
        return value
    return None


def take_texts(node: Node, key: str) -> tuple[str, ...]:
    """Take a list of texts."""
    value = node.get(key)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        del node[key]
        return tuple(one for one in value if isinstance(one, str) and one)
    return ()


def take_moment(node: Node, key: str) -> str | None:
    """Take a date or date-time; one that FHIR could not hold comes from the extension that the writer put beside it."""
    value = node.get(key)
    if isinstance(value, str):
        cut = _FINE_SECONDS.sub(r"\1", value)
        if PARTIAL_DATE_TIME.fullmatch(cut):
            del node[key]
            return cut
        return None
    beside = child(node, "_" + key)
    found = take_extension(beside, OUR_EXT + "date") if beside else None
    if found is None:
        return None
    for field in ("valueDateTime", "valueString"):
        if PARTIAL_DATE_TIME.fullmatch(said(found, field)):
            return take_text(found, field)
    return None


def take_element_id(node: Node, key: str) -> str | None:
    """Take the element id of a primitive (`_key.id`)."""
    beside = child(node, "_" + key)
    return take_text(beside, "id") if beside else None


def child(node: Node, key: str) -> Node | None:
    """Give an element without removing it."""
    value = node.get(key)
    return value if isinstance(value, dict) else None


def children(node: Node, key: str) -> list[Node]:
    """Give the elements of a list without removing them; a lone element counts as a list of one."""
    value = node.get(key)
    if isinstance(value, dict):
        return [value]
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def take_extension(node: Node, url: str) -> Node | None:
    """Give the first extension of this URL, its URL taken; what it holds is for the caller to take."""
    for one in children(node, "extension"):
        if said(one, "url") == url:
            del one["url"]
            return one
    return None


def take_extensions(node: Node, url: str) -> list[Node]:
    """Give every extension of this URL."""
    found = []
    while (one := take_extension(node, url)) is not None:
        found.append(one)
    return found


def take_own_text(node: Node, name: str) -> str | None:
    """Take the text of one of Passerelle's own extensions, whatever its type."""
    found = take_extension(node, OUR_EXT + name)
    if found is None:
        return None
    for key in ("valueString", "valueCode", "valueDateTime"):
        value = take_text(found, key)
        if value is not None:
            return value
    return None


def forget(node: Node, *keys: str) -> None:
    """Drop elements whose meaning the caller has, or that mean nothing for the canonical model."""
    for key in keys:
        node.pop(key, None)
