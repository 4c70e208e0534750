"""One real router as a child process: started, watched, stopped with respect or killed without.

TrialFault              the trial cannot go on: one sentence
  RouterDidNotStart     `passerelle` ended, or did not listen in time; the end of its output is in the sentence
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from router.faults import Fault
from router.trial.patience import Patience

_POLL = 0.02
_TAIL = 2_000


class TrialFault(Fault):
    """The trial cannot go on."""


class RouterDidNotStart(TrialFault):
    """The router ended at once, or did not listen in time."""


def command(*arguments: str) -> list[str]:
    """Give the command line of Passerelle under this very interpreter."""
    return [sys.executable, "-m", "router.cli", *arguments]


def run_command(*arguments: str, timeout: float = 120.0, environment: Mapping[str, str] | None = None) -> str:
    """Run one command of Passerelle to its end and give what it printed; raises TrialFault when it fails.

    `environment` is added to ours.
    """
    done = subprocess.run(  # noqa: S603 - our own command, under our own interpreter
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-_TAIL:]
        raise TrialFault(f"`passerelle {arguments[0]}` ended with {done.returncode}: {said}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a router listens, as it wrote into its ready file: the web address, and `HOST:PORT` by source name."""

    pid: int
    web: str
    sources: dict[str, str]


class RouterProcess:
    """`passerelle serve` on a configuration folder, in a process group of its own.

    Its output goes to `serve.log` in that folder. Used as a context, it is stopped at the end, killed if it must be.
    """

    def __init__(
        self,
        folder: Path,
        *,
        timeout: float = 60.0,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`arguments` are further ones of `passerelle serve`; `environment` is added to ours."""
        self._arguments = tuple(arguments)
        self._environment = dict(environment or {})
        self._folder = folder
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_file = folder / "ready.json"
        self.starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.kill(whole_group=True)

    @property
    def log(self) -> Path:
        """Where the router's output goes."""
        return self._folder / "serve.log"

    @property
    def pid(self) -> int:
        """The main process; raises TrialFault when none was started."""
        if self._process is None:
            raise TrialFault("the router was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the main process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Listening:
        """Start the router and wait until it listens; raises RouterDidNotStart."""
        self.launch()
        return self.listening()

    def launch(self) -> None:
        """Start the router without waiting."""
        self._ready_file.unlink(missing_ok=True)
        arguments = command(
            "serve",
            "--config",
            str(self._folder / "passerelle.toml"),
            "--ready-file",
            str(self._ready_file),
            *self._arguments,
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, under our own interpreter
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self._environment},
            )
        self.starts += 1

    def listening(self) -> Listening:
        """Wait until the router that was launched listens; raises RouterDidNotStart."""
        if self._process is None:
            raise TrialFault("the router was not started")
        patience = Patience(self._timeout)
        while not self._ready_file.exists():
            if self._process.poll() is not None:
                raise RouterDidNotStart(f"the router ended with {self._process.returncode}: {self.last_words()}")
            if patience.ended:
                raise RouterDidNotStart(f"the router did not listen within {self._timeout:.0f} s: {self.last_words()}")
            time.sleep(_POLL)
        said = json.loads(self._ready_file.read_bytes())
        return Listening(pid=int(said["pid"]), web=str(said["web"]), sources=dict(said["sources"]))

    def stop(self, *, timeout: float = 30.0) -> int | None:
        """Ask the router to end (SIGTERM) and give its exit status, None when it did not end in time."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self, *, whole_group: bool) -> None:
        """End it at once (SIGKILL): the main process alone, as a crash does, or all of its group, as a power cut."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if whole_group:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """Give the end of the router's output."""
        try:
            return self.log.read_text(errors="replace")[-_TAIL:].strip()
        except OSError:
            return "it said nothing"
