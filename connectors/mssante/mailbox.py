"""A mailbox over IMAP4rev1, seen from the thread that talks to it: every method blocks.

    MailboxFault         with `kind`, a code word, and a sentence without anybody's data
    ├ … unreachable, tls, certificate, login, token, folder: it could not be opened
    ├ … lost: the connection is gone; what was asked may or may not have been done
    └ … refused: the server said no to one command; the connection is well

Answers of a server are not repeated: they may hold an address, or a piece of a mail.
"""

from __future__ import annotations

import imaplib
import logging
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from connectors.address import parse_address
from connectors.certificates import Certificate, CertificateTrouble, read_certificate
from connectors.mssante.settings import MssanteSourceSettings
from connectors.mssante.submission import tls_trouble
from connectors.mssante.tokens import TokenFault, read_token

PART = 512 * 1024
"""Bytes of one partial fetch."""

MDN_SENT = b"$MDNSent"

_CODE = re.compile(r"\[([A-Z][A-Z0-9-]{2,30})[ \]]")

# Both libraries write every line of the exchange at the level DEBUG: logins, tokens, mails.
logging.getLogger("imapclient").setLevel(logging.WARNING)


class MailboxFault(Exception):
    """The mailbox cannot be used; see the module's docstring."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence

    @property
    def code(self) -> str:
        """The code of the finding that tells of it."""
        return f"mssante.mailbox.{self.kind}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail that waits: its number in the folder, its size in bytes."""

    uid: int
    size: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How full the mailbox is: mails unread, when the oldest of them came, quota in KiB (0: the server says none)."""

    unread: int
    oldest_unread: datetime | None
    quota_used: int
    quota_limit: int


class Mailbox:
    """One connection to one folder. Not safe for several threads, but for `abort`."""

    def __init__(self, settings: MssanteSourceSettings) -> None:
        self._settings = settings
        self._client: IMAPClient | None = None
        self.validity = 0
        self.keeps_keywords = False

    @property
    def client(self) -> IMAPClient:
        """The connection; raises MailboxFault when there is none."""
        if self._client is None:
            raise MailboxFault("lost", "there is no connection")
        return self._client

    # --- opening and closing --------------------------------------------------------------------------------------

    def open(self, now: datetime) -> None:
        """Connect, log in and open the folder. Raises MailboxFault."""
        settings = self._settings
        self._check_certificate(now)
        try:
            context = settings.tls.context()
        except (OSError, ssl.SSLError, ValueError) as failure:
            said = f"the certificates cannot be loaded ({type(failure).__name__})"
            raise MailboxFault("certificate", said) from None
        address = parse_address(settings.address)
        kind, what = "unreachable", "the server turned us away"
        try:
            self._client = client = IMAPClient(
                address.host,
                address.port,
                ssl=settings.security == "tls",
                ssl_context=context,
                timeout=SocketTimeout(settings.connect_timeout, settings.connect_timeout),
            )
            client.normalise_times = False
            client._imap.debug = 0
            if settings.security == "starttls":
                kind, what = "tls", "the server offers no STARTTLS"
                client.starttls(context)
            kind, what = "login", "the login was refused"
            self._log_in(client)
            client.socket().settimeout(settings.answer_timeout)
            client._timeout = SocketTimeout(settings.connect_timeout, settings.answer_timeout)
        except BaseException as failure:
            self.abort()
            if isinstance(failure, Exception):
                raise self._opening_fault(failure, kind, what) from None
            raise
        self._select()

    def close(self) -> None:
        """Log out; whatever the server does about it."""
        client = self._client
        if client is not None:
            with suppress(Exception):
                client.logout()
        self.abort()

    def abort(self) -> None:
        """Cut the connection; from any thread. What blocks in it ends."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, AttributeError):
                client.socket().shutdown(socket.SHUT_RDWR)
            with suppress(OSError, IMAPClientError):
                client.shutdown()

    def _check_certificate(self, now: datetime) -> None:
        path = self._settings.tls.cert
        if path is None:
            return
        found = read_certificate(path)
        trouble = found.trouble(now) if isinstance(found, Certificate) else found
        if trouble is not None and trouble is not CertificateTrouble.EXPIRING:
            raise MailboxFault("certificate", f"our certificate cannot be used ({trouble.value})")

    def _log_in(self, client: IMAPClient) -> None:
        login = self._settings.login
        user = login.user or self._settings.account
        if login.method == "xoauth2":
            client.oauth2_login(user, read_token(login))
        elif login.method == "certificate":
            client.sasl_login("EXTERNAL", lambda _: user)
        elif login.password is not None:
            client.login(user, login.password.get_secret_value())

    def _opening_fault(self, failure: Exception, kind: str, what: str) -> MailboxFault:
        if isinstance(failure, TokenFault):
            return MailboxFault("token", str(failure))
        tls = tls_trouble(failure)
        if tls:
            return MailboxFault("certificate" if "certificate" in tls else "tls", tls)
        if isinstance(failure, TimeoutError):
            return MailboxFault("unreachable", f"no connection within {self._settings.connect_timeout:g} s")
        if isinstance(failure, imaplib.IMAP4.abort | IMAPClientAbortError):
            return MailboxFault("unreachable", "the server closed the connection before the login was done")
        if isinstance(failure, OSError):
            return MailboxFault("unreachable", f"cannot connect: {failure.strerror or type(failure).__name__}")
        if isinstance(failure, LoginError | IMAPClientError | imaplib.IMAP4.error):
            return MailboxFault(kind, f"{what}{_code(failure)}")
        return MailboxFault("unreachable", f"cannot connect ({type(failure).__name__})")

    def _select(self) -> None:
        settings = self._settings
        try:
            with self._speaking("the folder cannot be opened"):
                answer = self.client.select_folder(settings.folder, readonly=not self._writes)
                if settings.moves:
                    for name in (settings.processed_folder, settings.failed_folder):
                        self._ensure(name)
        except MailboxFault as fault:
            self.close()
            raise fault if fault.kind == "lost" else MailboxFault("folder", fault.sentence) from None
        self.validity = int(answer.get(b"UIDVALIDITY", 0))
        self.keeps_keywords = self._writes and b"\\*" in answer.get(b"PERMANENTFLAGS", ())

    @property
    def _writes(self) -> bool:
        return self._settings.moves or self._settings.answers is not None

    def _ensure(self, name: str) -> None:
        if not self.client.folder_exists(name):
            self.client.create_folder(name)
            self.client.subscribe_folder(name)

    # --- looking --------------------------------------------------------------------------------------------------

    def waiting(self, after: int = 0) -> list[Waiting]:
        """List the mails numbered above `after`, in order, but those marked to be deleted."""
        criteria: list[object] = ["UNDELETED"]
        if after:
            criteria += ["UID", f"{after + 1}:*"]
        if self._settings.since is not None:
            criteria += ["SINCE", self._settings.since]
        with self._speaking("the folder cannot be searched"):
            self.client.noop()
            numbers = [uid for uid in sorted(self.client.search(criteria)) if uid > after]
            sizes: dict[int, int] = {}
            for start in range(0, len(numbers), 500):
                answers = self.client.fetch(numbers[start : start + 500], ["RFC822.SIZE"])
                sizes.update({uid: int(answer[b"RFC822.SIZE"]) for uid, answer in answers.items()})
        return [Waiting(uid, sizes[uid]) for uid in numbers if uid in sizes]

    def figures(self) -> Figures:
        """Say how full the mailbox is."""
        client = self.client
        with self._speaking("the figures of the mailbox cannot be had"):
            unread = sorted(client.search(["UNSEEN", "UNDELETED"]))
            oldest = None
            if unread:
                answer = client.fetch(unread[:1], ["INTERNALDATE"]).get(unread[0], {})
                found = answer.get(b"INTERNALDATE")
                oldest = found if isinstance(found, datetime) else None
            used = limit = 0
            if client.has_capability("QUOTA"):
                _, quotas = client.get_quota_root(self._settings.folder)
                storage = next((one for one in quotas if str(one.resource).upper() == "STORAGE"), None)
                if storage is not None:
                    used, limit = int(storage.usage), int(storage.limit)
        return Figures(len(unread), oldest, used, limit)

    # --- fetching -------------------------------------------------------------------------------------------------

    def fetch(self, uid: int) -> bytes:
        """Fetch a whole mail, without marking it as read. Raises MailboxFault `gone` when it is no longer there."""
        return self._body(uid, b"BODY.PEEK[]", b"BODY[]")

    def fetch_parts(self, uid: int, most: int) -> Iterator[bytes]:
        """Fetch a mail part by part, up to `most` bytes."""
        at = 0
        while at < most:
            count = min(PART, most - at)
            part = self._body(uid, b"BODY.PEEK[]<%d.%d>" % (at, count), b"BODY[]<%d>" % at)
            if part:
                yield part
            at += len(part)
            if len(part) < count:
                return

    def _body(self, uid: int, item: bytes, name: bytes) -> bytes:
        with self._speaking("a mail cannot be fetched"):
            answer = self.client.fetch([uid], [item])
        body = answer.get(uid, {}).get(name)
        if not isinstance(body, bytes):
            raise MailboxFault("gone", "a mail was taken out of the folder before it was fetched")
        return body

    # --- filing ---------------------------------------------------------------------------------------------------

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Move mails to a folder; those that are gone are gone. Never expunges what others marked."""
        client = self.client
        with self._speaking("mails cannot be filed"):
            if client.has_capability("MOVE"):
                client.move(uids, folder)
                return
            client.copy(uids, folder)
            client.add_flags(uids, [b"\\Deleted"], silent=True)
            if client.has_capability("UIDPLUS"):
                client.uid_expunge(uids)

    def mark_answered(self, uid: int) -> None:
        """Tell other clients that the notification was sent (RFC 3503), where the server keeps such words."""
        if self.keeps_keywords:
            with self._speaking("a mail cannot be marked"):
                self.client.add_flags([uid], [MDN_SENT], silent=True)

    # --- waiting --------------------------------------------------------------------------------------------------

    @property
    def can_idle(self) -> bool:
        """Whether the server tells of new mails."""
        with self._speaking("the server's abilities cannot be had"):
            return bool(self.client.has_capability("IDLE"))

    def idle(self) -> bool:
        """Begin to wait; True when the server told something with its very answer, before there was time to listen."""
        with self._speaking("the server does not let us wait"):
            self.client.idle()
            return self._buffered()

    def idle_done(self) -> None:
        """End the wait; what the server told is found at the next look."""
        with self._speaking("the wait did not end well"):
            self.client.idle_check(timeout=0)
            self.client.idle_done()

    def fileno(self) -> int:
        """Give the descriptor that becomes readable when the server tells something."""
        return int(self.client.socket().fileno())

    def _buffered(self) -> bool:
        """Say whether lines were read already, behind the server's answer: the descriptor would not tell of them."""
        connection = self.client.socket()
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        file = getattr(self.client._imap, "file", None) or getattr(self.client._imap, "_file", None)
        if file is None or not hasattr(file, "peek"):
            return False
        connection.settimeout(0)
        try:
            return bool(file.peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            connection.settimeout(self._settings.answer_timeout)

    @contextmanager
    def _speaking(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, imaplib.IMAP4.abort, IMAPClientAbortError) as failure:
            bye = self._client is not None and "BYE" in getattr(self._client._imap, "untagged_responses", {})
            self.abort()
            reason = "the server ended the connection" if bye else f"the connection was lost ({_name(failure)})"
            raise MailboxFault("lost", reason) from None
        except (IMAPClientError, imaplib.IMAP4.error) as failure:
            raise MailboxFault("refused", f"{what}{_code(failure)}") from None
        except (ValueError, KeyError, IndexError, TypeError) as failure:
            self.abort()
            raise MailboxFault("lost", f"the server's answer makes no sense ({type(failure).__name__})") from None


def _name(failure: BaseException) -> str:
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    strerror = failure.strerror if isinstance(failure, OSError) else None
    return strerror or "closed by the server"


def _code(failure: BaseException) -> str:
    found = _CODE.search(str(failure))
    return f" ({found.group(1)})" if found else ""
