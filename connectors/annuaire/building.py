"""Building the index: a new SQLite file beside the old one, which it replaces only when it is whole.

A crash, a truncated or malformed extraction, a full disk: the last good index stays. What an import does not bring
(only one of the two extractions) is taken over from the index before.

    annuaire.busy            another import is under way
    annuaire.shrunk          far fewer mailboxes or professionals than in the last import
    annuaire.nothing         no text of the files is an extraction
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import orjson

from connectors.annuaire.entries import Entry
from connectors.annuaire.extracts import Extract, ExtractKind, Tally, extract_of
from connectors.annuaire.opening import opened
from mappings.contracts import FormatError

INDEX = "directory.sqlite"
NEW = "directory.new"
LOCK = "import.lock"
TOGETHER = 2000
COLUMNS = (
    "address, kind, rpps, civility, family, given, profession, profession_name, specialty, structure, "
    "structure_name, service, postal_code, city"
)
_FIELDS = tuple(COLUMNS.replace(" ", "").split(","))
_SCHEMA = f"""
CREATE TABLE entry (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, mark INTEGER NOT NULL,
  {", ".join(name + " TEXT NOT NULL" for name in _FIELDS)});
CREATE VIRTUAL TABLE words USING fts5(family, given, place, structure, content='', prefix='2 3', detail=column,
  tokenize="unicode61 remove_diacritics 2");
