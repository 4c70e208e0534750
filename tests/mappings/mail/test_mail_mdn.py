from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from mails import DOCTOR, SENDER, attached, mail, multipart, read, receipts, text
from xdm_archives import xdm

from mappings.contracts import FormatError
from mappings.mail.mdn import Failure, Mdn, NoMdn, write_mdn
from schemas.receipt import ReceiptStage

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
SUBJECT = "XDM/1.0/DDM+CR détaillé FICTIVE-ROSE MIREILLE 05/03/1979"
ENCODED = "=?utf-8?q?XDM/1=2E0/DDM+CR_d=C3=A9taill=C3=A9?= FICTIVE-ROSE MIREILLE 05/03/1979"


def received(**changes: str | None) -> bytes:
    fields: dict[str, str | None] = {"Subject": ENCODED, "Disposition_Notification_To": SENDER}
    return mail(text("Ci-joint."), attached(xdm(), "IHE_XDM.ZIP"), **(fields | changes))


def answer(original: bytes, **more: Any) -> Mdn | NoMdn:
    allowed = more.pop("allowed", lambda domain: domain.endswith(".mssante.invalid"))
    return write_mdn(original, mailbox=DOCTOR, identity="MDN-1", now=NOW, allowed=allowed, **more)


def written(original: bytes, **more: Any) -> Mdn:
    found = answer(original, **more)
    assert isinstance(found, Mdn)
    return found


def parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def test_the_form_of_a_success() -> None:
    original = received()
    mdn = written(original, label="BAL applicative", nil="REF-1")
    message = parsed(mdn.content)
    assert (mdn.recipient, message["To"]) == (SENDER, SENDER)
    assert message["From"].addresses[0].addr_spec == DOCTOR
    assert message["Subject"] == SUBJECT
    assert (message["Auto-Submitted"], message["X-MSS-NIL"]) == ("auto-replied", "REF-1")
    assert message["In-Reply-To"] == "<m1@labo-fictif.mssante.invalid>"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "disposition-notification"
    words, report, returned = message.iter_parts()
    assert words.get_content_type() == "text/plain"
    fields = report.get_payload()[0]
    assert fields["Final-Recipient"] == f"rfc822;{DOCTOR}"
    assert fields["Original-Message-ID"] == "<m1@labo-fictif.mssante.invalid>"
    assert fields["Disposition"] == "automatic-action/MDN-sent-automatically; processed"
    assert returned.get_content_type() == "message/rfc822"
    assert original in mdn.content, "the whole mail, with its attachments, as it came"
    assert b"\n" not in mdn.content.replace(b"\r\n", b"")
    assert written(original).content == written(original).content


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("code", ["900", "901", "902", "903", "904", "905", "906"])
def test_an_error_in_both_forms_is_read_by_who_sent_the_mail(code: str, legacy: bool) -> None:
    mdn = written(received(), failure=Failure(code), legacy=legacy)
    assert parsed(mdn.content)["Subject"] == f"[KO Intégration système !][{code}] {SUBJECT}"
    assert (b"\r\nError: " in mdn.content) is not legacy
    reading = read(mdn.content)
    (item,) = receipts(reading)
    assert len(reading.items) == 1
    receipt = item.content
    assert (receipt.stage, receipt.positive, receipt.about) == (
        ReceiptStage.READ,
        False,
        "m1@labo-fictif.mssante.invalid",
    )
    assert [one.code.code for one in receipt.errors if one.code] == [code]
    assert code in next(parsed(mdn.content).iter_parts()).get_content()


def test_a_success_is_read_by_who_sent_the_mail() -> None:
    (item,) = receipts(read(written(received()).content))
    assert (item.content.positive, item.content.stage) == (True, ReceiptStage.READ)


def test_a_label_cannot_break_the_field() -> None:
    mdn = written(received(), failure=Failure("906", "x^y|z\r\nTo: a@b.invalid"))
    assert b"\r\nTo: a@b" not in mdn.content.partition(b"message/rfc822")[0].partition(b"\r\n\r\n")[2]
    (item,) = receipts(read(mdn.content))
    assert [one.code.display for one in item.content.errors if one.code] == ["x y z To: a@b.invalid"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Disposition_Notification_To": None}, NoMdn.NOT_ASKED),
        ({"Disposition_Notification_To": "voleur@ailleurs.invalid"}, NoMdn.OTHER_ADDRESS),
        ({"Disposition_Notification_To": "autre@labo-fictif.mssante.invalid"}, NoMdn.OTHER_ADDRESS),
        ({"Disposition_Notification_To": f"{SENDER}, voleur@ailleurs.invalid"}, NoMdn.SEVERAL),
        ({"Disposition_Notification_To": "rien"}, NoMdn.SEVERAL),
        ({"Return_Path": "<autre@labo-fictif.mssante.invalid>"}, NoMdn.OTHER_ADDRESS),
        ({"Return_Path": "<>"}, NoMdn.AUTOMATIC),
        ({"Auto_Submitted": "auto-generated"}, NoMdn.AUTOMATIC),
        ({"Precedence": "bulk"}, NoMdn.AUTOMATIC),
        ({"Message_ID": None}, NoMdn.NO_MESSAGE_ID),
        ({"Message_ID": "<é@x>"}, NoMdn.NO_MESSAGE_ID),
    ],
)
def test_why_no_notification_is_sent(changes: dict[str, str | None], reason: NoMdn) -> None:
    assert answer(received(**changes)) is reason


def test_the_address_may_be_that_of_the_return_path_in_another_case() -> None:
    assert isinstance(answer(received(Return_Path=f"<{SENDER.upper()}>")), Mdn)


def test_a_domain_that_is_not_allowed_and_reports_are_not_answered() -> None:
    assert answer(received(), allowed=lambda _: False) is NoMdn.NOT_ALLOWED
    forged = received(Disposition_Notification_To="v@ailleurs.invalid", From="v@ailleurs.invalid")
    assert answer(forged) is NoMdn.NOT_ALLOWED
    report = multipart(text("x"), b"Content-Type: message/disposition-notification\r\n\r\nDisposition: a/b; processed")
    assert answer(mail(report, Disposition_Notification_To=SENDER)) is NoMdn.REPORT
    assert answer(written(received()).content) is NoMdn.NOT_ASKED
    assert answer(b"\x00") is NoMdn.UNREADABLE


def test_a_code_that_is_none_is_an_error_of_the_caller() -> None:
    with pytest.raises(FormatError) as refused:
        answer(received(), failure=Failure("999"))
    assert refused.value.code == "mail.mdn.code"


def test_lines_of_a_file_become_lines_of_a_mail() -> None:
    mdn = written(received().replace(b"\r\n", b"\n"))
    assert received() in mdn.content
