"""Reading notifications (MDN, RFC 8098) that senders ask for: sent once, after the outcome, by the operator.

What is decided is remembered before the mail leaves, so that a kill cannot make two of one: `begun` without `sent`
means that it may have left, and it is then not sent again but said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from connectors.contracts import Delivered, Outcome, Reference, ReferenceKind, Retry, Services
from connectors.mssante.heads import domain_of, within
from connectors.mssante.mailbox import Mailbox, MailboxFault
from connectors.mssante.pickup import Hand, Thread
from connectors.mssante.settings import MssanteSourceSettings
from connectors.mssante.submission import Envelope, Submission
from connectors.reporting import Reporter
from schemas.finding import Finding

ATTEMPTS = 12
"""Looks at which a notification that cannot leave is tried, before the mail is filed without."""

BEGUN, SENT = b"begun", b"sent"

Compose = Callable[[bytes, str, Finding | None, datetime], bytes | None]
"""Makes the notification of a mail (its bytes, our address, why it was refused or None, the moment), or None."""


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
        compose: Compose,
    ) -> None:
        self._name = name
        self._settings = settings
        self._services = services
        self._mailbox = mailbox
        self._thread = thread
        self._report = report
        self._compose = compose
        self._submission = Submission(settings.answers, services.now) if settings.answers is not None else None

    async def close(self) -> None:
        """Close the connections."""
        if self._submission is not None:
            await self._submission.close()

    async def settle(self, hand: Hand) -> tuple[bool, bool]:
        """Answer a mail whose outcome is known: whether nothing is left to do, and whether a notification left."""
        recipient = self._wish(hand)
        if self._submission is None or recipient is None:
            return True, False
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
            raise
        sender = (self._settings.answers or self._settings).account
        content = self._compose(original, sender, hand.rejection, self._services.now())
        if content is None:
            return True, False
        await self._services.memory.keep(key, BEGUN)
        name = Reference(ReferenceKind.ENVELOPE_ID, f"mdn-{key[4:]}")
        outcome = await self._submission.send(Envelope(sender, (recipient,), name.value, (name,)), content)
        return await self._after(outcome, key, hand)

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
            hand.attempts += 1
            if hand.attempts < ATTEMPTS:
                self._report("mssante.answer.waits", self._name, f"a reading notification waits: {outcome.detail}")
                return False, False
        self._report("mssante.answer.failed", self._name, f"a reading notification was not sent: {outcome.detail}")
        return True, False

    def _wish(self, hand: Hand) -> str | None:
        """Give who is to be told; None when nobody asks, or when it would tell a stranger (RFC 8098 section 2.1)."""
        head = hand.head
        if not head.notify or head.automatic or self._submission is None:
            return None
        [first, *more] = head.notify
        known = {author.lower() for author in head.authors}
        if head.return_path:
            known = {head.return_path.lower()}
        if more or first.lower() not in known or not within(domain_of(first), self._settings.allowed_domains):
            said = "a reading notification was asked for another address than the sender's: not sent"
            self._report("mssante.answer.elsewhere", self._name, said)
            return None
        return first
