"""`passerelle sandbox`: a partner to try a configuration against, from the terminal."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from router.cli.base import run


def test_insi_is_served_until_interrupted_and_answers_our_own_client(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "router.cli", "sandbox", "insi", "--people", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        folder = tmp_path / "router"
        assert run(["init", str(folder)]) == 0
        file = folder / "passerelle.toml"
        file.write_text(file.read_text(encoding="utf-8") + "\n" + "".join(lines), encoding="utf-8")
        asked = ["--birth-name", "TESTINCONNU", "--given", "ZOE", "--sex", "F", "--born", "1940-01-01"]
        assert run(["insi", "--config", str(folder), *asked]) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert re.match(r'\[insi\]\nurl = "http://127\.0\.0\.1:\d+/lps"', "".join(lines))
