"""The routes as they were when an Item went by them, so that «why did it go there» is answered with what was true then.

Each set of routes is kept once, under a digest of it. What a condition knew beside the Item is in `item.routes`, under
an empty name: no route has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit

SEEN = ""
"""Name in `item.routes` under which stands what the conditions knew."""


@dataclass(frozen=True, slots=True)
class RouteKept:
    """A route as it was: its name, condition (CEL) and destinations."""

    name: str
    when: str
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoutingSeen:
    """What conditions knew beside the Item: the routes' digest, the patient's standing, and whether it was a test."""

    digest: str
    known: bool
    in_coordination: bool
    test: bool

    def dump(self) -> dict[str, object]:
        """Give it as it is kept."""
        return {"r": self.digest, "k": self.known, "c": self.in_coordination, "t": self.test}

    @classmethod
    def load(cls, kept: object) -> RoutingSeen | None:
        """Read it; None for an Item from before it was kept."""
        if not isinstance(kept, dict):
            return None
        return cls(str(kept.get("r", "")), bool(kept.get("k")), bool(kept.get("c")), bool(kept.get("t")))


def routing_digest(routes: Sequence[RouteKept]) -> str:
    """Name a set of routes: 16 hexadecimal digits."""
    return hashlib.blake2b(_dump(routes), digest_size=8).hexdigest()


def keep_routing(routes: Sequence[RouteKept], now: int) -> Change[None]:
    """Keep a set of routes, unless it is kept already."""
    digest, text = routing_digest(routes), _dump(routes).decode()

    def change(unit: Unit) -> None:
        row = tables.routing
        if unit.connection.execute(select(row.c.digest).where(row.c.digest == digest)).scalar() is None:
            unit.connection.execute(insert(row).values(digest=digest, at=now, conditions=text))

    return Change(change, note="routes")


def kept_routings(connection: Connection, digests: Sequence[str]) -> dict[str, Mapping[str, RouteKept]]:
    """Give sets of routes by their digests, each by the routes' names."""
    row = tables.routing.c
    found = connection.execute(select(row.digest, row.conditions).where(row.digest.in_(digests))) if digests else ()
    return {one.digest: _routes(orjson.loads(one.conditions)) for one in found}


def _routes(entries: Sequence[Sequence[Any]]) -> dict[str, RouteKept]:
    return {name: RouteKept(name, when, tuple(to)) for name, when, to in entries}


def _dump(routes: Sequence[RouteKept]) -> bytes:
    return orjson.dumps([[one.name, one.when, list(one.to)] for one in routes])
