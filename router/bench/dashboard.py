"""`passerelle bench --dashboard`: every page of a real `passerelle serve` on a journal of a million messages, timed.

The journal is made by `router.bench.million`, and kept where `--keep` says, to be measured again. Pages are asked over
HTTP by somebody who signed in, one after the other: what is measured is a page, not a crowd. With `--cold` the
journal's files are put out of the system's memory before each page, and no page was opened before: a morning after a
restart.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import unescape
from pathlib import Path

import aiohttp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from router.bench.addresses import SEARCHES, addresses, searches
from router.bench.figures import percentile
from router.bench.million import fill
from router.journal.store import JournalPlace, open_store
from router.trial.folder import make_folder
from router.trial.process import RouterProcess, TrialFault
from router.trial.usage import usage

WANTED_MS = 200.0
"""What a page may take."""

ROUNDS, COLD_ROUNDS = 12, 3
SETTLED = 10.0
"""Seconds that a router has after its start before the first page is opened with `--cold`: it reads its templates."""

PASSWORD = "un mot de passe pour le banc"  # noqa: S105 - of a router that lives for the bench, on this machine
FILLED = "filled.txt"
OFFERED = frozenset({"mail", "dmp", "directory", "configuration", "try"})
"""What the router below is configured for: it is alone."""

_CONFIGURATION = """\
[engine]
workers = 1

[web]
listen = "127.0.0.1:0"

[sources.labo-sud]
connector = "mllp"
listen = "127.0.0.1:0"
paused = true

[sources.hopital]
connector = "mllp"
listen = "127.0.0.1:0"
paused = true

[sources.boite]
connector = "directory"
folder = "boite"
format = "mail"
paused = true

[destinations.spico]
connector = "fhir"
url = "http://127.0.0.1:9/fhir"
paused = true

[destinations.medecin]
connector = "directory"
folder = "medecin"
format = "fhir"
paused = true

[destinations.partage]
connector = "pdsm"
url = "http://127.0.0.1:9/pdsm"
paused = true

[[routes]]
name = "everything"
when = "true"
to = ["spico", "medecin"]
"""


@dataclass(frozen=True, slots=True)
class PageTime:
    """One page: how it is called, milliseconds of its answers, and what processor time the router spent on one."""

    name: str
    count: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    cpu_ms: float | None
    kilobytes: float


@dataclass(frozen=True, slots=True)
class DashboardFigures:
    """The whole result."""

    messages: int
    journal_mb: float
    fill_seconds: float
    pages: tuple[PageTime, ...]
    cold: bool = False
    cached: float = 0.0
    """The share of the journal that was still in the system's memory after it had been put out, 0 to 1."""

    @property
    def worst(self) -> PageTime:
        """The slowest page, by its slowest hundredth."""
        return max(self.pages, key=lambda one: one.p99_ms)

    @property
    def quick(self) -> bool:
        """Whether every page keeps to `WANTED_MS`."""
        return self.worst.p99_ms <= WANTED_MS

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        return {**asdict(self), "worst": self.worst.name, "worst_ms": self.worst.p99_ms, "quick": self.quick}


