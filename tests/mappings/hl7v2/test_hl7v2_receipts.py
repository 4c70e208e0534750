"""Business acknowledgements (ZAM) and ACK messages as receipts, both ways."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hl7v2_messages import codes, reading

from mappings.contracts import ReadContext, Reading, WriteContext, WriteRefused
from mappings.fhir import FORMAT as FHIR
from mappings.hl7v2 import FORMAT
from schemas.actors import Professional, Telecom
from schemas.coding import Coding, Identifier
from schemas.finding import Severity
from schemas.identifiers import PROFESSIONALS
from schemas.identity import PatientIdentity
from schemas.item import Provenance, ReceiptItem
from schemas.receipt import Receipt, ReceiptError, ReceiptStage

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="ZAM-1")
READER = Professional(
    identifiers=(Identifier(system=PROFESSIONALS, value="99700000017", type="RPPS"),),
    telecoms=(Telecom(kind="mssante", value="lecteur.fictif@test.mssante.fr"),),
)
REFUSED = ReceiptError(
    condition=Coding(system="urn:x-code-system:messageErrorCondition", code="207", display="Application error"),
    code=Coding(system="urn:x-code-system:DMP_ERROR_CODE", code="DMPClosed", display="DMP fermé"),
    where="OBX^1^5",
    text="Le DMP est fermé | clos",
)


def receipt(found: Reading, at: int = 0) -> Receipt:
    item = found.items[at]
    assert isinstance(item, ReceiptItem)
    return item.content


def obx(code: str, about: str, answer: str, rank: int = 1) -> str:
    return f"OBX|{rank}|CWE|{code}^x^AckMetierZAM|{about}|{answer}^^expandedYes-NoIndicator||||||F"


def test_a_refusal_of_the_dmp() -> None:
    found = reading(
        "EVN||20260105101500",
        obx("ACK_RECEPTION_DMP", "DOC-1", "N"),
        "ERR|||207^Application error^messageErrorCondition| E|DMPClosed^DMP fermé^DMPERRORCODE",
        kind="ZAM^Z01^ZAM_Z01",
    )
    told = receipt(found)
    assert (told.stage, told.positive, told.about, told.answer) == (ReceiptStage.PUBLISHED, False, "DOC-1", "N")
    assert told.at == "2026-01-05T10:15:00+01:00"
    (error,) = told.errors
    assert (error.severity, error.condition and error.condition.code, error.code and error.code.code) == (
        Severity.ERROR,
        "207",
        "DMPClosed",
    )
    assert found.items[0].patient == PatientIdentity()
    assert found.items[0].sender is not None
    assert codes(found) == []
    assert found.unread == ()


def test_who_read_it_has_his_number_and_mailbox() -> None:
    found = reading(
        obx("ACK_LECTURE_MSS", "DOC-1", "Y"),
        "OBX|2|XTN|LECTEUR_MSS^x^AckMetierZAM|899700000017|^^X.400^lecteur.fictif@test.mssante.fr||||||F",
        kind="ZAM^Z03^ZAM_Z01",
    )
    assert receipt(found).stage is ReceiptStage.READ
    assert receipt(found).recipient == READER


def test_the_event_decides_when_the_code_is_not_known() -> None:
    found = reading(obx("ACCUSE", "DOC-1", "Y"), obx("AUTRE", "", ""), kind="ZAM^Z02")
    assert receipt(found).stage is ReceiptStage.DELIVERED
    assert {one.where for one in found.unread} == {"OBX[2]-1", "OBX[2]-2", "OBX[2]-3", "OBX[2]-5", "OBX[2]-11"}


def test_an_answer_that_is_none_is_a_refusal_and_said() -> None:
    found = reading(obx("ACK_RECEPTION_MSS", "", "peut-être"), kind="ZAM^Z02^ZAM_Z01")
    assert not receipt(found).positive
    assert codes(found) == ["hl7v2.receipt.answer", "hl7v2.receipt.about"]


@pytest.mark.parametrize("kind", ["ZAM^Z01", "ACK^R01^ACK"])
def test_a_receipt_about_nothing_is_an_error(kind: str) -> None:
    found = reading("EVN||20260105", "ERR|||207", kind=kind)
    assert found.items == ()
    assert codes(found) == ["hl7v2.receipt.empty"]


@pytest.mark.parametrize(("answer", "positive"), [("AA", True), ("CA", True), ("AE", False), ("AR", False)])
def test_an_ack_of_its_own_is_a_receipt(answer: str, positive: bool) -> None:
    found = reading(f"MSA|{answer}|DOC 7|texte", "ERR||PID^1^3|204^Unknown key^HL70357|W||||à voir", kind="ACK^T02^ACK")
    told = receipt(found)
    assert (told.stage, told.positive, told.about, told.answer) == (ReceiptStage.ACCEPTED, positive, "DOC 7", answer)
    assert [(one.severity, one.where, one.text) for one in told.errors] == [
        (Severity.WARNING, "PID^1^3", "à voir"),
        (Severity.INFO if positive else Severity.ERROR, None, "texte"),
    ]
    assert found.unread == ()


@pytest.mark.parametrize("stage", list(ReceiptStage))
@pytest.mark.parametrize("positive", [True, False])
def test_every_stage_is_written_and_read_back(stage: ReceiptStage, positive: bool) -> None:
    named = stage in (ReceiptStage.DELIVERED, ReceiptStage.READ)
    technical = stage is ReceiptStage.ACCEPTED
    own = Receipt(
        stage=stage,
        positive=positive,
        about="DOC|1^2",
        answer={True: "AA", False: "AR"}[positive] if technical else {True: "Y", False: "N"}[positive],
        recipient=READER if named else None,
        at=None if technical else "2026-03-05T10:00:00+01:00",
        errors=() if positive else (REFUSED,),
    )
    item = ReceiptItem(id="1", source=Provenance(format="test", where="here"), content=own)
    rendition = FORMAT.write(item, CONTEXT)
    assert rendition.findings == ()
    again = FORMAT.read(rendition.content, ReadContext())
    assert codes(again) == []
    assert receipt(again) == own


def test_what_a_receipt_cannot_carry_is_said() -> None:
    named = READER.model_copy(update={"family_name": "LECTEUR"})
    own = Receipt(stage=ReceiptStage.READ, positive=True, about="1", recipient=named)
    item = ReceiptItem(id="1", author=READER, source=Provenance(format="test", where="here"), content=own)
    assert [one.code for one in FORMAT.write(item, CONTEXT).findings] == ["hl7v2.write.not_carried"] * 2
    published = item.model_copy(update={"content": own.model_copy(update={"stage": ReceiptStage.PUBLISHED})})
    assert "recipient" in FORMAT.write(published, CONTEXT).findings[0].message


def test_fhir_refuses_a_receipt() -> None:
    own = Receipt(stage=ReceiptStage.ACCEPTED, positive=True)
    with pytest.raises(WriteRefused):
        FHIR.write(ReceiptItem(id="1", source=Provenance(format="test", where="here"), content=own), CONTEXT)


@pytest.mark.shared_data
def test_every_real_receipt_is_read_whole_and_written_again(shared_data: Path) -> None:
    paths = [*shared_data.glob("hl7v2/ans/**/ZAM_*"), *shared_data.glob("hl7v2/own-examples/zam_*")]
    assert len(paths) >= 4
    for path in paths:
        found = FORMAT.read(path.read_bytes(), ReadContext())
        assert codes(found) == [], path.name
        assert found.unread == (), path.name
        rendition = FORMAT.write(found.items[0], CONTEXT)
        assert receipt(FORMAT.read(rendition.content, ReadContext())) == receipt(found), path.name
