"""What a mail is, decided before anything in it is opened (fact sheet §6).

A report returns the mail that it is about: whoever walks into it finds the documents that he sent, and takes them for
new ones. So reports are told from other mails by their structure first, by who sent them next, and by words last.
"""

from __future__ import annotations

import re
from enum import StrEnum

from mappings.mail.mime import Part

DSN_PART = frozenset({"message/delivery-status", "message/global-delivery-status"})
MDN_PART = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
BOUNCE_SUBJECTS = (
    "undelivered mail returned to sender",
    "mail delivery failed",
    "delivery status notification",
    "returned mail",
    "undeliverable",
    "failure notice",
    "message non distribué",
    "non remis",
    "échec de la remise",
    "échec de remise",
)
"""How notices of failure begin or go on, in small letters; the option `bounce_subjects` adds to them."""

_DAEMON = re.compile(r"^(?:mailer-daemon|mail-daemon|postmaster|mdaemon)$", re.IGNORECASE)
_KO = re.compile(r"^\s*\[\s*(?:KO|Erreur)\b[^\]]{0,80}\]\s*\[\s*\d{3}\s*\]", re.IGNORECASE)


class MailKind(StrEnum):
    """`refusal` is the ordinary mail by which an application that was not asked for an MDN says that it failed."""

    MESSAGE = "mail"
    DSN = "DSN"
    MDN = "MDN"
    BOUNCE = "bounce"
    REFUSAL = "refusal"


def kind_of(mail: Part, bounce_subjects: tuple[str, ...] = ()) -> MailKind:
    """Say what a mail is, by its own parts and header; mails that travel in it are not looked at."""
    types = {one.media_type for one in mail.walk()}
    report = mail.type.parameters.get("report-type", "").lower() if mail.media_type == "multipart/report" else ""
    if types & MDN_PART or report == "disposition-notification":
        return MailKind.MDN
    if types & DSN_PART or report == "delivery-status":
        return MailKind.DSN
    subject = mail.headers.text("Subject").lower()
    words = any(word in subject for word in (*BOUNCE_SUBJECTS, *bounce_subjects))
    nobody = mail.headers.has("Return-Path") and not mail.headers.mailboxes("Return-Path")
    daemon = any(_DAEMON.match(one.address.partition("@")[0]) for one in mail.headers.mailboxes("From"))
    if (nobody and daemon) or (words and (nobody or daemon or is_automatic(mail))):
        return MailKind.BOUNCE
    if _KO.match(mail.headers.text("Subject")) and types & {"message/rfc822", "text/rfc822-headers"}:
        return MailKind.REFUSAL
    return MailKind.MESSAGE


def is_automatic(mail: Part) -> bool:
    """Say whether a program sent this by itself (RFC 3834): such mail is never answered automatically."""
    headers = mail.headers
    automatic = headers.raw("Auto-Submitted").partition(";")[0].strip().lower()
    precedence = headers.raw("Precedence").strip().lower()
    return (
        automatic not in {"", "no"}
        or headers.has("X-Autoreply")
        or headers.has("X-Autorespond")
        or precedence in {"bulk", "auto_reply", "junk", "list"}
    )
