"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings
from postgres_server import postgres_server
from quick_journals import NewJournals

from router.journal import migrate
from router.validation import Package, open_package
from router.web import accounts

# On a developer's machine properties are tried with new examples each time; in CI always with the same ones, so that a
# change is judged by what it changes.
# How fast examples are drawn says how busy the machine is, and nothing of what is tested.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _new_journals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make new journals quickly, alike to migrated ones (`tests/router/test_new_journals.py`)."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(migrate, "upgrade", NewJournals(tmp_path_factory.mktemp("new-journals")).upgrade)
        yield


_HASHER = accounts.HASHER


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Hash passwords of tests at a thousandth of the price: that it is dear is no part of what they prove."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(accounts, "HASHER", quick)
        patched.setattr(accounts, "_NOBODY", quick.hash("nobody"))
        yield


@pytest.fixture(scope="session")
def real_hasher() -> PasswordHasher:
    """What passwords are hashed by outside of tests."""
    return _HASHER


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL, for databases of one's own (`postgres_server.new_database`)."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real examples beside the project; the test is skipped, visibly, where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real examples (../shared/data) are not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def ans_package(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The ANS's validation package, opened once: `validate(content)` gives findings, `conforms(findings)` judges."""
    return open_package(shared_data / "cda", tmp_path_factory.mktemp("stylesheets"))
