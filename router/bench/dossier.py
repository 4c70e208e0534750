"""The dossier's FHIR API under load: patient-scoped searches at a fixed rate, among many dossiers and documents.

The store is filled with the API's own writer; the searches go over HTTP to a real `passerelle serve`, each by another
professional about a patient of theirs, with the audit that every read has. Nobody in it exists.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from sqlalchemy import insert

from router.bench.figures import percentile
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
from router.journal.store import JournalPlace, Store, open_store
from router.journal.unit import Unit
from router.trial.folder import make_folder
from router.trial.process import RouterProcess
from schemas.actors import Organization, Professional
from schemas.circle import Member, RoleFamily
from schemas.coding import Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.habilitation import Habilitation, HolderKind
from schemas.identity import PatientIdentity, Sex

DOCTORS = 500
TOGETHER = 200
"""Dossiers that are made in one transaction."""

_TYPES = ("11490-0", "34133-9", "18776-5", "11502-2", "15508-5")
_RPPS = "https://rpps.esante.gouv.fr"
_TOOL = "banc"


@dataclass(frozen=True, slots=True)
class DossierFigures:
    """What was measured: latencies in milliseconds, from the moment that a request fell due."""

    dossiers: int
    documents: int
    journal_bytes: int
    fill_seconds: float
    rate: float
    answered: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    longest_ms: float

    def as_json(self) -> dict[str, object]:
        """Give them for a file."""
        return asdict(self)


def measure(dossiers: int, documents: int, rate: float, seconds: float, say: Callable[[str], None]) -> DossierFigures:
    """Fill a journal, serve it, and search at a fixed rate."""
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as scratch:
        folder = Path(scratch) / "router"
        make_folder(folder, '[web]\nlisten = "127.0.0.1:0"\n\n[engine]\nworkers = 1\n\n[dossier]\napi = true\n')
        began = time.perf_counter()
        secret = _fill(folder, dossiers, documents, say)
        filled = time.perf_counter() - began
        size = sum(path.stat().st_size for path in (folder / "data").glob("journal.db*"))
        with RouterProcess(folder) as router:
            listening = router.start()
            say(f"{rate:g} searches a second for {seconds:g} s")
            latencies, failed = asyncio.run(_load(listening.web, secret, dossiers, rate, seconds))
            router.stop()
    ordered = sorted(latencies)
    return DossierFigures(
        dossiers=dossiers,
        documents=documents,
        journal_bytes=size,
        fill_seconds=round(filled, 1),
        rate=rate,
        answered=len(ordered),
        failed=failed,
        p50_ms=round(percentile(ordered, 0.50), 1),
        p95_ms=round(percentile(ordered, 0.95), 1),
        p99_ms=round(percentile(ordered, 0.99), 1),
        longest_ms=round(ordered[-1], 1) if ordered else 0.0,
    )


def _doctor(number: int) -> str:
    return f"8{number % DOCTORS:010d}"


def _ipp(number: int) -> Identifier:
    return Identifier(system="urn:oid:1.2.250.1.999.35.1", value=f"BANC{number:07d}", type="PI")


def _fill(folder: Path, dossiers: int, documents: int, say: Callable[[str], None]) -> str:
    store = open_store(JournalPlace.at(folder / "data"))
    secret, change = add_tool(_TOOL, ["read"], now=1)
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        connection.execute(insert(tables.resource_following).values(active=1))
        change.apply(unit)
        habilitation = Habilitation(holder=HolderKind.TOOL, name=_TOOL, start="2026-01-01")
        grant(habilitation, by=By("bench", 1)).apply(unit)
        unit.flush()
    each, moment = documents // dossiers, 1_780_000_000_000_000
    chance = random.Random(11)
    for start in range(0, dossiers, TOGETHER):
        numbers = range(start, min(start + TOGETHER, dossiers))
        people = _people(store, numbers)
        drafts = [one for number in people for one in _drafts(store.sealer, number, each, chance)]
        moment = _keep(store, drafts, moment)
        done = numbers[-1] + 1
        if done % 5000 == 0 or done == dossiers:
            say(f"{done:,} dossiers, {done * each:,} documents")
    with store.writing() as connection:
        connection.execute(tables.resource_pending.delete())
    store.close()
    return secret or ""


def _people(store: Store, numbers: range) -> list[int]:
    """Register patients, each with a dossier and a general practitioner; gives their numbers in the journal."""
    owner = Organization(name="DAC FICTIF", identifiers=(Identifier(value="670000001", type="FINEG"),))
    informed = Consent(kind=ConsentKind.OPENING, at="2026-01-10", collected_by="banc", channel=ConsentChannel.ORAL)
    found = []
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        for number in numbers:
            identity = PatientIdentity(
                identifiers=(_ipp(number),),
                birth_name=f"FICTIF{number}",
                birth_given_names=("CAMILLE",),
                birth_date=f"19{30 + number % 60}-03-05",
                sex=Sex.FEMALE,
            )
            now = 1_770_000_000_000_000 + number
            patient = register(identity, in_coordination=False, now=now).apply(unit).patient_id
            open_dossier(patient, owner, by=By("bench", now), consent=informed).apply(unit)
            rpps = Identifier(system=_RPPS, value=_doctor(number), type="RPPS")
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


def _drafts(sealer: Sealer, patient: int, count: int, chance: random.Random) -> Iterator[Draft]:
    person: Resource = {"resourceType": "Patient", "id": patient_id(patient), "gender": "female"}
    person["identifier"] = [{"system": "urn:oid:1.2.250.1.999.35.1", "value": f"BANC{patient - 1:07d}"}]
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
                "type": {"coding": [{"system": "http://loinc.org", "code": chance.choice(_TYPES)}]},
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


def _keep(store: Store, drafts: list[Draft], moment: int) -> int:
    """Put new resources into the tables as `writing.Keeper` does, without looking for what cannot be there."""
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        rows = rows_of(unit, drafts, moment)
        for table, those in rows.items():
            ordered = sorted(those, key=lambda row: row["token"]) if table is tables.resource_token else those
            connection.execute(insert(table), ordered)
    return moment + len(drafts)


async def _load(web: str, secret: str, dossiers: int, rate: float, seconds: float) -> tuple[list[float], int]:
    latencies: list[float] = []
    failed = 0
    chance = random.Random(12)

    async def one(session: aiohttp.ClientSession, number: int, due: float) -> None:
        nonlocal failed
        form = {"patient.identifier": f"urn:oid:1.2.250.1.999.35.1|BANC{number:07d}", "status": "current"}
        if number % 3 == 0:
            form["type"] = f"http://loinc.org|{_TYPES[number % len(_TYPES)]}"
        if number % 3 == 1:
            form["date"] = "ge2025-01-01"
        headers = {"Authorization": f"Bearer {_TOOL}:{secret}", "On-Behalf-Of": f"{_RPPS}|{_doctor(number)}"}
        async with session.post(f"{web}/fhir/DocumentReference/_search", data=form, headers=headers) as response:
            body = await response.read()
            if response.status != 200 or (number % 3 == 2 and b'"entry"' not in body):
                failed += 1
        latencies.append((time.perf_counter() - due) * 1000)

    async with aiohttp.ClientSession() as session:
        tasks = []
        began = time.perf_counter() + 0.5
        for rank in range(int(rate * seconds)):
            due = began + rank / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(session, chance.randrange(dossiers), due)))
        await asyncio.gather(*tasks)
    return latencies, failed
