"""The demonstration, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from connectors.sandbox.people import BY_USED_NAME, ROSE, STRANGER, WITHOUT_INS, population
from router.demo import run_demo


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_story_comes_out_as_told_and_its_log_names_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSERELLE_LOG_FORMAT", "json")
    said: list[str] = []
    assert run_demo(once=True, port=0, folder=tmp_path / "router", say=said.append) == 0
    printed = capsys.readouterr().out
    assert "20 of 20 scenes" in printed
    assert "one patient" in printed.replace("\n", " ")
    assert "✓ Nurse's tool, told by webhook: admission 1, discharge 1." in printed
    assert "✓ Former nurse's tool, with the same subscriptions: nothing." in printed
    assert any("Admission" in line for line in said)
    assert list((tmp_path / "router" / "in" / "error").glob("*ILLISIBLE*")) or list(
        (tmp_path / "router" / "in" / "archive").rglob("*ILLISIBLE*")
    )
    _names_nobody(next((tmp_path / "router").rglob("serve.log")).read_text(encoding="utf-8"))


def _names_nobody(log: str) -> None:
    """Check that the log follows every message, and holds no token of any patient of the story."""
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    followed = {one["message_id"] for one in events if one["event"] == "message.read"}
    assert len(followed) >= 15
    assert {one["outcome"] for one in events if one["event"] == "delivery.attempt"} >= {"acknowledged"}
    for person in (ROSE, WITHOUT_INS, STRANGER, BY_USED_NAME, *population(50)):
        numbers = {person.ipp, person.laboratory_number, person.matricule, person.matricule[:13], person.phone}
        names = {person.birth_name, person.used_name or "", *person.birth_given_names, person.address} - {""}
        found = [token for token in numbers | names if re.search(rf"\b{re.escape(token)}\b", log, re.IGNORECASE)]
        assert not found, f"the log holds {len(found)} token(s) of a patient"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_it_lives_until_it_is_stopped_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "router"
    output = tmp_path / "output.txt"
    command = [sys.executable, "-u", "-m", "router.cli", "demo", "--port", "0", "--folder", str(folder)]
    with output.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as demo:
        try:
            deadline = time.monotonic() + 120
            while "Ctrl-C stops" not in output.read_text(errors="replace"):
                assert demo.poll() is None, output.read_text(errors="replace")
                assert time.monotonic() < deadline
                time.sleep(0.1)
            lines = output.read_text().splitlines()
            address = next(line.split()[1] for line in lines if line.strip().startswith("Dashboard "))
            with urllib.request.urlopen(f"{address}/login", timeout=30) as page:  # noqa: S310 - our own loopback address
                assert page.status == 200
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0
        finally:
            demo.kill()
    pid = int((folder / "ready.json").read_text().split('"pid": ')[1].split(",")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
