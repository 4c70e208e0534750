"""A journal with conversations by mail and submissions to the DMP in it, for the pages' tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import insert
from web_journal import HOSTILE, HOUR, MINUTE, SECOND, Journal, person

from connectors.contracts import Reference, ReferenceKind
from connectors.dmp.errors import meaning_of
from mappings.contracts import Correspondence
from router.identity.patients import register
from router.journal import tables
from router.journal.attempts import RecordAttempt
from router.journal.correspondence import prepared_mail
from router.journal.naming import ask_later
from router.journal.operations import (
    PARCEL_DETAIL_PLACE,
    Change,
    CommitReadings,
    PreparedItem,
    PreparedMessage,
)
from router.journal.receipts import PreparedReceipt, keep_receipt, reference_token
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.unit import Unit
from router.web.context import FlowStatus
from schemas.coding import Coding
from schemas.document import Document, DocumentOperation
from schemas.finding import Finding, Severity
from schemas.item import DocumentItem, NoteItem, Provenance
from schemas.note import LiaisonNote

MAIL_FLOWS = [
    FlowStatus("bal", "source", "mssante", "watching", address="imap:143", format="mail"),
    FlowStatus("medecins", "destination", "mssante", "connected", address="smtp:587", format="mail"),
]
DMP_FLOWS = [
    FlowStatus("dmp-lu", "source", "dmp", "waiting", address="https://dmp.test", figures={"patients": 3}),
    FlowStatus("dmp", "destination", "dmp", "ready", address="https://dmp.test", format="xds"),
]
INS_BOX = "279035121518989@patient.mssante.fr"
"""An address that is a person's number."""

SUBJECT = "XDM/1.0/DDM+CR TESTROSE MARIE"
"""A subject that names somebody, as they do."""

DOCTOR = "dr.essai@cabinet.test.mssante.fr"


def document(key: str, *, unique_id: str = "", replaces: str = "", title: str = "CR de TESTROSE MARIE") -> DocumentItem:
    """Give a document."""
    return DocumentItem(
        id=key * 32,
        patient=person(0),
        replaces=replaces or None,
        source=Provenance(format="cda", where="mail"),
        content=Document(
            document_id=unique_id or None,
            replaces_id=replaces or None,
            operation=DocumentOperation.REPLACE if replaces else DocumentOperation.CREATE,
            type=Coding(code="11490-0", display="Lettre de liaison à la sortie"),
            title=title,
        ),
    )


def note(key: str, subject: str) -> NoteItem:
    """Give what somebody wrote."""
    content = LiaisonNote(subject=subject, text="Merci.")
    return NoteItem(id=key * 32, patient=person(0), source=Provenance(format="mail", where="mail"), content=content)


def receive(journal: Journal, at: int, said: Correspondence, items: list[PreparedItem], source: str = "bal") -> int:
    """Receive a mail and read it."""
    number = journal.message(at, source=source, content=b"From: a\r\n\r\nb\r\n", message_type="mail")
    mail = prepared_mail(journal.store.sealer, said, source, f"message/{number}")
    prepared = PreparedMessage(
        number, MessageState.PROCESSED, "mail", 0, 0, None, tuple(items), mail=mail, received_at=at
    )
    journal.apply(CommitReadings([prepared], at))
    return number


def send(
    journal: Journal,
    at: int,
    item: PreparedItem,
    *,
    written: str,
    said: Correspondence | None = None,
    findings: tuple[Finding, ...] = (),
) -> int:
    """Prepare the one Delivery of an Item in a format, and give its number."""
    number = journal.message(at, source="labo-sud", control=f"S{len(journal.ids):05d}")
    sealer = journal.store.sealer
    [delivery] = item.deliveries
    detail = sealer.seal(
        orjson.dumps({"findings": [one.model_dump(mode="json") for one in findings]}), PARCEL_DETAIL_PLACE
    )
    made = replace(
        delivery,
        format=written,
        sealed_detail=detail,
        mail=prepared_mail(sealer, said, delivery.destination, f"delivery/{number}") if said else None,
    )
    prepared = PreparedMessage(
        number, MessageState.PROCESSED, "hl7v2", 0, 0, None, (replace(item, deliveries=(made,)),)
    )
    journal.apply(CommitReadings([prepared], at))
    with journal.store.reading() as connection:
        return int(connection.exec_driver_sql("SELECT max(id) FROM delivery").scalar() or 0)


def sent(
    journal: Journal, delivery: int, at: int, state: DeliveryState, names: dict[ReferenceKind, str], detail: str = ""
) -> None:
    """Record the sending of a Delivery, with its names."""
    references = tuple(Reference(kind, value) for kind, value in names.items())
    outcome = {DeliveryState.DEAD: "refused"}.get(state, state.value)
    journal.apply(RecordAttempt(delivery, 1, at, at + SECOND, outcome, detail, b"", state, references=references))


def answer(journal: Journal, about: str, at: int, stage: str, *, positive: bool = True, detail: str = "") -> None:
    """Let a partner answer about something that was sent."""
    receipt = PreparedReceipt(reference_token(journal.store.sealer, about), stage, positive, detail)

    def change(unit: Unit) -> None:
        keep_receipt(unit, receipt, 1, at)

    journal.apply(Change(change, note="test"))


