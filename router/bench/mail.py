"""Mails by the thousand: a mailbox of a real Dovecot emptied into the journal, and as many sent through it.

    waiting    N mails of about 300 kB, each an IHE_XDM.ZIP with its PDF copy, lie in the mailbox when the router starts
    taken      until the journal has them all, read, and until the mailbox is empty (filed in `Traites`)
    sent       the destination alone, four connections, the same mails

The documents are twenty, each mail its own Message-ID; files are random bytes that no compression makes smaller.
"""

from __future__ import annotations

import asyncio
import base64
import random
import resource
import smtplib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from connectors.contracts import Delivered, Parcel
from connectors.mssante.destination import MssanteDestination
from connectors.mssante.settings import MssanteDestinationSettings
from connectors.sandbox.mail_people import DOCTOR, HOSPITAL, ROUTER, Persona
from connectors.sandbox.mail_servers import MailServers, ServersFault, short_folder
from connectors.testing import plain_services
from mappings.contracts import WriteContext
from mappings.registry import format_named
from router.bench.mappings import sample_document
from router.journal import tables
from router.journal.store import JournalPlace, Store, open_store
from router.journal.tables import MessageState
from router.trial.folder import make_folder
from router.trial.patience import Patience
from router.trial.process import RouterProcess, TrialFault
from router.trial.usage import PeakMemory

DOCUMENTS = 20
PDF_BYTES = 105_000
"""Carried twice, in the archive and beside it, and encoded in base64: about 300 kB a mail."""

_POLL = 0.1
_STALL = 60.0


@dataclass(frozen=True, slots=True)
class MailFigures:
    """What was measured. Memory is the peak of the router with its workers, and of the sender; None without /proc."""

    mails: int
    mail_bytes: int
    first_seconds: float
    journal_seconds: float
    journal_per_s: float
    filed_seconds: float
    processed: int
    router_rss_mb: float | None
    sent: int
    send_seconds: float
    sent_per_s: float
    sender_rss_mb: float

    @property
    def sound(self) -> bool:
        """True when every mail is in the journal, was read, and every mail was sent."""
        return self.processed == self.mails and self.sent == self.mails

    def as_json(self) -> dict[str, object]:
        """Give everything as plain values."""
        return {**asdict(self), "sound": self.sound}


def run_mail_bench(mails: int, say: Callable[[str], None]) -> MailFigures:
    """Measure. Raises TrialFault when the servers or the router cannot be run."""
    room = mails * 600_000 + 100 * 1024 * 1024
    people = tuple(Persona(address, "", quota=room) for address in (ROUTER, HOSPITAL, DOCTOR))
    try:
        with short_folder() as folder, MailServers(folder, people=people) as servers:
            say(f"putting {mails:,} mails into a mailbox of Dovecot")
            size = _fill(servers, mails)
            with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as scratch:
                taken = _take(servers, mails, Path(scratch) / "router", say)
            say(f"sending {mails:,} mails")
            sent, seconds = asyncio.run(_send(servers, mails))
    except ServersFault as fault:
        raise TrialFault(str(fault)) from None
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return MailFigures(
        mails=mails,
        mail_bytes=size,
        **taken,
        sent=sent,
        send_seconds=round(seconds, 2),
        sent_per_s=round(sent / seconds, 1) if seconds else 0.0,
        sender_rss_mb=round(own, 1),
    )


def samples(sender: str, recipient: str, count: int = DOCUMENTS, pdf_bytes: int = PDF_BYTES) -> list[bytes]:
    """Make mails as the product writes them; the Message-ID of each is to be replaced."""
    dice = random.Random(1)
    writer = format_named("mail")
    made = []
    for rank in range(count):
        item = sample_document()
        pdf = b"%PDF-1.4\n" + dice.randbytes(pdf_bytes)
        file = item.content.attachments[0].model_copy(
            update={"data": base64.b64encode(pdf).decode(), "media_type": "application/pdf", "size": None, "hash": None}
        )
        content = item.content.model_copy(update={"document_id": f"1.2.250.1.999.1.{rank + 1}", "attachments": (file,)})
        context = WriteContext(
            now=datetime(2026, 3, 5, 8, 10, tzinfo=UTC),
            identity=f"bench-{rank}",
            options={"from": sender, "to": recipient, "mdn": "no"},
        )
        made.append(writer.write(item.model_copy(update={"content": content}), context).content)
    return made


def numbered(mails: list[bytes], count: int, run: str) -> Iterator[bytes]:
    """Give so many mails, each with a Message-ID of its own."""
    for number in range(count):
        content = mails[number % len(mails)]
        before, _, rest = content.partition(b"Message-ID: <")
        _, _, after = rest.partition(b">")
        yield before + f"Message-ID: <{run}-{number}@bench.invalid>".encode() + after


