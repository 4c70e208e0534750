"""Submission of mails to an operator: a pool of SMTP connections, and what each answer means for a mail.

    line 1   connect · TLS · EHLO · AUTH        a trouble here is the operator's, not the mail's: Retry, not reached
    line 2   MAIL FROM · RCPT TO (each)         any refusal: nothing is sent to anybody
    line 3   DATA … 250                         cut here, the mail may have left: Retry that tells its references

Answers of a server may repeat an address, and a patient's address holds an INS: only their codes are said.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import aiosmtplib

from connectors.address import parse_address
from connectors.certificates import Certificate, CertificateTrouble, read_certificate
from connectors.contracts import Delivered, Outcome, Reference, Refused, Retry
from connectors.mssante.settings import SubmissionSettings
from connectors.mssante.tokens import TokenFault, read_token

_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
MEANINGS = {
    "1.1": "there is no such mailbox",
    "1.2": "there is no such domain",
    "1.3": "the recipient's address is malformed",
    "1.6": "the mailbox has moved",
    "2.1": "the mailbox is closed",
    "2.2": "the mailbox is full",
    "2.3": "the mail is too large",
    "3.4": "the mail is too large",
    "7.1": "the operator does not allow it",
    "7.8": "the login was refused",
}
"""What enhanced status codes mean (RFC 3463), without their first digit."""

SERVICE_UNAVAILABLE = 421
LOGIN_WANTED = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends, to whom, under which envelope id; `references` are the names under which the mail may be reported."""

    sender: str
    recipients: tuple[str, ...]
    envelope_id: str
    references: tuple[Reference, ...] = ()


