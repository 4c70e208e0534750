"""A dossier store for measuring: many dossiers, each with documents, filled fast and kept for the next measure.

Patients, dossiers and members go in by the operations that the router itself uses; documents are made ready by other
processes as workers make them, and go in as the rows of `router.dossier.store.writing`. Nobody in it exists.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from sqlite3 import Connection as Driver
from typing import Any

import orjson
from sqlalchemy import Connection, event, insert

from router.dossier.circle import add_member
from router.dossier.dossiers import open_dossier
from router.dossier.habilitations import grant
from router.dossier.keeping import By
from router.dossier.store.drafts import Draft, draft, name_id, patient_id
from router.dossier.store.elements import Resource
from router.dossier.store.writing import rows_of
from router.dossier.tools.registry import add_tool
from router.identity.patients import register
from router.journal import tables
from router.journal.sealing import Sealer
from router.journal.store import JournalPlace, Store, WriteSession, open_store
from router.journal.unit import Unit
from router.trial.folder import make_folder
from router.trial.process import TrialFault
from schemas.actors import Organization, Professional
from schemas.circle import Member, RoleFamily
from schemas.coding import Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.habilitation import Habilitation, HolderKind
from schemas.identity import PatientIdentity, Sex

DOCTORS = 500
TOOL = "banc"
RPPS = "https://rpps.esante.gouv.fr"
IPP = "urn:oid:1.2.250.1.999.35.1"
TYPES = ("11490-0", "34133-9", "18776-5", "11502-2", "15508-5")
TOGETHER = 500
"""Dossiers that are made in one transaction."""

PREPARERS, AHEAD = 2, 6
"""Processes that make documents ready, and batches that may wait for the writer."""

CONFIGURATION = """\
[web]
listen = "127.0.0.1:0"
calls_per_minute = 0

[engine]
workers = 1

[dossier]
api = true
"""
_FIRST_MOMENT = 1_780_000_000_000_000
_RESOURCES = (tables.resource, tables.resource_body, tables.resource_token, tables.resource_date)

Rows = list[tuple[str, list[tuple[Any, ...]]]]
"""Statements, each with the rows that it inserts."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A store that is full: how many dossiers and documents, and the secret of the tool that may read them."""

    dossiers: int
    documents: int
    secret: str


def doctor(number: int) -> str:
    """Give the RPPS number of whoever cares for the patient of that rank."""
    return f"8{number % DOCTORS:010d}"


def ipp(number: int) -> str:
    """Give the number under which the patient of that rank is searched."""
    return f"BANC{number:07d}"


