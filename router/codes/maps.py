"""The concept maps in force: what persons decided (the journal) over the files that the configuration names.

Both may change while the router runs. A change of the journal's maps raises a number in `setting`; a file tells its
change by its time and size. Whoever uses the maps looks at both at most every `LOOK_SECONDS`, or when it must be sure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from mappings.concept_map import NO_MAP, ConceptMap, MapEntry, Term, TermKind
from mappings.concept_map_csv import MapFile, read_maps
from router.journal import tables
from schemas.coding import Coding

LOOK_SECONDS = 0.5
"""A change is seen within this time."""

VERSION = "concept_map"
"""Row of `setting` that counts the changes of the journal's maps."""

_VERSION = select(tables.setting.c.value).where(tables.setting.c.name == VERSION)


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as it was last read; `mark` is its time, size and number."""

    mark: tuple[int, int, int] | None
    said: MapFile


class MapFiles:
    """The files of the configuration, read again when they change. Used by one thread at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._known: dict[Path, _Known | None] = dict.fromkeys(paths)

    def look(self) -> bool:
        """Read what changed; tells whether anything did."""
        changed = False
        for path, known in self._known.items():
            mark, said = _mark(path), None
            if known is not None and known.mark == mark:
                continue
            if mark is not None:
                said = _read(path)
            if said is None:
                # It is being replaced, or lost: what it said goes on until it can be read.
                entries = known.said.entries if known is not None else ()
                said = MapFile(entries, (f"{path.name}: cannot be read; what it last said is still used",))
            self._known[path] = _Known(mark, said)
            changed = True
        return changed

    def entries(self) -> Iterable[MapEntry]:
        """Give the mappings of all files, in their order."""
        for known in self._known.values():
            if known is not None:
                yield from known.said.entries

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence with file and line for each line that cannot be used."""
        return tuple(
            problem if problem.startswith(f"{path.name}: ") else f"{path.name}, {problem}"
            for path, known in self._known.items()
            if known is not None
            for problem in known.said.problems
        )

    def __bool__(self) -> bool:
        return bool(self._known)


class CodeMaps:
    """The maps of every sender. Safe to share between threads."""

    def __init__(self, paths: Sequence[Path] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = MapFiles(paths)
        self._clock = clock
        self._lock = threading.Lock()
        self._looked: float | None = None
        self._version: str | None = None
        self._decided: tuple[MapEntry, ...] = ()
        self._by_sender: dict[str, ConceptMap] = {}
        self.turns = 0
        """How often they were loaded anew: equal numbers, equal maps."""

    @property
    def is_due(self) -> bool:
        """Whether it is time to look for changes."""
        return self._looked is None or self._clock() - self._looked >= LOOK_SECONDS

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be used in the files, by file and line."""
        return self._files.problems

    def refresh(self, connection: Connection) -> None:
        """Look for changes, and load the maps again if there are any."""
        with self._lock:
            self._looked = self._clock()
            version = connection.execute(_VERSION).scalar() or ""
            moved = self._files.look()
            if version != self._version:
                self._decided = tuple(entry for _, entry in load_entries(connection))
                self._version = version
                moved = True
            if moved:
                self._by_sender = _by_sender((*self._files.entries(), *self._decided))
                self.turns += 1

    def of(self, sender: str) -> ConceptMap:
        """Give the map of a sender; an empty one for a sender that has none."""
        return self._by_sender.get(sender, NO_MAP)

    def in_force(self) -> tuple[MapEntry, ...]:
        """Give every mapping that answers: where several speak of one term, the last one only."""
        return tuple(
            MapEntry(sender, term, target)
            for sender, found in self._by_sender.items()
            for term, target in found.targets.items()
        )


class KeptMaps(CodeMaps):
    """Maps as they once were; no change is looked for."""

    def __init__(self, entries: Iterable[MapEntry]) -> None:
        super().__init__()
        self._by_sender = _by_sender(entries)

    @property
    def is_due(self) -> bool:
        """Never."""
        return False

    def refresh(self, connection: Connection) -> None:
        """Change nothing."""


def load_entries(connection: Connection) -> list[tuple[int, MapEntry]]:
    """Load the mappings that persons decided, with their numbers, by sender and code."""
    column = tables.concept_map.c
    found = connection.execute(select(tables.concept_map).order_by(column.sender, column.kind, column.code))
    return [
        (
            row.id,
            MapEntry(
                row.sender,
                Term(TermKind(row.kind), row.system, row.code),
                Coding(system=row.target_system, code=row.target, display=row.display),
            ),
        )
        for row in found
    ]


def _by_sender(entries: Iterable[MapEntry]) -> dict[str, ConceptMap]:
    targets: dict[str, dict[Term, Coding]] = {}
    for sender, term, target in entries:
        targets.setdefault(sender, {})[term] = target
    return {sender: ConceptMap(found) for sender, found in targets.items()}


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> MapFile | None:
    try:
        return read_maps(path.read_bytes())
    except OSError:
        return None