class Unreachable(Exception):
    """No connection that can be used; the sentence says why."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Submission:
    """One submission server. Safe to use from many tasks; at most `concurrency` mails are under way."""

    def __init__(self, settings: SubmissionSettings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._address = parse_address(settings.address)
        self._free = asyncio.Semaphore(settings.concurrency)
        self._idle: list[aiosmtplib.SMTP] = []
        self._open: set[aiosmtplib.SMTP] = set()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def send(self, envelope: Envelope, content: bytes) -> Outcome:
        """Send a mail once, exactly these bytes. Never raises for what the server or the network did."""
        async with self._free:
            while (line := self._take_idle()) is not None:
                outcome = await self._tried(line, envelope, content, fresh=False)
                if outcome is not None:
                    return outcome
            try:
                line = await self._connect()
            except Unreachable as failure:
                return Retry(failure.reason, reached=False)
            outcome = await self._tried(line, envelope, content, fresh=True)
            return outcome or Retry("the operator closed the connection", reached=False)

    async def reach(self) -> None:
        """Connect and log in, and keep the connection for the next mail. Raises Unreachable."""
        async with self._free:
            self._idle.append(await self._connect())

    async def close(self) -> None:
        """Close the connections; a later mail would open new ones."""
        self._idle.clear()
        for line in list(self._open):
            self._drop(line)
        await asyncio.sleep(0)  # the loop lets go of the sockets

    # --- connections ----------------------------------------------------------------------------------------------

    def _take_idle(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            line = self._idle.pop()
            if line.is_connected:
                return line
            self._drop(line)
        return None

    def _drop(self, line: aiosmtplib.SMTP) -> None:
        _cut(line)
        self._open.discard(line)

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        self._check_certificate()
        line: aiosmtplib.SMTP | None = None
        try:
            context = await asyncio.to_thread(settings.tls.context)
        except (OSError, ssl.SSLError, ValueError) as failure:
            said = f"the certificates cannot be loaded ({type(failure).__name__})"
            raise Unreachable(said, "mssante.certificate.unusable") from None
        try:
            async with asyncio.timeout(settings.connect_timeout):
                line = aiosmtplib.SMTP(
                    hostname=self._address.host,
                    port=self._address.port,
                    local_hostname=settings.hostname,
                    timeout=settings.answer_timeout,
                    use_tls=settings.security == "tls",
                    start_tls=False,
                    tls_context=context,
                )
                await line.connect()
                if settings.security == "starttls":
                    await line.ehlo()
                    if not line.supports_extension("starttls"):
                        raise Unreachable("the operator's server offers no STARTTLS", "mssante.tls.refused")
                    await line.starttls(tls_context=context)
                await line.ehlo()
                await self._log_in(line)
                await line.ehlo()  # what the server can do may depend on who asks: DSN, SIZE
        except BaseException as failure:
            if line is not None:
                _cut(line)
            if isinstance(failure, Exception):
                raise _unreachable(failure, settings.connect_timeout) from None
            raise
        self._open.add(line)
        return line

    def _check_certificate(self) -> None:
        path = self._settings.tls.cert
        if path is None:
            return
        found = read_certificate(path)
        trouble = found.trouble(self._now()) if isinstance(found, Certificate) else found
        if trouble is not None and trouble is not CertificateTrouble.EXPIRING:
            raise Unreachable(
                f"our certificate cannot be used ({trouble.value})", f"mssante.certificate.{trouble.value}"
            )

    async def _log_in(self, line: aiosmtplib.SMTP) -> None:
        login = self._settings.login
        user = login.user or self._settings.account
        methods = line.supported_auth_methods
        if login.method == "xoauth2":
            await line.auth_xoauth2(user, await asyncio.to_thread(read_token, login))
        elif login.method == "certificate":
            said = base64.b64encode(user.encode())
            response = await line.execute_command(b"AUTH", b"EXTERNAL", said)
            if response.code != aiosmtplib.SMTPStatus.auth_successful:
                raise aiosmtplib.SMTPAuthenticationError(response.code, response.message)
        elif login.password is not None:
            secret = login.password.get_secret_value()
            if "login" in methods and "plain" not in methods:
                await line.auth_login(user, secret)
            else:
                await line.auth_plain(user, secret)

    # --- one mail -------------------------------------------------------------------------------------------------

    async def _tried(self, line: aiosmtplib.SMTP, envelope: Envelope, content: bytes, *, fresh: bool) -> Outcome | None:
        """Send over a connection; None when it had been closed meanwhile, and nothing was sent."""
        begun = False
        try:
            refused = await self._announce(line, envelope, content)
            if refused is not None:
                if isinstance(refused, Retry) and not refused.reached:
                    self._drop(line)
                else:
                    await line.rset()
                    self._idle.append(line)
                return refused
            begun = True
            response = await line.data(content)
        except aiosmtplib.SMTPResponseException as failure:
            self._drop(line)
            return _judged(failure.code, failure.message, "the mail")
        except aiosmtplib.SMTPTimeoutError:
            self._drop(line)
            return self._unknown(envelope, begun, "did not answer in time")
        except (OSError, aiosmtplib.SMTPException):
            self._drop(line)
            return self._unknown(envelope, begun, "broke the connection") if begun or fresh else None
        except BaseException:
            self._drop(line)
            raise
        self._idle.append(line)
        answer = f"{response.code} {response.message}".encode("utf-8", "replace")
        return Delivered("taken by the operator", answer, references=envelope.references)

    async def _announce(self, line: aiosmtplib.SMTP, envelope: Envelope, content: bytes) -> Outcome | None:
        """Say who writes to whom; gives what stands against it. A refused recipient stops the mail for all."""
        limit = _limit(line)
        if limit and len(content) > limit:
            return Refused(f"the mail has {len(content)} bytes, and the operator takes {limit} at most")
        eight_bit = not content.isascii()
        if eight_bit and not line.supports_extension("8bitmime"):
            return Refused("the mail holds 8-bit characters, and the operator's server takes none")
        options = [f"SIZE={len(content)}"] if line.supports_extension("size") else []
        options += ["BODY=8BITMIME"] if eight_bit else []
        dsn = self._settings.dsn and line.supports_extension("dsn")
        if dsn:
            options += ["RET=HDRS", f"ENVID={_xtext(envelope.envelope_id)}"]
        refusals: list[Outcome] = []
        try:
            await line.mail(envelope.sender, options=options)
        except aiosmtplib.SMTPSenderRefused as failure:
            return _judged(failure.code, failure.message, "the sender")
        for recipient in envelope.recipients:
            wishes = ["NOTIFY=SUCCESS,FAILURE,DELAY", f"ORCPT=rfc822;{_xtext(recipient)}"] if dsn else []
            try:
                await line.rcpt(recipient, options=wishes)
            except aiosmtplib.SMTPRecipientRefused as failure:
                refusals.append(_judged(failure.code, failure.message, "the recipient"))
                if failure.code == SERVICE_UNAVAILABLE:
                    break
        if not refusals:
            return None
        worst = next((one for one in refusals if isinstance(one, Refused)), refusals[0])
        if len(envelope.recipients) == 1:
            return worst
        count = f"{len(refusals)} of {len(envelope.recipients)} recipients were refused, nothing was sent"
        if isinstance(worst, Refused):
            return Refused(f"{count}: {worst.detail}", worst.answer)
        return worst if not isinstance(worst, Retry) else Retry(f"{count}: {worst.detail}", worst.answer)

    @staticmethod
    def _unknown(envelope: Envelope, begun: bool, what: str) -> Retry:
        if begun:
            said = f"the operator {what} after the mail was sent: it may have it, the next attempt has the same name"
            return Retry(said, references=envelope.references)
        return Retry(f"the operator {what}", reached=False)


def _cut(line: aiosmtplib.SMTP) -> None:
    """Close a connection at once: a farewell under TLS would wait for the other end."""
    transport = line.transport
    line.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _limit(line: aiosmtplib.SMTP) -> int:
    said = line.esmtp_extensions.get("size", "").strip()
    return int(said) if said.isascii() and said.isdigit() else 0


def _judged(code: int, message: str, what: str) -> Outcome:
    """Say what an answer of the server means for a mail."""
    found = _ENHANCED.search(message)
    enhanced = found.group(1) if found else ""
    meaning = MEANINGS.get(enhanced.partition(".")[2], "")
    answer = f"{code} {message}".encode("utf-8", "replace")
    said = (
        f"{what} was refused ({' '.join(str(part) for part in (code, enhanced) if part)}){meaning and ': ' + meaning}"
    )
    if code == SERVICE_UNAVAILABLE:
        return Retry(f"the operator's service is not available ({code})", answer, reached=False)
    if code in LOGIN_WANTED:
        return Retry(f"the operator wants another login ({code})", answer, reached=False)
    if 500 <= code < 600:
        return Refused(said, answer)
    if 400 <= code < 500:
        return Retry(said, answer)
    return Retry(f"the operator's answer makes no sense ({code})", answer)


def _unreachable(failure: Exception, seconds: float) -> Unreachable:
    if isinstance(failure, Unreachable):
        return failure
    if isinstance(failure, TokenFault):
        return Unreachable(str(failure), "mssante.token.missing")
    if isinstance(failure, aiosmtplib.SMTPAuthenticationError):
        return Unreachable(f"the login was refused ({failure.code})", "mssante.login.refused")
    if isinstance(failure, aiosmtplib.SMTPResponseException):
        return Unreachable(f"the operator's server turned us away ({failure.code})", "mssante.server.unavailable")
    tls = tls_trouble(failure)
    if tls:
        return Unreachable(tls, "mssante.tls.refused")
    if isinstance(failure, TimeoutError):
        return Unreachable(f"no connection within {seconds:g} s", "mssante.server.unreachable")
    if isinstance(failure, OSError) and failure.strerror:
        return Unreachable(f"cannot connect: {failure.strerror}", "mssante.server.unreachable")
    return Unreachable(f"cannot connect ({type(failure).__name__})", "mssante.server.unreachable")


def tls_trouble(failure: BaseException) -> str:
    """Say what TLS had against the connection, "" when it was not TLS."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not accepted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"TLS was refused ({(cause.reason or type(cause).__name__).lower().replace('_', ' ')})"
        cause = cause.__cause__ or cause.__context__
    return ""


def _xtext(text: str) -> str:
    """Encode as RFC 3461 section 4 asks."""
    return "".join(
        chr(byte) if 33 <= byte <= 126 and byte not in (43, 61) else f"+{byte:02X}" for byte in text.encode("utf-8")
    )
