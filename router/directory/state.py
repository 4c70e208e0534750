"""What the last refresh came to, and how far the one under way is: two small files beside the index."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

STATE, PROGRESS = "state.json", "progress.json"


@dataclass(slots=True)
class Part:
    """The index, or the white list: when it was last tried and had (ISO, UTC), and what was wrong with the last try."""

    tried_at: str = ""
    good_at: str = ""
    code: str = ""
    trouble: str = ""
    etags: dict[str, str] = field(default_factory=dict)

    def failed(self, now: datetime, code: str, trouble: str) -> None:
        """Note a try that came to nothing: the last good one stays."""
        self.tried_at, self.code, self.trouble = now.isoformat(timespec="seconds"), code, trouble

    def done(self, now: datetime) -> None:
        """Note a good one."""
        self.tried_at = self.good_at = now.isoformat(timespec="seconds")
        self.code = self.trouble = ""


@dataclass(slots=True)
class State:
    """Both parts."""

    index: Part = field(default_factory=Part)
    white_list: Part = field(default_factory=Part)


@dataclass(frozen=True, slots=True)
class Progress:
    """A refresh under way: which text, how many of its bytes are read, and of how many (0: unknown)."""

    doing: str
    read: int
    size: int
    at: str

    @property
    def percent(self) -> int | None:
        """How far it is, None where that is not known."""
        return min(100, 100 * self.read // self.size) if self.size else None


def load_state(folder: Path) -> State:
    """Give the state; an unreadable file is none, and a refresh is then due."""
    found = _load(folder / STATE)
    with contextlib.suppress(TypeError, AttributeError):
        return State(Part(**found.get("index", {})), Part(**found.get("white_list", {})))
    return State()


def save_state(folder: Path, state: State) -> None:
    """Keep the state."""
    _save(folder / STATE, asdict(state))


def load_progress(folder: Path, now: datetime) -> Progress | None:
    """Give the refresh under way, None when there is none: one that says nothing for two minutes was killed."""
    found = _load(folder / PROGRESS)
    with contextlib.suppress(TypeError, ValueError):
        progress = Progress(**found)
        if abs((now - datetime.fromisoformat(progress.at)).total_seconds()) < 120:
            return progress
    return None


class Telling:
    """Tells how far a refresh is, at most a few times a second; `close` tells that it is over."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._path = folder / PROGRESS
        self._now = now
        self._last = 0.0

    def __call__(self, doing: str, read: int, size: int) -> None:
        """Tell it."""
        now = self._now()
        if read and now.timestamp() - self._last < 0.3:
            return
        self._last = now.timestamp()
        _save(self._path, asdict(Progress(doing, read, size, now.isoformat())))

    def close(self) -> None:
        """Say that nothing is under way."""
        self._path.unlink(missing_ok=True)


def _load(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _save(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(orjson.dumps(value))
    new.replace(path)
