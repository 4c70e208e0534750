"""Settings of the MSSanté source and destination: an operator's servers, who logs in, which domains may write."""

from __future__ import annotations

import re
import ssl
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, SecretStr, model_validator

from connectors.address import PeerAddress
from connectors.contracts import Settings
from connectors.tls import ClientTls
from schemas.mailboxes import is_patient_address

KIB = 1024
MIB = 1024 * KIB
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Suites of TLS 1.2 that are taken, beside those of TLS 1.3 (fact sheet mssante §2, ECO.1.1.3)."""

_INS = re.compile(r"^\d{6}[\dAB]\d{6,8}$", re.IGNORECASE)


def _mailbox_address(text: str) -> str:
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or not domain or any(mark in text.strip() for mark in " <>,;\r\n\t"):
        raise ValueError("write it as a mail address, such as resultats@ch-exemple.mssante.fr")
    if is_patient_address(text) or _INS.match(local):
        raise ValueError("this is a patient's mailbox (its address holds an INS): a router has no business in it")
    return text.strip()


def _domain(text: str) -> str:
    name = text.strip().strip(".").lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
        raise ValueError("a domain, such as mssante.fr")
    return name


MailAddress = Annotated[str, AfterValidator(_mailbox_address)]
Domain = Annotated[str, AfterValidator(_domain)]
Security = Literal["starttls", "tls"]


class _Named(ssl.SSLContext):
    """Expects the peer's certificate to bear a name that is not the host we connect to."""

    expected: str | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Wrap a socket under the expected name."""
        return super().wrap_socket(*args, **self._renamed(kwargs))

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Wrap a pair of buffers under the expected name."""
        return super().wrap_bio(*args, **self._renamed(kwargs))

    def _renamed(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**kwargs, "server_hostname": self.expected} if self.expected is not None else kwargs


class OperatorTls(ClientTls):
    """TLS towards an operator: the authorities of `ca` alone are trusted, never the system's (ECO.1.1.10)."""

    ca: Path = Field(description="Authorities of the operator (IGC-Santé root and intermediate), PEM.")

    def context(self) -> ssl.SSLContext:
        """Load the files. Raises OSError or ssl.SSLError when one cannot be read."""
        context = _Named(ssl.PROTOCOL_TLS_CLIENT)
        context.expected = self.server_name
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.load_verify_locations(self.ca)
        if self.cert is not None:
            secret = self.key_password
            context.load_cert_chain(self.cert, self.key, None if secret is None else secret.get_secret_value())
        return context


