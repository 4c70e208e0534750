"""The PDSm source against the sandbox: what others submitted comes once, is replaced and deleted; what it searches."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from conformance import Running, SourceConformance, until
from pdsm_bench import NUMBER, PDF, bench, follow, submission_of
from pdsm_contents import OID, PATIENT, SYSTEM, item, parcel, written

from connectors.contracts import Delivered, FollowedPatient
from connectors.pdsm import CONNECTOR
from connectors.pdsm.client import Interrupted, PdsmClient
from connectors.pdsm.destination import PdsmDestination
from connectors.pdsm.gathering import with_subject
from connectors.pdsm.resources import DELETED
from connectors.pdsm.settings import PdsmDestinationSettings, PdsmSourceSettings
from connectors.sandbox.pdsm import DocumentServer, Fault, serving
from connectors.testing import MemoryInbox, PlainRecords, PlainServices
from mappings.contracts import ReadContext
from mappings.fhir import FORMAT
from schemas.document import DocumentOperation
from schemas.identity import IdentityStatus, Ins
from schemas.item import DocumentItem


class TestConformance(SourceConformance):
    connector = CONNECTOR

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"url": self.base, "spool_threshold": 100_000}

    def content(self, number: int, size: int = 0) -> bytes:
        """Make what the source makes of document `number`: as the server has it, with its file."""
        data = b"TESTROSE %d " % number + b"x" * size
        form = {
            "contentType": "application/pdf",
            "url": f"Binary/b{number}",
            "size": len(data),
            "hash": base64.b64encode(sha1(data, usedforsecurity=False).digest()).decode(),
        }
        document = {
            "resourceType": "DocumentReference",
            "id": f"d{number}",
            "contained": [{"resourceType": "Patient", "id": "p", "identifier": [{"system": SYSTEM, "value": NUMBER}]}],
            "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{OID}{number}"},
            "status": "current",
            "subject": {"reference": f"Patient/{self.patient}"},
            "date": "2026-03-05T08:00:00+01:00",
            "content": [{"attachment": form}],
            "context": {"period": {"start": "2026-03-05T08:00:00+01:00"}},
        }
        binary = {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(data).decode()}
        patient = with_subject(document, PATIENT, datetime(2026, 3, 5, tzinfo=UTC))
        entries = [
            {"resource": document},
            patient,
            {"resource": {"resourceType": "Binary", "id": f"b{number}", **binary}},
        ]
        return json.dumps(
            {"resourceType": "Bundle", "type": "collection", "entry": entries}, separators=(",", ":")
        ).encode()

    async def deliver(self, running: Running, content: bytes) -> bool:
        for entry in json.loads(content)["entry"][::2]:
            self.server.store.put(entry["resource"])
        member = json.loads(content)["entry"][0]["resource"]["id"]
        self.server.store.put(submission_of(self.patient, member, running.services.now().isoformat()))
        await running.services.tick()
        return content in running.inbox.contents

    @asynccontextmanager
    async def running(self, folder: Path, inbox: MemoryInbox, services: PlainServices) -> AsyncIterator[Running]:
        self.server = DocumentServer(now=services.now)
        self.patient = self.server.store.add_patient(SYSTEM, NUMBER)
        follow(services)
        async with serving(self.server) as self.base, super().running(folder, inbox, services) as running:
            await until(lambda: services.health.figures["rounds"])
            yield running

    base = "http://127.0.0.1:1/fhir"


@pytest.mark.parametrize("find", ["submissions", "updates"])
async def test_a_document_of_somebody_else_comes_once(inbox: MemoryInbox, services: PlainServices, find: str) -> None:
    async with bench(inbox, services, find=find) as at:
        at.deposit(title="Lettre")
        for _ in range(3):
            await at.round()
        at.deposit(b"%PDF-1.4 second")
        await at.round()
        first, second = at.items()
        assert first.content.title == "Lettre"
        assert base64.b64decode(first.content.attachments[0].data or "") == PDF
        assert first.patient.ins == PATIENT.ins
        assert first.patient.birth_name == PATIENT.birth_name
        assert second.content.document_id != first.content.document_id
        assert services.health.figures["documents"] == 2
        assert NUMBER not in "".join(one.path + one.query for one in at.server.arrivals)


async def test_what_we_submit_is_read_back_the_same_and_never_pulled(
    inbox: MemoryInbox, services: PlainServices
) -> None:
    async with bench(inbox, services) as at:
        destination = PdsmDestination("dmp", PdsmDestinationSettings(url=at.base), services)
        sent = item(1)
        outcome = await destination.send(parcel(sent))
        await destination.close()
        assert isinstance(outcome, Delivered)
        records = services.records
        assert isinstance(records, PlainRecords)
        records.names.update((one.kind, one.value) for one in outcome.references)
        await at.round()
        assert at.inbox.messages == []
        assert services.health.figures["known"] == 1

        records.names.clear()
        services.memory.values.clear()  # type: ignore[attr-defined]  # the test's own memory
        await at.round()
        (read,) = at.items()
    (direct,) = FORMAT.read(written(sent), ReadContext()).items
    assert isinstance(direct, DocumentItem)
    assert read.content.model_dump() == direct.content.model_dump()
    assert read.patient.model_dump() == direct.patient.model_dump()
    assert read.content.attachments[0].data == sent.content.attachments[0].data


async def test_a_source_of_our_own_is_left(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services, own_sources=("2.999.42",)) as at:
        at.deposit(source_id="2.999.42")
        await at.round()
        assert at.inbox.messages == []


@pytest.mark.parametrize("find", ["submissions", "updates"])
async def test_a_replacement_names_the_former_by_its_unique_id(
    inbox: MemoryInbox, services: PlainServices, find: str
) -> None:
    async with bench(inbox, services, find=find, superseded_alone="deletion") as at:
        former = at.deposit(unique_id=f"{OID}1")
        await at.round()
        at.deposit(b"%PDF-1.4 second", unique_id=f"{OID}2", replaces=former)
        for _ in range(2):
            await at.round()
        first, second = at.items()
        assert (first.content.document_id, second.content.replaces_id) == (f"{OID}1", f"{OID}1")
        assert second.content.operation is DocumentOperation.REPLACE


@pytest.mark.parametrize("find", ["submissions", "updates"])
@pytest.mark.parametrize("way", ["entered-in-error", "superseded"])
async def test_a_deletion_comes_as_one(inbox: MemoryInbox, services: PlainServices, find: str, way: str) -> None:
    async with bench(inbox, services, find=find, superseded_alone="deletion") as at:
        name = at.deposit(unique_id=f"{OID}1")
        at.deposit(b"%PDF-1.4 other")
        await at.round()
        body = json.dumps([{"op": "replace", "path": "/status", "value": way}]).encode()
        at.server.store.update(name, "application/json-patch+json", body, "")
        for _ in range(3):
            await at.round()
        *_, last = at.items()
        assert len(at.items()) == 3
        assert (last.content.document_id, last.content.operation) == (f"{OID}1", DocumentOperation.DELETE)
        assert services.health.figures["deletions"] == 1


@pytest.mark.parametrize("absent", ["keep", "deletion"])
async def test_a_document_that_the_server_denies_is_missed(
    inbox: MemoryInbox, services: PlainServices, absent: str
) -> None:
    async with bench(inbox, services, absent=absent) as at:
        name = at.deposit(unique_id=f"{OID}1")
        at.deposit(b"%PDF-1.4 other")
        await at.round()
        gone = [
            {"op": "replace", "path": "/status", "value": "superseded"},
            {"op": "add", "path": "/extension", "value": [{"url": DELETED, "valueBoolean": True}]},
        ]
        at.server.store.update(name, "application/json-patch+json", json.dumps(gone).encode(), "")
        await at.round()
        assert len(at.inbox.messages) == 2
        for _ in range(3):
            await at.round(25 * 3600)
        if absent == "keep":
            assert services.codes() == ["pdsm.document.absent"]
            assert len(at.inbox.messages) == 2
        else:
            *_, last = at.items()
            assert len(at.inbox.messages) == 3
            assert (last.content.document_id, last.content.operation) == (f"{OID}1", DocumentOperation.DELETE)
            assert last.patient.ins == PATIENT.ins


async def test_a_superseded_document_that_nothing_replaces_is_left_unless_told(
    inbox: MemoryInbox, services: PlainServices
) -> None:
    async with bench(inbox, services) as at:
        name = at.deposit()
        await at.round()
        body = b'[{"op": "replace", "path": "/status", "value": "superseded"}]'
        at.server.store.update(name, "application/json-patch+json", body, "")
        await at.round()
        assert len(at.items()) == 1


@pytest.mark.shared_data
async def test_the_submission_of_the_guide_is_pulled_and_read(
    inbox: MemoryInbox, services: PlainServices, shared_data: Path
) -> None:
    bundle = json.loads((shared_data / "dmp/fhir/Bundle-example-td2-iti65-lot-soumission.json").read_bytes())
    document = bundle["entry"][1]["resource"]
    document["custodian"] = {"reference": "#practitioner-author"}
    submission = bundle["entry"][0]["resource"]
    submission["date"] = document["date"] = "2026-03-05T08:20:00+00:00"
    ins = Ins(matricule="123456789012345", oid="1.2.250.1.213.1.4.8")
    follow(services, FollowedPatient(5, PATIENT.model_copy(update={"ins": ins})))
    async with bench(inbox, services) as at:
        at.server.store.transact(bundle)
        await at.round()
        (read,) = at.items()
    assert read.content.document_id == "1.2.250.1.213.1.4.8.99999.2"
    assert read.content.title == "Compte rendu de consultation"
    assert base64.b64decode(read.content.attachments[0].data or "").startswith(b"<?xml")
    # The guide's matricule has no valid key: it is kept, and not used as an INS.
    assert ins.matricule in {one.value for one in read.patient.identifiers}


@pytest.mark.parametrize(
    "fault",
    [
        Fault.GARBAGE,
        Fault.TRUNCATED,
        Fault.REDIRECT,
        Fault.REFUSE,
        Fault.UNAVAILABLE,
        Fault.DROP,
        Fault.ELSEWHERE,
        Fault.CIRCLE,
    ],
)
async def test_a_server_that_fails_is_said_and_asked_again(
    inbox: MemoryInbox, services: PlainServices, fault: Fault
) -> None:
    async with bench(inbox, services) as at:
        at.server.mood = fault
        await at.round()
        assert services.health.state == "degraded"
        assert services.health.detail
        assert services.codes()
        at.server.mood = Fault.OK
        at.deposit()
        await at.round()
        assert services.health.state == "watching"
        assert len(at.items()) == 1
        assert "169.254" not in f"{services.health!r}{services.findings!r}"


async def test_what_was_seen_is_not_read_again(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services) as at:
        at.deposit()
        for _ in range(4):
            await at.round()
        assert len([one for one in at.server.arrivals if one.method == "GET"]) == 2
        assert len(at.inbox.messages) == 1


async def test_a_submission_dated_before_the_last_round_is_found(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services) as at:
        await at.round(50_000)
        at.place(attachment={"data": "JVBERi0="})
        (late,) = at.server.store.of_kind("List")
        at.server.store.put({**late, "date": "2026-03-05T08:30:00+00:00"})
        await at.round()
        assert len(at.items()) == 1


async def test_only_qualified_patients_are_asked_for(inbox: MemoryInbox, services: PlainServices) -> None:
    provisional = PATIENT.model_copy(update={"status": IdentityStatus.PROVISIONAL})
    follow(services, FollowedPatient(2, provisional), FollowedPatient(3, PATIENT.model_copy(update={"ins": None})))
    async with bench(inbox, services) as at:
        await at.round()
        assert services.health.figures["without_ins"] == 2
        assert len([one for one in at.server.arrivals if one.path.endswith("_search")]) == 2


async def test_a_restart_takes_up_where_it_was(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services) as at:
        at.deposit()
        await at.round()
        kept = dict(services.memory.values)  # type: ignore[attr-defined]  # the test's own memory
        services.memory.values["patient/1"] = b"not what we wrote"  # type: ignore[attr-defined]
        await at.round()
        assert len(at.inbox.messages) == 1
        assert json.loads(services.memory.values["patient/1"])["seen"] == json.loads(kept["patient/1"])["seen"]  # type: ignore[attr-defined]


async def test_ten_thousand_results_come_page_by_page(services: PlainServices) -> None:
    server = DocumentServer(now=services.now)
    patient = server.store.add_patient(SYSTEM, NUMBER)
    for number in range(10_000):
        server.store.put(
            {
                "resourceType": "DocumentReference",
                "id": f"d{number}",
                "status": "current",
                "subject": {"reference": f"Patient/{patient}"},
            }
        )
    criteria = {"patient.identifier": f"{SYSTEM}|{NUMBER}", "status": "current", "_count": "1000"}
    async with serving(server) as base:
        client = PdsmClient(PdsmSourceSettings(url=base), services.now, {})
        sizes = [len(page.matches) async for page in client.pages("DocumentReference", criteria)]
        await client.close()
    assert sizes == [1000] * 10


async def test_a_search_without_an_end_is_cut_and_said(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services, max_results=2, page_size=1) as at:
        for number in range(4):
            at.deposit(b"%PDF-1.4 " + str(number).encode())
        await at.round()
        assert len(at.items()) == 2
        assert "pdsm.results.too_many" in services.codes()
        assert services.health.state == "degraded"


async def test_searches_by_address_for_a_server_that_knows_no_other(services: PlainServices) -> None:
    server = DocumentServer(now=services.now)
    server.deposit(SYSTEM, NUMBER, PDF, unique_id=f"{OID}5")
    async with serving(server) as base:
        client = PdsmClient(PdsmSourceSettings(url=base, search="get"), services.now, {})
        found = await client.look_up(("urn:ietf:rfc:3986", f"urn:oid:{OID}5"), f"{SYSTEM}|{NUMBER}")
        assert found is not None
        server.store.put({**found, "id": "twice"})
        with pytest.raises(Interrupted, match="2 documents"):
            await client.look_up(("urn:ietf:rfc:3986", f"urn:oid:{OID}5"), f"{SYSTEM}|{NUMBER}")
        await client.close()
    assert {one.method for one in server.arrivals} == {"GET"}


def test_hosts_are_names_and_not_addresses() -> None:
    for wrong in ("https://x.example", "x/y", "*.example", "", "u@x"):
        with pytest.raises(ValueError, match="host name"):
            PdsmSourceSettings(url="https://dmp.invalid/fhir", allowed_hosts=(wrong,))