def filled_store(folder: Path, dossiers: int, documents: int, say: Callable[[str], None]) -> Filled:
    """Fill a router's folder, or take the one that was filled before. Raises TrialFault where it holds something else.

    Nothing is synced while it fills: a store whose filling was interrupted is not a store, and says so.
    """
    note = folder / "filled.json"
    if note.exists():
        found = Filled(**orjson.loads(note.read_bytes()))
        if (found.dossiers, found.documents) != (dossiers, documents // dossiers * dossiers):
            raise TrialFault(
                f"{folder} holds {found.documents:,} documents in {found.dossiers:,} dossiers: ask for those, or "
                "name another folder with --keep"
            )
        say(f"taking the store in {folder}, which was filled before")
        return found
    if folder.exists() and any(folder.iterdir()):
        raise TrialFault(f"{folder} is neither empty nor a store that was filled whole: remove it, or name another")
    make_folder(folder, CONFIGURATION)
    made = Filled(dossiers, documents // dossiers * dossiers, _fill(folder, dossiers, documents, say))
    note.touch(mode=0o600)
    note.write_bytes(orjson.dumps(asdict(made)))
    return made


def _fill(folder: Path, dossiers: int, documents: int, say: Callable[[str], None]) -> str:
    store = open_store(JournalPlace.at(folder / "data"))
    _hurry(store)
    each = documents // dossiers
    waiting: deque[Future[Rows]] = deque()
    written = 0
    writer = WriteSession(store)

    def write_oldest() -> None:
        nonlocal written
        with writer.transaction() as connection:
            for statement, rows in waiting.popleft().result():
                connection.exec_driver_sql(statement, rows)
        written += 1
        if written % 10 == 0 or written * TOGETHER >= dossiers:
            done = min(written * TOGETHER, dossiers)
            say(f"{done:,} dossiers, {done * each:,} documents")

    with ProcessPoolExecutor(PREPARERS, get_context("spawn"), _begin, (store.sealer.master,)) as preparers:
        with writer.transaction() as connection:
            secret = _tool(connection, store.sealer)
        for start in range(0, dossiers, TOGETHER):
            numbers = range(start, min(start + TOGETHER, dossiers))
            with writer.transaction() as connection:
                people = _people(connection, store.sealer, numbers)
            waiting.append(preparers.submit(_prepared, people, each, 1 + start * (each + 1)))
            while len(waiting) > AHEAD:
                write_oldest()
        while waiting:
            write_oldest()
    with writer.transaction() as connection:
        connection.execute(tables.resource_pending.delete())
        connection.execute(insert(tables.resource_following).values(active=1))
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    store.close()
    return secret


def _hurry(store: Store) -> None:
    """Let the store's connections, from now on, trade durability for speed."""

    @event.listens_for(store.engine, "connect")
    def _settings(connection: Driver, _record: object) -> None:
        for pragma in ("synchronous=OFF", "wal_autocheckpoint=50000", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}").close()

    store.engine.dispose()


def _tool(connection: Connection, sealer: Sealer) -> str:
    unit = Unit(connection, sealer)
    secret, change = add_tool(TOOL, ["read"], now=1)
    change.apply(unit)
    grant(Habilitation(holder=HolderKind.TOOL, name=TOOL, start="2026-01-01"), by=By("bench", 1)).apply(unit)
    unit.flush()
    return secret or ""


def _people(connection: Connection, sealer: Sealer, numbers: range) -> list[int]:
    """Register patients, each with a dossier and a general practitioner; gives their numbers in the journal."""
    owner = Organization(name="DAC FICTIF", identifiers=(Identifier(value="670000001", type="FINEG"),))
    informed = Consent(kind=ConsentKind.OPENING, at="2026-01-10", collected_by="banc", channel=ConsentChannel.ORAL)
    found = []
    unit = Unit(connection, sealer)
    for number in numbers:
        identity = PatientIdentity(
            identifiers=(Identifier(system=IPP, value=ipp(number), type="PI"),),
            birth_name=f"FICTIF{number}",
            birth_given_names=("CAMILLE",),
            birth_date=f"19{30 + number % 60}-03-05",
            sex=Sex.FEMALE,
        )
        now = 1_770_000_000_000_000 + number
        patient = register(identity, in_coordination=False, now=now).apply(unit).patient_id
        open_dossier(patient, owner, by=By("bench", now), consent=informed).apply(unit)
        rpps = Identifier(system=RPPS, value=doctor(number), type="RPPS")
        member = Member(
            family=RoleFamily.PHYSICIAN,
            professional=Professional(identifiers=(rpps,), family_name="TESTMEDECIN"),
            start="2026-01-10",
            in_care_team=True,
            backlog=True,
        )
        add_member(patient, member, by=By("bench", now)).apply(unit)
        found.append(patient)
    unit.flush()
    return found


# --- in a process that makes documents ready ------------------------------------------------------------------------

_sealers: list[Sealer] = []
"""The Sealer of a process that makes documents ready."""


def _begin(master: bytes) -> None:
    _sealers.append(Sealer(master))


def _prepared(people: Sequence[int], each: int, first: int) -> Rows:
    """Give the rows of the documents of some patients, which are numbered from `first` on."""
    chance = random.Random(people[0])
    drafts = [one for patient in people for one in _drafts(_sealers[0], patient, each, chance)]
    found = rows_of(drafts, first, _FIRST_MOMENT + first)
    statements: Rows = []
    for table in _RESOURCES:
        names = [column.name for column in table.c]
        rows = [tuple(row[name] for name in names) for row in found[table]]
        if table is tables.resource_token:
            rows.sort()
        statements.append((f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(names))})", rows))  # noqa: S608 - our own names
    return statements


def _drafts(sealer: Sealer, patient: int, count: int, chance: random.Random) -> Iterator[Draft]:
    person: Resource = {"resourceType": "Patient", "id": patient_id(patient), "gender": "female"}
    person["identifier"] = [{"system": IPP, "value": ipp(patient - 1)}]
    yield draft(sealer, person, patient)
    for rank in range(count):
        day = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=chance.randrange(900))
        yield draft(
            sealer,
            {
                "resourceType": "DocumentReference",
                "id": name_id("bench", str(patient), str(rank)),
                "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:2.999.{patient}.{rank}"},
                "status": "current" if rank % 5 else "superseded",
                "type": {"coding": [{"system": "http://loinc.org", "code": chance.choice(TYPES)}]},
                "category": [{"coding": [{"system": "urn:oid:1.2.250.1.213.1.1.4.2.1", "code": "10"}]}],
                "subject": {"reference": f"Patient/{patient_id(patient)}"},
                "date": day.isoformat(),
                "description": "Compte rendu fictif",
                "content": [
                    {
                        "attachment": {
                            "contentType": "application/pdf",
                            "url": f"Binary/{patient}-{rank}",
                            "size": 120_000,
                        }
                    }
                ],
                "context": {"period": {"start": day.date().isoformat()}},
            },
            patient,
        )
