from __future__ import annotations

import pytest
from hprim_files import coded
from mails import (
    DOCTOR,
    SENDER,
    attached,
    codes,
    documents,
    forwarded,
    header,
    mail,
    multipart,
    notes,
    read,
    receipts,
    text,
)
from xdm_archives import xdm

from schemas.finding import Severity
from schemas.receipt import Receipt, ReceiptStage

SENT_ID = "d1@labo-fictif.mssante.invalid"
SENT = mail(text("Ci-joint."), attached(xdm(), "IHE_XDM.ZIP"), Message_ID=f"<{SENT_ID}>").replace(b"limite", b"partie")


def part(kind: str, *lines: str) -> bytes:
    return f"Content-Type: {kind}\r\n\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n"


def dsn(*recipients: tuple[str, ...], envelope: str | None = None, returned: bytes | None = forwarded(SENT)) -> bytes:
    lines = ["Reporting-MTA: dns; localhost", *([f"Original-Envelope-Id: {envelope}"] if envelope else [])]
    for one in recipients:
        lines += ["", *one]
    parts = [text("rapport"), part("message/delivery-status", *lines), *([returned] if returned else [])]
    body = multipart(*parts, kind="report", parameters=" report-type=delivery-status;")
    return mail(
        body, From="MAILER-DAEMON@x.mssante.invalid", To=SENDER, Return_Path="<>", Auto_Submitted="auto-replied"
    )


def mdn(*lines: str, subject: str = "XDM/1.0/DDM+x", about: str | None = SENT_ID) -> bytes:
    fields = [f"Final-Recipient: rfc822;{DOCTOR}", *([f"Original-Message-ID: <{about}>"] if about else []), *lines]
    parts = text("lu"), part("message/disposition-notification", *fields), forwarded(SENT)
    return mail(multipart(*parts, kind="report", parameters=" report-type=disposition-notification;"), Subject=subject)


def only(content: bytes) -> Receipt:
    reading = read(content)
    (item,) = reading.items
    assert receipts(reading) == [item], "a report never gives a document"
    return receipts(reading)[0].content


@pytest.mark.parametrize(
    ("action", "stage", "positive"),
    [
        ("failed", ReceiptStage.DELIVERED, False),
        ("delivered", ReceiptStage.DELIVERED, True),
        ("relayed", ReceiptStage.ACCEPTED, True),
        ("expanded (list)", ReceiptStage.ACCEPTED, True),
        ("delayed", ReceiptStage.ACCEPTED, True),
        ("invented", ReceiptStage.DELIVERED, False),
    ],
)
def test_what_a_delivery_report_says(action: str, stage: ReceiptStage, positive: bool) -> None:
    receipt = only(dsn((f"Final-Recipient: rfc822; {DOCTOR}", f"Action: {action}", "Status: 5.1.1")))
    assert (receipt.stage, receipt.positive, receipt.about) == (stage, positive, SENT_ID)
    assert receipt.recipient is not None
    assert receipt.recipient.telecoms[0].value == DOCTOR


def test_each_recipient_of_a_report_has_a_receipt() -> None:
    last = "Last-Attempt-Date: Thu, 5 Mar 2026 10:00:00 +0100"
    reading = read(
        dsn(
            (f"Final-Recipient: rfc822; {DOCTOR}", "Action: delivered", "Status: 2.0.0", last),
            (
                "Final-Recipient: rfc822; parti@x.mssante.invalid",
                "Action: failed",
                "Status: 5.0.0",
                "Diagnostic-Code: smtp; 550 5.1.1 unknown",
            ),
        )
    )
    first, second = (one.content for one in receipts(reading))
    assert (first.positive, first.at, first.errors) == (True, "2026-03-05T10:00:00+01:00", ())
    assert second.errors[0].code is not None
    assert second.errors[0].code.code == "5.1.1"
    assert second.errors[0].text == "550 5.1.1 unknown"
    assert reading.message_type == "DSN"


def test_a_report_without_the_mail_is_about_its_envelope() -> None:
    block = (f"Final-Recipient: rfc822; {DOCTOR}", "Action: failed")
    assert only(dsn(block, envelope="env-7", returned=None)).about == "env-7"
    assert only(dsn(block, envelope="env-7")).about == SENT_ID
    reading = read(dsn(block, returned=None))
    assert codes(reading) == {"mail.report.about"}
    headers = part("text/rfc822-headers", f"Message-ID: <{SENT_ID}>", "Subject: x")
    assert only(dsn(block, returned=headers)).about == SENT_ID


@pytest.mark.parametrize(
    ("disposition", "stage", "positive", "answer"),
    [
        ("automatic-action/MDN-sent-automatically; processed", ReceiptStage.READ, True, "automatic processed"),
        ("manual-action/MDN-sent-manually; displayed", ReceiptStage.READ, True, "manual displayed"),
        ("manual-action/MDN-sent-automatically; deleted", ReceiptStage.DELIVERED, True, "manual deleted"),
        ("manual-action/MDN-sent-manually; dispatched", ReceiptStage.DELIVERED, True, "manual dispatched"),
        ("automatic-action/MDN-sent-automatically; failed", ReceiptStage.READ, False, "automatic failed"),
        ("automatic-action/x; processed/error", ReceiptStage.READ, False, "automatic processed/error"),
        ("", ReceiptStage.READ, False, None),
    ],
)
def test_what_a_disposition_says(disposition: str, stage: ReceiptStage, positive: bool, answer: str | None) -> None:
    receipt = only(mdn(f"Disposition: {disposition}"))
    assert (receipt.stage, receipt.positive, receipt.answer, receipt.about) == (stage, positive, answer, SENT_ID)


