"""Mails of fictitious people for the tests of the MSSanté connector."""

from __future__ import annotations

from connectors.sandbox.mail_people import DOCTOR, HOSPITAL, ROUTER


def mail(
    number: int = 1,
    size: int = 0,
    *,
    sender: str = HOSPITAL,
    recipient: str = ROUTER,
    head: str = "",
    message_id: str | None = None,
) -> bytes:
    """Make a mail of `size` bytes at least, unlike any other `number`."""
    name = f"<{number}.testrose@sandbox.mssante.invalid>" if message_id is None else message_id
    line = "TESTROSE " * 7
    body = f"{line}\r\n" * (1 + size // (len(line) + 2))
    return (
        f"From: Service de biologie <{sender}>\r\nTo: {recipient}\r\n"
        f"Subject: XDM/1.0/DDM+CR TESTROSE MARIE {number}\r\n"
        f"Date: Thu, 05 Mar 2026 08:10:00 +0000\r\nMessage-ID: {name}\r\n{head}"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n.Mail {number}\r\n{body}"
    ).encode()


def letter(number: int = 1, size: int = 0, *, recipient: str = DOCTOR, head: str = "") -> bytes:
    """Make a mail that the router sends."""
    return mail(number, size, sender=ROUTER, recipient=recipient, head=head)
