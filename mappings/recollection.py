"""What was made of some values, found again by the very objects where it can be, by what they say where not.

Canonical models are frozen and compare by value, but hashing one looks at every field of it: that would be as dear as
much of what is remembered here. Readers give the same objects for the same text again, so which object it is often says
enough.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Recollection(Generic[V]):
    """A pure function's memory, bounded: what it gave for values that never change."""

    __slots__ = ("_by_object", "_by_value", "_most")

    def __init__(self, most: int) -> None:
        self._by_value: dict[tuple[Hashable, ...], V] = {}
        # The objects are kept as well, so that none of their places in memory can become another's.
        self._by_object: dict[tuple[int, ...], tuple[tuple[Hashable, ...], V]] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._by_value)

    def of(self, *values: Hashable) -> V | None:
        """Give what was made of such values, None when it is not known (any more)."""
        places = tuple(map(id, values))
        found = self._by_object.get(places)
        if found is not None:
            return found[1]
        made = self._by_value.get(values)
        if made is not None:
            self._know(places, values, made)
        return made

    def keep(self, made: V, *values: Hashable) -> V:
        """Remember what was made of these values, and give it back."""
        if len(self._by_value) >= self._most:
            self.clear()
        self._by_value[values] = made
        self._know(tuple(map(id, values)), values, made)
        return made

    def _know(self, places: tuple[int, ...], values: tuple[Hashable, ...], made: V) -> None:
        if len(self._by_object) >= self._most:
            self._by_object.clear()
        self._by_object[places] = values, made

    def clear(self) -> None:
        """Forget everything."""
        self._by_value.clear()
        self._by_object.clear()
