"""Short questions to the journal that every batch of messages asks, put to the driver itself.

SQLAlchemy takes longer to prepare such a statement and its rows than the database to answer it, which counts where
batches are small. Values are integers, texts or bytes, which every driver takes as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

ANY_DOSSIER = "SELECT id FROM dossier LIMIT 1"


def ask(connection: Connection, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a query of ours on the driver of a connection; `?` stands for a value."""
    driver: Any = connection.connection.driver_connection
    text = sql if connection.dialect.positional else sql.replace("?", "%s")
    rows: list[tuple[Any, ...]] = driver.execute(text, tuple(values)).fetchall()
    return rows


def ask_about(connection: Connection, sql: str, values: Sequence[int]) -> list[tuple[Any, ...]]:
    """Run a query that ends in `IN` about these values; gives nothing for none.

    The list is filled up to one of few lengths by its last value, so that drivers keep their statements prepared.
    """
    rows: list[tuple[Any, ...]] = []
    for at in range(0, len(values), MOST):
        some = list(values[at : at + MOST])
        length = 1 << (len(some) - 1).bit_length()
        some += some[-1:] * (length - len(some))
        rows += ask(connection, f"{sql} ({', '.join(['?'] * length)})", some)
    return rows


MOST = 512
"""Values in one question at most: drivers have their limits."""
