"""Filled journals to ask: SQLite in a folder, and a real PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgres_server import new_database
from web_journal import Journal, open_journal
from web_traffic import fill, flood

NOW = int(datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp() * 1_000_000)

_numbers = itertools.count(1)


def _place(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty journal: empty for SQLite, or a fresh PostgreSQL database."""
    if request.param == "sqlite":
        return ""
    return new_database(str(request.getfixturevalue("postgres_url")), f"queries{next(_numbers)}")


BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session", params=BOTH)
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """A day's traffic, for questions only."""
    made = open_journal(tmp_path_factory.mktemp("day"), _place(request))
    flood(made, NOW, 160)
    fill(made, NOW)
    yield made
    made.store.close()


@pytest.fixture(params=BOTH)
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    """A journal with one message of each fate, that a test may change."""
    made = fill(open_journal(tmp_path / "data", _place(request)), NOW)
    yield made
    made.store.close()


@pytest.fixture
def now() -> int:
    return NOW
