"""A look at the journal: one connection for reading, and what opens its sealed columns.

Queries (`router.journal.queries*`) are functions of a View. A View serves one thread for a short while.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from router.journal.blobs import BlobStore
from router.journal.sealing import Sealer
from router.journal.store import Store

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


@dataclass(slots=True)
class View:
    """A connection and the means to open what it finds."""

    connection: Connection
    sealer: Sealer
    blobs: BlobStore

    def json_object(self, sealed: bytes | None, place: bytes) -> dict[str, Json]:
        """Open a sealed JSON object; an absent one is empty. Raises KeyFault when it does not open."""
        if sealed is None:
            return {}
        found = orjson.loads(self.sealer.open(sealed, place))
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Capped:
    """A count that stopped at its cap: `more` says that there are more than `count`."""

    count: int
    more: bool = False

    @classmethod
    def of(cls, found: int, cap: int) -> Capped:
        """Make one from a count that was limited to one more than its cap."""
        return cls(min(found, cap), found > cap)


@contextlib.contextmanager
def viewing(store: Store, sealer: Sealer | None = None) -> Iterator[View]:
    """Lend a View; `sealer` is the calling thread's own, and is made anew when it has none."""
    with store.reading() as connection:
        yield View(connection, sealer or store.sealer.clone(), store.blobs)
