"""What processes consume, read from /proc; None on systems that have none."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """A family of processes at one moment: processor seconds used so far, resident bytes, how many processes."""

    cpu_seconds: float
    rss_bytes: int
    processes: int


def available() -> bool:
    """Say whether this system shows its processes in /proc."""
    return (_PROC / "self" / "stat").exists()


def family(root: int) -> tuple[int, ...]:
    """List a process and its living descendants, by id; empty when it has ended or /proc is absent."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir() if available() else ():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    if _stat(root) is None:
        return ()
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return tuple(found)


def usage(root: int) -> Usage | None:
    """Measure a process with its descendants; None where /proc is absent.

    Processor time includes that of children that have ended and were waited for.
    """
    if not available():
        return None
    ticks, pages, count = 0, 0, 0
    for pid in family(root):
        fields = _stat(pid)
        if fields is None:
            continue
        ticks += sum(int(fields[place]) for place in (11, 12, 13, 14))
        pages += int(fields[21])
        count += 1
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"), count)


def _stat(pid: int) -> list[str] | None:
    """Read the fields of /proc/PID/stat from the state on; None when the process has ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else fields


class PeakMemory:
    """Watches a family of processes from a thread; `peak` is the greatest sum of resident memory seen, in bytes."""

    def __init__(self, root: int, *, every: float = 0.25) -> None:
        self.peak = 0
        self._root = root
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            seen = usage(self._root)
            if seen is not None:
                self.peak = max(self.peak, seen.rss_bytes)
            if self._ended.wait(self._every):
                return
