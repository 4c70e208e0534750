"""What the tests of connectors share; the conformance suite beside is importable by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from connectors.testing import MemoryInbox, PlainServices, plain_services

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def inbox(tmp_path: Path) -> MemoryInbox:
    folder = tmp_path / "spool"
    folder.mkdir()
    return MemoryInbox(folder)


@pytest.fixture
async def services() -> PlainServices:
    return plain_services()
