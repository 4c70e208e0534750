"""The values of Items by path, and which of them differ between two readings."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from mappings.contracts import Reading

Leaves = dict[str, str]
"""Canonical values by path (`items[0].content.chapters[0].observations[1].value.number`), each as text."""

_OF_THE_MESSAGE = ("control_id", "message_type", "charset", "test")
_NOT_VALUES = {"items": frozenset({"id", "kind"}), "source": frozenset({"format"})}
"""What the reader makes itself: the Item's id is a digest of the whole content."""


def leaves_of(reading: Reading) -> Leaves:
    """List every value of a Reading's Items, then what it says of the message (`message.control_id`…)."""
    found: Leaves = {}
    for index, item in enumerate(reading.items):
        found.update(_values(item, f"items[{index}]", "items"))
    for name in _OF_THE_MESSAGE:
        found.update(_values(getattr(reading, name), f"message.{name}", ""))
    return found


def differences(one: Reading, other: Reading) -> set[str]:
    """Give the paths of `one` whose value is another in `other`; a value that appears counts at its neighbour's path.

    Only what differs is walked: two equal readings cost a comparison.
    """
    changed: set[str] = set()
    for index, item in enumerate(one.items):
        against = other.items[index] if index < len(other.items) else None
        _compare(item, against, f"items[{index}]", "items", changed)
    for index in range(len(one.items), len(other.items)):
        changed.add(f"items[{index}]")
    for name in _OF_THE_MESSAGE:
        if getattr(one, name) != getattr(other, name):
            changed.add(f"message.{name}")
    return changed


def _values(node: object, path: str, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, BaseModel):
        for field, value in _fields(node, name):
            yield from _values(value, f"{path}.{field}", field)
    elif isinstance(node, tuple):
        for index, value in enumerate(node):
            yield from _values(value, f"{path}[{index}]", name)
    elif node is not None and node != "":
        yield path, str(node)


def _fields(node: BaseModel, name: str) -> Iterator[tuple[str, object]]:
    hidden = _NOT_VALUES.get(name, frozenset())
    return ((field, value) for field, value in node.__dict__.items() if field not in hidden)


def _compare(one: object, other: object, path: str, name: str, changed: set[str]) -> None:
    if one is other or one == other:
        return
    if isinstance(one, BaseModel) and isinstance(other, BaseModel):
        against = dict(_fields(other, name))
        present = dict(_fields(one, name))
        for field, value in present.items():
            _compare(value, against.get(field), f"{path}.{field}", field, changed)
    elif isinstance(one, tuple) and isinstance(other, tuple) and one:
        for index, value in enumerate(one):
            _compare(value, other[index] if index < len(other) else None, f"{path}[{index}]", name, changed)
        if len(other) > len(one):
            changed.update(where for where, _ in _values(one[-1], f"{path}[{len(one) - 1}]", name))
    elif one is None or one == () or one == "":
        changed.add(path)
    else:
        changed.update(where for where, _ in _values(one, path, name))
