"""Our own PDSm connector as a client of the dossier's API: published (ITI-65), found (ITI-67), retrieved (ITI-68)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dossier_scene import doctor, nurse
from pdsm_contents import OID, item, parcel
from rose_scene import FORMER, GP, RoseScene, former_nurse, identity, make_template, rose_scene

from connectors.contracts import Delivered, FollowedPatient, Outcome, ReferenceKind, Refused
from connectors.pdsm.destination import PdsmDestination
from connectors.pdsm.settings import PdsmDestinationSettings, PdsmSourceSettings
from connectors.pdsm.source import PdsmSource
from connectors.sandbox.tools import Tool
from connectors.testing import MemoryInbox, PlainRecords, plain_services
from mappings.contracts import ReadContext
from mappings.fhir import PDSM_FORMAT
from router.journal import tables
from schemas.document import DocumentOperation
from schemas.item import DocumentItem


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[RoseScene]:
    """Mme FICTIVE-ROSE, her general practitioner and her nurse, and a router that serves her dossier."""
    await asyncio.to_thread(make_template, tmp_path / "template")
    async with rose_scene(tmp_path / "template", tmp_path / "router") as made:
        await made.open(("gp", doctor()), ("nurse", nurse()), ("former", former_nurse()))
        yield made


EVERY = "current,superseded,entered-in-error"


class Client:
    """The connector, known to the API as one tool, for one professional."""

    def __init__(self, scene: RoseScene, secret: str, user: str) -> None:
        self.services = plain_services()
        self.services.clock.advance((scene.now() - self.services.now()).total_seconds())
        self.reach: dict[str, Any] = {
            "url": f"{scene.web}/fhir",
            "headers": {"On-Behalf-Of": user},
            "oauth": {
                "url": f"{scene.web}/oauth/token",
                "client_id": "partage",
                "client_secret": secret,
                "send_secret": "body",
            },
        }

    async def send(self, given: Any, **settings: Any) -> Outcome:
        made = PdsmDestination("share", PdsmDestinationSettings(**self.reach, **settings), self.services)
        try:
            return await made.send(parcel(given))
        finally:
            await made.close()

    async def fetched(self, folder: Path, count: int, **settings: Any) -> MemoryInbox:
        records = self.services.records
        assert isinstance(records, PlainRecords)
        records.patients[:] = [FollowedPatient(1, identity())]
        inbox = MemoryInbox(folder)
        source = PdsmSource("share", PdsmSourceSettings(**self.reach, every=3600, **settings), self.services)
        running = asyncio.create_task(source.run(inbox))
        try:
            async with asyncio.timeout(20):
                await inbox.wait_committed(count)
        finally:
            self.services.stopping.set()
            await running
        return inbox


async def documents(scene: RoseScene, tool: Tool) -> list[tuple[str, str]]:
    """The documents that somebody finds, with their status."""
    found = await tool.client.search("DocumentReference", patient=scene.patient, status=EVERY)
    return [(one["masterIdentifier"]["value"].removeprefix(f"urn:oid:{OID}"), one["status"]) for one in found]


@pytest.mark.parametrize("find", ["submissions", "updates"])
async def test_a_document_is_published_found_and_retrieved(scene: RoseScene, tmp_path: Path, find: str) -> None:
    tool = await scene.tool("partage", GP)
    doctor = Client(scene, tool.secret, GP)
    sent = item(1, patient=identity())
    for _ in range(2):  # the same submission again is the same
        outcome = await doctor.send(sent)
        assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b""))
        assert {one.kind: one.value for one in outcome.references}[ReferenceKind.UNIQUE_ID] == f"{OID}1"
    await scene.processed()
    assert await documents(scene, tool) == [("1", "current")]
    [submission] = await tool.client.search("List", patient=scene.patient)
    [document] = await tool.client.search("DocumentReference", patient=scene.patient)
    assert submission["entry"][0]["item"]["reference"] == f"DocumentReference/{document['id']}"
    inbox = await doctor.fetched(tmp_path, 1, find=find)
    [came] = PDSM_FORMAT.read(inbox.contents[0], ReadContext()).items
    assert isinstance(came, DocumentItem)
    assert came.content.document_id == sent.content.document_id
    assert came.content.attachments[0].data == sent.content.attachments[0].data


async def test_a_version_replaces_the_former_and_is_deleted(scene: RoseScene) -> None:
    tool = await scene.tool("partage", GP)
    doctor = Client(scene, tool.secret, GP)
    assert isinstance(await doctor.send(item(1, patient=identity())), Delivered)
    second = item(2, patient=identity(), replaces_id=f"{OID}1", operation=DocumentOperation.REPLACE)
    outcome = await doctor.send(second)
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b""))
    assert sorted(await documents(scene, tool)) == [("1", "superseded"), ("2", "current")]
    outcome = await doctor.send(item(2, patient=identity(), operation=DocumentOperation.DELETE))
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b""))
    assert sorted(await documents(scene, tool)) == [("1", "superseded"), ("2", "entered-in-error")]


async def test_who_is_not_of_the_circle_publishes_nothing_and_finds_nothing(scene: RoseScene) -> None:
    tool = await scene.tool("partage", FORMER)
    outcome = await Client(scene, tool.secret, FORMER).send(item(1, patient=identity()))
    assert isinstance(outcome, Refused)
    assert "FICTIVE" not in outcome.detail
    assert await documents(scene, tool) == []
    assert not scene.rows(tables.message)
