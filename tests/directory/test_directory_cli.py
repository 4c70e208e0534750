"""`passerelle directory`: import, search, status, white list, refresh, rules; what is wrong is one sentence."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from connectors.sandbox.extracts import mailbox_lines
from router.cli.base import run

CONFIG = """
[journal]
data = "data"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "passerelle.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "bal.txt").write_text("".join(line + "\n" for line in mailbox_lines(60)), encoding="utf-8")
    monkeypatch.setenv("PASSERELLE_CONFIG", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def test_import_search_and_status(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["directory", "status"]) == 0
    assert "Nothing is indexed yet" in capsys.readouterr().out
    assert run(["directory", "import", str(folder / "bal.txt")]) == 0
    assert "57 mailboxes (ORG" in capsys.readouterr().out
    assert run(["directory", "search", "--rpps", "99900000000"]) == 0
    assert "@medecin.mssante.invalid" in capsys.readouterr().out
    assert run(["directory", "search", "--rpps", "99900000000", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)[0]["rpps"] == "99900000000"
    assert run(["directory", "search", "nobodyhasthisname"]) == 1
    assert run(["directory", "search"]) == 2
    capsys.readouterr()
    assert run(["directory", "status", "--moved"]) == 0
    assert capsys.readouterr().out.startswith("Index      57 mailboxes")


def test_a_wrong_file_is_one_sentence_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["directory", "import", str(folder / "bal.txt")])
    capsys.readouterr()
    assert run(["directory", "import", str(folder / "passerelle.toml")]) == 2
    assert capsys.readouterr().err == (
        "passerelle: passerelle.toml: this is no extraction of the directory that we know\n"
    )
    run(["directory", "status"])
    assert "Trouble" not in capsys.readouterr().out


def test_the_white_list(folder: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["directory", "white-list"]) == 2
    listed = shared_data / "mssante" / "listeblanche-fictive.xml"
    assert run(["directory", "white-list", "--file", str(listed), "dr.fictif@test.mssante.invalid"]) == 0
    assert capsys.readouterr().out.startswith("test.mssante.invalid  yes\n    CN=smtp1")
    assert run(["directory", "white-list", "elsewhere.invalid"]) == 1
    cut = folder / "cut.xml"
    cut.write_bytes(listed.read_bytes()[:-40])
    assert run(["directory", "white-list", "--file", str(cut)]) == 2
    assert run(["directory", "white-list"]) == 0
    assert capsys.readouterr().out.startswith("elsewhere.invalid  no\n2 domains")


def test_refresh_by_the_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["directory", "refresh"]) == 2
    (folder / "passerelle.toml").write_text(
        CONFIG + '[annuaire]\nfiles = ["bal.txt"]\nwhite_list = "absent.xml"\n', encoding="utf-8"
    )
    assert run(["directory", "refresh"]) == 1
    printed = capsys.readouterr()
    assert "57 mailboxes" in printed.out
    assert "white list" in printed.err
    assert "the last good stays" in printed.err
    assert run(["directory", "refresh"]) == 1
    assert "have not changed" in capsys.readouterr().out


def test_the_tables_are_printed_and_one_of_ones_own_is_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["directory", "rules"]) == 0
    assert "circle,*,yes," in capsys.readouterr().out
    own = CONFIG + (
        '[destinations.mss]\nconnector = "http"\nurl = "https://x.invalid"\nformat = "mail"\n'
        '[destinations.mss.recipients]\nto = ["circle"]\nrules = "own.csv"\n'
    )
    (folder / "passerelle.toml").write_text(own, encoding="utf-8")
    (folder / "own.csv").write_text("reason,data,send\ncircle,labo,yes\n", encoding="utf-8")
    assert run(["check", "--config", str(folder)]) == 2
    assert "line 10, destinations.mss.recipients.rules: own.csv, line 2: 'labo'" in capsys.readouterr().err


def test_check_tells_of_the_directory_and_of_recipients(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = CONFIG + (
        '[destinations.mss]\nconnector = "http"\nurl = "https://x.invalid"\nformat = "mail"\n'
        '[destinations.mss.recipients]\nto = ["circle", "named"]\n'
    )
    (folder / "passerelle.toml").write_text(own, encoding="utf-8")
    assert run(["check", "--config", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "recipients   mss: circle, named" in printed
    assert "without [annuaire] only known addresses are found" in printed
