"""`passerelle merges`, on a router that does not run."""

from __future__ import annotations

from pathlib import Path

import pytest
from web_journal import open_journal, person, rose
from web_merges import unite, wrongly_merged

from router.cli.base import run
from router.cli.terminal import now
from router.identity.patients import register

FILE = """
[journal]
data = "data"
retention_days = 30
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with a merge (1) of long ago, and one (2) that is to be undone."""
    (tmp_path / "passerelle.toml").write_text(FILE)
    journal = open_journal(tmp_path / "data")
    at = now()
    for one in (person(0), person(1), rose("IPP-VIEUX")):
        journal.apply(register(one, in_coordination=True, now=at))
    unite(journal, 2, 3, at - 40 * 86_400_000_000)
    wrongly_merged(journal, at)
    journal.store.close()
    return tmp_path


def test_a_merge_is_listed_and_undone_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--config", str(folder)]
    assert run(["merges", "list", "--state", "standing", *where]) == 0
    said = capsys.readouterr().out
    assert "standing, past_retention" in said
    assert "TEST" not in said
    monkeypatch.setattr("click.confirm", lambda _: False)
    assert run(["merges", "undo", "2", "--why", "deux personnes", *where]) == 1
    assert "waiting deliveries stopped: 1" in capsys.readouterr().out
    assert run(["merges", "undo", "2", "--why", "deux personnes", "--yes", *where]) == 0
    assert "Patients 1 and 4 are two again." in capsys.readouterr().out
    assert run(["merges", "list", "--patient", "4", *where]) == 0
    assert "deux personnes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "why", "said"),
    [
        ("1", "x", "passerelle: This merge is older than messages are kept"),
        ("9", "x", "passerelle: There is no such merge"),
        ("2", " ", "passerelle: say why"),
    ],
)
def test_a_refusal_is_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], number: str, why: str, said: str
) -> None:
    assert run(["merges", "undo", number, "--why", why, "--config", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(said)
