"""Reports as mail servers and mail programs write them: delivery status (DSN, RFC 3464), reading (MDN, RFC 8098).

Written apart from the product's own reader and writer, so that each checks the other.
"""

from __future__ import annotations

import email.utils
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import BytesHeaderParser
from email.policy import SMTP, compat32


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mail for one recipient: `action` is failed, delayed, delivered or relayed."""

    recipient: str
    action: str
    status: str
    diagnostic: str = ""


def write_dsn(
    original: bytes, *, sender: str, operator: str, envelope_id: str, fates: Sequence[Fate], now: datetime
) -> bytes:
    """Write what a mail server tells the sender; the heads of the original are returned (RET=HDRS)."""
    failed = any(fate.action == "failed" for fate in fates)
    report = MIMEMultipart("report", report_type="delivery-status")
    report["From"] = f"Mail Delivery System <MAILER-DAEMON@{operator}>"
    report["To"] = sender
    report["Subject"] = "Undelivered Mail Returned to Sender" if failed else "Successful Mail Delivery Report"
    report["Date"] = email.utils.format_datetime(now)
    report["Message-ID"] = email.utils.make_msgid(domain=operator)
    report["Auto-Submitted"] = "auto-replied"
    lines = [f"<{fate.recipient}>: {fate.action}, {fate.status} {fate.diagnostic}".strip() for fate in fates]
    report.attach(MIMEText("This is the mail system.\n\n" + "\n".join(lines) + "\n", "plain", "us-ascii"))
    status = Message()
    status["Content-Type"] = "message/delivery-status"
    about = Message()
    about["Reporting-MTA"] = f"dns; {operator}"
    if envelope_id:
        about["Original-Envelope-Id"] = envelope_id
    blocks: list[Message | str] = [about]
    for fate in fates:
        block = Message()
        block["Final-Recipient"] = f"rfc822; {fate.recipient}"
        block["Action"] = fate.action
        block["Status"] = fate.status
        if fate.diagnostic:
            block["Diagnostic-Code"] = f"smtp; {fate.diagnostic}"
        blocks.append(block)
    status.set_payload(blocks)
    report.attach(status)
    heads = Message()
    heads["Content-Type"] = "text/rfc822-headers"
    heads.set_payload(original.partition(b"\r\n\r\n")[0].decode("ascii", "replace"))
    report.attach(heads)
    return report.as_bytes(policy=SMTP)


def write_mdn(original: bytes, *, reader: str, disposition: str, now: datetime) -> bytes | None:
    """Write what a mail program answers to a wish to be notified; None when the mail has no such wish."""
    head = BytesHeaderParser(policy=compat32).parsebytes(original)
    wish = head["Disposition-Notification-To"]
    if not wish:
        return None
    report = MIMEMultipart("report", report_type="disposition-notification")
    report["From"] = reader
    report["To"] = str(wish)
    report["Subject"] = f"Lu: {head['Subject'] or ''}".replace("\r", "").replace("\n", "")
    report["Date"] = email.utils.format_datetime(now)
    report["Message-ID"] = email.utils.make_msgid(domain=reader.rpartition("@")[2])
    report["Auto-Submitted"] = "auto-replied"
    if head["Message-ID"]:
        report["In-Reply-To"] = str(head["Message-ID"])
    report.attach(MIMEText(f"Votre message a été traité par {reader}.\n", "plain", "utf-8"))
    fields = Message()
    fields["Content-Type"] = "message/disposition-notification"
    fields.set_payload(
        "Reporting-UA: sandbox; Passerelle\n"
        f"Final-Recipient: rfc822;{reader}\n"
        f"Original-Message-ID: {head['Message-ID'] or ''}\n"
        f"Disposition: {disposition}\n"
    )
    report.attach(fields)
    returned = Message()
    for name in ("Message-ID", "From", "To", "Subject", "Date"):
        if head[name]:
            returned[name] = str(head[name]).replace("\r", "").replace("\n", " ")
    report.attach(MIMEMessage(returned))
    return report.as_bytes(policy=SMTP)
