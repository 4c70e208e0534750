"""The MDN that answers a received mail (RFC 8098, guide of transmission by mail 1.1.3), or why none may be sent.

An MDN gives the whole mail back. Sent to whoever asks, it would carry a patient's documents outside: so it is sent only
where the address that asks is that of who sent the mail, inside the domains that are allowed, and never to a program's
own mail or to a report.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from mappings.contracts import PARIS, FormatError
from mappings.mail.classify import MailKind, is_automatic, kind_of
from mappings.mail.composing import CRLF, address, boundary_of, date, field, plain_field, text_part
from mappings.mail.headers import Mailbox, clean
from mappings.mail.mime import Part, parse
from mappings.mail.reports import ERROR_CODES
from mappings.mail.thread_marks import message_id
from mappings.notes import Notes
from schemas.mailboxes import domain_of

_LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_PRODUCT = "Passerelle"
_DONE = "Le document a été intégré."
_FAILED = "Le message ci-dessous n'a pas pu être intégré : {code} {label}"
_KO = "[KO Intégration système !][{code}]"
_OTHER = "906"


class NoMdn(StrEnum):
    """Why a mail is not answered by an MDN."""

    NOT_ASKED = "not_asked"
    UNREADABLE = "unreadable"
    REPORT = "report"
    AUTOMATIC = "automatic"
    SEVERAL = "several_addresses"
    OTHER_ADDRESS = "other_address"
    NOT_ALLOWED = "domain_not_allowed"
    NO_MESSAGE_ID = "no_message_id"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a mail was not taken: a code from 900 to 906 (`ERROR_CODES`), and its label when another is better."""

    code: str = _OTHER
    label: str = ""


@dataclass(frozen=True, slots=True)
class Mdn:
    """A report ready to be sent, to `recipient`, from an empty envelope sender (RFC 8098 §3)."""

    content: bytes
    recipient: str
    message_id: str


def write_mdn(
    original: bytes,
    *,
    mailbox: str,
    identity: str,
    now: datetime,
    allowed: Callable[[str], bool],
    failure: Failure | None = None,
    label: str = "",
    nil: str = "",
    legacy: bool = False,
    timezone: ZoneInfo = PARIS,
) -> Mdn | NoMdn:
    """Write the MDN for a received mail: that it was taken, or by `failure` that it was not.

    `mailbox` is the address that received it and now answers, `identity` makes the report's Message-ID, `allowed` says
    whether a domain (in small letters) may be written to. `legacy` writes errors in the form before guide 1.1.3, inside
    the disposition. The same arguments give the same bytes. Raises FormatError `mail.mdn.code` for a code that is none.
    """
    if failure is not None and failure.code not in ERROR_CODES:
        raise FormatError("mail.mdn.code", "failure", "an application error has a code from 900 to 906")
    try:
        mail = parse(original, Notes())
    except FormatError:
        return NoMdn.UNREADABLE
    asked = _asked(mail, allowed)
    if isinstance(asked, NoMdn):
        return asked
    named = mail.headers.message_ids("Message-ID")
    if not named or not (named[0].isascii() and named[0].isprintable()):
        return NoMdn.NO_MESSAGE_ID
    own = message_id(identity, mailbox)
    whole = _LONE_LINE_FEED.sub(b"\r\n", original.lstrip(b"\r\n"))
    parts = (
        text_part(_words(failure)).whole,
        _disposition(mailbox, named[0], failure, legacy=legacy),
        _returned(whole),
    )
    boundary = boundary_of(identity, parts).decode()
    fields = [
        plain_field("From", address(mailbox, label)),
        plain_field("To", asked.address),
        field("Subject", _subject(mail, failure)),
        plain_field("Date", date(now.astimezone(timezone).replace(microsecond=0))),
        plain_field("Message-ID", f"<{own}>"),
        plain_field("In-Reply-To", f"<{named[0]}>"),
        plain_field("References", f"<{named[0]}>"),
        b"Auto-Submitted: auto-replied",
        *([field("X-MSS-NIL", nil)] if nil else []),
        b"MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary="{boundary}"'.encode(),
    ]
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join(delimiter + part + CRLF for part in parts) + f"--{boundary}--\r\n".encode()
    return Mdn(CRLF.join(fields) + CRLF + CRLF + body, asked.address, own)


def _asked(mail: Part, allowed: Callable[[str], bool]) -> Mailbox | NoMdn:
    """Give the address that may be answered, or why none may."""
    headers = mail.headers
    if not headers.has("Disposition-Notification-To"):
        return NoMdn.NOT_ASKED
    if kind_of(mail) is not MailKind.MESSAGE:
        return NoMdn.REPORT
    returned = headers.mailboxes("Return-Path")
    if is_automatic(mail) or (headers.has("Return-Path") and not returned):
        return NoMdn.AUTOMATIC
    requests = headers.mailboxes("Disposition-Notification-To")
    if len(requests) != 1:
        return NoMdn.SEVERAL
    # Whoever sent it is the envelope's sender; where the server kept none, the header's.
    senders = returned or headers.mailboxes("From")
    if {one.address.lower() for one in senders} != {requests[0].address.lower()}:
        return NoMdn.OTHER_ADDRESS
    if not requests[0].address.isascii() or not allowed(domain_of(requests[0].address)):
        return NoMdn.NOT_ALLOWED
    return requests[0]


def _subject(mail: Part, failure: Failure | None) -> str:
    subject = mail.headers.text("Subject")[:600]
    return subject if failure is None else f"{_KO.format(code=failure.code)} {subject}"


def _label(failure: Failure) -> str:
    """Give the label without the signs that part the fields of an error."""
    label = clean(failure.label or ERROR_CODES[failure.code])
    return re.sub(r"[|^~\\&;]", " ", label)[:200]


def _words(failure: Failure | None) -> str:
    return _DONE if failure is None else _FAILED.format(code=failure.code, label=_label(failure))


def _disposition(mailbox: str, about: str, failure: Failure | None, *, legacy: bool) -> bytes:
    mode = "automatic-action/MDN-sent-automatically; processed"
    fields = [
        f"Reporting-UA: {domain_of(mailbox)}; {_PRODUCT}",
        f"Original-Recipient: rfc822;{mailbox}",
        f"Final-Recipient: rfc822;{mailbox}",
        f"Original-Message-ID: <{about}>",
    ]
    if failure is None:
        fields.append(f"Disposition: {mode}")
    else:
        error = f"{failure.code}^{_label(failure)}^applicationErrorCondition|E^Error^errorSeverity"
        if legacy:
            fields.append(f"Disposition: {mode}/Error: {error}")
        else:
            fields += [f"Disposition: {mode}/error", f"Error: {error}"]
    content = "\r\n".join(fields).encode("utf-8", "replace")
    kind = b"Content-Type: message/disposition-notification"
    if content.isascii():
        return kind + CRLF + CRLF + content + CRLF
    return kind + CRLF + b"Content-Transfer-Encoding: 8bit" + CRLF + CRLF + content + CRLF


def _returned(whole: bytes) -> bytes:
    encoding = b"" if whole.isascii() else b"Content-Transfer-Encoding: 8bit" + CRLF
    return b"Content-Type: message/rfc822" + CRLF + encoding + CRLF + whole