def measure_dashboard(
    messages: int,
    *,
    keep: Path | None = None,
    rounds: int = ROUNDS,
    cold: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> DashboardFigures:
    """Fill a journal, unless `keep` has one of that many messages, serve it, and time every page.

    `cold` has the disk read for each page anew. Raises TrialFault when the router does not start, or a page does not
    answer.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-dashboard-") as scratch:
        folder = keep or Path(scratch) / "router"
        seconds = prepare(folder, messages, say)
        with RouterProcess(folder, timeout=300.0) as router:
            listening = router.start()
            say("timing")
            memory = _Memory(folder / "data") if cold else None
            if cold:
                time.sleep(SETTLED)
            pages = asyncio.run(_Reader(listening.web, router.pid, messages, rounds, memory).read())
            router.stop()
        size = sum(path.stat().st_size for path in (folder / "data").glob("journal.db*"))
    cached = memory.most if memory is not None else 0.0
    return DashboardFigures(messages, round(size / 1e6, 1), round(seconds, 1), tuple(pages), cold, round(cached, 3))


class _Memory:
    """What the system keeps of the journal in memory; `most` is the largest share that could not be put out."""

    _LOOKS, _BLOCK = 64, 4096

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.most = 0.0

    def put_out(self) -> None:
        """Have the system forget the files: what is asked next is read from the disk."""
        for path in self._folder.glob("journal.db*"):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # what is not written yet cannot be put out
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                if path.suffix == ".db":
                    self.most = max(self.most, self._kept(descriptor))
            finally:
                os.close(descriptor)

    def _kept(self, descriptor: int) -> float:
        """Look at some places, evenly spread, without reading any from the disk."""
        size, found = os.fstat(descriptor).st_size, 0
        for look in range(self._LOOKS):
            place = size * look // self._LOOKS // self._BLOCK * self._BLOCK
            try:
                os.preadv(descriptor, [bytearray(1)], place, os.RWF_NOWAIT)
                found += 1
            except BlockingIOError:
                continue
        return found / self._LOOKS


def prepare(folder: Path, messages: int, say: Callable[[str], None] = lambda _: None) -> float:
    """Make a router's folder with a filled journal, unless it is there; gives the seconds that it took.

    Raises TrialFault when the folder holds something else.
    """
    mark = folder / FILLED
    if mark.exists():
        found = mark.read_text(encoding="utf-8").strip()
        if found != str(messages):
            raise TrialFault(f"{folder} holds a journal of {found} messages, not of {messages}: give another folder")
        (folder / "passerelle.toml").write_text(_CONFIGURATION, encoding="utf-8")
        return 0.0
    if folder.exists() and any(folder.iterdir()):
        raise TrialFault(f"{folder} is not empty, and holds no whole journal of this bench: remove it, or give another")
    began = time.perf_counter()
    make_folder(folder, _CONFIGURATION, password=PASSWORD)
    for name in ("boite", "medecin"):
        (folder / name).mkdir(exist_ok=True)
    store = open_store(JournalPlace.at(folder / "data"))
    try:
        fill(store, messages, int(time.time() * 1_000_000), say)
    finally:
        store.close()
    mark.write_text(f"{messages}\n", encoding="utf-8")
    return time.perf_counter() - began


class _Reader:
    """Somebody who signs in and opens every page, `rounds` times each."""

    def __init__(self, web: str, router: int, messages: int, rounds: int, memory: _Memory | None = None) -> None:
        self._memory = memory
        self._web = web
        self._router = router
        self._messages = messages
        self._rounds = rounds
        self._csrf = ""

    async def read(self) -> list[PageTime]:
        """Time them all. Raises TrialFault when one does not answer."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(60)) as session:
            await self._sign_in(session)
            pages = [*addresses(self._messages, OFFERED), *await self._found(session)]
            if self._memory is None:
                for _, address in pages:  # once for all: the first look of a process reads what none has read
                    await self._get(session, address)
            return [await self._time(session, name, address) for name, address in pages]

    async def _sign_in(self, session: aiohttp.ClientSession) -> None:
        form = await self._get(session, "/login")
        entry = _one(r'name="entry" value="([^"]+)"', form, "the form of entry")
        fields = {"name": "admin", "password": PASSWORD, "entry": entry}
        async with session.post(self._web + "/login", data=fields, allow_redirects=False) as answer:
            if answer.status != 303:
                raise TrialFault(f"the dashboard did not let the bench in ({answer.status})")
        self._csrf = _one(r'name="csrf" value="([^"]+)"', await self._get(session, "/messages"), "the page of messages")

    async def _found(self, session: aiohttp.ClientSession) -> list[tuple[str, str]]:
        """Give the pages whose address must be found first: searches, one cause of failure."""
        found = []
        for name, text in searches(self._messages).items():
            fields = {"text": text, "csrf": self._csrf}
            async with session.post(self._web + "/messages/search", data=fields, allow_redirects=False) as answer:
                if answer.status != 303:
                    raise TrialFault(f"the search by {name} was answered {answer.status}")
                found.append((SEARCHES.format(name), answer.headers["Location"]))
        causes = re.findall(
            r'href="(/deliveries\?state=dead[^"]+cause=[^"]+)"', await self._get(session, "/deliveries")
        )
        if causes:
            found.append(("deliveries of one cause", unescape(causes[0])))
        return found

    async def _time(self, session: aiohttp.ClientSession, name: str, address: str) -> PageTime:
        taken, size = [], 0
        before = usage(self._router)
        for _ in range(self._rounds):
            if self._memory is not None:
                await asyncio.to_thread(self._memory.put_out)
            began = time.perf_counter()
            size = len(await self._get(session, address))
            taken.append((time.perf_counter() - began) * 1000)
        after = usage(self._router)
        cpu = None
        if before is not None and after is not None:
            cpu = round((after.cpu_seconds - before.cpu_seconds) * 1000 / self._rounds, 1)
        taken.sort()
        p50, p99 = percentile(taken, 0.50), percentile(taken, 0.99)
        return PageTime(name, len(taken), round(p50, 1), round(p99, 1), round(taken[-1], 1), cpu, round(size / 1000, 1))

    async def _get(self, session: aiohttp.ClientSession, address: str) -> str:
        async with session.get(self._web + address, max_redirects=2) as answer:
            if answer.status != 200 or (answer.url.path == "/login" and address != "/login"):
                raise TrialFault(f"the page {address.partition('?')[0]} was answered {answer.status}")
            return await answer.text()


def _one(pattern: str, text: str, where: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise TrialFault(f"{where} is not what the bench expects")
    return unescape(found[1])


def print_dashboard(figures: DashboardFigures, console: Console) -> None:
    """Print the pages as a table, the slowest first."""
    title = f"{figures.messages:,} messages, {figures.journal_mb:,.0f} MB"
    if figures.cold:
        title += f", read from the disk each time ({figures.cached:.0%} could not be put out of memory)"
    if figures.fill_seconds:
        title += f", filled in {figures.fill_seconds:,.0f} s"
    table = Table("page", title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("p50, ms", "p99, ms", "longest, ms", "CPU, ms", "kB"):
        table.add_column(column, justify="right")
    for one in sorted(figures.pages, key=lambda page: -page.p99_ms):
        cpu = "" if one.cpu_ms is None else f"{one.cpu_ms:.0f}"
        table.add_row(
            one.name, f"{one.p50_ms:.0f}", f"{one.p99_ms:.0f}", f"{one.longest_ms:.0f}", cpu, f"{one.kilobytes:.0f}"
        )
    console.print(table)
    worst, wanted = figures.worst, f"{WANTED_MS:.0f} ms"
    said = f"every page within {wanted}" if figures.quick else f"NOT every page within {wanted}"
    console.print(f"{said}; the slowest: {worst.name}, {worst.p99_ms:.0f} ms")