@pytest.mark.parametrize(
    "lines",
    [
        ("Disposition: a/b; processed/error", "Error: 904^INS diff^applicationErrorCondition|W^Warning^errorSeverity"),
        ("Disposition: a/b; processed/Error: 904^INS diff^messageErrorCondition|W^Warning^errorSeverity",),
        ("Disposition: a/b; processed/Error:904^INS\r\n diff^x|W",),
    ],
)
def test_both_forms_of_an_error(lines: tuple[str, ...]) -> None:
    receipt = only(mdn(*lines))
    (error,) = receipt.errors
    assert receipt.positive is False
    assert error.code is not None
    assert (error.code.code, error.code.display, error.severity) == ("904", "INS diff", Severity.WARNING)
    assert error.condition is not None
    assert error.condition.code == "207"


def test_an_error_may_be_in_the_subject_alone_and_the_identity_in_the_returned_mail() -> None:
    receipt = only(mdn("Disposition: a/b; processed/error", subject="[Erreur d’intégration !][902] x", about=None))
    assert receipt.errors[0].code is not None
    assert (receipt.errors[0].code.code, receipt.errors[0].code.display) == ("902", "Identifiant patient inconnu")
    assert receipt.about == SENT_ID


def test_an_application_that_was_not_asked_says_no_by_an_ordinary_mail() -> None:
    subject = "=?utf-8?q?=5BKO_Int=C3=A9gration_syst=C3=A8me_!=5D=5B905=5D?= XDM/1.0/DDM+x"
    content = mail(text("905 INS incomplète"), attached(xdm(), "IHE_XDM.ZIP"), forwarded(SENT), Subject=subject)
    receipt = only(content)
    assert (receipt.positive, receipt.about, receipt.answer) == (False, SENT_ID, "KO")
    assert receipt.recipient is not None
    assert receipt.recipient.telecoms[0].value == SENDER


WITH_COPY = f"""Le message n'a pas pu être remis à <parti@patient.mssante.invalid> (5.1.1).

------ Copie du message ------
Received: from x
Message-ID: <{SENT_ID}>
To: autre@x.invalid
"""


@pytest.mark.parametrize(
    "body", [WITH_COPY, f"parti@patient.mssante.invalid: boîte close 5.1.1\r\nMessage-ID: <{SENT_ID}>"]
)
def test_a_bounce_without_structure(body: str) -> None:
    content = mail(text(body), From="Mail Delivery System <MAILER-DAEMON@x.invalid>", Subject="Message non distribué")
    receipt = only(content)
    assert (receipt.positive, receipt.stage, receipt.about) == (False, ReceiptStage.DELIVERED, SENT_ID)
    assert receipt.recipient is not None
    assert receipt.recipient.telecoms[0].value == "parti@patient.mssante.invalid"
    assert receipt.errors[0].code is not None
    assert receipt.errors[0].code.code == "5.1.1"


def test_the_words_of_a_bounce_may_be_configured_and_prove_nothing_alone() -> None:
    odd = mail(text("5.2.2"), Subject="Boîte saturée", In_Reply_To=f"<{SENT_ID}>", Auto_Submitted="auto-replied")
    assert [one.kind for one in read(odd).items] == ["note"]
    told = read(odd, options={"bounce_subjects": "autre; boîte SATURÉE"})
    assert [one.content.about for one in receipts(told)] == [SENT_ID]
    person = mail(text("J'ai reçu «Undelivered Mail Returned to Sender», que faire ?"), Subject="Undelivered mail?")
    assert [one.kind for one in read(person).items] == ["note"]


def test_a_report_that_is_empty_or_forwarded() -> None:
    empty = read(dsn(returned=None).replace(b"Reporting-MTA", b"X-Nothing"))
    assert "mail.report.about" in codes(empty)
    inside = read(mail(text("Que veut dire ceci ?"), forwarded(mdn("Disposition: a/b; processed"))))
    assert [one.kind for one in inside.items] == ["note"]
    assert "mail.report.inside" in codes(inside)


def test_no_report_gives_back_the_documents_that_it_returns() -> None:
    """The trap that makes a gateway integrate its own documents again."""
    hprim = mail(text(coded().decode("cp1252")), attached(coded(), "r.hpm"), Message_ID=f"<{SENT_ID}>")
    for sent in (SENT, hprim, mail(text("x"), forwarded(SENT), Message_ID=f"<{SENT_ID}>")):
        inside = forwarded(sent.replace(b"limite", b"dedans"))
        for content in (
            dsn((f"Final-Recipient: rfc822; {DOCTOR}", "Action: failed"), returned=inside),
            mail(text("echec"), inside, Return_Path="<>", From="MAILER-DAEMON@x.invalid", Subject="Returned mail"),
        ):
            reading = read(content)
            assert documents(reading) == []
            assert notes(reading) == []
            assert [one.content.about for one in receipts(reading)] == [SENT_ID]


def test_a_header_alone_is_a_mail() -> None:
    assert [one.kind for one in read(header()).items] == ["note"]
