"""Telling people of alarms: by webhook and by mail, in their language, without health data.

An alarm counts as told when one way took it; a way that fails is a notice, and is tried again at the next round as long
as no other way took it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
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


class Teller:
    """Sends alarms the ways that the configuration names. `title` says which router speaks."""

    def __init__(
        self,
        section: WatchSection,
        *,
        zone: ZoneInfo,
        title: str = "Passerelle",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._section = section
        self._zone = zone
        self._title = title
        self._transport = transport

    @property
    def ways(self) -> list[tuple[str, Callable[[Sequence[Alarm], datetime], Awaitable[None]]]]:
        """The configured ways, by name."""
        found: list[tuple[str, Callable[[Sequence[Alarm], datetime], Awaitable[None]]]] = []
        if self._section.webhook is not None:
            found.append(("webhook", self._post))
        if self._section.mail_to:
            found.append(("mail", self._mail))
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
            secret = self._section.webhook_secret.get_secret_value()
            headers["X-Passerelle-Signature"] = sign(body, secret, int(now.timestamp()))
        async with httpx.AsyncClient(timeout=SECONDS, transport=self._transport, follow_redirects=False) as client:
            answer = await client.post(str(self._section.webhook), content=body, headers=headers)
            if not answer.is_success:
                raise httpx.HTTPStatusError(f"HTTP {answer.status_code}", request=answer.request, response=answer)

    async def _mail(self, alarms: Sequence[Alarm], now: datetime) -> None:
        section, lines = self._section, self.lines(alarms, now)
        texts = Texts.of(section.language)
        mail = EmailMessage()
        mail["From"], mail["To"] = section.mail_from, ", ".join(section.mail_to)
        subject = texts.say("alarm.subject", count=len(lines), first=lines[0])
        mail["Subject"] = " ".join(f"[{self._title}] {subject.unescape()}".split())[:200]
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = make_msgid(domain=section.mail_from.rpartition("@")[2] or "passerelle.invalid")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n\n".join(lines) + "\n")
        host, _, port = section.mail_server.partition(":")
        await aiosmtplib.send(
            mail,
            hostname=host,
            port=int(port or 25),
            username=section.mail_user or None,
            password=section.mail_password.get_secret_value() if section.mail_password is not None else None,
            timeout=SECONDS,
        )
