"""A dossier with its general practitioner, copied for each test; and a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dossier_scene import Scene, doctor
from fhir_rig import Rig
from postgres_server import new_database
from web_journal import Journal, hasten, open_journal

from router.journal.store import JournalPlace, open_store


@pytest.fixture(scope="session")
def postgres_journal(postgres_url: str) -> str:
    """The URL of an empty PostgreSQL database."""
    return new_database(postgres_url, "fhir_api")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fhir")
    journal = open_journal(folder)
    scene = Scene(journal)
    scene.know(1)
    scene.open()
    scene.add(doctor())
    journal.store.close()
    return folder


@pytest.fixture
def rig(template: Path, tmp_path: Path) -> Iterator[Rig]:
    """A dossier with its general practitioner, and nothing in it yet."""
    shutil.copytree(template, tmp_path / "data", dirs_exist_ok=True)
    store = hasten(open_store(JournalPlace.at(tmp_path / "data"), migrate=False))
    rig = Rig(Scene(Journal(store)))
    yield rig
    rig.app.state.desk.close()
    store.close()
