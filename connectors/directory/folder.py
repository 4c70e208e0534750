"""The watched folder as the source sees it: what has settled, what is picked up, where it is put away. Blocking.

folder/                 where partners write
folder/.passerelle-work what was picked up and is not yet put away: found again after a crash
folder/archive          after the commit, under dated names
folder/error            what was refused, each with a .reason file
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from connectors.directory.codec import (
    ALWAYS_IGNORED,
    find_companion,
    is_candidate,
    markers,
    matches,
    mentioned,
)
from connectors.directory.filing import Signature, move_in, read_whole
from connectors.directory.settings import DirectorySourceSettings

if sys.platform != "win32":
    import fcntl

WORK = ".passerelle-work"
LOCK = ".lock"
EXCERPT = 64 * 1024


class InUse(Exception):
    """Another reader holds this folder."""


@dataclass(slots=True)
class Listing:
    """One look at the folder: settled files oldest first, companions by lower-cased name, how many are not settled."""

    ready: list[str] = field(default_factory=list)
    companions: dict[str, str] = field(default_factory=dict)
    unsettled: int = 0


@dataclass(slots=True)
class Picked:
    """A file in the work folder: its size, its bytes unless it is large, and what it mentions.

    `too_large` files carry their beginning only. `missing` are the companions that are named and not there.
    """

    name: str
    size: int
    content: bytes = b""
    large: bool = False
    too_large: bool = False
    siblings: dict[str, bytes] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


class Folder:
    """Keeps only what it saw at the last look, to tell whether files have settled."""

    def __init__(self, settings: DirectorySourceSettings) -> None:
        self._settings = settings
        self.path = settings.folder
        self.work = settings.folder / WORK
        self.archive = settings.folder / settings.archive
        self.error = settings.folder / settings.error
        self._left = (*ALWAYS_IGNORED, *settings.ignore, *settings.companions)
        self._seen: dict[str, tuple[Signature, datetime]] = {}
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folders that are ours and hold the work folder; raises OSError, or InUse when another holds it."""
        with os.scandir(self.path):
            self.work.mkdir(exist_ok=True)
        for place in (self.error, *([self.archive] if self._settings.after == "archive" else [])):
            place.mkdir(parents=True, exist_ok=True)
        if sys.platform != "win32":
            self._hold()

    def close(self) -> None:
        """Let another reader have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def look(self, now: datetime) -> Listing:
        """List the folder. A file is ready when it has not moved since `settle_seconds`, or its marker is there."""
        settings = self._settings
        listing = Listing()
        files: list[tuple[int, str, Signature]] = []
        names: set[str] = set()
        with os.scandir(self.path) as entries:
            for entry in entries:
                if not entry.is_file(follow_symlinks=False):
                    continue
                names.add(entry.name)
                accompanies = matches(entry.name, settings.companions)
                if accompanies or is_candidate(entry.name, settings.patterns, self._left):
                    status = entry.stat(follow_symlinks=False)
                    files.append((status.st_mtime_ns, entry.name, Signature.of(status)))
        seen: dict[str, tuple[Signature, datetime]] = {}
        settle = timedelta(seconds=settings.settle_seconds)
        for _, name, signature in sorted(files, key=lambda file: file[:2]):
            known = self._seen.get(name)
            since = known[1] if known is not None and known[0] == signature else now
            seen[name] = (signature, since)
            settled = now - since >= settle
            if matches(name, settings.companions):
                if settled:
                    listing.companions.setdefault(name.lower(), name)
            elif self._is_ready(name, names, settled):
                listing.ready.append(name)
            else:
                listing.unsettled += 1
        self._seen = seen
        return listing

    def in_work(self) -> list[str]:
        """List the files picked up and not put away, oldest first."""
        with os.scandir(self.work) as entries:
            found = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                for entry in entries
                if entry.name != LOCK and entry.is_file(follow_symlinks=False)
            ]
        return [name for _, name in sorted(found)]

    def pick_up_all(self, names: Sequence[str]) -> list[str]:
        """Pick up files; gives those that were."""
        return [name for name in names if self.pick_up(name)]

    def pick_up(self, name: str) -> bool:
        """Take a settled file into the work folder, out of reach of any other reader; False when it must wait.

        It waits when a file of its name is still in work, when it vanished, or when it changed at the last moment: it
        is then put back.
        """
        source, target = self.path / name, self.work / name
        if os.path.lexists(target):
            return False
        signature, _ = self._seen[name]
        try:
            source.rename(target)
        except FileNotFoundError:
            return False
        status = target.lstat()
        if Signature.of(status) != signature or not stat.S_ISREG(status.st_mode):
            self.put_back(name)
            return False
        del self._seen[name]
        self.drop_markers(name)
        return True

    def put_back(self, name: str) -> None:
        """Return a file to the folder, to be looked at again; it stays in work when its name is taken there."""
        self._seen.pop(name, None)
        if not os.path.lexists(self.path / name):
            (self.work / name).rename(self.path / name)

    def drop_markers(self, name: str) -> None:
        """Remove what announced a file as whole: left behind, it would announce the next one of that name."""
        if self._settings.ready_suffix is not None:
            for marker in markers(name, self._settings.ready_suffix):
                (self.path / marker).unlink(missing_ok=True)

    def read(self, name: str, companions: dict[str, str]) -> Picked:
        """Read a file of the work folder, and the companions that it names; raises OSError."""
        settings = self._settings
        path = self.work / name
        size = path.lstat().st_size
        picked = Picked(name, size)
        if size > settings.max_file:
            picked.too_large = True
            picked.content = read_whole(path, EXCERPT)
            return picked
        if size > settings.spool_threshold:
            picked.large = True
            wanted_names = self._mentioned_in(path)
        else:
            picked.content = read_whole(path)
            wanted_names = mentioned(picked.content, settings.companions)
        for wanted in wanted_names:
            present = find_companion(wanted, companions)
            if present is None:
                picked.missing.append(wanted)
            else:
                picked.siblings[present] = read_whole(self.path / present)
        return picked

    def put_away(self, name: str, now: datetime) -> None:
        """Archive or delete a file whose message is on stable storage."""
        if self._settings.after == "delete":
            (self.work / name).unlink(missing_ok=True)
        else:
            move_in(self.work / name, self.archive, _dated(name, now))

    def put_away_companion(self, name: str, now: datetime) -> None:
        """Do the same with a companion; another message may have taken it already."""
        source = self.path / name
        if not source.exists():
            return
        if self._settings.after == "delete":
            source.unlink(missing_ok=True)
        else:
            move_in(source, self.archive, _dated(name, now))

    def put_aside(self, name: str, reason: str, now: datetime) -> None:
        """Move a refused file to the error folder, with the reason beside it."""
        target = move_in(self.work / name, self.error, _dated(name, now))
        target.with_name(target.name + ".reason").write_text(reason + "\n", encoding="utf-8")

    def _mentioned_in(self, path: Path) -> list[str]:
        """Look for companions in a large file without holding it in memory."""
        if not self._settings.companions:
            return []
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return mentioned(view, self._settings.companions)

    def _is_ready(self, name: str, names: set[str], settled: bool) -> bool:
        suffix = self._settings.ready_suffix
        if suffix is None:
            return settled
        return not name.endswith(suffix) and any(marker in names for marker in markers(name, suffix))

    def _hold(self) -> None:
        """Lock the work folder; one that was removed and made again is locked again."""
        path = self.work / LOCK
        if self._lock is not None:
            try:
                if path.stat().st_ino == os.fstat(self._lock).st_ino:
                    return
            except FileNotFoundError:
                pass  # the work folder was removed under us: it has been made again above
            self.close()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InUse from None
        except OSError:
            pass  # a network share without locks: the atomic rename still keeps two readers apart
        self._lock = descriptor


def _dated(name: str, now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}-{name}"
