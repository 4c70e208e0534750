"""Submission to the sandbox's mail operator: aiosmtpd with STARTTLS, AUTH and delivery status notifications.

The server is a real one; what is ours is who may log in, which recipients exist, and how it can misbehave on demand.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

_DSN = re.compile(r"\s+(RET|ENVID|NOTIFY|ORCPT)=(\S+)", re.IGNORECASE)
_NULL_PATH = re.compile(r"FROM:\s*<>", re.IGNORECASE)
NULL_PATH = "<>"
_XTEXT = re.compile(r"\+([0-9A-F]{2})")

# It writes every address at the level INFO; a patient's address holds an INS, even here.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class Mood(StrEnum):
    """How the submission server behaves."""

    WELL = "well"
    REFUSE = "refuse"
    """552 5.2.2 to every mail."""
    LATER = "later"
    """451 to every mail."""
    HANG = "hang"
    """No answer to a mail until the operator is closed."""
    GARBAGE = "garbage"
    """What is no SMTP answers a mail."""
    CUT = "cut"
    """The mail is taken, and the connection cut before that is said."""
    UNAVAILABLE = "unavailable"
    """421 to every sender."""


@dataclass(slots=True)
class Submitted:
    """A mail as it was handed over: the login, the envelope, what was asked of it, the exact bytes.

    `session` tells one connection from another.
    """

    login: str
    sender: str
    recipients: list[str]
    content: bytes
    envelope_id: str = ""
    session: int = 0
    notify: dict[str, str] = field(default_factory=dict)


class Exchange(Protocol):
    """What the server asks of the operator behind it."""

    mood: Mood

    def admits(self, user: str, secret: str) -> str | None:
        """Give the address of the mailbox that a password or token opens."""

    def admits_certificate(self, user: str, certificate: Any) -> str | None:
        """Give the address of the mailbox that a client certificate opens."""

    def serves(self, recipient: str) -> bool:
        """Say whether mails for this domain are taken."""

    def submitted(self, mail: Submitted) -> None:
        """Take a mail: it is now the operator's."""

    def seen(self, content: bytes) -> None:
        """Hear of a mail that was received, whatever becomes of it."""


class SubmissionServer(SMTP):
    """One connection. Takes the parameters of RFC 3461, which aiosmtpd refuses, off the commands and keeps them."""

    wishes: Submitted | None = None
    number = 0

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._handler_coroutine is not None and self._handler_coroutine.done()

    async def abort(self) -> None:
        """End the connection now."""
        for transport in (self.transport, self._original_transport):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        task = self._handler_coroutine
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds commands by this name
        """MAIL FROM, with RET and ENVID."""
        plain, wishes = _parted(arg)
        self.wishes = Submitted("", "", [], b"", envelope_id=_from_xtext(wishes.get("ENVID", "")))
        if plain is None or not _NULL_PATH.match(plain):
            await super().smtp_MAIL(plain)
        elif not await self.check_helo_needed() and not await self.check_auth_needed("MAIL"):
            # aiosmtpd takes no null path, which notifications have (RFC 8098 section 3).
            assert self.envelope is not None  # noqa: S101 - a session is under way
            self.envelope.mail_from = NULL_PATH
            await self.push("250 2.1.0 Ok")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - the same
        """RCPT TO, with NOTIFY and ORCPT."""
        plain, wishes = _parted(arg)
        before = len(self.envelope.rcpt_tos) if self.envelope is not None else 0
        await super().smtp_RCPT(plain)
        if self.envelope is not None and self.wishes is not None and len(self.envelope.rcpt_tos) > before:
            self.wishes.notify[self.envelope.rcpt_tos[-1]] = wishes.get("NOTIFY", "").upper()

    def _create_session(self) -> Session:
        return Session(self.loop)


