"""Recipients through a real engine: one sealed Delivery for each, the same identities, nobody's address in clear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import orjson
import pytest
from flows_rig import PROVISIONAL, ROSE_INS, Rig, empty_journal, qualified_rose, rose

from connectors.annuaire.building import build
from connectors.contracts import Settings
from connectors.sandbox.extracts import MAILBOX_COLUMNS
from router.config.load import Loaded
from router.config.model import (
    Configuration,
    DestinationSection,
    EngineSection,
    JournalSection,
    RecipientsSection,
    ResolvedDestination,
    ResolvedSource,
    RetrySection,
    RouteSection,
    SourceSection,
)
from router.directory.places import directory_folder
from router.dossier.circle import add_member
from router.dossier.consents import record_consent
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import By
from router.engine.plan import plan_of
from router.engine.worker import RawMessage, Worker
from router.journal import tables
from router.journal.actions import replay_deliveries, replay_messages
from router.journal.operations import PARCEL_DETAIL_PLACE
from router.journal.view import viewing
from router.web.recipients import recipient_of
from schemas.actors import Organization, Professional, Recipient
from schemas.circle import Member, RoleFamily
from schemas.coding import Coding, Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.document import Document, Wishes
from schemas.item import DocumentItem, ItemSet, Provenance, ReceiptItem
from schemas.receipt import Receipt, ReceiptStage

DOCTOR, NURSE, UNKNOWN = "99900000001", "99900000002", "99900000003"
HER_MAILBOX = f"{ROSE_INS.matricule}@patient.mssante.fr"
DAC = Organization(name="DAC FICTIF", identifiers=(Identifier(value="990000009", type="FINEG"),))


class MailRig(Rig):
    """An engine whose one destination writes mails to recipients."""

    def loaded(self) -> Loaded:
        source = SourceSection(connector="memory")
        target = DestinationSection(
            connector="memory",
            retry=RetrySection(first_delay=0.01, max_delay=0.02),
            options={"from": "dac@structure.mssante.fr", "nil": "123"},
            recipients=RecipientsSection(),
        )
        configuration = Configuration(
            journal=JournalSection(data=".", url=self.place.url),
            engine=EngineSection(workers=0, batch=8),
            sources={"his": source},
            destinations={"mssante": target},
            routes=(RouteSection(name="all", when="true", to=("mssante",)),),
        )
        return Loaded(
            self.place.data / "passerelle.toml",
            configuration,
            (ResolvedSource(name="his", section=source, settings=Settings()),),
            (ResolvedDestination(name="mssante", section=target, settings=Settings(), format="mail"),),
        )

    def addressed(self) -> dict[str, Any]:
        """Give the Deliveries by the recipient that their sealed detail names."""
        sealer = self.engine.store.sealer.clone()
        contents = {row.delivery_id: row for row in self.rows(tables.delivery_content)}
        found: dict[str, Any] = {}
        for row in self.rows(tables.delivery):
            detail = orjson.loads(sealer.open(contents[row.id].sealed_detail, PARCEL_DETAIL_PLACE))
            found[detail["recipient"]] = row
        return found


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailRig]:
    place = empty_journal(tmp_path)
    cells = [
        {"Adresse BAL": "docteur@medecin.mssante.fr", "Identifiant PP": DOCTOR, "Nom d'exercice": "TESTMEDECIN"},
        {"Adresse BAL": "soins@infirmier.mssante.fr", "Identifiant PP": NURSE, "Nom d'exercice": "TESTSOIN"},
    ]
    lines = [
        "|".join(({"Type de BAL": "PER"} | row).get(one, "") for one in MAILBOX_COLUMNS.split("|")) for row in cells
    ]
    extract = tmp_path / "bal.txt"
    extract.write_text("\n".join((MAILBOX_COLUMNS, *lines)) + "\n", encoding="utf-8")
    build(directory_folder(tmp_path), [extract], now=lambda: datetime.now(UTC))
    made = MailRig(place)
    monkeypatch.setattr("router.engine.engine.connectors", lambda: {"memory": made.connector()})
    await made.start()
    yield made
    await made.stop()


def professional(rpps: str, **more: Any) -> Professional:
    return Professional(identifiers=(Identifier(value=rpps, type="RPPS"),), **more)


def letter(name: str, *recipients: Recipient, wishes: Wishes | None = None, **more: Any) -> DocumentItem:
    pdf = {"media_type": "application/pdf", "data": "JVBERi0xLjQKJSVFT0YK", "filename": "lettre.pdf"}
    content = Document(
        document_id=f"2.999.{name}", title="Lettre de liaison", type=Coding(code="34112-3", display="CR hospitalier"),
        category=Coding(code="10"), wishes=wishes, attachments=(pdf,), recipients=recipients,
        created_at="2026-11-20T10:00:00+01:00",
    )  # fmt: skip
    values: dict[str, Any] = {"patient": qualified_rose("R1"), **more}
    return DocumentItem(
        id=f"letter{name}", recipients=recipients, content=content,
        source=Provenance(format="canonical", where="test"), **values,
    )  # fmt: skip


def content_of(item: DocumentItem) -> bytes:
    return ItemSet(items=(item,)).model_dump_json().encode()


def by() -> By:
    return By("camille", int(datetime.now(UTC).timestamp() * 1_000_000))


async def with_circle(rig: MailRig) -> int:
    number = await rig.know(qualified_rose("R1", general_practitioner=professional(DOCTOR, family_name="TESTMEDECIN")))
    informed = Consent(kind=ConsentKind.OPENING, at="2026-01-10", collected_by="TESTCOORD", channel=ConsentChannel.ORAL)
    await rig.apply(open_dossier(number, DAC, consent=informed, by=by()))
    for rpps, family in ((NURSE, RoleFamily.HEALTH), (UNKNOWN, RoleFamily.PHYSICIAN)):
        member = Member(
            family=family, professional=professional(rpps, family_name="TEST"), start="2026-01-10", in_care_team=True
        )
        assert (await rig.apply(add_member(number, member, by=by()))).refusal is None
    return number


async def test_each_recipient_has_a_mail_of_its_own(rig: MailRig) -> None:
    await with_circle(rig)
    wishes = Wishes(mssante_professionals=True, mssante_patient=True)
    await rig.receive(letter("1", Recipient(professional=professional(DOCTOR)), wishes=wishes))
    found = rig.addressed()
    assert {address: (row.state, row.size > 0) for address, row in found.items()} == {
        "docteur@medecin.mssante.fr": ("acknowledged", True),
        "soins@infirmier.mssante.fr": ("acknowledged", True),
        HER_MAILBOX: ("acknowledged", True),
        f"rpps|{UNKNOWN}": ("held", False),
    }
    assert UNKNOWN in found[f"rpps|{UNKNOWN}"].detail
    mails = [message_from_bytes(parcel.content, policy=policy.default) for _, parcel in rig.sent]
    assert sorted(str(mail["To"].addresses[0].addr_spec) for mail in mails) == sorted(
        (HER_MAILBOX, "docteur@medecin.mssante.fr", "soins@infirmier.mssante.fr")
    )
    assert len({mail["Message-ID"] for mail in mails}) == 3


async def test_an_address_is_nowhere_in_clear(rig: MailRig) -> None:
    await with_circle(rig)
    wishes = Wishes(mssante_professionals=False, mssante_patient=True)
    await rig.receive(letter("1", wishes=wishes))
    (row,) = rig.addressed().values()
    with rig.engine.store.reading() as connection:
        clear = [str(one) for table in (tables.delivery, tables.item, tables.notice, tables.attempt)
                 for one in connection.execute(table.select()).all()]  # fmt: skip
    assert not any(ROSE_INS.matricule in text for text in clear)
    with viewing(rig.engine.store) as view:
        shown = recipient_of(view, row.id)
    assert shown is not None
    assert (shown.shown, shown.audience, shown.reasons) == ("•••@patient.mssante.fr", "patient", ("patient",))


async def test_the_same_message_read_again_gives_the_same_identities_for_the_same_reading(rig: MailRig) -> None:
    await with_circle(rig)
    receipts = await rig.submit(letter("1"))
    await rig.settle()
    first = {row.identity for row in rig.rows(tables.delivery)}
    held = [row.id for row in rig.rows(tables.delivery) if row.state == "held"]
    assert await rig.apply(replay_deliveries(held, actor="camille", now=1)) == 0
    # One that was delivered and is sent again stays addressed to the same mailbox.
    done = rig.addressed()["soins@infirmier.mssante.fr"].id
    assert await rig.apply(replay_deliveries([done], actor="camille", now=1)) == 1
    await rig.settle()
    assert rig.sent[-1][1].content == next(parcel.content for _, parcel in rig.sent if b"soins@" in parcel.content)
    # A worker that reads the same message again (this one died before its commit) names its Deliveries alike.
    raw = RawMessage(receipts[0].message_id, "his", content_of(letter("1")), None, "1", "T", datetime.now(UTC))
    worker = Worker(plan_of(rig.loaded(), rig.engine.store.sealer.master), rig.engine.store)
    ((item,), (same,)) = (worker.process([raw], datetime.now(UTC))[0].items for _ in range(2))
    assert {one.identity for one in item.deliveries} == {one.identity for one in same.deliveries} == first
    # Read again because a person asked for it, it is another sending.
    await rig.apply(replay_messages([receipts[0].message_id], actor="camille", now=2))
    await rig.settle()
    anew = {row.identity for row in rig.rows(tables.delivery) if row.replay_of is None} - first
    assert len(anew) == len(first)


async def test_what_is_prepared_anew_goes_to_whom_it_missed_alone(rig: MailRig) -> None:
    number = await with_circle(rig)
    await rig.receive(letter("1"))
    before = len(rig.sent)
    from router.journal.operations import _not_there  # the rule itself, on what the journal holds
    from router.journal.prepared import PreparedDelivery
    from router.journal.unit import Unit

    row = rig.rows(tables.delivery)[0]
    with rig.engine.store.writing() as connection:
        unit = Unit(connection, rig.engine.store.sealer.clone())
        made = [
            PreparedDelivery("mssante", "all", "x", "mail", "message/rfc822", "", 0, None, None, None, 0, recipient=to)
            for to in ("docteur@medecin.mssante.fr", "neuf@medecin.mssante.fr")
        ]
        assert [one.recipient for one in _not_there(unit, row.item_id, made)] == ["neuf@medecin.mssante.fr"]
    assert (number > 0, len(rig.sent)) == (True, before)


async def test_nobody_to_send_to_is_a_held_delivery_with_its_reason(rig: MailRig) -> None:
    await rig.know(qualified_rose("R1"))
    await rig.receive(letter("1"))
    (row,) = rig.rows(tables.delivery)
    assert (row.state, row.size, row.detail.endswith("(recipients.none)")) == ("held", 0, True)
    assert [item.state for item in rig.rows(tables.item)] == ["routed"]


async def test_illegal_wishes_and_an_unqualified_patient_are_held(rig: MailRig) -> None:
    await rig.know(rose("R1", status=PROVISIONAL))
    illegal = Wishes(masked_to_professionals=True, mssante_professionals=True)
    to_her = Wishes(mssante_patient=True, mssante_professionals=False)
    await rig.receive(
        letter("1", Recipient(professional=professional(NURSE)), wishes=illegal, patient=rose("R1")),
        letter("2", wishes=to_her, patient=rose("R1")),
    )
    rows = rig.rows(tables.delivery)
    assert [(row.state, row.detail.rpartition("(")[2]) for row in rows] == [
        ("held", "recipients.wishes)"),
        ("held", "recipients.patient_not_qualified)"),
    ]
    assert rig.sent == []


async def test_an_opposition_recorded_in_the_dossier_holds(rig: MailRig) -> None:
    number = await with_circle(rig)
    for kind in (ConsentKind.OPPOSITION_PROFESSIONAL_MAIL, ConsentKind.OPPOSITION_PATIENT_MAIL):
        record = Consent(kind=kind, at="2026-02-01", collected_by="TESTCOORD", channel=ConsentChannel.ORAL)
        assert (await rig.apply(record_consent(number, record, by=by()))).refusal is None
    await rig.receive(letter("1", Recipient(professional=professional(NURSE)), wishes=Wishes(
        mssante_professionals=True, mssante_patient=True)))  # fmt: skip
    assert rig.sent == []
    assert {row.state for row in rig.rows(tables.delivery)} == {"held"}
    assert set(rig.addressed()) == {"opposed", "patient_opposed"}


async def test_a_receipt_is_mailed_to_nobody(rig: MailRig) -> None:
    receipt = ReceiptItem(
        id="r", source=Provenance(format="canonical", where="test"),
        content=Receipt(about="x", stage=ReceiptStage.READ, positive=True),
    )  # fmt: skip
    await rig.receive(receipt)
    assert [row.detail.rpartition("(")[2] for row in rig.rows(tables.delivery)] == ["recipients.none)"]
