"""`passerelle bench --dmp`: what submitting to the DMP costs, against the sandbox DMP in a process of its own.

So many documents of so many bytes, so many calls in flight: mutual TLS, an assertion and a signed lot for each, the
existence of each patient asked about. Notes are kept in memory: what the journal costs, the other benches measure.
"""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import random
import re
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.contracts import Delivered, Parcel
from connectors.dmp.destination import DmpDestination
from connectors.dmp.settings import DmpDestinationSettings
from connectors.sandbox.adt import Visit
from connectors.sandbox.cda import discharge_letter
from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.people import PRESCRIBER, population
from connectors.testing import plain_services
from mappings.cda import FORMAT as CDA
from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.xds.format import FORMAT as XDS
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

_BODY = re.compile(rb'(representation="B64">)[^<]*(<)')


@dataclass(frozen=True, slots=True)
class DmpFigures:
    """What was measured; times in seconds, memory in MiB (the most that the sending process held, and before)."""

    submissions: int
    delivered: int
    bytes_each: int
    in_flight: int
    seconds: float
    median: float
    slowest: float
    memory_before: float
    memory_most: float

    def as_json(self) -> dict[str, object]:
        """Give the figures as JSON."""
        return asdict(self)


def measure_dmp(
    submissions: int = 100, size: int = 300_000, in_flight: int = 8, say: Callable[[str], None] = lambda _: None
) -> DmpFigures:
    """Measure, with the sandbox in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as folder:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        leave = context.Event()
        process = context.Process(target=_serve, args=(folder, there, leave), daemon=True)
        process.start()
        try:
            say("the sandbox DMP starts")
            values: dict[str, Any] = here.recv()
            say(f"{submissions} documents of {size // 1000} kB are written")
            parcels = [_parcel(number, size) for number in range(submissions)]
            say(f"they are submitted, {in_flight} at once")
            return asyncio.run(_run(values, parcels, size, in_flight))
        finally:
            leave.set()
            process.join(10.0)
            if process.is_alive():
                process.terminate()


def _serve(folder: str, ready: Connection, leave: Event) -> None:
    async def serve() -> None:
        async with DmpSandbox(Path(folder)) as dmp:
            held = dmp.certificates
            ready.send(
                {
                    "url": dmp.url,
                    "tls": {
                        "ca": str(held.authority),
                        "cert": str(held.client.certificate),
                        "key": str(held.client.key),
                    },
                    "signature": {"cert": str(held.signer.certificate), "key": str(held.signer.key)},
                }
            )
            await asyncio.to_thread(leave.wait)

    asyncio.run(serve())


def _parcel(number: int, size: int) -> Parcel:
    at = datetime.now(UTC)
    people = population(20)
    visit = Visit("SEJ1", "DOS1", at - timedelta(days=4), discharged_at=at)
    letter = discharge_letter(people[number % len(people)], visit, ["Texte fictif"], number=f"BENCH{number}", at=at)
    # A scan, as far as anybody can tell from outside: bytes that nothing compresses, in base64.
    scan = base64.b64encode(random.Random(number).randbytes(size * 3 // 4))
    content = _BODY.sub(lambda found: found[1] + scan + found[2], letter, count=1)
    (item,) = CDA.read(content, ReadContext()).items
    if not isinstance(item, DocumentItem):
        raise TypeError("a letter is a document")
    patient = item.patient.model_copy(update={"status": IdentityStatus.QUALIFIED})
    options = {"source_id": "1.2.250.1.999.67"}
    context = WriteContext(now=at, identity=f"BENCH{number:05d}", environment=Environment.TEST, options=options)
    made = XDS.write(item.model_copy(update={"patient": patient}), context)
    return Parcel(number, context.identity, made.content, made.media_type, made.filename, 1, made.attachments)


async def _run(values: dict[str, Any], parcels: list[Parcel], size: int, in_flight: int) -> DmpFigures:
    settings = DmpDestinationSettings.model_validate(
        {
            **values,
            "user": {
                "id": f"8{PRESCRIBER.rpps}",
                "name": f"{PRESCRIBER.family_name} {PRESCRIBER.given_name}",
                "profession": "10",
                "profession_label": "Médecin",
                "speciality": "SM26",
                "speciality_label": "Qualifié en Médecine Générale (SM)",
            },
            "sector": "SA01",
            "homologation": "BENCH",
            "oid": "1.2.250.1.999.67",
            "concurrency": in_flight,
        }
    )
    services = plain_services()
    services.clock.advance((datetime.now(UTC) - services.now()).total_seconds())
    destination = DmpDestination("bench", settings, services)
    waiting = iter(parcels)
    times: list[float] = []
    delivered = 0

    async def work() -> None:
        nonlocal delivered
        for parcel in waiting:
            begun = time.perf_counter()
            outcome = await destination.send(parcel)
            times.append(time.perf_counter() - begun)
            delivered += isinstance(outcome, Delivered)

    before = _most_memory()
    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    seconds = time.perf_counter() - begun
    await destination.close()
    times.sort()
    return DmpFigures(
        submissions=len(parcels),
        delivered=delivered,
        bytes_each=sum(len(one.content) for one in parcels) // max(1, len(parcels)),
        in_flight=in_flight,
        seconds=round(seconds, 3),
        median=round(times[len(times) // 2], 4),
        slowest=round(times[-1], 4),
        memory_before=before,
        memory_most=_most_memory(),
    )


def _most_memory() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def print_dmp(figures: DmpFigures, console: Console) -> None:
    """Print the figures as a table."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Submitting to the DMP")
    table.add_column("", justify="right")
    rows = {
        "documents delivered": f"{figures.delivered} of {figures.submissions}",
        "size of each": f"{figures.bytes_each / 1000:.0f} kB",
        "in flight": str(figures.in_flight),
        "whole time": f"{figures.seconds:.2f} s",
        "one submission, median": f"{figures.median * 1000:.0f} ms",
        "one submission, slowest": f"{figures.slowest * 1000:.0f} ms",
        "memory before / most": f"{figures.memory_before:.0f} / {figures.memory_most:.0f} MiB",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
