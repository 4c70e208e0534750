"""Telling people of alarms: by webhook and by mail, in their language, without health data.

An alarm counts as told when one way took it; a way that fails is a notice, and is tried again at the next round as long
as no other way took it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from zoneinfo import ZoneInfo

import aiosmtplib
import httpx

from connectors.http.destination import sign
from router.config.model import WatchSection
from router.engine.clock import micros, moment
from router.watch.alarms import Alarm
from router.watch.sentences import sentence
from router.web.formatting import Formats
from router.web.texts import Texts

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling: how many ways took it, and for each that did not, a sentence."""

    ways: int
    troubles: tuple[str, ...]


Post = Callable[[bytes], Awaitable[str]]
"""Sends one mail by MSSanté; gives an empty text, or why it was not taken."""


def alarm_ways(section: WatchSection) -> tuple[str, ...]:
    """Name the ways that a configuration gives: `webhook`, `mail`, `mssante`."""
    ways = {"webhook": section.webhook is not None, "mail": section.mail_to, "mssante": section.mssante_to}
    return tuple(name for name, there in ways.items() if there)


class Teller:
    """Sends alarms the ways that the configuration names. `title` says which router speaks.

    `post` sends by MSSanté from the address `mssante_from`.
    """

    def __init__(
        self,
        section: WatchSection,
        *,
        zone: ZoneInfo,
        title: str = "Passerelle",
        post: Post | None = None,
        mssante_from: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._section = section
        self._zone = zone
        self._title = title
        self._post_mail = post
        self._mssante_from = mssante_from
        self._transport = transport

    @property
    def ways(self) -> list[tuple[str, Callable[[Sequence[Alarm], datetime], Awaitable[None]]]]:
        """The configured ways, by name."""
        found: list[tuple[str, Callable[[Sequence[Alarm], datetime], Awaitable[None]]]] = []
        if self._section.webhook is not None:
            found.append(("webhook", self._post))
        if self._section.mail_to:
            found.append(("mail", self._mail))
        if self._section.mssante_to and self._post_mail is not None:
            found.append(("MSSanté", self._mssante))
        return found

    async def tell(self, alarms: Sequence[Alarm], now: datetime) -> Told:
        """Tell of these alarms together, by every way."""
        took, troubles = 0, []
        for name, way in self.ways:
            try:
                await way(alarms, now)
                took += 1
            except (httpx.HTTPError, aiosmtplib.SMTPException, OSError, TimeoutError) as problem:
                troubles.append(f"alarms cannot be sent by {name} ({type(problem).__name__}): they are tried again")
        return Told(took, tuple(troubles))

    def lines(self, alarms: Sequence[Alarm], now: datetime) -> list[str]:
        """Write each alarm as one plain sentence."""
        formats = Formats(Texts.of(self._section.language), self._zone, micros(now))
        return [sentence(alarm, formats).striptags() for alarm in alarms]

    async def _post(self, alarms: Sequence[Alarm], now: datetime) -> None:
        told = [
            {
                "id": alarm.id,
                "kind": alarm.kind.value,
                "subject": alarm.subject,
                "opened_at": moment(alarm.opened_at).isoformat(),
                "facts": dict(alarm.facts),
                "sentence": line,
            }
            for alarm, line in zip(alarms, self.lines(alarms, now), strict=True)
        ]
        body = json.dumps({"router": self._title, "alarms": told}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        if self._section.webhook_secret is not None:
            secret, former = self._section.webhook_secret.get_secret_value(), self._section.former_webhook_secret
            headers["X-Passerelle-Signature"] = sign(body, secret, int(now.timestamp()), former=former)
        async with httpx.AsyncClient(timeout=SECONDS, transport=self._transport, follow_redirects=False) as client:
            answer = await client.post(str(self._section.webhook), content=body, headers=headers)
            if not answer.is_success:
                raise httpx.HTTPStatusError(f"HTTP {answer.status_code}", request=answer.request, response=answer)

    def _written(self, alarms: Sequence[Alarm], now: datetime, sender: str, recipients: Sequence[str]) -> EmailMessage:
        lines = self.lines(alarms, now)
        subject = Texts.of(self._section.language).say("alarm.subject", count=len(lines), first=lines[0])
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"], mail["To"] = sender, ", ".join(recipients)
        mail["Subject"] = " ".join(f"[{self._title}] {subject.unescape()}".split())[:200]
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "passerelle.invalid")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n\n".join(lines) + "\n")
        return mail

    async def _mail(self, alarms: Sequence[Alarm], now: datetime) -> None:
        section = self._section
        host, _, port = section.mail_server.partition(":")
        await aiosmtplib.send(
            self._written(alarms, now, section.mail_from, section.mail_to),
            hostname=host,
            port=int(port or 25),
            username=section.mail_user or None,
            password=section.mail_password.get_secret_value() if section.mail_password is not None else None,
            timeout=SECONDS,
        )

    async def _mssante(self, alarms: Sequence[Alarm], now: datetime) -> None:
        assert self._post_mail is not None  # noqa: S101 - the way is offered only then
        for recipient in self._section.mssante_to:
            refused = await self._post_mail(bytes(self._written(alarms, now, self._mssante_from, (recipient,))))
            if refused:
                raise OSError(refused)
