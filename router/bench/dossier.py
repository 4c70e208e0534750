"""The dossier's FHIR API under load: patient-scoped searches at a fixed rate, among many dossiers and documents.

The searches go over HTTP to a real `passerelle serve` on a store of `router.bench.dossier_store`, each by another
professional about a patient of theirs, with the audit that every read has.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

from router.bench.dossier_store import IPP, RPPS, TOOL, TYPES, doctor, filled_store, ipp
from router.bench.figures import percentile
from router.trial.process import RouterProcess
from router.trial.usage import usage

WARM_SECONDS = 2.0
"""Searches go on for so long before they are measured: a router is started once."""


@dataclass(frozen=True, slots=True)
class DossierFigures:
    """What was measured: latencies in milliseconds, from the moment that a request fell due.

    `cpu_ms_per_search` is of the router with all that it does meanwhile; None where this system cannot tell.
    """

    dossiers: int
    documents: int
    journal_bytes: int
    fill_seconds: float
    rate: float
    answered: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    longest_ms: float
    cpu_ms_per_search: float | None

    def as_json(self) -> dict[str, object]:
        """Give them for a file."""
        return asdict(self)


def measure(
    dossiers: int, documents: int, rate: float, seconds: float, say: Callable[[str], None], keep: Path | None = None
) -> DossierFigures:
    """Fill a journal, serve it, and search at a fixed rate.

    With `keep`, the store stays there and is taken again the next time. Raises TrialFault.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as scratch:
        folder = keep if keep is not None else Path(scratch) / "router"
        began = time.perf_counter()
        store = filled_store(folder, dossiers, documents, say)
        filled = time.perf_counter() - began
        size = sum(path.stat().st_size for path in (folder / "data").glob("journal.db*"))
        with RouterProcess(folder) as router:
            listening = router.start()
            asyncio.run(_load(listening.web, store.secret, dossiers, rate, WARM_SECONDS))
            say(f"{rate:g} searches a second for {seconds:g} s")
            before = usage(router.pid)
            latencies, failed = asyncio.run(_load(listening.web, store.secret, dossiers, rate, seconds))
            after = usage(router.pid)
            router.stop()
    ordered = sorted(latencies)
    spent = None if before is None or after is None else after.cpu_seconds - before.cpu_seconds
    return DossierFigures(
        dossiers=dossiers,
        documents=store.documents,
        journal_bytes=size,
        fill_seconds=round(filled, 1),
        rate=rate,
        answered=len(ordered),
        failed=failed,
        p50_ms=round(percentile(ordered, 0.50), 1),
        p95_ms=round(percentile(ordered, 0.95), 1),
        p99_ms=round(percentile(ordered, 0.99), 1),
        longest_ms=round(ordered[-1], 1) if ordered else 0.0,
        cpu_ms_per_search=None if spent is None else round(1000 * spent / max(len(ordered), 1), 2),
    )


async def _load(web: str, secret: str, dossiers: int, rate: float, seconds: float) -> tuple[list[float], int]:
    latencies: list[float] = []
    failed = 0
    chance = random.Random(12)

    async def one(session: aiohttp.ClientSession, number: int, due: float) -> None:
        nonlocal failed
        form = {"patient.identifier": f"{IPP}|{ipp(number)}", "status": "current"}
        if number % 3 == 0:
            form["type"] = f"http://loinc.org|{TYPES[number % len(TYPES)]}"
        if number % 3 == 1:
            form["date"] = "ge2025-01-01"
        headers = {"Authorization": f"Bearer {TOOL}:{secret}", "On-Behalf-Of": f"{RPPS}|{doctor(number)}"}
        async with session.post(f"{web}/fhir/DocumentReference/_search", data=form, headers=headers) as response:
            body = await response.read()
            if response.status != 200 or (number % 3 == 2 and b'"entry"' not in body):
                failed += 1
        latencies.append((time.perf_counter() - due) * 1000)

    async with aiohttp.ClientSession() as session:
        tasks = []
        began = time.perf_counter() + 0.5
        for rank in range(int(rate * seconds)):
            due = began + rank / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(session, chance.randrange(dossiers), due)))
        await asyncio.gather(*tasks)
    return latencies, failed
