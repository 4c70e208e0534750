"""`passerelle flow` and `passerelle config`, on a router that does not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.cli.base import run
from router.journal.sealing import make_key_file

FILE = """
[journal]
data = "data"
[sources.depot]
connector = "directory"
folder = "in"
[destinations.out]
connector = "directory"
folder = "out"
format = "canonical"
[[routes]]
name = "all"
to = ["out"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("data", "in", "out"):
        (tmp_path / name).mkdir()
    make_key_file(tmp_path / "data" / "journal.key")
    (tmp_path / "passerelle.toml").write_text(FILE)
    return tmp_path


def test_a_flow_is_paused_listed_and_resumed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(folder)]
    assert run(["flow", "pause", "route", "all", "--reason", "wrong codes", *config]) == 0
    assert run(["flow", "pause", "route", "all", "--reason", "again", *config]) == 1
    assert run(["flow", "list", *config]) == 0
    said = capsys.readouterr().out
    assert "(command line): wrong codes" in said
    assert run(["flow", "resume", "route", "all", *config]) == 0
    assert run(["flow", "resume", "route", "all", *config]) == 1
    assert run(["flow", "pause", "source", "nobody", "--reason", "x", *config]) == 2
    assert run(["flow", "pause", "source", "depot", "--reason", " ", *config]) == 2
    assert "say why" in capsys.readouterr().err


def test_a_connection_is_tested(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flow", "test", "destination", "out", "--config", str(folder)]) == 0
    assert f"✔ A file can be made in {folder / 'out'}." in capsys.readouterr().out
    (folder / "out").rmdir()
    assert run(["flow", "test", "destination", "out", "--config", str(folder)]) == 1
    assert run(["flow", "test", "destination", "none", "--config", str(folder)]) == 2


def test_a_configuration_is_applied_shown_and_taken_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(folder)]
    path, draft = folder / "passerelle.toml", folder / "draft.toml"
    draft.write_text(FILE.replace('"all"', '"everything"'))
    assert run(["config", "apply", str(path), *config]) == 0
    assert run(["config", "apply", str(draft), "--comment", "a better name", *config]) == 0
    assert path.read_text() == draft.read_text()
    assert (folder / "passerelle.toml.former").read_text() == FILE
    assert "the router starts with it" in capsys.readouterr().out
    assert run(["config", "show", "1", *config]) == 0
    assert capsys.readouterr().out == FILE
    assert run(["config", "revert", "1", *config]) == 0
    assert path.read_text() == FILE
    assert run(["config", "history", *config]) == 0
    said = capsys.readouterr().out
    assert "a better name" in said
    assert "back to version 1" in said
    assert said.count("runs") == 1
    assert run(["config", "revert", "99", *config]) == 2


def test_a_draft_with_mistakes_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft = folder / "draft.toml"
    draft.write_text(FILE.replace("connector", "conector"))
    assert run(["config", "apply", str(draft), "--config", str(folder)]) == 2
    assert "line 4" in capsys.readouterr().err
    assert (folder / "passerelle.toml").read_text() == FILE
