"""Processes of the proof: started on a host, stopped, frozen, killed; none outlives the harness."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from router.prove.cluster import launch
from router.prove.cluster.hosts import Host
from router.trial.process import TrialFault

_TAIL = 1_500
_LAST_WORDS = 3.0


class Running:
    """One process with a group of its own, whose output goes to a file.

    It must be started from the harness's main thread: the kernel ends a child with the thread that made it.
    """

    def __init__(self, name: str, host: Host, log: Path, *, user: str = "-") -> None:
        self.name = name
        self.host = host
        self.log = log
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; raises TrialFault before it was started."""
        if self._process is None:
            raise TrialFault(f"{self.name} was not started")
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self, command: list[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Start it; raises TrialFault when it runs already."""
        if self.alive:
            raise TrialFault(f"{self.name} runs already")
        words = [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid()), self.host.namespace or "-"]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, without a shell
                [*words, self._user, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    def kill(self) -> None:
        """End it and its group at once, as a power cut does."""
        self._signal_group(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        """Stop it and its group where they are (SIGSTOP)."""
        self._signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as though nothing had been."""
        self._signal_group(signal.SIGCONT)

    def ask(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the process itself."""
        if self._process is not None and self.alive:
            self._process.send_signal(number)

    def stop(self, *, timeout: float = 30.0, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Ask it to end and give its status; None when it had to be killed."""
        self.thaw()
        self.ask(number)
        return self.ended(timeout)

    def ended(self, timeout: float) -> int | None:
        """Wait for its end and give its status; None when it had to be killed, or was never started."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            # A node of Python writes to its log where its threads were.
            self.ask(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_WORDS)
            self.kill()
            return None

    def last_words(self) -> str:
        """Give the end of its output."""
        try:
            return self.log.read_text(errors="replace")[-_TAIL:].strip()
        except OSError:
            return "it said nothing"

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
