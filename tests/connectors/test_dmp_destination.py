"""The destination against a DMP written by hand: outcomes, doubts, settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conformance import NetworkDestinationConformance, Peer
from dmp_peer import (
    PARTIAL,
    SEARCH,
    SUBMIT,
    SUCCESS,
    DmpPeer,
    fault,
    multipart,
    pair,
    references,
    registry,
    settings,
    soap,
)
from dmp_rig import UNIQUE_ID, Rig, document, parcel
from pydantic import ValidationError
from xdm_archives import cda

from connectors.contracts import Delivered, Hold, Parcel, ReferenceKind, Refused, Retry
from connectors.dmp import CONNECTOR
from connectors.dmp.errors import Kind, meanings
from connectors.dmp.settings import DmpDestinationSettings
from connectors.http.simulator import Reply, WebReceiver
from connectors.testing import PlainMemory, PlainRecords


class TestConformance(NetworkDestinationConformance):
    connector = CONNECTOR
    impatient = {"timeout": 0.3}  # noqa: RUF012 - read only

    def content(self, number: int) -> bytes:
        return cda(f"1.2.250.1.999.67.{number + 1}", name="TESTROSE")

    def parcel(self, number: int = 1, **more: Any) -> Parcel:
        return parcel(document(self.content(number)), number, **more)

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Peer]:
            async with WebReceiver() as receiver:
                yield DmpPeer(folder, receiver)

        return opened()

    def absent(self, folder: Path) -> dict[str, Any]:
        return settings(folder, "http://127.0.0.1:1")

    def connections(self, peer: Peer) -> int:
        assert isinstance(peer, DmpPeer)
        return peer.receiver.connections


async def test_a_submission_carries_document_and_signature(rig: Rig) -> None:
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Delivered)
    named = {one.kind: one.value for one in outcome.references}
    assert named[ReferenceKind.UNIQUE_ID] == UNIQUE_ID
    assert set(named) == {ReferenceKind.UNIQUE_ID, ReferenceKind.SUBMISSION_ID, ReferenceKind.HASH}
    (call,) = rig.peer.calls
    content, signature = call.parts.values()
    assert content == cda()
    assert b"IHEManifest" in signature
    assert "urn:x-passerelle" not in call.envelope
    assert "ORG_SIGN" in call.envelope
    assert rig.services.health.figures == {"submit": 1}


async def test_every_retry_repeats_the_same_bytes(rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = [registry("XDSRepositoryBusy"), registry()]
    assert isinstance(await rig.destination.send(parcel()), Retry)
    assert isinstance(await rig.destination.send(parcel(attempt=2)), Delivered)
    first, second = rig.peer.of(SUBMIT)
    assert list(first.parts.values()) == list(second.parts.values())
    assert first.message_id != second.message_id


@pytest.mark.parametrize("code", sorted(meanings()))
async def test_every_code_has_its_end(code: str, rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = registry(code)
    outcome = await rig.destination.send(parcel())
    meaning = meanings()[code]
    expected = {
        Kind.LATER: Retry,
        Kind.NEVER: Refused,
        Kind.CALLER: Retry,
        Kind.DEPOSITED: Hold,
        Kind.PATIENT: Hold,
        Kind.WARNING: Refused,
    }[meaning.kind]
    assert isinstance(outcome, expected)
    if meaning.kind is not Kind.WARNING:
        assert code in outcome.detail
    assert "TESTROSE" not in outcome.detail
    if meaning.kind is Kind.CALLER:
        assert isinstance(outcome, Retry)
        assert not outcome.reached
        assert rig.services.health.state == "degraded"


async def test_an_unknown_code_is_kept_and_final(rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = registry("DMPSomethingNew")
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Refused)
    assert outcome.detail.startswith("DMPSomethingNew: ")
    rig.peer.answers[SUBMIT] = registry("TESTROSE MARIE 2 79")
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Refused)
    assert "TESTROSE" not in outcome.detail


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        (fault("Sender", "DMPInvalidCertificate"), False),
        (fault("Sender", "Whatever", "Aucune spécialité dans le vihf"), False),
        (fault("Sender", "", "A required header representing a Message Addressing Property is not present"), False),
        (fault("Sender", "", "Structure introuvable ou Inactive"), False),
        (fault("Receiver"), True),
        (fault("Sender", "MessageExpired"), False),
    ],
)
async def test_faults_about_us_stop_the_destination(body: str, reached: bool, rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = body
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Retry)
    assert outcome.reached is reached
    assert "TESTROSE" not in outcome.detail
    rig.peer.answers[SUBMIT] = registry()
    assert isinstance(await rig.destination.send(parcel()), Delivered)
    assert rig.services.health.state == "ready"


@pytest.mark.parametrize("code", ["XDSPatientIdDoesNotMatch", "XDSDocumentUniqueIdError", "Unheard"])
async def test_other_faults_are_about_this_document(code: str, rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = fault("Sender", code)
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Refused)
    assert code in outcome.detail


STRANGE = {
    "html": Reply(502, b"<html>Bad gateway</html>", "text/html"),
    "not xml": Reply(200, b"\xff\xfe\x00", "application/soap+xml"),
    "invalid utf-8": Reply(200, soap(registry("X"), "y").replace(b"TESTROSE", b"\xe9"), "application/soap+xml"),
    "wrong relates to": Reply(200, soap(registry(), "urn:uuid:of-another"), "application/soap+xml"),
    "no relates to": Reply(200, soap(registry(), None), "application/soap+xml"),
    "soap 1.1": Reply(200, soap(registry(), "x", namespace="http://schemas.xmlsoap.org/soap/envelope/"), "text/xml"),
    "no boundary": Reply(200, b"--b\r\n\r\n", "multipart/related"),
    "cut multipart": Reply(200, b"--b\r\nContent-ID: <root>\r\n\r\n<a/>", 'multipart/related; boundary="b"'),
    "two ids": multipart(b"<a/>", {"one": b"1"}, start="one"),
    "doctype": Reply(200, b"<!DOCTYPE a><a/>", "application/soap+xml"),
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(STRANGE))
async def test_what_is_no_answer_leaves_in_doubt_and_is_looked_up(how: str, rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = [STRANGE[how], registry()]
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Retry)
    assert outcome.reached
    assert {one.kind for one in outcome.references} >= {ReferenceKind.UNIQUE_ID}
    assert rig.peer.of(SEARCH) == []
    rig.peer.answers[SEARCH] = references("urn:uuid:11111111-2222-4333-8444-555555555555")
    outcome = await rig.destination.send(parcel(attempt=2))
    assert isinstance(outcome, Delivered)
    assert "there already" in outcome.detail
    assert len(rig.peer.of(SUBMIT)) == 1
    (search,) = rig.peer.of(SEARCH)
    assert 'returnType="ObjectRef"' in search.envelope
    assert UNIQUE_ID in search.envelope


async def test_a_router_killed_while_sending_looks_before_it_sends_again(rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = Reply(hang_up=True)
    assert isinstance(await rig.destination.send(parcel()), Retry)
    rig.peer.answers |= {SUBMIT: registry(), SEARCH: references("urn:uuid:1")}
    restarted = rig.make()
    outcome = await restarted.send(parcel(attempt=1))
    assert isinstance(outcome, Delivered)
    assert len(rig.peer.of(SUBMIT)) == 1
    assert (ReferenceKind.ENTRY_UUID, "urn:uuid:1") in {(one.kind, one.value) for one in outcome.references}


async def test_what_did_not_arrive_is_sent_again(rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = [Reply(hang_up=True), registry()]
    assert isinstance(await rig.destination.send(parcel()), Retry)
    assert isinstance(await rig.destination.send(parcel(attempt=2)), Delivered)
    assert len(rig.peer.of(SUBMIT)) == 2


async def test_notes_of_what_is_settled_are_forgotten_a_minute_later(rig: Rig) -> None:
    memory = rig.services.memory
    assert isinstance(memory, PlainMemory)
    assert isinstance(await rig.destination.send(parcel()), Delivered)
    await rig.services.tick(1.0)
    assert list(memory.values) == [f"doubt/{UNIQUE_ID}"]
    await rig.services.tick(60.0)
    assert memory.values == {}


async def test_a_document_that_is_there_is_held(rig: Rig) -> None:
    rig.peer.answers |= {SUBMIT: registry("XDSDuplicateUniqueIdInRegistry"), SEARCH: references("urn:uuid:1")}
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.deposited"]
    records = rig.services.records
    assert isinstance(records, PlainRecords)
    await rig.services.tick(120.0)
    records.names.add((ReferenceKind.HASH, parcel_digest()))
    again = await rig.destination.send(parcel(number=2))
    assert isinstance(again, Hold)
    assert len(rig.peer.of(SUBMIT)) == 1
    insisted = await rig.destination.send(parcel(number=2, insisted=True))
    assert isinstance(insisted, Hold)


def parcel_digest() -> str:
    from hashlib import sha1

    return sha1(cda()).hexdigest()  # noqa: S324 - XDS wants SHA-1


async def test_success_with_remarks_and_half_a_success(rig: Rig) -> None:
    rig.peer.answers[SUBMIT] = registry("XDSExtraMetadataNotSaved", status=SUCCESS, severity="Warning")
    outcome = await rig.destination.send(parcel())
    assert isinstance(outcome, Delivered)
    assert "XDSExtraMetadataNotSaved" in outcome.detail
    rig.peer.answers |= {SUBMIT: registry("XDSRegistryError", status=PARTIAL), SEARCH: references()}
    await rig.services.tick(120.0)
    outcome = await rig.destination.send(parcel(number=2))
    assert isinstance(outcome, Refused)
    rig.peer.answers[SEARCH] = [references(), references("urn:uuid:9")]
    outcome = await rig.destination.send(parcel(number=3))
    assert isinstance(outcome, Refused | Delivered)


# --- settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://dmp.example/services"}, "https only"),
        ({"url": "https://dmp.example/services"}, "ORG_AUTH_CLI"),
        ({"url": "https://u:p@dmp.example/services"}, "credentials"),
        ({"mode": "DIRECTE"}, "profile ES"),
        ({"access": "regulation"}, "purpose"),
        ({"user": {"id": "1", "name": "A", "profession": "10", "profession_label": "Médecin"}}, "speciality"),
        ({"user": {"id": "1", "profession": "60", "profession_label": "Infirmier"}}, "user.name"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=said):
        DmpDestinationSettings(**{**settings(tmp_path, "http://127.0.0.1:1"), **change})


def test_one_certificate_for_two_roles_is_refused(tmp_path: Path) -> None:
    url = "https://127.0.0.1:1"
    sign, other = pair(tmp_path), pair(tmp_path, "ORG_AUTH_CLI")
    with pytest.raises(ValidationError, match="two certificates"):
        DmpDestinationSettings(**settings(tmp_path, url, tls={"cert": sign}))
    copy = tmp_path / "copy.pem"
    copy.write_bytes(sign.read_bytes())
    (said,) = DmpDestinationSettings(**settings(tmp_path, url, tls={"cert": copy})).problems()
    assert "one certificate" in said
    assert DmpDestinationSettings(**settings(tmp_path, url, tls={"cert": other})).problems() == ()


async def test_a_signing_certificate_that_is_over_stops_everything(rig: Rig) -> None:
    old = pair(rig.folder, "OLD", days=1)
    outcome = await rig.make(signature={"cert": old}).send(parcel())
    assert isinstance(outcome, Retry)
    assert not outcome.reached
    assert rig.peer.calls == []
    absent = await rig.make(signature={"cert": rig.folder / "none.pem"}).send(parcel())
    assert isinstance(absent, Retry)
    assert str(rig.folder) not in absent.detail


async def test_what_another_format_wrote_is_refused(rig: Rig) -> None:
    for changed in (
        replace(parcel(), attachments={}),
        replace(parcel(), attachments={"METADATA.XML": b"<a/>"}),
        replace(parcel(), content=b"", attachments={"METADATA.XML": b"not xml"}),
    ):
        assert isinstance(await rig.destination.send(changed), Refused)
    assert rig.peer.calls == []
