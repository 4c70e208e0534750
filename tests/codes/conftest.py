"""Reports of a laboratory that has its own codes, and an engine that reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from local_codes import LocalRig

from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, Store as JournalStore, open_store


@pytest.fixture
def place(tmp_path: Path) -> JournalPlace:
    make_key_file(tmp_path / "journal.key")
    return JournalPlace.at(tmp_path)


@pytest.fixture
def store(place: JournalPlace) -> Any:
    opened: JournalStore = open_store(place)
    yield opened
    opened.close()


@pytest.fixture
def make_rig(place: JournalPlace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LocalRig]:
    def make(*, maps: tuple[str, ...] = ()) -> LocalRig:
        return LocalRig(place, monkeypatch, maps)

    return make


@pytest.fixture
def looking_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look for changed maps at every batch, so that a test need not wait for the next look."""
    monkeypatch.setattr("router.codes.maps.LOOK_SECONDS", 0.0)


@pytest.fixture
async def rig(make_rig: Callable[..., LocalRig]) -> AsyncIterator[LocalRig]:
    made = make_rig()
    await made.start()
    yield made
    await made.stop()
