"""`passerelle sandbox mssante`: what it prints can be pasted and works; what is missing is said."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import connectors.sandbox.mail_servers as servers
from connectors.mssante.settings import MssanteDestinationSettings, MssanteSourceSettings
from router.cli.base import run
from router.cli.sandbox import command_sandbox


@pytest.mark.parametrize(
    "options", [["--embedded"], pytest.param([], marks=pytest.mark.mail_servers)], ids=["embedded", "real"]
)
def test_what_is_printed_can_be_pasted(tmp_path: Path, options: list[str]) -> None:
    if not options and (said := servers.missing()):
        pytest.skip(f"the real mail servers cannot be run: {said} (see tests/system_packages.sh)")
    command = [sys.executable, "-u", "-m", "router.cli", "sandbox", "mssante", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "a mailbox that is full" in line:
                break
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert rest.endswith("stopped\n")
    sections = tomllib.loads("".join(printed))
    source, destination = sections["sources"]["mailbox"], sections["destinations"]["mail"]
    assert source.pop("connector") == destination.pop("connector") == "mssante"
    assert destination.pop("options") == {"from": source["account"]}
    MssanteSourceSettings(**source)
    MssanteDestinationSettings(**destination)
    assert not Path(source["tls"]["ca"]).exists()


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(servers, "missing", lambda: "these packages are not installed: postfix")
    assert run(["sandbox", "mssante"]) == 2
    said = capsys.readouterr().err
    assert "not installed: postfix" in said
    assert "--embedded" in said


def test_a_folder_with_a_long_path_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(servers, "missing", lambda: "")
    folder = tmp_path / ("long" * 20)
    result = CliRunner().invoke(command_sandbox, ["mssante", "--folder", str(folder)])
    assert result.exit_code == 2
    assert "take a shorter one" in result.output


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    result = CliRunner().invoke(command_sandbox, ["mssante", "--embedded", "--folder", str(file)])
    assert result.exit_code == 2
