"""What the sandbox DMP holds, in one SQLite file: patients, authorisations, lots, entry versions, associations, bytes.

A lot and its documents are one transaction: a process killed in the middle leaves all of it or nothing. The functions
here keep and find; what may be kept is decided before.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from connectors.sandbox.dmp.syntax import PatientKey

_CHUNK = 256 * 1024

_TABLES = """
CREATE TABLE IF NOT EXISTS patient (
  number TEXT, oid TEXT, state TEXT NOT NULL, birth_name TEXT NOT NULL, used_name TEXT NOT NULL, given TEXT NOT NULL,
  birth_date TEXT NOT NULL, sex TEXT NOT NULL, attached INTEGER NOT NULL, emergency INTEGER NOT NULL,
  PRIMARY KEY (number, oid));
CREATE TABLE IF NOT EXISTS authorisation (
  number TEXT, oid TEXT, who TEXT, state TEXT NOT NULL, treating INTEGER NOT NULL, since TEXT NOT NULL,
  PRIMARY KEY (number, oid, who));
CREATE TABLE IF NOT EXISTS lot (
  uuid TEXT PRIMARY KEY, unique_id TEXT NOT NULL UNIQUE, number TEXT NOT NULL, oid TEXT NOT NULL,
  received TEXT NOT NULL, structure TEXT NOT NULL, person TEXT NOT NULL, facts TEXT NOT NULL, xml TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS lot_patient ON lot (number, oid);
CREATE TABLE IF NOT EXISTS entry (
  uuid TEXT PRIMARY KEY, lid TEXT NOT NULL, version INTEGER NOT NULL, unique_id TEXT NOT NULL, number TEXT NOT NULL,
  oid TEXT NOT NULL, status TEXT NOT NULL, structure TEXT NOT NULL, person TEXT NOT NULL, mime TEXT NOT NULL,
  facts TEXT NOT NULL, xml TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entry_patient ON entry (number, oid);
CREATE INDEX IF NOT EXISTS entry_unique ON entry (unique_id);
CREATE INDEX IF NOT EXISTS entry_lid ON entry (lid);
CREATE TABLE IF NOT EXISTS association (
  uuid TEXT PRIMARY KEY, type TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, xml TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS association_source ON association (source);
CREATE INDEX IF NOT EXISTS association_target ON association (target);
CREATE TABLE IF NOT EXISTS document (
  unique_id TEXT PRIMARY KEY, size INTEGER NOT NULL, sha1 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chunk (
  unique_id TEXT, place INTEGER, content BLOB NOT NULL, PRIMARY KEY (unique_id, place)) WITHOUT ROWID;
"""


class State(StrEnum):
    """Of a patient's DMP. `opposed`: the patient refused one, the DMP says that there is none."""

    ACTIVE = "active"
    CLOSED = "closed"
    OPPOSED = "opposed"


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient. `attached` to Mon espace santé; `emergency`: masked documents open to break-glass and centre 15."""

    key: PatientKey
    state: State
    birth_name: str
    given: str
    birth_date: str
    sex: str
    used_name: str = ""
    attached: bool = True
    emergency: bool = True


@dataclass(frozen=True, slots=True)
class Authorisation:
    """What a patient allows a professional. `state` is VALIDE or INTERDITE."""

    who: str
    state: str
    treating: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """Who deposited: national ids of the structure and of the person."""

    structure: str
    person: str


Facts = dict[str, list[str]]
"""What queries look at, by name: every value as a query writes it (a code as `code^^scheme`)."""


@dataclass(frozen=True, slots=True)
class HeldLot:
    """A lot as the registry holds it."""

    uuid: str
    unique_id: str
    patient: PatientKey
    owner: Owner
    facts: Facts
    xml: str
    received: str = ""


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """One version of a document's entry as the registry holds it."""

    uuid: str
    lid: str
    version: int
    unique_id: str
    patient: PatientKey
    status: str
    owner: Owner
    mime: str
    facts: Facts
    xml: str


@dataclass(frozen=True, slots=True)
class HeldAssociation:
    """An association between two held objects."""

    uuid: str
    type: str
    source: str
    target: str
    xml: str


class DmpStore:
    """The file. One connection, one lock: safe from any thread, one transaction at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.RLock()
        with self._lock:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def patience(self, seconds: float) -> None:
        """Set how long to wait for another process that writes; then sqlite3.OperationalError is raised."""
        with self._lock:
            self._connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold a transaction: committed at the end, undone when anything is raised."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            return list(self._connection.execute(sql, values))

    def _run(self, sql: str, values: Sequence[object]) -> None:
        with self._lock:
            self._connection.execute(sql, values)

    # Patients and who may read them.

    def keep_patient(self, one: Patient) -> None:
        """Add a patient, or change one."""
        self._run(
            "INSERT OR REPLACE INTO patient VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                one.key.number,
                one.key.oid,
                one.state.value,
                one.birth_name,
                one.used_name,
                one.given,
                one.birth_date,
                one.sex,
                int(one.attached),
                int(one.emergency),
            ),
        )

    def patient(self, key: PatientKey) -> Patient | None:
        """Find a patient by INS."""
        found = self._rows("SELECT * FROM patient WHERE number=? AND oid=?", (key.number, key.oid))
        return _patient(found[0]) if found else None

    def patients(self) -> list[Patient]:
        """List every patient."""
        return [_patient(row) for row in self._rows("SELECT * FROM patient ORDER BY birth_name, number")]

    def authorise(self, key: PatientKey, one: Authorisation) -> None:
        """Keep what a patient allows somebody."""
        self._run(
            "INSERT OR REPLACE INTO authorisation VALUES (?,?,?,?,?,?)",
            (key.number, key.oid, one.who, one.state, int(one.treating), _now()),
        )

    def forget_authorisation(self, key: PatientKey, who: str) -> None:
        """Forget what a patient allows somebody."""
        self._run("DELETE FROM authorisation WHERE number=? AND oid=? AND who=?", (key.number, key.oid, who))

    def authorisation(self, key: PatientKey, who: str) -> Authorisation | None:
        """Find what a patient allows somebody."""
        found = self._rows(
            "SELECT who, state, treating FROM authorisation WHERE number=? AND oid=? AND who=?",
            (key.number, key.oid, who),
        )
        return Authorisation(str(found[0][0]), str(found[0][1]), bool(found[0][2])) if found else None

    def authorised_patients(self, who: str) -> list[Patient]:
        """List the patients who allow somebody."""
        rows = self._rows(
            "SELECT p.* FROM patient p JOIN authorisation a ON a.number=p.number AND a.oid=p.oid"
            " WHERE a.who=? AND a.state='VALIDE' ORDER BY p.birth_name, p.number",
            (who,),
        )
        return [_patient(row) for row in rows]

    # Lots, entries, associations.

    def keep_lot(self, one: HeldLot) -> None:
        """Add a lot."""
        owner = (one.owner.structure, one.owner.person)
        values = (
            one.uuid,
            one.unique_id,
            one.patient.number,
            one.patient.oid,
            _now(),
            *owner,
            _json(one.facts),
            one.xml,
        )
        self._run("INSERT INTO lot VALUES (?,?,?,?,?,?,?,?,?)", values)

    def keep_entry(self, one: HeldEntry) -> None:
        """Add a version of an entry, or change the status of the one of that UUID."""
        values = (
            one.uuid,
            one.lid,
            one.version,
            one.unique_id,
            one.patient.number,
            one.patient.oid,
            one.status,
            one.owner.structure,
            one.owner.person,
            one.mime,
            _json(one.facts),
            one.xml,
        )
        self._run(
            "INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
            " ON CONFLICT (uuid) DO UPDATE SET status=excluded.status, xml=excluded.xml",
            values,
        )

    def keep_association(self, one: HeldAssociation) -> None:
        """Add an association."""
        self._run("INSERT INTO association VALUES (?,?,?,?,?)", (one.uuid, one.type, one.source, one.target, one.xml))

    def lots(self, key: PatientKey | None = None) -> list[HeldLot]:
        """List the lots of a patient, or all, in the order of arrival."""
        return self._lots(
            "" if key is None else "WHERE number=? AND oid=?", () if key is None else (key.number, key.oid)
        )

    def lots_by(self, *, uuids: Sequence[str] = (), unique_ids: Sequence[str] = ()) -> list[HeldLot]:
        """Find lots by UUID or uniqueId."""
        return [
            lot
            for column, values in (("uuid", uuids), ("unique_id", unique_ids))
            for part in _batches(values)
            for lot in self._lots(f"WHERE {column} IN ({_marks(part)})", part)
        ]

    def _lots(self, where: str, values: Sequence[object]) -> list[HeldLot]:
        # `where` is one of the constants above: nothing of a message is ever part of it.
        sql = f"SELECT uuid, unique_id, number, oid, structure, person, facts, xml, received FROM lot {where} ORDER BY rowid"  # noqa: S608, E501 - see above
        return [_lot(row) for row in self._rows(sql, values)]

    def entries(self, key: PatientKey | None = None) -> list[HeldEntry]:
        """List the entry versions of a patient, or all, in the order of arrival."""
        return self._entries(
            "" if key is None else "WHERE number=? AND oid=?", () if key is None else (key.number, key.oid)
        )

    def entries_by(
        self, *, uuids: Sequence[str] = (), unique_ids: Sequence[str] = (), lids: Sequence[str] = ()
    ) -> list[HeldEntry]:
        """Find entry versions by UUID, uniqueId or logical id."""
        return [
            entry
            for column, values in (("uuid", uuids), ("unique_id", unique_ids), ("lid", lids))
            for part in _batches(values)
            for entry in self._entries(f"WHERE {column} IN ({_marks(part)})", part)
        ]

    def _entries(self, where: str, values: Sequence[object]) -> list[HeldEntry]:
        return [_entry(row) for row in self._rows(f"SELECT * FROM entry {where} ORDER BY rowid", values)]  # noqa: S608 - `where` is one of the constants above

    def associations_of(self, uuids: Sequence[str]) -> list[HeldAssociation]:
        """List the associations that begin or end at any of these objects, in the order of arrival."""
        found: dict[str, HeldAssociation] = {}
        for part in _batches(uuids):
            marks = _marks(part)
            sql = f"SELECT * FROM association WHERE source IN ({marks}) OR target IN ({marks}) ORDER BY rowid"  # noqa: S608 - question marks only
            for row in self._rows(sql, (*part, *part)):
                found[str(row[0])] = HeldAssociation(*(str(value) for value in row))
        return list(found.values())

    # Bytes.

    def keep_document(self, unique_id: str, content: BinaryIO, size: int, sha1: str) -> None:
        """Add a document's bytes."""
        self._run("INSERT INTO document VALUES (?,?,?)", (unique_id, size, sha1))
        content.seek(0)
        for place, chunk in enumerate(iter(lambda: content.read(_CHUNK), b"")):
            self._run("INSERT INTO chunk VALUES (?,?,?)", (unique_id, place, chunk))

    def digest(self, unique_id: str) -> str | None:
        """Give the SHA-1 of a document, None when there is none of that uniqueId."""
        found = self._rows("SELECT sha1 FROM document WHERE unique_id=?", (unique_id,))
        return str(found[0][0]) if found else None

    def chunks(self, unique_id: str) -> Iterator[bytes]:
        """Give a document's bytes, piece by piece, nothing more held in memory."""
        for place in range(1 << 31):
            found = self._rows("SELECT content FROM chunk WHERE unique_id=? AND place=?", (unique_id, place))
            if not found:
                return
            content = found[0][0]
            if isinstance(content, bytes):
                yield content


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%d%H%M%S")


def _json(facts: Facts) -> str:
    return json.dumps(facts, ensure_ascii=False)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(values), 400):
        yield values[at : at + 400]


def _patient(row: tuple[object, ...]) -> Patient:
    number, oid, state, birth_name, used_name, given, birth_date, sex, attached, emergency = row
    return Patient(
        PatientKey(str(number), str(oid)),
        State(str(state)),
        str(birth_name),
        str(given),
        str(birth_date),
        str(sex),
        str(used_name),
        bool(attached),
        bool(emergency),
    )


def _lot(row: tuple[object, ...]) -> HeldLot:
    uuid, unique_id, number, oid, structure, person, facts, xml, received = (str(value) for value in row)
    return HeldLot(uuid, unique_id, PatientKey(number, oid), Owner(structure, person), json.loads(facts), xml, received)


def _entry(row: tuple[object, ...]) -> HeldEntry:
    uuid, lid, version, unique_id, number, oid, status, structure, person, mime, facts, xml = (
        str(value) for value in row
    )
    return HeldEntry(
        uuid,
        lid,
        int(version),
        unique_id,
        PatientKey(number, oid),
        status,
        Owner(structure, person),
        mime,
        json.loads(facts),
        xml,
    )
