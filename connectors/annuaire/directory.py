"""Look-ups in the index: by number, name and place, structure, or address. Safe to use from several threads.

    directory = Directory(folder)
    directory.person("10003456780")              # a Correspondent, or None
    directory.search(Query(name="testaut", place="35"))

An index that an import replaced is seen at the next look-up. The red list is respected here: `person` and `at` are
asked for one very person or address, and give everything; `search` and `structure` list, and leave such mailboxes out.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from connectors.annuaire.asked import Asked
from connectors.annuaire.building import COLUMNS, INDEX
from connectors.annuaire.entries import Correspondent, Entry, gathered

MOST = 50
"""Correspondents of a search at most."""

_LOOKED_AT = 400
"""Lines that a search looks at: one person has several."""

_SELECT = f"SELECT {COLUMNS} FROM entry "  # noqa: S608 - names of our own columns
_OF_PERSON = "WHERE rpps = ? AND rpps <> '' ORDER BY id"
_OF_STRUCTURE = "WHERE structure = ? AND structure <> '' ORDER BY rpps, id LIMIT 2000"
_OF_ADDRESS = "WHERE address = ? AND address <> '' ORDER BY id"
"""Without its second half, SQLite would not see that the index of lines that have one answers."""

_WORD = re.compile(r"[^\W_]+")
_LIGATURES = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE"})


@dataclass(frozen=True, slots=True)
class Query:
    """What is sought, all at once: beginnings of names (a person's or a structure's), a commune or postal code."""

    name: str = ""
    place: str = ""


class Directory:
    """The index of a folder; everything it gives is empty while there is none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / INDEX
        self._asked = Asked(folder)
        self._own = threading.local()

    def person(self, rpps: str) -> Correspondent | None:
        """Give a professional by RPPS (11 digits; the national number, `8` before them, too)."""
        number = bare_rpps(rpps)
        entries = self._entries(_OF_PERSON, (number,)) if number else []
        entries += self._asked.entries("rpps", number) if number else []
        return next(iter(gathered(entries)), None)

    def structure(self, number: str) -> list[Correspondent]:
        """Give a structure by FINESS (or SIRET) and who acts there, without the red list: the structure comes first."""
        number = number.strip().upper()
        entries = self._entries(_OF_STRUCTURE, (number,)) if number else []
        entries += [one for one in self._asked.entries("structure", number) if not one.red] if number else []
        found = gathered(entries)
        return [one.listed() for one in sorted(found, key=lambda one: bool(one.rpps))]

    def at(self, address: str) -> list[Correspondent]:
        """Give who has a mailbox, by its very address."""
        address = address.strip().lower()
        entries = self._entries(_OF_ADDRESS, (address,)) if address else []
        return gathered(entries + (self._asked.entries("address", address) if address else []))

    def search(self, query: Query, *, limit: int = MOST) -> list[Correspondent]:
        """Give who matches, in a stable order, each with all places and mailboxes that may be listed."""
        match = _match(query)
        if not match:
            return []
        clause = "JOIN (SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid LIMIT ?) ON rowid = entry.id"
        hits = self._entries(f"{clause} ORDER BY entry.id", (match, _LOOKED_AT))
        people = list(dict.fromkeys(one.rpps for one in hits if one.rpps))[:limit]
        whole = [entry for rpps in people for entry in self._entries(_OF_PERSON, (rpps,))]
        return gathered(whole + [one for one in hits if not one.rpps])[:limit]

    def moved(self, how: str = "", *, limit: int = 200) -> list[tuple[str, str]]:
        """Give mailboxes that moved with the last import, as (address, added | gone | changed)."""
        wanted, values = ("WHERE how = ? ", (how,)) if how else ("", ())
        rows = self._rows(f"SELECT address, how FROM moved {wanted}ORDER BY how, address LIMIT {limit:d}", values)  # noqa: S608 - a number
        return [(row[0], row[1]) for row in rows]

    def report(self) -> dict[str, Any] | None:
        """Give the report of the import that made the index (`building.ImportReport` as JSON), None without one."""
        rows = self._rows("SELECT value FROM fact WHERE name = 'report'", ())
        found: dict[str, Any] | None = orjson.loads(rows[0][0]) if rows else None
        return found

    def close(self) -> None:
        """Close this thread's connection."""
        kept = getattr(self._own, "kept", None)
        if kept is not None:
            kept[0].close()
            self._own.kept = None
        self._asked.close()

    def _entries(self, rest: str, values: Sequence[object]) -> list[Entry]:
        return [Entry(*row) for row in self._rows(_SELECT + rest, values)]

    def _rows(self, statement: str, values: Sequence[object]) -> list[Any]:
        database = self._database()
        return [] if database is None else database.execute(statement, tuple(values)).fetchall()

    def _database(self) -> sqlite3.Connection | None:
        kept: tuple[sqlite3.Connection, tuple[int, int]] | None = getattr(self._own, "kept", None)
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        identity = (stat.st_ino, stat.st_mtime_ns)
        if kept is not None and kept[1] == identity:
            return kept[0]
        if kept is not None:
            kept[0].close()
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._own.kept = (database, identity)
        return database


def bare_rpps(number: str) -> str:
    """Give 11 digits of an RPPS number, however it is written; another number without its blanks."""
    text = "".join(number.split())
    return text[1:] if len(text) == 12 and text.startswith("8") and text.isdigit() else text


def _match(query: Query) -> str:
    """Write a query of FTS5: every word begins one of the names; words are letters and digits, never an operator."""
    names = _WORD.findall(query.name.translate(_LIGATURES))[:8]
    places = _WORD.findall(query.place.translate(_LIGATURES))[:4]
    parts = [f'{{family given structure}} : "{word}"*' for word in names]
    parts += [f'{{place}} : "{word}"*' for word in places]
    return " AND ".join(parts)
