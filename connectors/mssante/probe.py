"""Testing mailboxes: log in to IMAP and open the folder; log in to the submission server. No mail is read or sent."""

from __future__ import annotations

import asyncio
from datetime import datetime

from connectors.mssante.mailbox import Mailbox, MailboxFault
from connectors.mssante.settings import MssanteDestinationSettings, MssanteSourceSettings
from connectors.mssante.submission import Submission, Unreachable
from connectors.probing import Probe, ProbeCode, ProbeStep

_KINDS = {"login": ProbeCode.LOGIN_REFUSED, "token": ProbeCode.LOGIN_REFUSED, "folder": ProbeCode.NOT_READABLE}
_TLS = frozenset({"tls", "certificate"})


async def probe_source(settings: MssanteSourceSettings, now: datetime) -> Probe:
    """Log in and open the folder, as each round does."""

    def look() -> Probe:
        mailbox = Mailbox(settings)
        try:
            mailbox.open(now)
        except MailboxFault as fault:
            code = ProbeCode.TLS_REFUSED if fault.kind in _TLS else _KINDS.get(fault.kind, ProbeCode.UNREACHABLE)
            return Probe((ProbeStep(code, fault.sentence),))
        mailbox.close()
        return Probe((ProbeStep(ProbeCode.CONNECTED, settings.address), ProbeStep(ProbeCode.LOGGED_IN, "IMAP")))

    return await asyncio.to_thread(look)


async def probe_destination(settings: MssanteDestinationSettings, now: datetime) -> Probe:
    """Say EHLO and log in, as each sending does."""
    submission = Submission(settings, lambda: now)
    try:
        await submission.reach()
    except Unreachable as failure:
        what = failure.code.rpartition(".")[0].rpartition(".")[2]
        code = ProbeCode.TLS_REFUSED if what in _TLS else _KINDS.get(what, ProbeCode.UNREACHABLE)
        return Probe((ProbeStep(code, failure.reason),))
    finally:
        await submission.close()
    return Probe((ProbeStep(ProbeCode.CONNECTED, settings.address), ProbeStep(ProbeCode.LOGGED_IN, "SMTP")))
