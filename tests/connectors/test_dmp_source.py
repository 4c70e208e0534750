"""The source against a registry written by hand: rounds, cursors, what is left, what is not whole."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Running, SourceConformance, until
from dmp_peer import (
    INS,
    OID,
    RETRIEVE,
    SEARCH,
    SUCCESS,
    Call,
    DmpPeer,
    fault,
    multipart,
    objects,
    pulling,
    registry,
    soap,
)
from xdm_archives import cda, classification, entry

from connectors.contracts import FollowedPatient, ReferenceKind
from connectors.dmp import CONNECTOR
from connectors.dmp.queries import FIND_DOCUMENTS, FIND_SUBMISSION_SETS, GET_ASSOCIATIONS
from connectors.dmp.settings import DmpSourceSettings
from connectors.dmp.source import DmpSource
from connectors.http.simulator import Reply, WebReceiver
from connectors.testing import MemoryInbox, PlainMemory, PlainRecords, PlainServices, plain_services
from mappings.contracts import ReadContext
from mappings.xds.format import FORMAT
from schemas.identity import IdentityStatus, Ins, PatientIdentity
from schemas.item import DocumentItem

APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
_XOP = "http://www.w3.org/2004/08/xop/include"
_B = "urn:ihe:iti:xds-b:2007"


class Registry:
    """What is in the DMP of one patient; `since` says of which rank on a later search tells."""

    def __init__(self, peer: DmpPeer) -> None:
        self.documents: dict[str, tuple[bytes, str]] = {}
        self.contents: dict[str, bytes] = {}
        self.peer = peer
        peer.answers |= {SEARCH: self.search, RETRIEVE: self.retrieve}

    def add(
        self,
        content: bytes,
        unique_id: str,
        *,
        status: str = APPROVED,
        inside: str = "",
        retrieved: bytes | None = None,
    ) -> None:
        raw = entry(content, symbol=f"urn:uuid:{unique_id}", uri=None, unique_id=unique_id, inside=inside)
        self.documents[unique_id] = (
            content if retrieved is None else retrieved,
            raw.replace("<ExtrinsicObject ", f'<ExtrinsicObject lid="urn:uuid:l{unique_id}" status="{status}" ', 1),
        )

    def search(self, call: Call) -> str:
        if FIND_SUBMISSION_SETS in call.envelope:
            return objects(*(f'<RegistryPackage id="urn:uuid:set{one}"/>' for one in self.documents))
        if GET_ASSOCIATIONS in call.envelope:
            kind = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
            return objects(
                *(
                    f'<Association id="a{one}" associationType="{kind}" sourceObject="urn:uuid:set{one}" '
                    f'targetObject="urn:uuid:{one}"/>'
                    for one in self.documents
                )
            )
        return objects(*(raw for _, raw in self.documents.values()))

    def retrieve(self, call: Call) -> Reply:
        asked = re.search(r"<xds:DocumentUniqueId>([^<]*)<", call.envelope)
        assert asked
        body = (
            f'<r:RetrieveDocumentSetResponse xmlns:r="{_B}">{registry(status=SUCCESS)}<r:DocumentResponse>'
            f"<r:RepositoryUniqueId>1.2</r:RepositoryUniqueId><r:DocumentUniqueId>{asked[1]}</r:DocumentUniqueId>"
            "<r:mimeType>text/xml</r:mimeType><r:Document>"
            f'<xop:Include xmlns:xop="{_XOP}" href="cid:1%40urn%3Aihe"/>'
            "</r:Document></r:DocumentResponse></r:RetrieveDocumentSetResponse>"
        )
        return multipart(soap(body, call.message_id), {"1@urn:ihe": self.documents[asked[1]][0]})


def follow(services: PlainServices, number: int = 1, status: IdentityStatus = IdentityStatus.QUALIFIED) -> None:
    identity = PatientIdentity(ins=Ins(matricule=INS, oid=OID), status=status, birth_name="TESTROSE")
    records = services.records
    assert isinstance(records, PlainRecords)
    records.patients.append(FollowedPatient(number, identity))


class TestConformance(SourceConformance):
    connector = CONNECTOR
    url = "http://127.0.0.1:1"

    def settings(self, folder: Path) -> dict[str, Any]:
        return pulling(folder, self.url)

    def content(self, number: int, size: int = 0) -> bytes:
        return cda(f"1.2.250.1.999.67.{number + 1}", name="TESTROSE", extra=f"<!--{'x' * size}-->" if size else "")

    @asynccontextmanager
    async def running(self, folder: Path, inbox: MemoryInbox, services: PlainServices) -> AsyncIterator[Running]:
        async with WebReceiver() as receiver:
            self.url = receiver.url
            self.registry = Registry(DmpPeer(folder, receiver))
            follow(services)
            async with super().running(folder, inbox, services) as running:
                await until(lambda: "patients" in services.health.figures)  # the round at the start is over
                yield running

    async def deliver(self, running: Running, content: bytes) -> bool:
        unique_id = re.search(rb'<id root="(1\.2\.250\.1\.999\.67\.\d+)"/>', content)
        assert unique_id
        self.registry.documents.clear()
        self.registry.add(content, unique_id[1].decode())
        return await self.again(running, content)

    async def again(self, running: Running, content: bytes) -> bool:
        memory = running.services.memory
        assert isinstance(memory, PlainMemory)
        memory.values.clear()
        if not running.services.stopping.is_set():
            await running.services.tick()
        return bool(memory.values)


class Rig:
    """A source that runs against a registry."""

    def __init__(self, registry_: Registry, services: PlainServices, inbox: MemoryInbox) -> None:
        self.registry = registry_
        self.peer = registry_.peer
        self.services = services
        self.inbox = inbox

    async def round(self, seconds: float = 3600.0) -> None:
        await self.services.tick(seconds)

    def searches(self, query: str) -> list[Call]:
        return [call for call in self.peer.of(SEARCH) if query in call.envelope]

    @property
    def figures(self) -> dict[str, Any]:
        return self.services.health.figures


@asynccontextmanager
async def started(
    folder: Path, inbox: MemoryInbox, *, memory: PlainMemory | None = None, **more: Any
) -> AsyncIterator[Rig]:
    services = plain_services()
    follow(services)
    if memory is not None:
        assert isinstance(services.memory, PlainMemory)
        services.memory.values.update(memory.values)
    async with WebReceiver() as receiver:
        made = Rig(Registry(DmpPeer(folder, receiver)), services, inbox)
        source = DmpSource(
            "dmp", DmpSourceSettings(**{**pulling(folder, receiver.url), **more}), services, clock=lambda: 0.0
        )
        task = asyncio.create_task(source.run(inbox))
        await services.listening()
        await until(lambda: services.health.state in ("refused", "degraded") or made.figures.get("patients"))
        try:
            yield made
        finally:
            services.stopping.set()
            await task


async def test_the_first_search_goes_back_two_years_and_the_next_ones_to_the_last(
    tmp_path: Path, inbox: MemoryInbox
) -> None:
    async with started(tmp_path, inbox) as rig:
        (first,) = rig.searches(FIND_DOCUMENTS)
        assert re.search(r"ServiceStartTimeFrom\"><rim:ValueList><rim:Value>20240304\d{6}<", first.envelope)
        rig.registry.add(cda(), "1.2.250.1.999.67.1")
        await rig.round()
        (later,) = rig.searches(FIND_SUBMISSION_SETS)
        assert re.search(r"SubmissionTimeFrom\"><rim:ValueList><rim:Value>20260305080000<", later.envelope)
        assert rig.inbox.contents == [cda()]
        assert len(rig.searches(FIND_DOCUMENTS)) == 1


async def test_a_document_comes_with_what_the_registry_says_of_it(tmp_path: Path, inbox: MemoryInbox) -> None:
    hidden = classification(
        "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13"
    )
    async with started(tmp_path, inbox) as rig:
        rig.registry.add(cda(), "1.2.250.1.999.67.1", inside=hidden)
        await rig.round()
    (message,) = inbox.messages
    assert message.control_id == "1.2.250.1.999.67.1"
    (item,) = FORMAT.read(cda(), ReadContext(siblings=message.siblings)).items
    assert isinstance(item, DocumentItem)
    assert item.content.wishes is not None
    assert item.content.wishes.hidden_from_patient


async def test_what_is_known_masked_former_or_a_signature_is_left(tmp_path: Path, inbox: MemoryInbox) -> None:
    masked = classification("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "MASQUE_PS", "1.2.250.1.213.1.1.4.13")
    async with started(tmp_path, inbox) as rig:
        records = rig.services.records
        assert isinstance(records, PlainRecords)
        records.names.add((ReferenceKind.UNIQUE_ID, "1.2.3.1"))
        rig.registry.add(cda(), "1.2.3.1")
        rig.registry.add(cda(), "1.2.3.2", inside=masked)
        rig.registry.add(cda(), "1.2.3.3", status=DEPRECATED)
        rig.registry.add(cda(), "1.2.3.4")
        content, raw = rig.registry.documents["1.2.3.4"]
        rig.registry.documents["1.2.3.4"] = (
            content,
            raw.replace('"11490-0"', '"E1762"').replace("2.16.840.1.113883.6.1", "ASTM"),
        )
        await rig.round()
        assert rig.peer.of(RETRIEVE) == []
        assert {name: rig.figures[name] for name in ("known", "masked", "former versions")} == {
            "known": 1, "masked": 1, "former versions": 1,
        }  # fmt: skip
    assert inbox.messages == []


async def test_who_has_the_right_may_take_what_is_masked(tmp_path: Path, inbox: MemoryInbox) -> None:
    masked = classification("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "MASQUE_PS", "1.2.250.1.213.1.1.4.13")
    async with started(tmp_path, inbox, masked=True) as rig:
        rig.registry.add(cda(), "1.2.3.2", inside=masked)
        await rig.round()
    assert inbox.contents == [cda()]


async def test_a_document_that_is_not_whole_is_journaled_as_rejected(tmp_path: Path, inbox: MemoryInbox) -> None:
    async with started(tmp_path, inbox) as rig:
        rig.registry.add(cda(), "1.2.250.1.999.67.1", retrieved=cda() + b" ")
        await rig.round()
    (message,) = inbox.messages
    assert message.refusal is not None
    assert message.refusal.finding.code == "dmp.document.integrity"


async def test_a_trouble_leaves_the_cursor_where_it_was(tmp_path: Path, inbox: MemoryInbox) -> None:
    async with started(tmp_path, inbox) as rig:
        memory = rig.services.memory
        assert isinstance(memory, PlainMemory)
        before = dict(memory.values)
        rig.registry.add(cda(), "1.2.250.1.999.67.1")
        rig.peer.answers[RETRIEVE] = [registry("XDSRepositoryBusy"), Reply(502, b"<html>", "text/html")]
        await rig.round()
        assert memory.values == before
        rig.peer.answers[RETRIEVE] = rig.registry.retrieve
        await rig.round()
        assert memory.values != before
    assert inbox.contents == [cda()]


async def test_a_fault_about_us_ends_the_round(tmp_path: Path, inbox: MemoryInbox) -> None:
    async with started(tmp_path, inbox) as rig:
        follow(rig.services, 2)
        rig.peer.answers[SEARCH] = fault("Sender", "DMPInvalidCertificate")
        calls = len(rig.peer.calls)
        await rig.round()
        assert len(rig.peer.calls) == calls + 1
        assert rig.services.health.state == "degraded"
        assert "DMPInvalidCertificate" in rig.services.health.detail
        rig.peer.answers[SEARCH] = rig.registry.search
        await rig.round()
        assert rig.services.health.state == "watching"


async def test_who_is_not_qualified_is_not_asked_about(tmp_path: Path, inbox: MemoryInbox) -> None:
    async with started(tmp_path, inbox) as rig:
        follow(rig.services, 2, IdentityStatus.PROVISIONAL)
        calls = len(rig.peer.calls)
        await rig.round()
        assert len(rig.peer.calls) == calls + 3 - 2  # the first patient's submission sets alone: there are none
        assert rig.figures["not qualified"] == 1


async def test_a_structure_has_no_right_to_retrieve_and_does_not_try(tmp_path: Path, inbox: MemoryInbox) -> None:
    values = pulling(tmp_path, "http://127.0.0.1:1") | {"mode": "INDIRECTE", "profile": "ES"}
    services = plain_services()
    follow(services)
    task = asyncio.create_task(DmpSource("dmp", DmpSourceSettings(**values), services).run(inbox))
    await services.listening()
    await until(lambda: services.health.state == "refused")
    assert "TD3.1" in services.health.detail
    assert services.codes() == ["dmp.rights"]
    assert services.jobs == []
    services.stopping.set()
    await task


@pytest.mark.parametrize("change", [{"years": 3}, {"every": 1}, {"batch": 0}])
def test_settings_that_cannot_be(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        DmpSourceSettings(**{**pulling(tmp_path, "http://127.0.0.1:1"), **change})
