"""The head of a mail: who wrote it, under which name, and whether it may be answered. Never raises on bad input."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

HEAD = 256 * 1024
"""Bytes of a mail in which its head is looked for."""

_END = re.compile(rb"\r?\n\r?\n")
_ID = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class Head:
    """What is needed of a mail's head.

    `authors` and `recipients` are bare addresses (From; To, Cc and Bcc). `return_path` is None when the mail does not
    say, "" for the null path of reports. `automatic` when a program wrote it: it is then never answered.
    """

    message_id: str
    authors: tuple[str, ...]
    recipients: tuple[str, ...]
    return_path: str | None
    notify: tuple[str, ...]
    automatic: bool


def read_head(content: bytes) -> Head:
    """Read the head of a mail, of which `content` is the beginning at least."""
    found = _END.search(content, 0, HEAD)
    message = BytesHeaderParser(policy=compat32).parsebytes(content[: found.end() if found else HEAD])
    path = _texts(message, "Return-Path")
    return_path = None if not path else next(iter(_addresses(path[:1])), "")
    identified = _ID.search(" ".join(_texts(message, "Message-ID")))
    return Head(
        message_id=identified.group(0) if identified else "",
        authors=_addresses(_texts(message, "From")),
        recipients=_addresses([text for name in ("To", "Cc", "Bcc") for text in _texts(message, name)]),
        return_path=return_path,
        notify=_addresses(_texts(message, "Disposition-Notification-To")),
        automatic=_automatic(message, return_path),
    )


def within(domain: str, allowed: Iterable[str]) -> bool:
    """Say whether a domain is one of those allowed, or under one."""
    return any(domain == name or domain.endswith("." + name) for name in allowed)


def _automatic(message: Message, return_path: str | None) -> bool:
    submitted = " ".join(_texts(message, "Auto-Submitted")).partition(";")[0].strip().lower()
    precedence = " ".join(_texts(message, "Precedence")).strip().lower()
    return (
        return_path == ""
        or submitted not in ("", "no")
        or precedence in ("bulk", "junk", "list", "auto_reply")
        or message.get_content_type() == "multipart/report"
        or bool(_texts(message, "X-Autoreply"))
    )


def _texts(message: Message, name: str) -> list[str]:
    return [str(value).replace("\r", "").replace("\n", " ") for value in message.get_all(name, [])]


def _addresses(texts: list[str]) -> tuple[str, ...]:
    try:
        pairs = email.utils.getaddresses([_decoded(text) for text in texts])
    except RecursionError:  # comments inside one another without end: nobody is answered
        return ()
    found = [address.strip() for _, address in pairs]
    return tuple(dict.fromkeys(address for address in found if "@" in address))


def _decoded(text: str) -> str:
    """Decode the addresses that some senders hide whole in an encoded word; RFC 2047 forbids it."""
    if "@" in text or "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (ValueError, LookupError, MessageError):
        return text
