"""Answers of the API that are kept: who was asked for by number or address is found again without asking.

A small SQLite file beside the index, kept for `KEPT_DAYS`. It may be lost: it is then asked again.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from connectors.annuaire.entries import Entry

FILE = "asked.sqlite"
KEPT_DAYS = 30
MOST = 100_000
"""Answers kept at most; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer: the tag by which the server recognises it, and what it said."""

    etag: str
    entries: tuple[Entry, ...]


class Asked:
    """The answers of a folder. Safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._own = threading.local()

    def entries(self, kind: str, key: str) -> list[Entry]:
        """Give what was answered about an `rpps`, a `structure` or an `address`."""
        kept = self.recall(kind, key)
        return list(kept.entries) if kept is not None else []

    def recall(self, kind: str, key: str) -> Kept | None:
        """Give the whole answer, None when there is none (any more)."""
        if not self._path.is_file():
            return None
        row = (
            self._database().execute("SELECT etag, body FROM asked WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        )
        return None if row is None else Kept(row[0], tuple(Entry(**one) for one in orjson.loads(row[1])))

    def keep(self, kind: str, key: str, kept: Kept, now: datetime) -> None:
        """Keep an answer in the place of the last one about the same."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        body = orjson.dumps([asdict(entry) for entry in kept.entries])
        with self._database() as database:
            database.execute(
                "INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?, ?)", (kind, key, kept.etag, now.timestamp(), body)
            )
            oldest = (now - timedelta(days=KEPT_DAYS)).timestamp()
            database.execute("DELETE FROM asked WHERE at < ?", (oldest,))
            database.execute(
                "DELETE FROM asked WHERE rowid IN (SELECT rowid FROM asked ORDER BY at DESC LIMIT -1 OFFSET ?)", (MOST,)
            )

    def close(self) -> None:
        """Close this thread's connection."""
        database = getattr(self._own, "database", None)
        if database is not None:
            database.close()
            self._own.database = None

    def _database(self) -> sqlite3.Connection:
        database: sqlite3.Connection | None = getattr(self._own, "database", None)
        if database is None:
            database = sqlite3.connect(self._path, timeout=10.0, check_same_thread=False)
            database.execute(
                "CREATE TABLE IF NOT EXISTS asked (kind TEXT, key TEXT, etag TEXT NOT NULL, at REAL NOT NULL, "
                "body BLOB NOT NULL, PRIMARY KEY (kind, key))"
            )
            database.execute("CREATE INDEX IF NOT EXISTS ix_asked_at ON asked (at)")
            self._own.database = database
        return database
