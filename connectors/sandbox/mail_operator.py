"""An MSSanté operator inside this process: submission and IMAP on one store, with mailboxes that live a little.

    async with MailOperator(folder) as operator:
        source = MssanteSourceSettings(**operator.source())
        destination = MssanteDestinationSettings(**operator.destination())
        operator.deliver(ROUTER, content)

A mail for nobody, or for a full mailbox, comes back as a DSN; delivery is told where it was asked; the doctor's mailbox
answers reading notifications. `mood` makes submission misbehave, `tokens` are the access tokens that open mailboxes.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from connectors.sandbox.mail_authority import MailAuthority, TlsFiles
from connectors.sandbox.mail_imap import ABILITIES, ImapListener, serve_imap
from connectors.sandbox.mail_people import DOMAIN, HOSPITAL, ROUTER, SECRET, Persona, personas
from connectors.sandbox.mail_reports import Fate, write_dsn, write_mdn
from connectors.sandbox.mail_smtp import Listener, Mood, Submitted, serve_submission
from connectors.sandbox.mail_store import Account, MailboxFull, MailStore

LIMIT = 30 * 1024 * 1024
DISPLAYED = "manual-action/MDN-sent-automatically; displayed"


@dataclass(slots=True)
class Ports:
    """Where the operator listens; 0 takes a free port."""

    imap: int = 0
    imaps: int = 0
    submission: int = 0


@dataclass(slots=True)
class MailOperator:
    """The operator. `received` holds every mail that reached submission, `taken` those that it answers for."""

    folder: Path
    people: tuple[Persona, ...] = field(default_factory=personas)
    ports: Ports = field(default_factory=Ports)
    limit: int = LIMIT
    able: str = ABILITIES
    require_certificate: bool = False
    server_until: datetime | None = None
    mood: Mood = Mood.WELL
    tokens: dict[str, str] = field(default_factory=dict)
    authority: MailAuthority = field(default_factory=MailAuthority)
    store: MailStore = field(default_factory=MailStore)
    received: list[bytes] = field(default_factory=list)
    taken: list[Submitted] = field(default_factory=list)
    _files: TlsFiles | None = None
    _listeners: list[ImapListener | Listener] = field(default_factory=list)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._files = self.authority.write(self.folder, ROUTER, until=self.server_until)
        for persona in self.people:
            self.store.open(persona.address, SECRET, quota=persona.quota)
        context = self.server_context()
        imap = await serve_imap(self, context, port=self.ports.imap, able=self.able)
        imaps = await serve_imap(self, context, implicit=True, port=self.ports.imaps, able=self.able)
        submission = await serve_submission(
            self, context, closing=self._closing, limit=self.limit, port=self.ports.submission
        )
        self._listeners = [imap, imaps, submission]
        self.ports = Ports(imap.port, imaps.port, submission.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        for listener in self._listeners:
            await listener.close()
        self._listeners = []

    def release(self) -> None:
        """Answer those whom the mood `hang` made wait."""
        self._closing.set()

    async def drop(self) -> None:
        """End the IMAP connections, as an operator does that restarts."""
        for listener in self._listeners:
            if isinstance(listener, ImapListener):
                await listener.drop()

    # --- settings of a client -------------------------------------------------------------------------------------

    @property
    def files(self) -> TlsFiles:
        """The certificates: of the authority, the server and the router."""
        assert self._files is not None  # noqa: S101 - the operator was entered
        return self._files

    def source(self, **more: Any) -> dict[str, Any]:
        """Give settings of the router's mailbox."""
        return {**self._operator(self.ports.imap), "allowed_domains": [DOMAIN], **more}

    def destination(self, **more: Any) -> dict[str, Any]:
        """Give settings of a destination that submits here."""
        return {**self.submission(), "allowed_domains": [DOMAIN], **more}

    def submission(self, **more: Any) -> dict[str, Any]:
        """Give settings of submission alone, as a source's `answers` takes them."""
        return {**self._operator(self.ports.submission), **more}

    def _operator(self, port: int) -> dict[str, Any]:
        files = self.files
        return {
            "address": f"localhost:{port}",
            "account": ROUTER,
            "tls": {"ca": files.ca, "cert": files.client},
            "login": {"method": "password", "password": SECRET},
        }

    def server_context(self) -> ssl.SSLContext:
        """Make the TLS of the servers."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.files.server)
        context.load_verify_locations(self.files.ca)
        context.verify_mode = ssl.CERT_REQUIRED if self.require_certificate else ssl.CERT_OPTIONAL
        return context

    # --- what the servers ask -------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Tell the time."""
        return datetime.now(UTC)

    def opened(self, address: str) -> Account | None:
        """Give a mailbox."""
        return self.store.account(address)

    def admits(self, user: str, secret: str) -> str | None:
        """Let in who knows the password, or shows a token for this mailbox."""
        account = self.store.account(user)
        if account is None or not secret:
            return None
        return account.address if secret == account.password or self.tokens.get(secret) == account.address else None

    def admits_certificate(self, user: str, certificate: Any) -> str | None:
        """Let in whose certificate bears the mailbox as its common name."""
        subject = certificate.get("subject", ()) if isinstance(certificate, dict) else ()
        names = [value for part in subject for key, value in part if key == "commonName"]
        account = next((found for name in names if (found := self.store.account(str(name)))), None)
        return account.address if account is not None and user in ("", account.address) else None

    def serves(self, recipient: str) -> bool:
        """Take mails for the domains of the mailboxes only: the operator's white list."""
        domain = recipient.rpartition("@")[2].lower()
        return any(one.address.lower().endswith("@" + domain) for one in self.people)

    def seen(self, content: bytes) -> None:
        """Keep what came."""
        self.received.append(content)

    def submitted(self, mail: Submitted) -> None:
        """Deliver a mail to each recipient, and report."""
        self.taken.append(mail)
        fates = [self._fate(mail, recipient) for recipient in mail.recipients]
        told = [fate for fate in fates if self._is_told(mail, fate)]
        if told and mail.sender:
            report = write_dsn(
                mail.content,
                sender=mail.sender,
                operator=DOMAIN,
                envelope_id=mail.envelope_id,
                fates=told,
                now=self.now(),
            )
            self._bring(mail.sender, report)
        for fate in fates:
            persona = next((one for one in self.people if one.address.lower() == fate.recipient.lower()), None)
            if fate.action == "delivered" and persona is not None and persona.reads:
                answer = write_mdn(mail.content, reader=persona.address, disposition=DISPLAYED, now=self.now())
                if answer is not None and mail.sender:
                    self._bring(mail.sender, answer)

    def deliver(self, address: str, content: bytes, return_path: str | None = HOSPITAL) -> None:
        """Put a mail into a mailbox, as if it came from another operator. Raises KeyError, MailboxFull."""
        self.store.deliver(address, content, return_path)

    def _fate(self, mail: Submitted, recipient: str) -> Fate:
        received = f"Received: from router by {DOMAIN} with ESMTPSA; {self.now():%d %b %Y %H:%M:%S +0000}\r\n"
        try:
            self.store.deliver(recipient, received.encode() + mail.content, mail.sender)
        except KeyError:
            return Fate(recipient, "failed", "5.1.1", "550 5.1.1 no such mailbox")
        except MailboxFull:
            return Fate(recipient, "failed", "5.2.2", "552 5.2.2 mailbox full")
        return Fate(recipient, "delivered", "2.0.0")

    @staticmethod
    def _is_told(mail: Submitted, fate: Fate) -> bool:
        wishes = mail.notify.get(fate.recipient, "")
        if fate.action == "failed":
            return not wishes or "FAILURE" in wishes
        return "SUCCESS" in wishes

    def _bring(self, address: str, report: bytes) -> None:
        """Deliver a report; one that cannot be delivered is dropped, as RFC 5321 section 4.5.5 asks."""
        account = self.store.account(address)
        if account is not None and account.used + len(report) <= account.quota:
            self.store.deliver(address, report, "")
