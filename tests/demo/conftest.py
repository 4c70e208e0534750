"""What plays the outside of the demonstration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.http.simulator import Reply, WebReceiver
from router.demo.stage_outside import Outside, outside


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Outside]:
    async with outside(tmp_path / "router") as services:
        yield services


@pytest.fixture
async def tool() -> AsyncIterator[WebReceiver]:
    async with WebReceiver(Reply(202)) as receiver:
        yield receiver
