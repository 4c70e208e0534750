"""A mail's way from the mailbox to the journal: fetched whole or in parts, recognised, submitted, or refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from connectors.contracts import Inbound, Inbox, Receipt, Refusal, Services
from connectors.mssante.domains import Domains
from connectors.mssante.doubles import Doubles
from connectors.mssante.heads import HEAD, Head, read_head
from connectors.mssante.mailbox import Mailbox, MailboxFault, Waiting
from connectors.mssante.settings import MssanteSourceSettings
from connectors.reporting import Reporter
from connectors.spool import SpoolFile
from schemas.finding import Finding, Severity
from schemas.mailboxes import domain_of

P = ParamSpec("P")
R = TypeVar("R")

EXCERPT = 256 * 1024
"""Bytes kept of a mail that is too large."""

PATIENCE = 3
"""Times that the fetch of one mail may be refused by the server before the mail is set aside."""


class Thread:
    """The one thread that talks to the mailbox, seen from the event loop."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"mssante-{name}")

    async def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function there."""
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class Hand:
    """A mail that the journal has. `concluded` once it was read: `rejection` says why it was refused, if it was.

    `refused_at_the_door` when we refused it without reading: it is then not answered.
    """

    uid: int
    control_id: str
    head: Head
    receipt: Receipt
    rejection: Finding | None = None
    concluded: bool = False
    attempts: int = 0
    notified: bool = False
    refused_at_the_door: bool = False


@dataclass(slots=True)
class _Fetched:
    content: bytes | Path
    head: Head
    digest: bytes
    size: int


class Pickup:
    """Takes mails of one source, one at a time."""

    def __init__(
        self,
        settings: MssanteSourceSettings,
        services: Services,
        mailbox: Mailbox,
        thread: Thread,
        report: Reporter,
        where: str,
    ) -> None:
        self._settings = settings
        self._services = services
        self._mailbox = mailbox
        self._thread = thread
        self._report = report
        self._where = where
        self._doubles = Doubles(services.memory)
        self._domains = Domains(settings, services)
        self._failures: dict[int, int] = {}

    async def take(self, inbox: Inbox, mail: Waiting) -> Hand:
        """Submit one mail. Raises NotAccepted from the inbox, MailboxFault from the mailbox, OSError from the disk."""
        spool: SpoolFile | None = None
        if int(self._settings.spool_threshold) < mail.size <= int(self._settings.max_mail):
            spool = SpoolFile(inbox.spool())
        try:
            fetched, refusal = await self._fetch(mail, spool)
            refusal = refusal or self._refusal(fetched)
            settings = self._settings
            control_id = f"{settings.account}/{settings.folder}/{self._mailbox.validity}/{mail.uid}"
            known = await self._doubles.recognise(fetched.head.message_id, fetched.digest, control_id)
            if known.reused:
                said = "two mails of different content bear the same Message-ID: both are kept"
                self._report("mssante.message_id.reused", self._where, said)
            receipt = await inbox.submit(
                Inbound(
                    content=fetched.content,
                    received_at=self._services.now(),
                    control_id=known.control_id,
                    message_type="mail",
                    peer=_shown_domain(fetched.head),
                    refusal=None if refusal is None else Refusal(refusal),
                )
            )
        except BaseException:
            if spool is not None:
                await asyncio.shield(spool.discard())
            raise
        self._failures.pop(mail.uid, None)
        return Hand(
            mail.uid,
            known.control_id,
            fetched.head,
            receipt,
            refusal,
            concluded=refusal is not None,
            refused_at_the_door=refusal is not None,
        )

    async def _fetch(self, mail: Waiting, spool: SpoolFile | None) -> tuple[_Fetched, Finding | None]:
        """Fetch a mail; gives why it is to be refused, when that is known by now."""
        limit = int(self._settings.max_mail)
        try:
            if mail.size > limit:
                return await self._excerpt(mail), _too_large(mail.size, limit)
            if spool is None:
                content = await self._thread(self._mailbox.fetch, mail.uid)
                return _whole(content), None
            fetched = await self._in_parts(mail, spool)
            return fetched, _too_large(fetched.size, limit) if fetched.size > limit else None
        except MailboxFault as fault:
            if fault.kind != "refused":
                raise
            self._failures[mail.uid] = self._failures.get(mail.uid, 0) + 1
            if self._failures[mail.uid] < PATIENCE:
                raise
            message = f"the server refused {PATIENCE} times to hand over this mail: nothing of it is known"
            return _whole(b""), _finding("mssante.mail.unfetchable", "mail", message)

    async def _in_parts(self, mail: Waiting, spool: SpoolFile) -> _Fetched:
        digest, first, size = hashlib.sha256(), b"", 0
        parts = self._mailbox.fetch_parts(mail.uid, int(self._settings.max_mail) + 1)
        while (part := await self._thread(next, parts, None)) is not None:
            if len(first) < HEAD:
                first += part[: HEAD - len(first)]
            digest.update(part)
            size += len(part)
            await spool.write(part)
        return _Fetched(await spool.commit(), read_head(first), digest.digest(), size)

    async def _excerpt(self, mail: Waiting) -> _Fetched:
        parts = self._mailbox.fetch_parts(mail.uid, EXCERPT)
        return _whole(await self._thread(b"".join, parts))

    def _refusal(self, fetched: _Fetched) -> Finding | None:
        domains = {domain_of(author) for author in fetched.head.authors}
        if fetched.head.return_path:
            domains.add(domain_of(fetched.head.return_path))
        outside = sorted(domain for domain in domains if not self._domains.allow(domain))
        if fetched.head.authors and not outside:
            return None
        named = ", ".join(outside) or "(none)"
        said = f"the sender's domain {named} is not one that may write (`allowed_domains`, `white_list`): not processed"
        return _finding("mssante.sender.outside", "From", said)


def _whole(content: bytes) -> _Fetched:
    return _Fetched(content, read_head(content), hashlib.sha256(content).digest(), len(content))


def _too_large(size: int, limit: int) -> Finding:
    said = f"the mail has {size} bytes, and `max_mail` allows {limit}; only its beginning is kept"
    return _finding("mssante.mail.too_large", "mail", said)


def _finding(code: str, where: str, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, where=where, message=message)


def _shown_domain(head: Head) -> str:
    """Give the sender's domain: a whole address may hold an INS."""
    return domain_of(head.authors[0]) if head.authors else ""