class Login(Settings):
    """How the router says who it is, once TLS is up."""

    method: Literal["password", "xoauth2", "certificate"] = Field(
        "password",
        description="`certificate`: the client certificate of `tls` is enough (SASL EXTERNAL). `xoauth2`: an access "
        "token of Pro Santé Connect. `password`: AUTH PLAIN, beside a client certificate when `tls` has one.",
    )
    user: str | None = Field(None, description="Login name; the account when absent.")
    password: SecretStr | None = Field(None, description="Password, better as `${VARIABLE}` or `${file:name}`.")
    token_file: Path | None = Field(None, description="File that holds the access token, read at each login.")
    token_command: tuple[str, ...] = Field(
        (), description="Program, with its arguments, that prints the access token; run at each login, without a shell."
    )
    token_seconds: float = Field(10.0, gt=0, description="Seconds that the program may take.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.method == "password" and self.password is None:
            raise ValueError("the method `password` needs a password")
        if self.method == "xoauth2" and (self.token_file is None) == (not self.token_command):
            raise ValueError("the method `xoauth2` needs token_file or token_command, one of them")
        return self


class Operator(Settings):
    """A server of an operator, and the mailbox with which the router logs in."""

    address: PeerAddress = Field(description="The operator's server, host:port.")
    account: MailAddress = Field(description="Address of the mailbox: an application's (APP), as a rule.")
    security: Security = Field(
        "starttls", description="`starttls` (IMAP 143, SMTP 587) or `tls` from the first byte (993, 465)."
    )
    tls: OperatorTls = Field(description="Authorities that are trusted and, for mutual TLS, our own certificate.")
    login: Login = Field(description="How to log in.")
    connect_timeout: float = Field(15.0, gt=0, description="Seconds to connect, TLS and login included.")
    answer_timeout: float = Field(120.0, gt=0, description="Seconds to wait for an answer of the server.")

    @model_validator(mode="after")
    def _certificate_is_there(self) -> Self:
        if self.login.method == "certificate" and self.tls.cert is None:
            raise ValueError("the login by certificate needs tls.cert")
        return self


class SubmissionSettings(Operator):
    """The operator's submission server, by which mails leave."""

    hostname: str = Field(
        "localhost", pattern=r"^[A-Za-z0-9.-]{1,253}$", description="Name under which the router says EHLO."
    )
    max_size: ByteSize = Field(
        ByteSize(25 * MIB),
        ge=KIB,
        description="Largest mail, encoded; the server's own limit (SIZE) applies too.",
    )
    dsn: bool = Field(True, description="Ask for delivery status notifications, where the server knows them.")
    concurrency: int = Field(4, ge=1, le=64, description="Connections kept open; each carries one mail at a time.")


class MssanteDestinationSettings(SubmissionSettings):
    """Sends mails through an operator of MSSanté, each once, with the same Message-ID at every attempt."""

    allowed_domains: tuple[Domain, ...] = Field(
        ("mssante.fr",),
        min_length=1,
        description="Domains that may be written to, with their sub-domains; a mail to another is held for a person.",
    )
    white_list: bool = Field(
        False,
        description="Whether a domain must also be in the national white list, which `[annuaire]` keeps fresh.",
    )


class MssanteSourceSettings(Operator):
    """Picks up the mails of a mailbox of MSSanté, each once, and files them by what became of them."""

    box: Literal["app", "org", "per"] = Field(
        "app",
        description="Whose mailbox it is: an application's, an organisation's or a person's. In the last two nothing "
        "is moved, flagged or answered unless `move` or `answers` say so.",
    )
    folder: str = Field("INBOX", min_length=1, description="Folder to watch.")
    move: bool | None = Field(
        None, description="Whether mails leave the folder once they are read; unset: in an application's box only."
    )
    processed_folder: str = Field("Traites", min_length=1, description="Where mails go that were read.")
    failed_folder: str = Field("Erreurs", min_length=1, description="Where mails go that were refused.")
    since: date | None = Field(
        None, description="Leave mails that arrived before this day: for a shared box that has a past."
    )
    allowed_domains: tuple[Domain, ...] = Field(
        ("mssante.fr",),
        min_length=1,
        description="Domains that may write, with their sub-domains; a mail from another is kept, shown and refused.",
    )
    white_list: bool = Field(
        False,
        description="Whether a domain must also be in the national white list, which `[annuaire]` keeps fresh.",
    )
    idle: bool = Field(True, description="Let the server tell of new mails (IMAP IDLE), where it can.")
    idle_renew: float = Field(
        1500.0, gt=0, le=1740, description="Seconds after which IDLE is begun anew; servers give up at 30 minutes."
    )
    every: float = Field(60.0, gt=0, description="Seconds between two looks without being told: tidings get lost.")
    reconnect_first: float = Field(1.0, gt=0, description="Seconds before a lost connection is made again.")
    reconnect_longest: float = Field(300.0, gt=0, description="Longest such wait; each is twice the one before.")
    spool_threshold: ByteSize = Field(
        ByteSize(MIB), ge=KIB, description="Mails larger than this are fetched in parts, onto disk."
    )
    max_mail: ByteSize = Field(
        ByteSize(64 * MIB),
        ge=KIB,
        description="Largest mail; of a larger one the beginning is kept, and it is refused.",
    )
    answers: SubmissionSettings | None = Field(
        None,
        description="Submission server by which reading notifications (MDN) that a sender asks for are answered; "
        "unset: never.",
    )
    answers_sender: Literal["null", "account"] = Field(
        "null",
        description="Envelope sender of these notifications: the null path, as RFC 8098 asks, or the account where the "
        "operator refuses that.",
    )
    answers_nil: str = Field(
        "", pattern=r"^[A-Za-z0-9._/-]{0,64}$", description="Reference number of the product (X-MSS-NIL) they bear."
    )
    answers_legacy: bool = Field(
        False, description="Write errors as before guide 1.1.3, inside `Disposition`: for senders that read no other."
    )

    @property
    def moves(self) -> bool:
        """Whether mails leave the folder."""
        return self.box == "app" if self.move is None else self.move

    @model_validator(mode="after")
    def _folders_differ(self) -> Self:
        if len({self.folder, self.processed_folder, self.failed_folder}) < 3:
            raise ValueError("folder, processed_folder and failed_folder are three different folders")
        return self
