"""The DMP connector against the sandbox DMP, over mutual TLS: neither shares a parser or a builder with the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.contracts import (
    Delivered,
    FollowedPatient,
    Hold,
    Learnt,
    NotAsked,
    Parcel,
    ReferenceKind,
    Refused,
    Retry,
)
from connectors.dmp.answers import Listed, Retrieved
from connectors.dmp.client import DmpClient
from connectors.dmp.destination import DmpDestination
from connectors.dmp.queries import find_documents, get_documents
from connectors.dmp.settings import DmpDestinationSettings, DmpSourceSettings
from connectors.dmp.source import DmpSource
from connectors.sandbox.adt import Visit
from connectors.sandbox.cda import discharge_letter, oid_of
from connectors.sandbox.dmp import DmpSandbox, Trouble
from connectors.sandbox.dmp.pki import Pair
from connectors.sandbox.dmp.population import CLOSED, OPPOSED
from connectors.sandbox.people import PRESCRIBER, ROSE, Person
from connectors.testing import MemoryInbox, PlainRecords, PlainServices, plain_services
from mappings.cda import FORMAT as CDA
from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.xds.format import FORMAT
from mappings.xds.people import patient_id
from schemas.document import DocumentOperation, Wishes
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

AT = datetime(2026, 3, 9, 13, 20, tzinfo=UTC)
SCHEMAS = Path(__file__).resolve().parents[3] / "shared" / "data" / "dmp" / "schema"


def letter(number: str = "LET1", person: Person = ROSE, *, replaces: str | None = None) -> bytes:
    visit = Visit("SEJ1", "DOS1", AT - timedelta(days=4), discharged_at=AT)
    content = discharge_letter(person, visit, ["Texte fictif"], number=number, at=AT)
    if replaces is None:
        return content
    parent = (
        f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{replaces}"/></parentDocument></relatedDocument>'
    )
    text = content.decode()
    at = text.index("<componentOf>")
    text = text[:at] + parent + text[at:]
    text = text.replace(oid_of(f"{number}-set"), oid_of("LET1-set"))
    return text.replace('<versionNumber value="1"/>', '<versionNumber value="2"/>').encode()


def item(content: bytes, **changes: Any) -> DocumentItem:
    (found,) = CDA.read(content, ReadContext()).items
    assert isinstance(found, DocumentItem)
    patient = found.patient.model_copy(update={"status": IdentityStatus.QUALIFIED})
    return found.model_copy(update={"patient": patient, "content": found.content.model_copy(update=changes)})


def parcel(of: DocumentItem, number: int = 1, **more: Any) -> Parcel:
    context = WriteContext(
        now=datetime.now(UTC),
        identity=f"E2E{number:05d}",
        environment=Environment.TEST,
        options={"source_id": "1.2.250.1.999.67"},
    )
    made = FORMAT.write(of, context)
    values = {
        "delivery_id": number,
        "identity": context.identity,
        "content": made.content,
        "media_type": made.media_type,
        "filename": made.filename,
        "attempt": 1,
        "attachments": made.attachments,
    }
    return Parcel(**{**values, **more})


def settings(dmp: DmpSandbox, **more: Any) -> DmpDestinationSettings:
    def files(pair: Pair) -> dict[str, Any]:
        return {"cert": pair.certificate, "key": pair.key}

    return DmpDestinationSettings.model_validate(
        {
            "url": dmp.url,
            "tls": {"ca": dmp.certificates.authority, **files(dmp.certificates.client)},
            "signature": files(dmp.certificates.signer),
            "user": {
                "id": f"8{PRESCRIBER.rpps}", "name": f"{PRESCRIBER.family_name} {PRESCRIBER.given_name}",
                "profession": "10", "profession_label": "Médecin",
                "speciality": "SM26", "speciality_label": "Qualifié en Médecine Générale (SM)",
            },
            "sector": "SA01",
            "homologation": "SANDBOX",
            "oid": "1.2.250.1.999.67",
            "timeout": 5.0,
            **more,
        }
    )  # fmt: skip


@pytest.fixture
async def dmp(tmp_path: Path) -> AsyncIterator[DmpSandbox]:
    async with DmpSandbox(tmp_path / "dmp", schemas=SCHEMAS if SCHEMAS.is_dir() else None) as sandbox:
        yield sandbox


class Rig:
    def __init__(self, dmp: DmpSandbox) -> None:
        self.dmp = dmp
        self.services: PlainServices = plain_services()
        self.services.clock.advance((datetime.now(UTC) - self.services.now()).total_seconds())
        self.destination = self.make()

    def make(self, **more: Any) -> DmpDestination:
        return DmpDestination("dmp", settings(self.dmp, **more), self.services)

    def doctor(self) -> DmpClient:
        return DmpClient(settings(self.dmp, mode="DIRECTE", profile="MD"), now=self.services.now)


@pytest.fixture
async def rig(dmp: DmpSandbox) -> AsyncIterator[Rig]:
    made = Rig(dmp)
    yield made
    await made.destination.close()


async def test_what_is_submitted_is_found_and_given_back(rig: Rig) -> None:
    sent = item(letter())
    outcome = await rig.destination.send(parcel(sent))
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b"")[-900:])
    assert rig.dmp.calls == ["TD0.2", "ITI-41"]
    doctor = rig.doctor()
    patient = patient_id(sent.patient) or ""
    unique_id = sent.content.document_id or ""
    listed = await doctor.search(patient, find_documents(patient))
    assert isinstance(listed, Listed), listed
    assert unique_id in [one.unique_id for one in listed.entries]
    given = await doctor.retrieve(patient, "", unique_id)
    assert isinstance(given, Retrieved), given
    assert given.content == letter()
    await doctor.close()


async def test_a_version_replaces_the_former_and_is_deleted(rig: Rig) -> None:
    first = item(letter())
    former = first.content.document_id or ""
    assert isinstance(await rig.destination.send(parcel(first)), Delivered)
    second = item(letter("LET2", replaces=former))
    outcome = await rig.destination.send(parcel(second, 2))
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b"")[-900:])
    doctor = rig.doctor()
    patient = patient_id(first.patient) or ""
    before = await doctor.search(patient, get_documents((former,)))
    assert isinstance(before, Listed)
    assert [one.availability_status for one in before.entries] == [
        "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
    ]
    gone = item(letter("LET2", replaces=former), operation=DocumentOperation.DELETE)
    outcome = await rig.destination.send(parcel(gone, 3))
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b"")[-900:])
    again = await rig.destination.send(parcel(gone, 4))
    assert isinstance(again, Delivered)
    assert "nothing to delete" in again.detail
    await doctor.close()


async def test_a_doctor_masks_a_document(rig: Rig) -> None:
    assert isinstance(await rig.destination.send(parcel(item(letter()))), Delivered)
    masked = item(letter(), wishes=Wishes(update_visibility=True, masked_to_professionals=True))
    doctor = rig.make(mode="DIRECTE", profile="MD")
    outcome = await doctor.send(parcel(masked, 2))
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b"")[-900:])
    await doctor.close()


def names(told: Any) -> dict[ReferenceKind, str]:
    assert isinstance(told, Learnt), told
    return {one.kind: one.value for one in told.references}


async def test_names_are_learnt_later_by_a_structure_and_by_a_doctor(rig: Rig) -> None:
    sent = [parcel(item(letter(f"LET{number}")), number) for number in (1, 2, 3)]
    for one in sent[:2]:
        outcome = await rig.destination.send(one)
        assert isinstance(outcome, Delivered)
        assert outcome.learn_after == 12 * 3600
    by_structure = await rig.destination.learn(sent)
    assert set(names(by_structure[1])) == {ReferenceKind.ENTRY_UUID}, "TD3.1b tells the entry's name alone"
    assert by_structure[3] == Learnt(), "what is not there has no name yet"
    assert rig.dmp.calls.count("ITI-18") == 3
    doctor = rig.make(mode="DIRECTE", profile="MD")
    by_doctor = await doctor.learn(sent)
    assert rig.dmp.calls.count("ITI-18") == 4, "one question for the documents of one patient"
    assert names(by_doctor[2]).keys() == {ReferenceKind.ENTRY_UUID, ReferenceKind.LOGICAL_ID}
    assert names(by_doctor[2])[ReferenceKind.ENTRY_UUID] == names(by_structure[2])[ReferenceKind.ENTRY_UUID]
    assert by_doctor[3] == Learnt()
    await doctor.close()


async def test_who_may_not_search_does_not_ask(rig: Rig) -> None:
    regulating = rig.make(access="break_glass", purpose="x")
    told = await regulating.learn([parcel(item(letter()))])
    assert told == {1: NotAsked(told[1].detail, 86_400.0, denied=True)}  # type: ignore[union-attr]
    assert "TD3.1b" in told[1].detail  # type: ignore[union-attr]
    assert rig.dmp.calls == []
    gone = await rig.destination.learn([parcel(item(letter(), operation=DocumentOperation.DELETE))])
    assert isinstance(gone[1], NotAsked)
    assert gone[1].wait is None
    await regulating.close()


async def test_a_trouble_ends_the_asking(rig: Rig) -> None:
    rig.dmp.troubles.plan(Trouble.BUSY, transaction="ITI-18")
    told = await rig.destination.learn([parcel(item(letter(f"LET{number}")), number) for number in (1, 2)])
    assert isinstance(told[1], NotAsked)
    assert told[1].wait
    assert 2 not in told, "it was not asked about"


@pytest.mark.parametrize("masked", [False, True])
async def test_a_structure_replaces_and_deletes_by_the_names_that_were_kept(rig: Rig, masked: bool) -> None:
    first = item(letter())
    former = first.content.document_id or ""
    assert isinstance(await rig.destination.send(parcel(first)), Delivered)
    records = rig.services.records
    assert isinstance(records, PlainRecords)
    records.called[former] = names((await rig.destination.learn([parcel(first)]))[1])
    if masked:
        # Another version of the metadata: the entry has another name by now, and the one that was kept is refused.
        wishes = Wishes(update_visibility=True, masked_to_professionals=True)
        doctor = rig.make(mode="DIRECTE", profile="MD")
        outcome = await doctor.send(parcel(item(letter(), wishes=wishes), 9))
        assert isinstance(outcome, Delivered)
        assert outcome.learn_after
        assert ReferenceKind.ENTRY_UUID not in {one.kind for one in outcome.references}
        await doctor.close()
    before = rig.dmp.calls.count("ITI-18")
    second = item(letter("LET2", replaces=former))
    outcome = await rig.destination.send(parcel(second, 2))
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b"")[-900:])
    assert (rig.dmp.calls.count("ITI-18") > before) is masked
    unique_id = second.content.document_id or ""
    records.called[unique_id] = names((await rig.destination.learn([parcel(second, 2)]))[2])
    if masked:
        records.called[unique_id][ReferenceKind.ENTRY_UUID] = "urn:uuid:00000000-0000-4000-8000-000000000001"
    before = rig.dmp.calls.count("ITI-18")
    gone = item(letter("LET2", replaces=former), operation=DocumentOperation.DELETE)
    outcome = await rig.destination.send(parcel(gone, 3))
    assert isinstance(outcome, Delivered), (outcome, getattr(outcome, "answer", b"")[-900:])
    assert "nothing" not in outcome.detail
    assert (rig.dmp.calls.count("ITI-18") > before) is masked


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble.CUT_UPLOAD,
        Trouble.CUT_ANSWER,
        Trouble.BAD_GATEWAY,
        Trouble.WRONG_RELATES_TO,
        Trouble.INVALID_UTF8,
        Trouble.SOAP_11,
        Trouble.BUSY,
        Trouble.NO_ANSWER,
    ],
)
async def test_after_a_trouble_the_document_is_there_once(trouble: Trouble, rig: Rig) -> None:
    destination = rig.make(timeout=0.7)
    rig.dmp.troubles.plan(trouble, transaction="ITI-41")
    sent = item(letter())
    outcome = await destination.send(parcel(sent))
    assert isinstance(outcome, Retry), outcome
    outcome = await destination.send(parcel(sent, attempt=2))
    assert isinstance(outcome, Delivered), outcome
    doctor = rig.doctor()
    listed = await doctor.search("x", get_documents((sent.content.document_id or "",)))
    patient = patient_id(sent.patient) or ""
    listed = await doctor.search(patient, get_documents((sent.content.document_id or "",)))
    assert isinstance(listed, Listed), listed
    assert len(listed.entries) == 1
    await doctor.close()
    await destination.close()


@pytest.mark.parametrize(
    "trouble",
    [Trouble.WARNING, Trouble.LATIN_1, Trouble.ENCODED_CID, Trouble.MULTIPART, Trouble.BOUNDARY, Trouble.PARTIAL],
)
async def test_what_is_merely_odd_does_no_harm(trouble: Trouble, rig: Rig) -> None:
    sent = item(letter())
    rig.dmp.troubles.plan(trouble, transaction="ITI-41")
    assert isinstance(await rig.destination.send(parcel(sent)), Delivered)
    doctor = rig.doctor()
    rig.dmp.troubles.plan(trouble, transaction="ITI-43")
    given = await doctor.retrieve(patient_id(sent.patient) or "", "", sent.content.document_id or "")
    assert isinstance(given, Retrieved), given
    assert given.content == letter()
    await doctor.close()


@pytest.mark.parametrize("person", [CLOSED, OPPOSED])
async def test_a_patient_without_an_open_dmp_waits_for_a_person(person: Person, rig: Rig) -> None:
    outcome = await rig.destination.send(parcel(item(letter(person=person))))
    assert isinstance(outcome, Hold)
    assert [one.code for one in outcome.findings] == ["dmp.guard.no_dmp"]
    trusting = rig.make(existence="trust")
    outcome = await trusting.send(parcel(item(letter(person=person))))
    assert isinstance(outcome, Hold | Refused), outcome
    await trusting.close()


def copied(path: Path, folder: Path) -> Path:
    copy = folder / "copy.pem"
    copy.write_bytes(path.read_bytes())
    return copy


async def test_the_wrong_certificate_stops_everything(rig: Rig, tmp_path: Path) -> None:
    pair = rig.dmp.certificates.client
    wrong = rig.make(signature={"cert": copied(pair.certificate, tmp_path), "key": pair.key})
    outcome = await wrong.send(parcel(item(letter())))
    assert isinstance(outcome, Retry), outcome
    assert not outcome.reached
    await wrong.close()
    stranger = rig.make(tls={"cert": pair.certificate, "key": pair.key})
    outcome = await stranger.send(parcel(item(letter())))
    assert isinstance(outcome, Retry), outcome
    assert "TLS" in outcome.detail
    await stranger.close()


async def test_eight_at_once_lose_nothing(rig: Rig) -> None:
    sent = [item(letter(f"LET{number}")) for number in range(16)]
    outcomes = await asyncio.gather(*(rig.destination.send(parcel(one, rank)) for rank, one in enumerate(sent)))
    assert all(isinstance(one, Delivered) for one in outcomes)
    assert {one.kind for outcome in outcomes for one in getattr(outcome, "references", ())} >= {ReferenceKind.HASH}


async def test_what_others_deposited_is_pulled_once_by_a_doctor(rig: Rig, tmp_path: Path) -> None:
    recent = datetime.now(UTC) - timedelta(days=3)
    visit = Visit("SEJ2", "DOS2", recent - timedelta(days=4), discharged_at=recent)
    content = discharge_letter(ROSE, visit, ["Texte fictif"] * 400, number="LET9", at=recent)
    sent = item(content)
    assert isinstance(await rig.destination.send(parcel(sent)), Delivered)
    values = settings(rig.dmp, mode="DIRECTE", profile="MD").model_dump()
    source_settings = DmpSourceSettings.model_validate(
        {name: value for name, value in values.items() if name in DmpSourceSettings.model_fields}
        | {"per_minute": 6000, "max_document": 1024 * 1024}
    )
    records = rig.services.records
    assert isinstance(records, PlainRecords)
    records.patients.append(FollowedPatient(1, sent.patient))
    (tmp_path / "spool").mkdir()
    inbox = MemoryInbox(tmp_path / "spool")
    task = asyncio.create_task(DmpSource("dmp", source_settings, rig.services).run(inbox))
    await inbox.wait_committed(1)
    assert inbox.contents == [content]
    reading = FORMAT.read(content, ReadContext(siblings=inbox.messages[0].siblings))
    assert [one.severity for one in reading.findings if one.severity.value == "error"] == []
    while not rig.services.health.figures.get("patients"):  # noqa: ASYNC110 - the source tells nobody
        await asyncio.sleep(0)
    before = rig.dmp.calls.count("ITI-43")
    records.names.add((ReferenceKind.UNIQUE_ID, sent.content.document_id or ""))
    await rig.services.tick()
    assert rig.dmp.calls.count("ITI-43") == before
    assert rig.services.health.figures["known"] == 1
    rig.services.stopping.set()
    await task
