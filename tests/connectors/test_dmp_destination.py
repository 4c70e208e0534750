"""The destination against a DMP written by hand: outcomes, doubts, guards, replacements, deletions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conformance import NetworkDestinationConformance, Peer
from dmp_peer import (
    EXISTS,
    PARTIAL,
    SEARCH,
    SUBMIT,
    SUCCESS,
    UPDATE,
    DmpPeer,
    direct,
    existence,
    fault,
    multipart,
    objects,
    pair,
    references,
    registry,
    settings,
    soap,
)
from lxml import etree
from pydantic import ValidationError
from xdm_archives import cda, entry

from connectors.contracts import Delivered, Hold, Parcel, ReferenceKind, Refused, Retry
from connectors.dmp import CONNECTOR
from connectors.dmp.destination import DmpDestination
from connectors.dmp.errors import Kind, meanings
from connectors.dmp.settings import DmpDestinationSettings
from connectors.http.simulator import Reply, WebReceiver
from connectors.testing import PlainMemory, PlainRecords, PlainServices
from mappings.cda import FORMAT as CDA
from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.xds.format import FORMAT
from schemas.document import DocumentOperation, Wishes
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
UNIQUE_ID = "1.2.250.1.999.67.1"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"


def document(
    content: bytes | None = None, status: IdentityStatus = IdentityStatus.QUALIFIED, **changes: Any
) -> DocumentItem:
    (item,) = CDA.read(content or cda(), ReadContext()).items
    assert isinstance(item, DocumentItem)
    patient = item.patient.model_copy(update={"status": status})
    return item.model_copy(update={"patient": patient, "content": item.content.model_copy(update=changes)})


def parcel(item: DocumentItem | None = None, number: int = 1, **more: Any) -> Parcel:
    context = WriteContext(now=NOW, identity=f"D{number:06d}", environment=Environment.TEST)
    written = FORMAT.write(item or document(), context)
    values = {
        "delivery_id": number,
        "identity": f"D{number:06d}",
        "content": written.content,
        "media_type": written.media_type,
        "filename": written.filename,
        "attempt": 1,
        "attachments": written.attachments,
    }
    return Parcel(**{**values, **more})


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


class Rig:
    """A destination and its peer; `make` gives another one with other settings, as after a restart."""

    def __init__(self, folder: Path, peer: DmpPeer, services: PlainServices) -> None:
        self.folder = folder
        self.peer = peer
        self.services = services
        self.opened: list[DmpDestination] = []
        self.destination = self.make()

    def make(self, *, doctor: bool = False, **more: Any) -> DmpDestination:
        make = direct if doctor else settings
        values = make(self.folder, self.peer.receiver.url, **more)
        made = DmpDestination("dmp", DmpDestinationSettings(**values), self.services)
        self.opened.append(made)
        return made


@pytest.fixture
async def rig(tmp_path: Path, services: PlainServices) -> AsyncIterator[Rig]:
    async with WebReceiver() as receiver:
        made = Rig(tmp_path, DmpPeer(tmp_path, receiver), services)
        yield made
        for one in made.opened:
            await one.close()


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


# --- guards


@pytest.mark.parametrize("insisted", [False, True])
@pytest.mark.parametrize(
    ("item", "expected", "may_insist"),
    [
        (document(status=IdentityStatus.PROVISIONAL), ["identity"], False),
        (document(wishes=Wishes(dmp=False)), ["opposed"], False),
        (document(cda(), wishes=Wishes(hidden_from_representatives=True)), ["representatives"], True),
        (document(status=IdentityStatus.VALIDATED, wishes=Wishes(dmp=False)), ["identity", "opposed"], False),
    ],
)
async def test_guards_hold_one_finding_a_reason(
    item: DocumentItem, expected: list[str], may_insist: bool, insisted: bool, rig: Rig
) -> None:
    outcome = await rig.destination.send(parcel(item))
    assert isinstance(outcome, Hold)
    if insisted:
        outcome = await rig.destination.send(parcel(item, insisted=True))
    if insisted and may_insist:
        assert isinstance(outcome, Delivered)
        return
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == [f"dmp.guard.{one}" for one in expected]
    assert rig.peer.calls == []


async def test_a_document_that_is_too_large_is_held(rig: Rig) -> None:
    small = rig.make(max_document=1024)
    outcome = await small.send(parcel())
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.size"]
    assert rig.peer.calls == []


async def test_the_patients_dmp_is_asked_about_once_a_day(rig: Rig) -> None:
    asking = rig.make(existence="ask")
    for status in (None, "terminated"):
        rig.peer.answers[EXISTS] = existence(status)
        outcome = await asking.send(parcel())
        assert isinstance(outcome, Hold)
        assert [one.code for one in outcome.findings] == ["dmp.guard.no_dmp"]
    rig.peer.answers[EXISTS] = existence()
    for number in (1, 2):
        assert isinstance(await asking.send(parcel(number=number)), Delivered)
    assert len(rig.peer.of(EXISTS)) == 3
    rig.services.clock.advance(25 * 3600)
    assert isinstance(await asking.send(parcel(number=3)), Delivered)
    assert len(rig.peer.of(EXISTS)) == 4


async def test_an_answer_about_another_patient_is_none(rig: Rig) -> None:
    rig.peer.answers[EXISTS] = existence(matricule="199999999999999")
    outcome = await rig.make(existence="ask").send(parcel())
    assert isinstance(outcome, Retry)
    assert rig.peer.of(SUBMIT) == []


async def test_what_the_matrix_denies_is_not_sent(rig: Rig) -> None:
    unplanned = {"mode": "DIRECTE", "profile": "MT", "access": "regulation", "purpose": "x", "purpose_label": "x"}
    outcome = await rig.make(**unplanned).send(parcel())
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.rights"]
    assert "MT" in outcome.findings[0].message
    assert rig.peer.calls == []
    trusting = rig.make(**unplanned, local_rights=False)
    assert isinstance(await trusting.send(parcel()), Delivered)


async def test_an_employee_submits_by_card(rig: Rig) -> None:
    secretary = rig.make(mode="DIRECTE", profile="CPE")
    assert isinstance(await secretary.send(parcel()), Delivered)
    assert len(rig.peer.of(SUBMIT)) == 1


async def test_a_person_overrules_what_was_shown_and_nothing_else(rig: Rig) -> None:
    memory = rig.services.memory
    assert isinstance(memory, PlainMemory)
    rig.peer.answers[EXISTS] = existence(None)
    asking = rig.make(existence="ask")
    first = await asking.send(parcel(REPLACEMENT))
    assert isinstance(first, Hold)
    assert [one.code for one in first.findings] == ["dmp.guard.no_dmp"]
    rig.peer.answers[EXISTS] = existence()
    second = await asking.send(parcel(REPLACEMENT, insisted=True))
    assert isinstance(second, Hold)
    assert [one.code for one in second.findings] == ["dmp.guard.former"]
    assert isinstance(await asking.send(parcel(REPLACEMENT, insisted=True)), Delivered)
    assert [key for key in memory.values if key.startswith("held/")] == []


# --- replacement, deletion, visibility

FORMER = "urn:uuid:aaaaaaaa-2222-4333-8444-555555555555"
REPLACEMENT = document(cda("1.2.250.1.999.67.2", replaces=UNIQUE_ID))


async def test_a_replacement_names_the_entry_that_it_replaces(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = references(FORMER)
    assert isinstance(await rig.destination.send(parcel(REPLACEMENT)), Delivered)
    (call,) = rig.peer.of(SUBMIT)
    targets = re.findall(r'targetObject="([^"]*)"', call.envelope)
    assert targets == ["Document01", FORMER, "Signature01", "SubmissionSet01"]


async def test_of_several_versions_the_approved_one_is_replaced(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = [references("urn:uuid:old", FORMER), references("urn:uuid:other", FORMER)]
    assert isinstance(await rig.destination.send(parcel(REPLACEMENT)), Delivered)
    assert f'targetObject="{FORMER}"' in rig.peer.of(SUBMIT)[0].envelope


async def test_a_replacement_without_its_former_waits_for_a_person(rig: Rig) -> None:
    outcome = await rig.destination.send(parcel(REPLACEMENT))
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.former"]
    assert isinstance(await rig.destination.send(parcel(REPLACEMENT, insisted=True)), Delivered)
    assert "RPLC" not in rig.peer.of(SUBMIT)[0].envelope


def registered(status: str, *, uuid: str = FORMER, unique_id: str = UNIQUE_ID) -> str:
    raw = entry(None, symbol=uuid, uri=None, unique_id=unique_id, hashed="", size=-1)
    raw = raw.replace("<ExtrinsicObject ", f'<ExtrinsicObject lid="urn:uuid:lid" status="{status}" ', 1)
    return raw.replace("<Classification", '<VersionInfo versionName="3"/><Classification', 1)


async def test_who_may_read_metadata_replaces_the_current_version_only(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = objects(registered("urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"))
    doctor = rig.make(doctor=True)
    outcome = await doctor.send(parcel(REPLACEMENT))
    assert isinstance(outcome, Hold)
    assert "current version" in outcome.detail
    rig.peer.answers[SEARCH] = objects(registered(APPROVED))
    assert isinstance(await doctor.send(parcel(REPLACEMENT)), Delivered)


DELETION = document(operation=DocumentOperation.DELETE)


async def test_a_deletion_changes_the_status(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = [references(FORMER), references("urn:uuid:other"), references(FORMER)]
    outcome = await rig.destination.send(parcel(DELETION))
    assert isinstance(outcome, Delivered)
    (call,) = rig.peer.of(UPDATE)
    assert re.findall(r"StatusType:(\w+)<", call.envelope) == ["Archived", "Deleted"]
    assert f'targetObject="{FORMER}"' in call.envelope


@pytest.mark.parametrize("answers", [[references()], [references(FORMER), references(), references()]])
async def test_what_is_gone_needs_no_deletion(answers: list[str], rig: Rig) -> None:
    rig.peer.answers[SEARCH] = answers
    outcome = await rig.destination.send(parcel(DELETION))
    assert isinstance(outcome, Delivered)
    assert "nothing to delete" in outcome.detail
    assert rig.peer.of(UPDATE) == []


MASKED = document(wishes=Wishes(update_visibility=True, masked_to_professionals=True))


async def test_visibility_is_changed_by_a_doctor_and_not_by_a_structure(rig: Rig) -> None:
    rig.peer.answers[SEARCH] = references(FORMER)
    held = await rig.destination.send(parcel(MASKED))
    assert isinstance(held, Hold)
    assert [one.code for one in held.findings] == ["dmp.guard.rights"]
    rig.peer.answers[SEARCH] = objects(registered(APPROVED))
    assert isinstance(await rig.make(doctor=True).send(parcel(MASKED)), Delivered)
    (call,) = rig.peer.of(UPDATE)
    assert "MASQUE_PS" in call.envelope
    assert re.search(r'name="PreviousVersion"><rim:ValueList><rim:Value>3<', call.envelope)
    assert 'lid="urn:uuid:lid"' in call.envelope


@pytest.mark.shared_data
async def test_every_message_is_valid_by_its_schema(rig: Rig, shared_data: Path) -> None:
    import base64

    folder = shared_data / "dmp" / "schema"
    rig.peer.answers[SEARCH] = objects(registered(APPROVED))
    doctor = rig.make(doctor=True, existence="ask")
    for item in (document(cda("1.2.250.1.999.67.9")), REPLACEMENT, DELETION, MASKED):
        assert isinstance(await doctor.send(parcel(item)), Delivered)
    schemas = {
        SUBMIT: "IHE/XDS.b_DocumentRepository.xsd",
        SEARCH: "ebRS/query.xsd",
        UPDATE: "ebRS/lcm.xsd",
        EXISTS: "HL7V3/NE2009/multicacheschemas/PRPA_IN201307UV02.xsd",
    }
    seen = set()
    saml = etree.XMLSchema(etree.parse(next((folder / "saml").glob("*assertion*.xsd"))))
    envelope_schema = etree.XMLSchema(etree.parse(folder / "soap-1.2-envelope.xsd"))
    for call in rig.peer.calls:
        root = etree.fromstring(call.envelope.encode())
        for include in root.iter("{http://www.w3.org/2004/08/xop/include}Include"):
            parent = include.getparent()
            assert parent is not None
            parent.text = base64.b64encode(call.parts[include.get("href", "").removeprefix("cid:")]).decode()
            parent.remove(include)
        (body,) = root.findall("{http://www.w3.org/2003/05/soap-envelope}Body")
        schema = etree.XMLSchema(etree.parse(folder / schemas[call.action]))
        schema.assertValid(etree.fromstring(etree.tostring(body[0])))
        whole = etree.fromstring(call.envelope.encode())
        for typed in whole.iter("{urn:hl7-org:v3}Role", "{urn:hl7-org:v3}PurposeOfUse"):
            del typed.attrib["{http://www.w3.org/2001/XMLSchema-instance}type"]  # HL7's own type, not in this schema
        envelope_schema.assertValid(whole)
        (assertion,) = whole.iter("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")
        saml.assertValid(etree.fromstring(etree.tostring(assertion)))
        seen.add(call.action)
    assert seen == set(schemas)


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
