"""An empty journal with one registered person, copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dossier_scene import Scene
from web_journal import Journal, hasten, open_journal

from router.journal.store import JournalPlace, open_store


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dossier")
    journal = open_journal(folder)
    Scene(journal).know(1)
    journal.store.close()
    return folder


@pytest.fixture
def scene(template: Path, tmp_path: Path) -> Iterator[Scene]:
    """A registered person without a dossier."""
    shutil.copytree(template, tmp_path / "data", dirs_exist_ok=True)
    store = hasten(open_store(JournalPlace.at(tmp_path / "data"), migrate=False))
    yield Scene(Journal(store))
    store.close()


@pytest.fixture
def dossier(scene: Scene) -> Scene:
    """Her dossier, open, with nobody in its circle."""
    assert scene.open().refusal is None
    return scene
