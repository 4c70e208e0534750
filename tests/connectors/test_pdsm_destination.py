"""The PDSm destination against the sandbox, which was written from the guide."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Attempt, NetworkDestinationConformance, Peer
from pdsm_contents import OID, PATIENT, SYSTEM, item, parcel, written

from connectors.contracts import Delivered, Hold, Outcome, Parcel, ReferenceKind, Refused, Retry
from connectors.http.simulator import Reply, WebReceiver
from connectors.pdsm import CONNECTOR
from connectors.pdsm.destination import PdsmDestination
from connectors.pdsm.settings import PdsmDestinationSettings
from connectors.sandbox.pdsm import DocumentServer, Fault, serving
from connectors.sandbox.people import ROSE
from connectors.testing import PlainServices
from schemas.coding import Coding
from schemas.document import DocumentOperation, Wishes
from schemas.identity import IdentityStatus

MASK = "MASQUE_PS"


class PdsmPeer:
    BEHAVIOUR = {  # noqa: RUF012 - read only
        "accept": Fault.OK,
        "refuse": Fault.REFUSE,
        "later": Fault.UNAVAILABLE,
        "hang": Fault.HANG,
        "garbage": Fault.GARBAGE,
        "hang_up": Fault.ABORT,
    }

    def __init__(self, server: DocumentServer, base: str) -> None:
        self.server = server
        self.settings: dict[str, Any] = {"url": base}

    @property
    def received(self) -> list[Attempt]:
        return [Attempt(one.body, one.headers["idempotency-key"]) for one in self.server.arrivals]

    def behave(self, how: str) -> None:
        self.server.mood = self.BEHAVIOUR[how]


class TestConformance(NetworkDestinationConformance):
    connector = CONNECTOR
    impatient = {"timeout": 0.5}  # noqa: RUF012 - read only

    def content(self, number: int) -> bytes:
        return written(item(number))

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Peer]:
            server = DocumentServer()
            async with serving(server) as base:
                yield PdsmPeer(server, base)

        return opened()

    def absent(self, folder: Path) -> dict[str, Any]:
        return {"url": "http://127.0.0.1:1/fhir"}

    def connections(self, peer: Peer) -> int:
        assert isinstance(peer, PdsmPeer)
        return peer.server.connections


class Bench:
    """A destination and the server that it submits to."""

    def __init__(self, server: DocumentServer, base: str, services: PlainServices, **settings: Any) -> None:
        self.server = server
        self.destination = PdsmDestination("dmp", PdsmDestinationSettings(url=base, **settings), services)

    async def send(self, given: Parcel) -> Outcome:
        return await self.destination.send(given)

    @property
    def documents(self) -> list[dict[str, Any]]:
        return self.server.store.of_kind("DocumentReference")

    def count(self, kind: str) -> int:
        return len(self.server.store.of_kind(kind))

    def methods(self) -> list[str]:
        return [f"{one.method} {one.path.removeprefix('/fhir')}" for one in self.server.arrivals]


@asynccontextmanager
async def bench(services: PlainServices, **settings: Any) -> AsyncIterator[Bench]:
    server = DocumentServer()
    async with serving(server) as base:
        found = Bench(server, base, services, **settings)
        try:
            yield found
        finally:
            await found.destination.close()


def codes(outcome: Outcome) -> list[str]:
    assert isinstance(outcome, Hold)
    return [finding.code for finding in outcome.findings]


def labels(document: dict[str, Any]) -> list[str]:
    return [label["coding"][0]["code"] for label in document["securityLabel"]]


async def test_a_submission_is_stored_whole_and_named(services: PlainServices) -> None:
    async with bench(services) as at:
        outcome = await at.send(parcel(item()))
        assert isinstance(outcome, Delivered)
        (stored,) = at.documents
        assert (at.count("List"), at.count("Binary")) == (1, 1)
    names = {reference.kind: reference.value for reference in outcome.references}
    assert names[ReferenceKind.UNIQUE_ID] == f"{OID}1"
    assert names[ReferenceKind.ENTRY_UUID] == stored["id"]
    assert names[ReferenceKind.SUBMISSION_ID].startswith("urn:uuid:")
    assert len(names[ReferenceKind.HASH]) == 40


async def test_a_simplified_publication(services: PlainServices) -> None:
    async with bench(services) as at:
        outcome = await at.send(parcel(item(), publication="simplified"))
        assert isinstance(outcome, Delivered)
        (stored,) = at.documents
        assert at.methods() == ["POST /DocumentReference"]
        assert ReferenceKind.ENTRY_UUID in {one.kind for one in outcome.references}
        again = await at.send(parcel(item(), publication="simplified"))
        assert isinstance(again, Delivered)
        assert again.references == outcome.references
        assert len(at.documents) == 1
        assert stored["content"][0]["attachment"]["url"].startswith("Binary/")


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.DROP, Fault.HALF, Fault.TRUNCATED])
async def test_what_may_be_stored_is_looked_up_before_it_is_sent_again(services: PlainServices, fault: Fault) -> None:
    async with bench(services, timeout=1.0) as at:
        at.server.once(fault)
        first = await at.send(parcel(item()))
        assert isinstance(first, Retry)
        assert ReferenceKind.UNIQUE_ID in {one.kind for one in first.references}
        second = await at.send(parcel(item(), attempt=2))
        assert isinstance(second, Delivered)
        assert second.acknowledged
        assert len(at.documents) == 1
        assert at.methods() == ["POST ", "POST /DocumentReference/_search"]
        assert ROSE.matricule not in "".join(one.path + one.query for one in at.server.arrivals)


async def test_what_was_not_stored_is_sent_again(services: PlainServices) -> None:
    async with bench(services, timeout=1.0) as at:
        at.server.once(Fault.HANG)
        assert isinstance(await at.send(parcel(item())), Retry)
        assert isinstance(await at.send(parcel(item(), attempt=2)), Delivered)
        assert len(at.documents) == 1


async def test_nothing_is_sent_while_the_look_up_fails(services: PlainServices) -> None:
    async with bench(services) as at:
        at.server.once(Fault.BUSY)
        outcome = await at.send(parcel(item(), attempt=3))
        assert isinstance(outcome, Retry)
        assert outcome.after == 7.0
        assert at.methods() == ["POST /DocumentReference/_search"]


async def test_another_document_of_the_same_id_is_refused(services: PlainServices) -> None:
    async with bench(services) as at:
        await at.send(parcel(item()))
        other = parcel(item(1, content=b"%PDF-1.4 other"), attempt=2)
        assert isinstance(await at.send(other), Refused)


@pytest.mark.parametrize("supersede", ["transaction", "patch", "server"])
@pytest.mark.parametrize("publication", ["comprehensive", "simplified"])
async def test_a_replacement_supersedes_the_former(services: PlainServices, supersede: str, publication: str) -> None:
    async with bench(services, supersede=supersede) as at:
        at.server.store.supersedes_itself = supersede == "server"
        await at.send(parcel(item(1)))
        newer = item(2, replaces_id=f"{OID}1", operation=DocumentOperation.REPLACE)
        assert isinstance(await at.send(parcel(newer, publication=publication)), Delivered)
        former, current = at.documents
        assert (former["status"], current["status"]) == ("superseded", "current")
        assert current["relatesTo"][0]["target"]["reference"] == f"DocumentReference/{former['id']}"


async def test_a_patch_that_fails_after_a_replacement_is_made_at_the_next_attempt(services: PlainServices) -> None:
    async with bench(services, supersede="patch") as at:
        await at.send(parcel(item(1)))
        newer = item(2, replaces_id=f"{OID}1", operation=DocumentOperation.REPLACE)
        at.server.once(Fault.OK, Fault.OK, Fault.UNAVAILABLE)
        first = await at.send(parcel(newer))
        assert isinstance(first, Retry)
        assert at.documents[0]["status"] == "current"
        assert isinstance(await at.send(parcel(newer, attempt=2)), Delivered)
        assert [one["status"] for one in at.documents] == ["superseded", "current"]


async def test_what_cannot_be_replaced_is_held(services: PlainServices) -> None:
    async with bench(services) as at:
        newer = item(2, replaces_id=f"{OID}1", operation=DocumentOperation.REPLACE)
        assert codes(await at.send(parcel(newer))) == ["pdsm.replace.absent"]
        await at.send(parcel(item(1)))
        await at.send(parcel(newer))
        third = item(3, replaces_id=f"{OID}1", operation=DocumentOperation.REPLACE)
        assert codes(await at.send(parcel(third))) == ["pdsm.replace.not_current"]
        assert len(at.documents) == 2
        assert isinstance(await at.send(parcel(third, insisted=True)), Delivered)
        assert "relatesTo" not in at.documents[2]
        assert [one["status"] for one in at.documents] == ["superseded", "current", "current"]


@pytest.mark.parametrize("form", ["json", "fhirpath"])
@pytest.mark.parametrize(
    ("deletion", "status"),
    [("entered-in-error", "entered-in-error"), ("superseded", "superseded"), ("is-deleted", "superseded")],
)
async def test_a_deletion_is_a_patch(services: PlainServices, form: str, deletion: str, status: str) -> None:
    async with bench(services, deletion=deletion, patch=form) as at:
        await at.send(parcel(item()))
        gone = parcel(item(1, operation=DocumentOperation.DELETE))
        outcome = await at.send(gone)
        assert isinstance(outcome, Delivered)
        assert at.documents[0]["status"] == status
        request = at.server.arrivals[-1]
        assert request.method == "PATCH"
        assert request.headers["if-match"] == 'W/"1"'
        if form == "json":
            assert all(step["path"].startswith(("/status", "/extension")) for step in json.loads(request.body))


async def test_a_deletion_made_twice_is_made(services: PlainServices) -> None:
    async with bench(services) as at:
        await at.send(parcel(item()))
        for attempt in (1, 2):
            assert isinstance(await at.send(parcel(item(1, operation=DocumentOperation.DELETE), attempt)), Delivered)
        assert [one for one in at.methods() if one.startswith("PATCH")] == ["PATCH /DocumentReference/2"]


async def test_a_deletion_of_what_is_not_there_is_held(services: PlainServices) -> None:
    async with bench(services) as at:
        gone = item(1, operation=DocumentOperation.DELETE)
        assert codes(await at.send(parcel(gone))) == ["pdsm.delete.absent"]
        assert isinstance(await at.send(parcel(gone, insisted=True)), Refused)


@pytest.mark.parametrize("form", ["json", "fhirpath"])
async def test_masking_and_unmasking(services: PlainServices, form: str) -> None:
    async with bench(services, patch=form) as at:
        await at.send(parcel(item()))
        masked = item(1, wishes=Wishes(update_visibility=True, masked_to_professionals=True))
        assert isinstance(await at.send(parcel(masked)), Delivered)
        assert labels(at.documents[0]) == ["N", MASK]
        shown = item(1, wishes=Wishes(update_visibility=True))
        assert isinstance(await at.send(parcel(shown)), Delivered)
        assert labels(at.documents[0]) == ["N"]
        assert at.documents[0]["status"] == "current"


async def test_a_document_that_changes_meanwhile_is_read_again(services: PlainServices) -> None:
    async with bench(services) as at:
        await at.send(parcel(item()))
        at.server.once(Fault.OK, Fault.CHANGED)
        restricted = item(1, wishes=Wishes(update_visibility=True, hidden_from_patient=True))
        assert isinstance(await at.send(parcel(restricted)), Delivered)
        assert labels(at.documents[0]) == ["N", "INVISIBLE_PATIENT"]


async def test_an_opposed_patient_is_never_sent(services: PlainServices) -> None:
    async with bench(services) as at:
        opposed = item(1, wishes=Wishes(dmp=False))
        for insisted in (False, True):
            assert codes(await at.send(parcel(opposed, insisted=insisted))) == ["pdsm.patient.opposed"]
        assert at.methods() == []


async def test_an_unqualified_identity_is_held_unless_a_person_insists(services: PlainServices) -> None:
    somebody = PATIENT.model_copy(update={"status": IdentityStatus.PROVISIONAL})
    async with bench(services) as at:
        given = item(1, patient=somebody)
        assert codes(await at.send(parcel(given))) == ["pdsm.identity.unqualified"]
        assert at.methods() == []
        assert ROSE.matricule.encode() not in parcel(given).content
    async with bench(services, require_qualified=False) as at:
        await at.send(parcel(given))
        assert at.methods() == ["POST "]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda form, _: form.update(hash="AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "pdsm.document.hash"),
        (lambda form, _: form.update(hash="not a hash"), "pdsm.document.hash"),
        (lambda form, _: form.update(size=3), "pdsm.document.size"),
        (lambda _, binary: binary.update(data=""), "pdsm.document.empty"),
        (lambda _, binary: binary.update(data="%%%"), "pdsm.document.empty"),
    ],
)
async def test_bytes_that_do_not_hold_together_are_held(services: PlainServices, spoil: Any, code: str) -> None:
    bundle = json.loads(written(item()))
    resources = {one["resource"]["resourceType"]: one["resource"] for one in bundle["entry"]}
    spoil(resources["DocumentReference"]["content"][0]["attachment"], resources["Binary"])
    given = Parcel(1, "D1", json.dumps(bundle).encode(), "application/fhir+json", "d.json", 1)
    async with bench(services) as at:
        assert codes(await at.send(given)) == [code]
        assert at.methods() == []


async def test_a_document_too_large_is_held(services: PlainServices) -> None:
    async with bench(services, max_document=2048) as at:
        assert codes(await at.send(parcel(item(1, content=b"x" * 2049)))) == ["pdsm.document.too_large"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"resourceType": "Patient"}', b'{"resourceType": "Bundle", "type": "collection"}',
     b'{"resourceType": "Bundle", "type": "transaction", "entry": []}', b'{"resourceType": "DocumentReference"}'],
)  # fmt: skip
async def test_what_is_no_submission_is_refused(services: PlainServices, content: bytes) -> None:
    async with bench(services) as at:
        outcome = await at.send(Parcel(1, "D1", content, "application/fhir+json", "d.json", 1))
        assert isinstance(outcome, Refused)
        assert at.methods() == []


async def test_the_token_of_a_token_endpoint_opens_the_server(services: PlainServices) -> None:
    async with WebReceiver(Reply(200, b'{"access_token": "t0ken", "token_type": "Bearer"}')) as issuer:
        oauth = {"url": issuer.url, "client_id": "routeur", "client_secret": "s3cr3t"}
        async with bench(services, oauth=oauth) as at:
            at.server.token = "t0ken"
            assert isinstance(await at.send(parcel(item())), Delivered)
            at.server.token = "another"
            outcome = await at.send(parcel(item(2)))
            assert isinstance(outcome, Retry)
            assert outcome.reached is False
    assert len(issuer.received) == 2


async def test_a_version_is_named_with_the_profiles(services: PlainServices) -> None:
    async with bench(services, version="3.1.1") as at:
        await at.send(parcel(item()))
        (profile,) = at.documents[0]["meta"]["profile"]
    assert profile.endswith("/pdsm-comprehensive-document-reference|3.1.1")


@pytest.mark.parametrize("fault", [Fault.REDIRECT, Fault.REFUSE])
async def test_answers_that_will_not_change_are_final(services: PlainServices, fault: Fault) -> None:
    async with bench(services) as at:
        at.server.mood = fault
        assert isinstance(await at.send(parcel(item())), Refused)


async def test_a_transaction_that_is_refused_leaves_nothing(services: PlainServices) -> None:
    async with bench(services) as at:
        bare = item(1, custodian=None, author_organization=None).model_copy(update={"sender": None})
        outcome = await at.send(parcel(bare))
        assert isinstance(outcome, Refused)
        assert outcome.detail == "HTTP 422: required at Bundle.entry[1].resource.custodian"
        assert at.server.store.resources == {}


async def test_labels_of_a_partner_are_kept_beside_the_level(services: PlainServices) -> None:
    async with bench(services) as at:
        await at.send(parcel(item(1, confidentiality=(), wishes=Wishes(hidden_from_patient=True))))
        assert labels(at.documents[0]) == ["N", "INVISIBLE_PATIENT"]
        restricted = Coding(system="http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code="R")
        await at.send(parcel(item(2, confidentiality=(restricted,))))
        assert labels(at.documents[1]) == ["R"]


def test_the_patient_is_asked_for_by_his_ins() -> None:
    assert f"Patient?identifier={SYSTEM}|{ROSE.matricule}".encode() in written(item())
