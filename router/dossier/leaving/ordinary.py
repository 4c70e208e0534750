"""Notices on ordinary channels (mail, SMS by a gateway's webhook): that there is a message, and nothing else.

No name, no event, no health data, and nothing in a subject. A sending is repeated with the same Message-ID or key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib
import httpx

from connectors.http.destination import sign
from mappings.uuids import uuid5_text
from router.config.model import AlertsSection
from router.dossier.leaving.channels import pass_on, try_again
from router.dossier.queue import Due, due_within, ordinary_text, settle_within
from router.journal.operations import Change
from router.journal.unit import Unit
from schemas.actors import Telecom
from schemas.circle import Channel, Member

SECONDS = 15.0
AT_ONCE = 8
_NAMESPACE = bytes.fromhex("5061737365726c6c6580000000000019")
_KINDS = {Channel.EMAIL: ("email",), Channel.SMS: ("mobile", "phone")}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one sending: an empty `trouble` is that it was taken; `final` that trying again is of no use."""

    due: Due
    trouble: str = ""
    final: bool = False


class Ordinary:
    """Sends notices by ordinary mail and SMS. `transport` stands for the network in tests."""

    def __init__(
        self,
        section: AlertsSection,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        send_mail: Callable[..., object] = aiosmtplib.send,
    ) -> None:
        self._section = section
        self._transport = transport
        self._send_mail = send_mail

    def take(self, now: int) -> Change[list[Due]]:
        """Take what is due; who has no address, or where the channel is not configured, is told otherwise."""

        def change(unit: Unit) -> list[Due]:
            due, _ = due_within(unit, (Channel.EMAIL, Channel.SMS), now=now)
            found = []
            for one in due:
                why = self._refusal(one)
                if why:
                    pass_on(unit, one, why, now=now)
                else:
                    found.append(one)
            return _first_each(found)

        return Change(change, note="ordinary notices")

    async def send(self, those: Sequence[Due], now: datetime) -> list[Outcome]:
        """Send them; never raises for what the network or a server did."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(due: Due) -> Outcome:
            async with room:
                return await self._one(due, now)

        return list(await asyncio.gather(*(one(due) for due in those)))

    def settle(self, outcomes: Sequence[Outcome], now: int) -> Change[None]:
        """Keep what came of them."""

        def change(unit: Unit) -> None:
            for one in outcomes:
                if not one.trouble:
                    settle_within(unit, one.due.id, "sent", now=now)
                elif one.final:
                    pass_on(unit, one.due, one.trouble, now=now)
                else:
                    try_again(unit, one.due, one.trouble, now=now)

        return Change(change, note="ordinary notices")

    def _refusal(self, one: Due) -> str:
        if one.channel is Channel.EMAIL and not self._section.mail_server:
            return "no_mail_server"
        if one.channel is Channel.SMS and self._section.sms_webhook is None:
            return "no_gateway"
        return "" if address_of(one.member, one.channel) else "no_address"

    async def _one(self, due: Due, now: datetime) -> Outcome:
        try:
            await (self._mail(due, now) if due.channel is Channel.EMAIL else self._text(due, now))
        except aiosmtplib.SMTPResponseException as refused:
            return Outcome(due, f"the mail server answered {refused.code}", final=refused.code >= 500)
        except aiosmtplib.SMTPRecipientsRefused:
            return Outcome(due, "the mail server refuses the recipient", final=True)
        except httpx.HTTPStatusError as refused:
            status = refused.response.status_code
            final = 400 <= status < 500 and status not in {401, 403, 408, 425, 429}
            return Outcome(due, f"the SMS gateway answered HTTP {status}", final=final)
        except (aiosmtplib.SMTPException, httpx.HTTPError, OSError, TimeoutError) as problem:
            return Outcome(due, f"it cannot be sent ({type(problem).__name__})")
        return Outcome(due)

    async def _mail(self, due: Due, now: datetime) -> None:
        section = self._section
        subject, text = ordinary_text(section.language)
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"], mail["To"] = section.mail_from, address_of(due.member, Channel.EMAIL)
        mail["Subject"] = subject
        mail["Date"] = format_datetime(now)
        domain = section.mail_from.rpartition("@")[2] or "passerelle.invalid"
        mail["Message-ID"] = f"<{key_of(due)}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text + "\n")
        host, _, port = section.mail_server.partition(":")
        sending = self._send_mail(
            mail,
            hostname=host,
            port=int(port or 25),
            username=section.mail_user or None,
            password=section.mail_password.get_secret_value() if section.mail_password is not None else None,
            timeout=SECONDS,
        )
        await sending  # type: ignore[misc]

    async def _text(self, due: Due, now: datetime) -> None:
        body = json.dumps(
            {"to": address_of(due.member, Channel.SMS), "text": ordinary_text(self._section.language)[1]},
            ensure_ascii=False,
        ).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key_of(due)}
        if self._section.sms_secret is not None:
            secret, former = self._section.sms_secret.get_secret_value(), self._section.former_sms_secret
            headers["X-Passerelle-Signature"] = sign(body, secret, int(now.timestamp()), former=former)
        async with httpx.AsyncClient(timeout=SECONDS, transport=self._transport, follow_redirects=False) as client:
            answer = await client.post(str(self._section.sms_webhook), content=body, headers=headers)
            if not answer.is_success:
                raise httpx.HTTPStatusError(f"HTTP {answer.status_code}", request=answer.request, response=answer)


def _first_each(due: Sequence[Due]) -> list[Due]:
    """Give the first of each member and channel: the next ones go once it has, so that none overtakes it."""
    return list({(one.member_id, one.channel): one for one in reversed(due)}.values())


def key_of(due: Due) -> str:
    """Name a notice: the same at each attempt."""
    return uuid5_text(_NAMESPACE, f"notice/{due.id}")


def address_of(member: Member, channel: Channel) -> str:
    """Give the member's address for an ordinary channel; empty when none is known. A mailbox of MSSanté is none."""
    telecoms: tuple[Telecom, ...] = ()
    for party in (member.professional, member.relative, member.organization):
        telecoms += party.telecoms if party is not None else ()
    for kind in _KINDS[channel]:
        for one in telecoms:
            if one.kind == kind and "mssante" not in one.value.lower():
                return one.value.strip()
    return ""