def correspond(journal: Journal, now: int) -> dict[str, int]:
    """Put conversations into a journal; gives the numbers of Deliveries by name."""
    journal.apply(register(person(0), in_coordination=True, now=now))
    made: dict[str, int] = {}

    def leave(name: str, at: int, to: str = DOCTOR, *, thread: str = "", key: str = "1", title: str = "x") -> int:
        said = Correspondence(
            f"{name}@ch.test", thread or None, None, "bal@ch.test.mssante.fr", "CH", (to,), f"{SUBJECT} {title}"
        )
        item = journal.item(document(key), line="CR de TESTROSE MARIE", to=("medecins",))
        made[name] = send(journal, at, item, written="mail", said=said)
        return made[name]

    silent = leave("muet", now - 30 * HOUR, key="4")
    sent(journal, silent, now - 30 * HOUR, DeliveryState.DELIVERED, {ReferenceKind.MESSAGE_ID: "<muet@ch.test>"})
    bounced = leave("rebond", now - 4 * HOUR, to=INS_BOX, key="3")
    sent(journal, bounced, now - 4 * HOUR, DeliveryState.DELIVERED, {ReferenceKind.MESSAGE_ID: "<rebond@ch.test>"})
    answer(journal, "<rebond@ch.test>", now - 3 * HOUR, "delivered", positive=False, detail="failed 5.1.1")
    read = leave("lu", now - 3 * HOUR, thread="versions@ch.test")
    sent(journal, read, now - 3 * HOUR + MINUTE, DeliveryState.DELIVERED, {ReferenceKind.MESSAGE_ID: "<lu@ch.test>"})
    answer(journal, "<lu@ch.test>", now - 2 * HOUR, "delivered", detail="delivered 2.0.0")
    answer(journal, "<lu@ch.test>", now - HOUR, "read", detail="displayed")
    receive(
        journal,
        now - 30 * MINUTE,
        Correspondence("reponse@cabinet.test", "lu@ch.test", "lu@ch.test", DOCTOR, HOSTILE, (), f"Re: {SUBJECT}"),
        [journal.item(note("2", SUBJECT), line=SUBJECT, to=())],
    )
    leave("attente", now - 10 * MINUTE, key="5", title=HOSTILE)
    receive(
        journal,
        now - 5 * MINUTE,
        Correspondence("patient@mes", "patient@mes", None, INS_BOX, "TESTROSE MARIE", ("bal@ch.test.mssante.fr",), ""),
        [journal.item(note("6", ""), line="", patient_id=None, to=(), state=ItemState.HELD, reason="no_match")],
    )
    return made


GUARD = "dmp.guard."


def submit(journal: Journal, now: int) -> dict[str, int]:
    """Put submissions into a journal; gives the numbers of Deliveries by name."""
    journal.apply(register(person(0), in_coordination=True, now=now))
    made: dict[str, int] = {}

    def leave(name: str, at: int, key: str, guards: tuple[str, ...] = (), **about: Any) -> int:
        item = journal.item(
            document(key, **about),
            line="CR de TESTROSE MARIE",
            to=("dmp",),
            numbers=tuple(filter(None, (about.get("unique_id"), about.get("replaces")))),
        )
        findings = tuple(
            Finding(severity=Severity.ERROR, code=GUARD + one, where="metadata", message=one) for one in guards
        )
        made[name] = send(journal, at, item, written="xds", findings=findings)
        return made[name]

    def names(unique_id: str) -> dict[ReferenceKind, str]:
        return {
            ReferenceKind.UNIQUE_ID: unique_id,
            ReferenceKind.ENTRY_UUID: f"urn:uuid:entry-{unique_id}",
            ReferenceKind.LOGICAL_ID: "urn:uuid:lid-1",
        }

    first = leave("v1", now - 5 * HOUR, "a", unique_id="1.2.3.1")
    sent(journal, first, now - 5 * HOUR, DeliveryState.ACKNOWLEDGED, names("1.2.3.1"), "submitted")
    journal.apply(Change(lambda unit: ask_later(unit, first, now + 7 * HOUR), note="test"))
    second = leave("v2", now - 4 * HOUR, "b", unique_id="1.2.3.2", replaces="1.2.3.1")
    sent(journal, second, now - 4 * HOUR, DeliveryState.ACKNOWLEDGED, names("1.2.3.2"), "submitted")
    third = leave("v3", now - 3 * HOUR, "c", unique_id="1.2.3.3", replaces="1.2.3.2")
    sent(journal, third, now - 3 * HOUR, DeliveryState.ACKNOWLEDGED, names("1.2.3.3"), "submitted")
    dead = leave("refus", now - 2 * HOUR, "d", unique_id="1.2.3.9", title=HOSTILE)
    detail = meaning_of("XDSUnknownPatientId").sentence
    sent(journal, dead, now - 2 * HOUR, DeliveryState.DEAD, {}, detail)
    for name, key, guard in (("opposition", "e", "opposed"), ("taille", "f", "size")):
        held = leave(name, now - HOUR, key, (guard,), unique_id=f"1.2.3.{name}")
        record = RecordAttempt(held, 1, now - HOUR, now - HOUR + 9, "held", f"held: {guard}", b"", DeliveryState.HELD)
        journal.apply(record)
    with journal.store.writing() as connection:
        for token in (1, 2):
            values = {"owner": "source dmp-lu", "token": token, "at": now - token * HOUR, "sealed_value": b"x"}
            connection.execute(insert(tables.connector_memory).values(**values))
    return made