CREATE TABLE mailbox (address TEXT PRIMARY KEY, kind TEXT NOT NULL, mark INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE moved (address TEXT NOT NULL, how TEXT NOT NULL);
CREATE TABLE fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_INSERT = (
    f"INSERT INTO entry (id, origin, mark, {COLUMNS}) "  # noqa: S608 - names of our own columns
    f"VALUES (?, ?, ?, {', '.join('?' * len(_FIELDS))})"
)
_WORDS = "INSERT INTO words (rowid, family, given, place, structure) VALUES (?, ?, ?, ?, ?)"
_LIGATURES = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE"})

Progress = Callable[[str, int, int], None]
"""Told of the text under way, how many of its bytes are read, and how many there are (0 where unknown)."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What changed between two imports, in mailboxes. None of it is told of the first import."""

    added: int = 0
    gone: int = 0
    changed: int = 0


@dataclass(slots=True)
class ImportReport:
    """What an import read and changed. `seconds` is how long it took, `taken_over` what the index before gave."""

    at: str = ""
    seconds: float = 0.0
    texts: list[Tally] = field(default_factory=list)
    left_aside: list[str] = field(default_factory=list)
    taken_over: list[str] = field(default_factory=list)
    mailboxes: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    people: int = 0
    structures: int = 0
    moved: Moved | None = None

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        return asdict(self)


def build(
    folder: Path,
    files: Sequence[Path],
    *,
    now: Callable[[], datetime],
    progress: Progress = lambda _text, _read, _size: None,
    keep_share: float = 0.8,
    most_bytes: int = 4 << 30,
) -> ImportReport:
    """Index these files in `folder`. Raises FormatError or OSError, and then has changed nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        new = folder / NEW
        new.unlink(missing_ok=True)
        try:
            report = _built(new, folder / INDEX, files, now, progress, keep_share, most_bytes)
            with new.open("rb") as file:
                os.fsync(file.fileno())
            new.replace(folder / INDEX)
            _sync_folder(folder)
        finally:
            new.unlink(missing_ok=True)
        return report


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one import at a time into a folder. Raises FormatError `annuaire.busy`."""
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FormatError("annuaire.busy", "", "another import of the directory is under way") from None
        yield


def _built(
    new: Path,
    old: Path,
    files: Sequence[Path],
    now: Callable[[], datetime],
    progress: Progress,
    keep_share: float,
    most_bytes: int,
) -> ImportReport:
    began = now()
    report = ImportReport(at=began.isoformat(timespec="seconds"))
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as database:
        # It is not the index until it is renamed: a journal would only cost.
        database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-64000;" + _SCHEMA)
        database.execute("BEGIN")
        filled = _Filled(database)
        for path in files:
            with opened(path, most_bytes=most_bytes) as texts:
                for text in texts:
                    extract = extract_of(text)
                    if extract is None:
                        report.left_aside.append(text.name)
                        continue
                    filled.take(extract, progress)
                    report.texts.append(extract.tally)
        if not report.texts:
            names = ", ".join(path.name for path in files)
            raise FormatError("annuaire.nothing", names, "this is no extraction of the directory that we know")
        database.execute("COMMIT")
        before = _attached(database, old)
        database.execute("BEGIN")
        if before:
            report.taken_over = filled.take_over({one.kind for one in report.texts})
        progress("", 0, 0)
        _finish(database, report, before)
        if before and keep_share > 0:
            _refuse_shrunk(database, report, keep_share)
        if before:
            report.moved = _compare(database)
        report.seconds = round((now() - began).total_seconds(), 3)
        database.execute("INSERT INTO fact VALUES ('report', ?)", (orjson.dumps(report.as_json()),))
        database.execute("COMMIT")
    return report


class _Filled:
    """The tables being filled."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._last = 0

    def take(self, extract: Extract, progress: Progress) -> None:
        tally = extract.tally
        while rows := list(islice(extract.entries, TOGETHER)):
            self._insert([_row(entry) for entry in rows], tally.kind.value)
            progress(tally.name, min(tally.read, extract.size or tally.read), extract.size)

    def take_over(self, brought: set[ExtractKind]) -> list[str]:
        """Take from the index before the lines of the extractions that were not brought."""
        taken = []
        for kind in ExtractKind:
            if kind in brought:
                continue
            cursor = self._database.execute(
                f"SELECT {COLUMNS} FROM before.entry WHERE origin = ?",  # noqa: S608 - names of our own columns
                (kind.value,),
            )
            count = 0
            while rows := cursor.fetchmany(TOGETHER):
                self._insert(rows, kind.value)
                count += len(rows)
            if count:
                taken.append(kind.value)
        return taken

    def _insert(self, rows: Sequence[tuple[str, ...]], origin: str) -> None:
        first = self._last + 1
        self._last += len(rows)
        self._database.executemany(
            _INSERT, ((number, origin, _mark(row), *row) for number, row in enumerate(rows, start=first))
        )
        self._database.executemany(_WORDS, ((number, *_words(row)) for number, row in enumerate(rows, start=first)))


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        entry.address,
        entry.kind,
        entry.rpps,
        entry.civility,
        entry.family,
        entry.given,
        entry.profession,
        entry.profession_name,
        entry.specialty,
        entry.structure,
        entry.structure_name,
        entry.service,
        entry.postal_code,
        entry.city,
    )


def _words(row: tuple[str, ...]) -> tuple[str, str, str, str]:
    _, _, _, _, family, given, _, _, _, _, structure_name, service, postal_code, city = row
    place = f"{postal_code} {city}"
    return (
        family.translate(_LIGATURES),
        given.translate(_LIGATURES),
        place.translate(_LIGATURES),
        f"{structure_name} {service}".translate(_LIGATURES),
    )


def _mark(row: tuple[str, ...]) -> int:
    """Give 40 bits that stand for a line: sums of them stay within SQLite's integers."""
    return int.from_bytes(blake2b("|".join(row).encode(), digest_size=5).digest(), "big")


def _attached(database: sqlite3.Connection, old: Path) -> bool:
    """Attach the index before as `before`; an unreadable one is none."""
    if not old.is_file():
        return False
    try:
        database.execute("ATTACH ? AS before", (f"{old}",))
        database.execute("SELECT count(*) FROM (SELECT 1 FROM before.mailbox LIMIT 1)").fetchone()
        database.execute("SELECT count(*) FROM (SELECT origin FROM before.entry LIMIT 1)").fetchone()
    except sqlite3.DatabaseError:
        with contextlib.suppress(sqlite3.Error):
            database.execute("DETACH before")
        return False
    return True


def _finish(database: sqlite3.Connection, report: ImportReport, before: bool) -> None:
    for name in ("rpps", "structure", "address"):
        database.execute(f"CREATE INDEX ix_entry_{name} ON entry ({name}) WHERE {name} <> ''")
    database.execute(
        "INSERT INTO mailbox SELECT address, min(kind), sum(DISTINCT mark) FROM entry "
        "WHERE address <> '' GROUP BY address ORDER BY address"
    )
    count = "SELECT count(DISTINCT {0}) FROM entry WHERE {0} <> ''"
    report.mailboxes = database.execute("SELECT count(*) FROM mailbox").fetchone()[0]
    report.kinds = dict(database.execute("SELECT kind, count(*) FROM mailbox GROUP BY kind ORDER BY kind"))
    report.people = database.execute(count.format("rpps")).fetchone()[0]
    report.structures = database.execute(count.format("structure")).fetchone()[0]


def _refuse_shrunk(database: sqlite3.Connection, report: ImportReport, keep_share: float) -> None:
    row = database.execute("SELECT value FROM before.fact WHERE name = 'report'").fetchone()
    last = orjson.loads(row[0]) if row is not None else {}
    for name in ("mailboxes", "people"):
        had, has = int(last.get(name, 0)), int(getattr(report, name))
        if has < keep_share * had:
            said = f"{has} {name} where the last import had {had}: it is taken for a truncated one"
            raise FormatError("annuaire.shrunk", "", said)


def _compare(database: sqlite3.Connection) -> Moved:
    database.execute(
        "INSERT INTO moved SELECT address, 'added' FROM mailbox AS new "
        "WHERE NOT EXISTS (SELECT 1 FROM before.mailbox AS old WHERE old.address = new.address)"
    )
    database.execute(
        "INSERT INTO moved SELECT address, 'gone' FROM before.mailbox AS old "
        "WHERE NOT EXISTS (SELECT 1 FROM main.mailbox AS new WHERE new.address = old.address)"
    )
    database.execute(
        "INSERT INTO moved SELECT new.address, 'changed' FROM mailbox AS new "
        "JOIN before.mailbox AS old ON old.address = new.address WHERE old.mark <> new.mark"
    )
    return Moved(**dict(database.execute("SELECT how, count(*) FROM moved GROUP BY how")))


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