class Handler:
    """Answers of the server."""

    def __init__(self, exchange: Exchange, closing: asyncio.Event) -> None:
        self._exchange = exchange
        self._closing = closing
        self._connections = 0

    def _number(self, server: SubmissionServer) -> int:
        if not server.number:
            self._connections += 1
            server.number = self._connections
        return server.number

    async def handle_EHLO(  # noqa: N802 - aiosmtpd finds hooks by this name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Add DSN to what the server can do."""
        session.host_name = hostname
        return [*responses[:-1], "250-DSN", "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - the same
        """Check a token."""
        said = await self._initial(server, args)
        if said is None:
            return AuthResult(success=False, handled=True)
        fields = dict(part.partition("=")[::2] for part in said.split("\x01") if part)
        found = self._exchange.admits(fields.get("user", ""), fields.get("auth", "").removeprefix("Bearer "))
        if found is None:
            # RFC 7628: an error is told as a challenge, which the client answers with an empty line.
            await server.challenge_auth(b'{"status":"401","schemes":"bearer"}', log_client_response=False)
        return AuthResult(success=found is not None, handled=False, auth_data=found)

    async def auth_EXTERNAL(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - the same
        """Take the client certificate for who it says."""
        user = await self._initial(server, args)
        session = server.session
        peer = getattr(session, "ssl", None) or {}
        found = self._exchange.admits_certificate(user or "", peer.get("peercert") if isinstance(peer, dict) else None)
        return AuthResult(success=found is not None, handled=False, auth_data=found)

    async def _initial(self, server: SMTP, args: list[str]) -> str | None:
        import base64

        given = args[1] if len(args) > 1 else ""
        if not given:
            answer = await server.challenge_auth(b"", log_client_response=False)
            return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else None
        try:
            return base64.b64decode(given, validate=True).decode("utf-8")
        except ValueError:
            return None

    async def handle_MAIL(  # noqa: N802 - the same
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the sender, when the mailbox is the one that logged in."""
        if self._exchange.mood is Mood.UNAVAILABLE:
            return "421 4.3.2 Service not available"
        if address.lower() != str(session.auth_data).lower():
            return "553 5.7.1 Sender address rejected: not owned by user"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - the same
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take recipients of the closed space only."""
        if not self._exchange.serves(address):
            return "550 5.7.1 domaine hors liste blanche"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SubmissionServer, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Take the mail, or misbehave."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self._exchange.seen(content)
        match self._exchange.mood:
            case Mood.REFUSE:
                return "552 5.2.2 Mailbox full"
            case Mood.LATER:
                return "451 4.3.0 Try again later"
            case Mood.GARBAGE:
                return "HTTP/1.1 200 OK"
            case Mood.HANG:
                await self._closing.wait()
                return "421 4.3.2 Closing"
        mail = server.wishes or Submitted("", "", [], b"")
        mail.login, mail.sender, mail.content = str(session.auth_data), _path(envelope), content
        mail.recipients = list(envelope.rcpt_tos)
        mail.session = self._number(server)
        self._exchange.submitted(mail)
        if self._exchange.mood is Mood.CUT and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "250 2.0.0 Ok: queued"


@dataclass(slots=True)
class Listener:
    """A listening server and its connections, closed together."""

    server: asyncio.Server
    connections: list[SubmissionServer]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Listen no more, and end what is connected."""
        self.server.close()
        for connection in self.connections:
            await connection.abort()


async def serve_submission(
    exchange: Exchange, context: ssl.SSLContext, *, closing: asyncio.Event, limit: int, port: int = 0
) -> Listener:
    """Listen on loopback; STARTTLS, then a login, are wanted before any mail."""
    loop = asyncio.get_running_loop()
    handler = Handler(exchange, closing)
    connections: list[SubmissionServer] = []

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        found = exchange.admits(data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace"))
        return AuthResult(success=found is not None, handled=False, auth_data=found)

    def connection() -> SubmissionServer:
        made = SubmissionServer(
            handler,
            hostname="localhost",
            ident="Passerelle sandbox",
            data_size_limit=limit,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticate,
            loop=loop,
        )
        connections[:] = [one for one in connections if not one.over]
        connections.append(made)
        return made

    return Listener(await loop.create_server(connection, "127.0.0.1", port), connections)


def _path(envelope: Envelope) -> str:
    sender = envelope.mail_from or ""
    return "" if sender == NULL_PATH else sender


def _parted(arg: str | None) -> tuple[str | None, dict[str, str]]:
    if arg is None:
        return None, {}
    found = {name.upper(): value for name, value in _DSN.findall(arg)}
    return _DSN.sub("", arg), found


def _from_xtext(text: str) -> str:
    return _XTEXT.sub(lambda match: chr(int(match.group(1), 16)), text)
