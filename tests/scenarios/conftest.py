"""One empty journal for all scenarios; a router of its own for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rose_scene import RoseScene, make_template, rose_scene, whole_circle

from schemas.consent import ConsentKind
from schemas.habilitation import DataCategory


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rose")
    make_template(folder)
    return folder


@pytest.fixture
async def empty(template: Path, tmp_path: Path) -> AsyncIterator[RoseScene]:
    """A router without any dossier."""
    async with rose_scene(template, tmp_path / "router") as scene:
        yield scene


@pytest.fixture
async def scene(empty: RoseScene) -> RoseScene:
    """Mme FICTIVE-ROSE with the circle of the sheet; her daughter may know of events and read notes."""
    await empty.open(*whole_circle())
    await empty.consent(
        ConsentKind.SHARE, members=(empty.members["daughter"],), categories=(DataCategory.EVENTS, DataCategory.NOTES)
    )
    return empty
