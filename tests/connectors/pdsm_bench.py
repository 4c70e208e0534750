"""A PDSm source that runs against the sandbox round by round, for its tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conformance import until
from pdsm_contents import OID, PATIENT, SYSTEM

from connectors.contracts import FollowedPatient
from connectors.pdsm.settings import PdsmSourceSettings
from connectors.pdsm.source import PdsmSource
from connectors.sandbox.pdsm import DocumentServer, serving
from connectors.sandbox.people import ROSE
from connectors.testing import MemoryInbox, PlainRecords, PlainServices
from mappings.contracts import ReadContext
from mappings.fhir import FORMAT
from schemas.item import DocumentItem

PDF = b"%PDF-1.4 TESTROSE"
NUMBER = ROSE.matricule


def follow(services: PlainServices, *patients: FollowedPatient) -> PlainRecords:
    records = services.records
    assert isinstance(records, PlainRecords)
    records.patients.extend(patients or (FollowedPatient(1, PATIENT),))
    return records


def submission_of(patient: str, member: str, date: str) -> dict[str, Any]:
    types = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
    return {
        "resourceType": "List",
        "status": "current",
        "code": {"coding": [{"system": types, "code": "submissionset"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "date": date,
        "entry": [{"item": {"reference": f"DocumentReference/{member}"}}],
    }


class Bench:
    """A source that runs against a server, round by round."""

    def __init__(self, server: DocumentServer, base: str, inbox: MemoryInbox, services: PlainServices) -> None:
        self.server, self.base, self.inbox, self.services = server, base, inbox, services

    def deposit(self, content: bytes = PDF, **more: str) -> str:
        return str(self.server.deposit(SYSTEM, NUMBER, content, **more)["id"])

    async def round(self, seconds: float = 60.0) -> None:
        await self.services.tick(seconds)

    def items(self) -> list[DocumentItem]:
        """Read what was taken, as the router does."""
        found = []
        for inbound, content in zip(self.inbox.messages, self.inbox.contents, strict=True):
            if inbound.refusal is None:
                reading = FORMAT.read(content, ReadContext())
                assert [one for one in reading.findings if one.severity == "error"] == []
                found += [one for one in reading.items if isinstance(one, DocumentItem)]
        return found

    def refusals(self) -> list[str]:
        return [one.refusal.finding.code for one in self.inbox.messages if one.refusal is not None]

    def place(self, **changes: Any) -> None:
        """Put a document that no server should give, with its patient."""
        patient = self.server.store.add_patient(SYSTEM, NUMBER)
        form = {"contentType": "application/pdf", **changes.pop("attachment", {})}
        document = {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": {"reference": f"Patient/{patient}"},
            "content": [{"attachment": form}],
            "context": {"period": {"start": "2026-03-01T08:00:00+01:00"}},
            "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{OID}99"},
        }
        name = self.server.store.put({**document, **changes})
        self.server.store.put(submission_of(patient, name, self.services.now().isoformat()))


@asynccontextmanager
async def bench(inbox: MemoryInbox, services: PlainServices, **settings: Any) -> AsyncIterator[Bench]:
    follow(services)
    server = DocumentServer(now=services.now)
    async with serving(server) as base:
        source = PdsmSource("dmp", PdsmSourceSettings(url=base, **settings), services)
        task = asyncio.create_task(source.run(inbox))
        await services.listening()
        await until(lambda: services.health.figures["rounds"])
        try:
            yield Bench(server, base, inbox, services)
        finally:
            services.stopping.set()
            await task
            assert services.health.state == "stopped"
