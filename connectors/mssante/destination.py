"""Sends mails through an operator of MSSanté: exactly the bytes of the parcel, the envelope from their head."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.contracts import Delivered, Hold, Outcome, Parcel, Reference, ReferenceKind, Refused, Retry, Services
from connectors.mssante.domains import Domains
from connectors.mssante.heads import read_head
from connectors.mssante.settings import MssanteDestinationSettings
from connectors.mssante.submission import Envelope, Submission
from schemas.finding import Finding, Severity
from schemas.mailboxes import domain_of

LONGEST_LINE = 998
"""Bytes of a line without its end (RFC 5321 section 4.5.3.1.6): servers cut longer ones, which changes the mail."""

_TOO_LONG = re.compile(rb"[^\n]{%d}" % (LONGEST_LINE + 2))


@dataclass(frozen=True, slots=True)
class _Unfit:
    """Why a mail cannot be sent as it is."""

    reason: str


class MssanteDestination:
    """One operator. Every attempt sends the same bytes, and so the same Message-ID.

    `Delivered` says that the operator has the mail; whether the recipient has it is told by notifications (DSN, MDN)
    that come back to a mailbox, and find the Delivery by its references.
    """

    def __init__(self, name: str, settings: MssanteDestinationSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._domains = Domains(settings, services)
        self._submission = Submission(settings, services.now)
        services.health.state = "ready"
        services.health.figures.update({"connections": 0, "sent": 0, "refused": 0, "held": 0, "unknown": 0})

    async def send(self, parcel: Parcel) -> Outcome:
        """Send once. Never raises for what the operator or the network did."""
        prepared = self._prepared(parcel)
        if isinstance(prepared, _Unfit):
            self._count("refused")
            return Refused(prepared.reason)
        outside = [one for one in prepared.recipients if not self._domains.allow(domain_of(one))]
        if outside and not parcel.insisted:
            self._count("held")
            return Hold("a recipient is outside the domains that may be written to", findings=(_outside(outside),))
        outcome = await self._submission.send(prepared, parcel.content)
        self._note(outcome)
        return outcome

    async def close(self) -> None:
        """Close the connections."""
        await self._submission.close()
        self._services.health.figures["connections"] = 0

    def _prepared(self, parcel: Parcel) -> Envelope | _Unfit:
        content = parcel.content
        if parcel.attachments:
            return _Unfit("a mail carries its files within, not beside")
        limit = int(self._settings.max_size)
        if len(content) > limit:
            return _Unfit(f"the mail has {len(content)} bytes, and `max_size` allows {limit}")
        ends = content.count(b"\r\n")
        if not (ends == content.count(b"\n") == content.count(b"\r")) or not content.endswith(b"\r\n"):
            return _Unfit("the lines of the mail do not all end with CR LF: it could not be sent byte for byte")
        if _TOO_LONG.search(content):
            return _Unfit(f"a line of the mail is longer than {LONGEST_LINE} bytes")
        head = read_head(content)
        if len(head.authors) != 1:
            return _Unfit("the mail must name one sender in From")
        if not head.recipients:
            return _Unfit("the mail names no recipient")
        if not head.message_id:
            return _Unfit("the mail has no Message-ID: a repetition could not be recognised")
        if not all(one.isascii() for one in (*head.authors, *head.recipients)):
            return _Unfit("an address of the mail holds characters that mail addresses of MSSanté do not have")
        references = (
            Reference(ReferenceKind.MESSAGE_ID, head.message_id),
            Reference(ReferenceKind.ENVELOPE_ID, parcel.identity),
        )
        return Envelope(head.authors[0], head.recipients, parcel.identity, references)

    def _note(self, outcome: Outcome) -> None:
        health = self._services.health
        health.figures["connections"] = self._submission.connections
        match outcome:
            case Delivered():
                health.state, health.detail = "connected", ""
                health.figures["last_sent"] = self._services.now().isoformat(timespec="seconds")
                self._count("sent")
            case Refused():
                self._count("refused")
            case Retry(reached=False):
                health.state, health.detail = "unreachable", outcome.detail
            case Retry() if outcome.references:
                self._count("unknown")

    def _count(self, figure: str) -> None:
        figures = self._services.health.figures
        figures[figure] = int(figures[figure]) + 1


def _outside(addresses: list[str]) -> Finding:
    domains = ", ".join(sorted({domain_of(one) or "?" for one in addresses}))
    return Finding(
        severity=Severity.ERROR,
        code="mssante.recipient.outside",
        where="To",
        message=f"the domain {domains} may not be written to (`allowed_domains`, `white_list`): "
        "correct the address, or send it all the same",
    )
