"""`passerelle users` and `passerelle key`: accounts and keys from the command line, each change noted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from router.cli.base import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run(["init", str(tmp_path / "router"), "--password", "un mot de passe long"]) == 0
    return tmp_path / "router"


def _audit(folder: Path) -> list[tuple[str, str, str]]:
    with sqlite3.connect(folder / "data" / "journal.db") as connection:
        return connection.execute("SELECT action, target, detail FROM audit ORDER BY id").fetchall()


def test_accounts_are_added_changed_locked_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--config", str(folder)]
    assert run(["users", "add", "claire", "--role", "operator", "--password", "un autre mot de passe", *where]) == 0
    assert run(["users", "role", "claire", "read-only", *where]) == 0
    assert run(["users", "lock", "claire", *where]) == 0
    capsys.readouterr()
    assert run(["users", "list", *where]) == 0
    listed = next(line for line in capsys.readouterr().out.splitlines() if "claire" in line)
    assert "read_only" in listed
    assert "locked" in listed
    assert run(["users", "unlock", "claire", "--forget-codes", *where]) == 0
    assert run(["users", "end-sessions", "claire", *where]) == 0
    assert [row[0] for row in _audit(folder)] == [
        "add account",
        "change role",
        "lock account",
        "unlock account",
        "forget codes",
        "end sessions",
    ]


def test_what_cannot_be_is_said_in_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--config", str(folder)]
    assert run(["users", "add", "claire", "--password", "court", *where]) == 2
    assert capsys.readouterr().err == "passerelle: a password has 12 characters at least\n"
    assert run(["users", "lock", "admin", *where]) == 2
    assert "the last administrator" in capsys.readouterr().err
    assert run(["users", "role", "nobody", "auditor", *where]) == 2
    assert "no account of this name" in capsys.readouterr().err


def test_keys_have_a_role_and_an_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--config", str(folder)]
    assert run(["key", "add", "sonde", "--role", "read-only", "--days", "30", *where]) == 0
    assert "pass_" in capsys.readouterr().out
    assert run(["key", "add", "sonde", "--role", "auditor", *where]) == 2
    assert run(["key", "list", *where]) == 0
    listed = next(line for line in capsys.readouterr().out.splitlines() if "sonde" in line)
    assert "read_only" in listed
    assert "valid" in listed
    assert run(["key", "revoke", "sonde", *where]) == 0
    assert run(["key", "revoke", "sonde", *where]) == 2
    assert _audit(folder) == [
        ("make key", "key sonde", "read_only"),
        ("withdraw key", "key sonde", ""),
    ]


def test_keys_of_before_keep_every_right(folder: Path) -> None:
    with sqlite3.connect(folder / "data" / "journal.db") as connection:
        connection.execute("INSERT INTO api_key (key_hash, name, created_at) VALUES (x'00', 'ancienne', 1)")
        assert connection.execute("SELECT role, expires_at FROM api_key").fetchall() == [("administrator", None)]