def _fill(servers: MailServers, mails: int) -> int:
    size = 0
    with smtplib.LMTP("127.0.0.1", servers.ports.lmtp) as line:
        for content in numbered(samples(HOSPITAL, ROUTER), mails, "in"):
            line.sendmail(HOSPITAL, [ROUTER], content)
            size += len(content)
    return size // mails


def _take(servers: MailServers, mails: int, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    make_folder(folder, _configuration(servers))
    say("starting a router on it")
    began = time.monotonic()
    first = journaled = filed = 0.0
    with RouterProcess(folder) as router:
        router.start()
        with PeakMemory(router.pid) as memory:
            store = open_store(JournalPlace.at((folder / "data").resolve(), ""))
            try:
                patience, progress, count, done = Patience(_STALL), -1, 0, 0
                inbox = servers.folder / "mail" / ROUTER / "Maildir"
                while not filed and not patience.ended:
                    time.sleep(_POLL)
                    count, done = _counted(store)
                    now = time.monotonic() - began
                    first = first or (now if count else 0.0)
                    journaled = journaled or (now if done >= mails else 0.0)
                    left = sum(1 for name in ("cur", "new") for _ in (inbox / name).iterdir())
                    filed = now if journaled and not left else 0.0
                    if count + done - left != progress:
                        progress = count + done - left
                        patience.renew()
            finally:
                store.close()
        router.stop()
    return {
        "first_seconds": round(first, 2),
        "journal_seconds": round(journaled, 2),
        "journal_per_s": round(mails / journaled, 1) if journaled else 0.0,
        "filed_seconds": round(filed, 2),
        "processed": done,
        "router_rss_mb": round(memory.peak / 1e6, 1) if memory.peak else None,
    }


def _counted(store: Store) -> tuple[int, int]:
    """Count messages in the journal, and those that were read."""
    column = tables.message.c
    with store.reading() as connection:
        rows = connection.execute(select(column.state, func.count()).group_by(column.state)).all()
    counts = {row[0]: int(row[1]) for row in rows}
    return sum(counts.values()), sum(counts.values()) - counts.get(MessageState.RECEIVED.value, 0)


def _configuration(servers: MailServers) -> str:
    source = servers.source()
    return f"""\
[web]
listen = "127.0.0.1:0"

[sources.mailbox]
connector = "mssante"
format = "mail"
address = "{source["address"]}"
account = "{source["account"]}"
tls = {{ ca = "{source["tls"]["ca"]}", cert = "{source["tls"]["cert"]}" }}
login = {{ password = "{source["login"]["password"]}" }}
allowed_domains = ["{source["allowed_domains"][0]}"]
"""


async def _send(servers: MailServers, mails: int) -> tuple[int, float]:
    settings = MssanteDestinationSettings(**servers.destination(dsn=False))
    services = plain_services()
    destination = MssanteDestination("mail", settings, services)
    waiting = iter(enumerate(numbered(samples(ROUTER, DOCTOR), mails, "out")))
    sent = 0

    async def work() -> None:
        nonlocal sent
        for number, content in waiting:
            parcel = Parcel(number, f"bench-{number}", content, "message/rfc822", "mail.eml", 1)
            outcome = await destination.send(parcel)
            sent += isinstance(outcome, Delivered)

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(settings.concurrency)))
    seconds = time.monotonic() - began
    await destination.close()
    return sent, seconds


def print_mail(figures: MailFigures, console: Console) -> None:
    """Print the table that people read."""
    table = Table(title=f"{figures.mails:,} mails of {figures.mail_bytes / 1000:,.0f} kB", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    memory = "unavailable on this system" if figures.router_rss_mb is None else f"{figures.router_rss_mb:,.0f} MB"
    for label, value in (
        ("first mail in the journal, from the start of the router", f"{figures.first_seconds:.1f} s"),
        ("all in the journal and read", f"{figures.journal_seconds:.1f} s, {figures.journal_per_s:,.1f} mails/s"),
        ("all filed in Traites", f"{figures.filed_seconds:.1f} s"),
        ("router: peak memory, all processes", memory),
        ("sent", f"{figures.sent_per_s:,.1f} mails/s ({figures.sent:,} in {figures.send_seconds:.1f} s)"),
        ("sender: peak memory", f"{figures.sender_rss_mb:,.0f} MB"),
    ):
        table.add_row(label, value)
    console.print(table)
    if not figures.sound:
        console.print("Not sound: some mails were not read, or not sent.", style="bold")
