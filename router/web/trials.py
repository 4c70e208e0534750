"""Comparisons asked for on the dashboard: each runs in a process of its own, with progress, and may be stopped.

Reading messages twice takes processor time that acknowledgements must not wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

KEPT = 20
NICE = 10
PROBLEM = 2000


@dataclass(slots=True)
class Trial:
    """One comparison under way or over: how many messages are done of how many, the number under which it is kept."""

    key: str
    session: bytes
    done: int = 0
    total: int = 0
    number: int | None = None
    problem: str = ""
    stopped: bool = False
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self.number is None and not self.problem and not self.stopped


class Trials:
    """Starts comparisons; remembers the last ones. Used from the event loop only."""

    def __init__(self, configuration: Path | None) -> None:
        self.configuration = configuration
        self._trials: OrderedDict[str, Trial] = OrderedDict()

    def start(
        self,
        session: bytes,
        draft: str,
        *,
        last: int,
        source: str,
        actor: str,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Trial:
        """Start comparing a draft with what runs, on messages received in a period, or ever."""
        trial = Trial(secrets.token_urlsafe(9), session, total=last)
        self._trials[trial.key] = trial
        for key in [key for key, old in self._trials.items() if not old.running][: max(0, len(self._trials) - KEPT)]:
            del self._trials[key]
        command = [sys.executable, "-m", "router.cli", "plan", "-", "--config", str(self.configuration), "--json"]
        command += ["--last", str(last), "--source", source, "--actor", actor]
        for option, moment in (("--since", since), ("--until", until)):
            if moment is not None:
                command += [option, moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")]
        trial.task = asyncio.create_task(_run(trial, command, draft.encode()), name=f"what-if {trial.key}")
        return trial

    def find(self, session: bytes, key: str) -> Trial | None:
        """Give a trial of this session."""
        trial = self._trials.get(key)
        return trial if trial is not None and trial.session == session else None

    def stop(self, trial: Trial) -> None:
        """Stop a trial; nothing of it is kept."""
        if trial.running:
            trial.stopped = True
            if trial.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    trial.process.terminate()


async def _run(trial: Trial, command: list[str], draft: bytes) -> None:
    process = trial.process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=None if sys.platform == "win32" else lambda: os.nice(NICE),
    )
    if trial.stopped:  # before there was a process to stop
        process.terminate()
    assert process.stdin is not None  # noqa: S101 - it was asked for
    assert process.stdout is not None  # noqa: S101 - the same
    assert process.stderr is not None  # noqa: S101 - the same
    said: list[str] = []
    with contextlib.suppress(ConnectionError):  # it refused before it had read everything: its words say why
        process.stdin.write(draft)
        await process.stdin.drain()
    process.stdin.close()
    while line := (await process.stderr.readline()).decode(errors="replace").rstrip():
        done, _, total = line.partition(" ")
        if done.isdigit() and total.isdigit():
            trial.done, trial.total = int(done), int(total)
        else:
            said.append(line)
    told = await process.stdout.read()
    status = await process.wait()
    if trial.stopped:
        return
    if status in (0, 1) and told:
        trial.number = int(json.loads(told)["id"])
    else:
        trial.problem = "\n".join(said)[:PROBLEM].removeprefix("passerelle: ") or f"it ended with status {status}"
