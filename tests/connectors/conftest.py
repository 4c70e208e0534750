"""What the tests of connectors share; the conformance suite beside is importable by name."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.testing import MemoryInbox, PlainServices, plain_services

if TYPE_CHECKING:
    from dmp_rig import Rig

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def inbox(tmp_path: Path) -> MemoryInbox:
    folder = tmp_path / "spool"
    folder.mkdir()
    return MemoryInbox(folder)


@pytest.fixture
async def services() -> PlainServices:
    return plain_services()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a source may keep on the disk."""
    return tmp_path


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """The folder that a directory source watches."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
async def rig(tmp_path: Path, services: PlainServices) -> AsyncIterator[Rig]:
    """A DMP destination and its peer."""
    from dmp_rig import opened

    async with opened(tmp_path, services) as made:
        yield made
