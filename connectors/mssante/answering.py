"""Reading notifications (MDN, RFC 8098) that senders ask for: sent once, after the outcome, by the operator.

What is decided is remembered before the mail leaves, so that a kill cannot make two of one: `begun` without `sent`
means that it may have left, and it is then not sent again but said.
"""

from __future__ import annotations

import asyncio
import hashlib

from connectors.contracts import Delivered, Inbox, Outcome, Reference, ReferenceKind, Retry, Services
from connectors.mssante.domains import Domains
from connectors.mssante.mailbox import Mailbox, MailboxFault
from connectors.mssante.pickup import Hand, Thread
from connectors.mssante.settings import MssanteSourceSettings
from connectors.mssante.submission import Envelope, Submission
from connectors.reporting import Reporter
from mappings.mail.mdn import Failure, Mdn, NoMdn, write_mdn

ATTEMPTS = 12
"""Looks at which a notification that cannot leave is tried, before the mail is filed without."""

BEGUN, SENT = b"begun", b"sent"

CODES = {
    "mail.ins.missing": "903",
    "cda.ins.traits": "904",
    "cda.ins.withheld": "905",
    "xdm.ins.withheld": "905",
}
"""Codes of the guide (ERR-5) by the code of the finding for which a mail was refused; any other is 906."""


class Answering:
    """Answers the mails of one source, when its settings say by which server."""

    def __init__(
        self,
        name: str,
        settings: MssanteSourceSettings,
        services: Services,
        mailbox: Mailbox,
        thread: Thread,
        report: Reporter,
    ) -> None:
        self._name = name
        self._settings = settings
        self._services = services
        self._mailbox = mailbox
        self._thread = thread
        self._report = report
        self._domains = Domains(settings, services)
        self._submission = Submission(settings.answers, services.now) if settings.answers is not None else None

    async def close(self) -> None:
        """Close the connections."""
        if self._submission is not None:
            await self._submission.close()

    async def settle(self, inbox: Inbox, hand: Hand) -> tuple[bool, bool]:
        """Answer a mail whose outcome is known: whether nothing is left to do, and whether a notification left."""
        settings = self._settings.answers
        if self._submission is None or settings is None or not hand.head.notify or hand.refused_at_the_door:
            return True, False
        if hand.rejection is None and await inbox.held(hand.receipt):
            return False, False  # a person decides: neither success nor failure would be true
        key = "mdn/" + hashlib.sha256(hand.control_id.encode()).hexdigest()[:32]
        kept = await self._services.memory.recall(key)
        if kept == SENT:
            return True, False
        if kept == BEGUN:
            said = "a reading notification was being sent when the router was killed: it is not sent again"
            self._report("mssante.answer.unknown", self._name, said)
            return True, False
        try:
            original = await self._thread(self._mailbox.fetch, hand.uid)
        except MailboxFault as fault:
            if fault.kind == "gone":
                return True, False
            if fault.kind != "refused":
                raise
            return self._later(hand, fault.sentence), False
        mdn = await asyncio.to_thread(self._write, original, key, hand)
        if isinstance(mdn, NoMdn):
            if mdn is not NoMdn.REPORT:
                said = f"the sender of a mail asked for a reading notification that may not be sent ({mdn.value})"
                self._report("mssante.answer.not_allowed", self._name, said)
            return True, False
        await self._services.memory.keep(key, BEGUN)
        sender = "" if self._settings.answers_sender == "null" else settings.account
        name = Reference(ReferenceKind.ENVELOPE_ID, key.replace("/", "-"))
        outcome = await self._submission.send(Envelope(sender, (mdn.recipient,), name.value, (name,)), mdn.content)
        return await self._after(outcome, key, hand)

    def _write(self, original: bytes, key: str, hand: Hand) -> Mdn | NoMdn:
        """Write the notification; the same mail gives the same one, Message-ID included."""
        settings = self._settings.answers or self._settings
        rejection = hand.rejection
        return write_mdn(
            original,
            mailbox=settings.account,
            identity=key,
            now=self._services.now(),
            allowed=self._domains.allow,
            failure=None if rejection is None else Failure(CODES.get(rejection.code, "906")),
            nil=self._settings.answers_nil,
            legacy=self._settings.answers_legacy,
        )

    async def _after(self, outcome: Outcome, key: str, hand: Hand) -> tuple[bool, bool]:
        if isinstance(outcome, Delivered):
            await self._services.memory.keep(key, SENT)
            try:
                await self._thread(self._mailbox.mark_answered, hand.uid)
            except MailboxFault as fault:
                if fault.kind != "refused":
                    raise
            return True, True
        if isinstance(outcome, Retry) and not outcome.references:
            # It did not leave: it may be tried again without making two of it.
            await self._services.memory.keep(key, None)
            return self._later(hand, outcome.detail), False
        return self._given_up(outcome.detail), False

    def _later(self, hand: Hand, why: str) -> bool:
        """Try again at the next look; gives True when that was the last time."""
        hand.attempts += 1
        if hand.attempts >= ATTEMPTS:
            return self._given_up(why)
        self._report("mssante.answer.waits", self._name, f"a reading notification waits: {why}")
        return False

    def _given_up(self, why: str) -> bool:
        self._report("mssante.answer.failed", self._name, f"a reading notification was not sent: {why}")
        return True
