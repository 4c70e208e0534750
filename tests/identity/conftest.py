"""Empty journals on SQLite and on a real PostgreSQL, and an engine that runs on them.

Migrations run once for each database; every test gets a copy of what they made.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from flows_rig import Rig, empty_journal, running
from postgres_server import new_database

from router.journal.store import JournalPlace, open_store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flows-sqlite")
    open_store(empty_journal(folder)).close()
    return folder


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flows-postgres")
    open_store(empty_journal(folder, new_database(postgres_url, "flows"))).close()
    return folder


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> JournalPlace:
    """An empty journal."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copytree(template, tmp_path, dirs_exist_ok=True)
        return JournalPlace.at(tmp_path)
    shutil.copytree(request.getfixturevalue("postgres_template"), tmp_path, dirs_exist_ok=True)
    server: str = request.getfixturevalue("postgres_url")
    return JournalPlace.at(tmp_path, new_database(server, f"flows{next(_numbers)}", like="flows"))


@pytest.fixture
async def rig(place: JournalPlace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """An engine on an empty journal."""
    async with running(place, monkeypatch) as made:
        yield made
