"""The agreed mails beside the project: what their README says must come out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from mails import ALARMS, DOCTOR, codes, documents, files, notes, read, receipts

from mappings.contracts import Environment, ReadContext
from mappings.explain import explain
from mappings.mail import FORMAT
from mappings.registry import detect, format_named
from schemas.receipt import ReceiptStage

pytestmark = pytest.mark.shared_data

SENT_ID = "20240115093600.0001@labo-fictif.mssante.invalid"
AT = datetime(2024, 1, 15, 9, 0, tzinfo=UTC)


@pytest.fixture
def folder(shared_data: Path) -> Path:
    return shared_data / "mssante"


def opened(folder: Path, number: str) -> bytes:
    (path,) = (folder / "courriels").glob(f"{number}-*.eml")
    return path.read_bytes()


def keys(folder: Path) -> dict[str, bytes]:
    pki = folder / "pki-test"
    return {
        "smime_key": (pki / "dr-fictif.cle-de-test.pem").read_bytes(),
        "smime_certificate": (pki / "dr-fictif.crt").read_bytes(),
        "smime_trust": (pki / "ac-test.crt").read_bytes(),
    }


def test_every_agreed_mail_is_named_here_and_recognised(folder: Path) -> None:
    paths = sorted((folder / "courriels").glob("*.eml"))
    assert len(paths) == 11
    for path in paths:
        content = path.read_bytes()
        assert detect(content) is FORMAT
        assert FORMAT.pieces(content)
        assert FORMAT.positions(content)


def test_the_document_mail(folder: Path) -> None:
    reading = read(opened(folder, "01"))
    (item,) = reading.items
    assert documents(reading) == [item]
    assert item.patient.ins is not None
    assert item.patient.ins.matricule == "279035121518989"
    assert files(documents(reading)[0])[1].startswith(b"%PDF-")
    assert codes(reading) == {"mail.twin"}


def test_the_patient_s_mail(folder: Path) -> None:
    (item,) = notes(read(opened(folder, "02")))
    assert item.content.text == "Bonjour docteur, ceci est un message fictif."
    assert item.content.thread == item.content.in_reply_to == "20240115120000.0100@test.mssante.invalid"
    assert [one.value for one in item.patient.identifiers] == ["279035121518989"]


@pytest.mark.parametrize(("number", "error"), [("03", None), ("04", "902"), ("05", "902")])
def test_the_disposition_notifications(folder: Path, number: str, error: str | None) -> None:
    reading = read(opened(folder, number))
    (item,) = receipts(reading)
    assert len(reading.items) == 1, "the document that it returns is not a new one"
    assert (item.content.stage, item.content.positive) == (ReceiptStage.READ, error is None)
    assert item.content.about == SENT_ID
    assert [one.code.code for one in item.content.errors if one.code] == ([error] if error else [])


@pytest.mark.parametrize(
    ("number", "stage", "positive", "status", "who"),
    [
        ("06", ReceiptStage.DELIVERED, False, "5.1.1", "inconnu@test.mssante.invalid"),
        ("07", ReceiptStage.ACCEPTED, True, None, DOCTOR),
        ("08", ReceiptStage.DELIVERED, False, "5.0.0", "inconnu@test.mssante.invalid"),
    ],
)
def test_the_delivery_reports(
    folder: Path, number: str, stage: ReceiptStage, positive: bool, status: str | None, who: str
) -> None:
    reading = read(opened(folder, number))
    (item,) = receipts(reading)
    assert len(reading.items) == 1
    receipt = item.content
    assert (receipt.stage, receipt.positive) == (stage, positive)
    assert receipt.about is not None
    assert receipt.about.endswith("@test.mssante.invalid")
    assert [one.code.code for one in receipt.errors if one.code] == ([status] if status else [])
    assert receipt.recipient is not None
    assert receipt.recipient.telecoms[0].value == who


@pytest.mark.parametrize("number", ["09", "10", "11"])
def test_hprim_in_clear_signed_and_encrypted(folder: Path, number: str) -> None:
    """The file inside is a header alone: HPRIM says that it is empty, and it is kept."""
    reading = read(opened(folder, number), keys(folder), received_at=AT)
    (item,) = documents(reading)
    assert files(item)[0].startswith(b"1\r\nPAT-TROIS\r\n")
    assert "hprim.report.empty" in {one.code for one in reading.findings}
    assert codes(reading) == (set() if number == "09" else {"mail.signature.good"})


@pytest.mark.parametrize(
    ("missing", "number", "code"),
    [
        ("smime_key", "11", "mail.decryption.failed"),
        ("smime_trust", "10", "mail.signature.unchecked"),
        ("smime_trust", "11", "mail.signature.unchecked"),
    ],
)
def test_a_key_that_is_missing(folder: Path, missing: str, number: str, code: str) -> None:
    have = {name: content for name, content in keys(folder).items() if name != missing}
    reading = read(opened(folder, number), have, received_at=AT)
    assert codes(reading) == {code}
    assert len(reading.items) == 1
    assert bool(codes(reading) & ALARMS) is (code == "mail.decryption.failed")


def test_a_signed_mail_that_was_changed_or_is_too_old(folder: Path) -> None:
    content = opened(folder, "10")
    changed = content.replace(b"Resultat joint", b"Resultat faux!")
    assert codes(read(changed, keys(folder), received_at=AT)) == {"mail.signature.invalid"}
    unix = content.replace(b"\r\n", b"\n")
    assert codes(read(unix, keys(folder), received_at=AT)) == {"mail.signature.good"}
    late = datetime(2060, 1, 1, tzinfo=UTC)
    assert codes(read(content, keys(folder), received_at=late)) == {"mail.signature.invalid"}
    other = content.replace(b"<resultats@labo-fictif", b"<autre@labo-fictif", 1)
    assert codes(read(other, keys(folder), received_at=AT)) == {"mail.signature.invalid"}


def test_explaining_a_mail(folder: Path) -> None:
    content = opened(folder, "02")
    explanation = explain(content, FORMAT, ReadContext(environment=Environment.TEST), [format_named("canonical")])
    assert explanation.complete
    found = {one.path: {where.where for where in one.sources} for one in explanation.values}
    assert "Subject" in found["items[0].content.subject"]
    assert "body" in found["items[0].content.text"]
