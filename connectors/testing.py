"""Doubles for the tests of connectors, ours and third parties'.

    inbox = MemoryInbox(tmp_path)
    services = plain_services()
    source = CONNECTOR.make_source("labo", settings, services)
    task = asyncio.create_task(source.run(inbox))
    address = await services.listening()

`MemoryInbox` commits in memory, on command if need be (`hold`), and fails on command (`fail`). `plain_services` gives
Services that keep what was reported; their periodic jobs run when `tick` is called, so that no test sleeps.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.contracts import FollowedPatient, Health, Inbound, NotAccepted, Receipt, ReferenceKind, Services
from schemas.finding import Finding

Job = Callable[[], Awaitable[None]]


class MemoryInbox:
    """An inbox that keeps what it committed in `messages`, and recognises duplicates as the journal does.

    The identity of a message is its control id and its bytes. A spool file handed over is read and removed.
    `rejections` are the Findings that `outcome` gives, by message id, `waiting` the messages that are `held`.
    `submitted` counts calls, `contents` holds the bytes committed, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messages: list[Inbound] = []
        self.contents: list[bytes] = []
        self.rejections: dict[int, Finding] = {}
        self.waiting: set[int] = set()
        self.submitted = 0
        self.spooled = 0
        self._known: dict[tuple[str, bytes], int] = {}
        self._failures: list[Exception] = []
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Condition()

    async def submit(self, inbound: Inbound) -> Receipt:
        """Commit the message once the inbox is not held; raises what `fail` prepared."""
        self.submitted += 1
        async with self._changed:
            self._changed.notify_all()
        await self._open.wait()
        if self._failures:
            raise self._failures.pop(0)
        content = inbound.content
        if isinstance(content, Path):
            path, content = content, content.read_bytes()
            path.unlink()
        key = (inbound.control_id, hashlib.sha256(content).digest())
        known = self._known.get(key)
        if known is None:
            self.messages.append(inbound)
            self.contents.append(content)
            self._known[key] = len(self.messages)
        async with self._changed:
            self._changed.notify_all()
        return Receipt(message_id=known or len(self.messages), duplicate=known is not None)

    def post(self, inbound: Inbound, done: Callable[[Receipt | NotAccepted], None]) -> bool:
        """Leave every message to `submit`, whose commits the test commands."""
        return False

    async def outcome(self, receipt: Receipt) -> Finding | None:
        """Give the rejection that the test prepared for this message in `rejections`, else None."""
        return self.rejections.get(receipt.message_id)

    async def held(self, receipt: Receipt) -> bool:
        """Say whether the test put this message into `waiting`."""
        return receipt.message_id in self.waiting

    def spool(self) -> Path:
        """Name a fresh file in `folder`."""
        self.spooled += 1
        return self.folder / f"spool-{self.spooled}"

    def hold(self) -> None:
        """Commit nothing more until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Commit what waits."""
        self._open.set()

    def fail(self, *failures: Exception) -> None:
        """Raise these from the next submissions, one each."""
        self._failures.extend(failures)

    def refuse(self, times: int = 1) -> None:
        """Raise NotAccepted from the next submissions."""
        self.fail(*(NotAccepted("storage full") for _ in range(times)))

    async def wait_submitted(self, count: int) -> None:
        """Return once `submit` was called `count` times in all."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.submitted >= count)

    async def wait_committed(self, count: int) -> None:
        """Return once `count` messages are committed in all."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.messages) >= count)


class Clock:
    """A clock that only moves when told to."""

    def __init__(self, start: datetime = datetime(2026, 3, 5, 8, 10, tzinfo=UTC)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Tell the time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


class PlainMemory:
    """A connector's memory, in memory: `values` by key."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def recall(self, key: str) -> bytes | None:
        """Give the value kept under a key."""
        return self.values.get(key)

    async def keep(self, key: str, value: bytes | None) -> None:
        """Keep a value, or forget it."""
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


class PlainRecords:
    """What a test's journal knows: `patients` in coordination, `names` under which things went through.

    `called` are the partner's names of what was sent, by uniqueId.
    """

    def __init__(self) -> None:
        self.patients: list[FollowedPatient] = []
        self.called: dict[str, dict[ReferenceKind, str]] = {}
        self.names: set[tuple[ReferenceKind, str]] = set()

    async def followed(self, after: int = 0, count: int = 200) -> Sequence[FollowedPatient]:
        """Give patients in the order of their numbers."""
        return sorted((one for one in self.patients if one.number > after), key=lambda one: one.number)[:count]

    async def known(self, kind: ReferenceKind, value: str) -> bool:
        """Say whether a name is in `names`."""
        return (kind, value) in self.names

    async def names_of(self, unique_id: str) -> Mapping[ReferenceKind, str]:
        """Give what `called` has."""
        return self.called.get(unique_id, {})


@dataclass(frozen=True, slots=True)
class PlainServices(Services):
    """Services that remember: what was reported, the address told, the periodic jobs."""

    clock: Clock
    findings: list[Finding]
    jobs: list[Job]
    addresses: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def listening(self) -> str:
        """Wait for the address that the source tells when it is ready."""
        return await self.addresses.get()

    async def tick(self, seconds: float = 0.0) -> None:
        """Let `seconds` pass on the clock, then run each periodic job once."""
        self.clock.advance(seconds)
        for job in list(self.jobs):
            await job()

    def codes(self) -> list[str]:
        """List the codes of the findings reported so far."""
        return [finding.code for finding in self.findings]


def plain_services(folder: Path | None = None) -> PlainServices:
    """Make Services for a test, with a fixed clock; call it inside a running event loop."""
    clock = Clock()
    findings: list[Finding] = []
    jobs: list[Job] = []
    addresses: asyncio.Queue[str] = asyncio.Queue()

    def spawn_every(seconds: float, job: Job) -> Callable[[], None]:
        if seconds <= 0:
            raise ValueError("a period is a positive number of seconds")
        jobs.append(job)
        return lambda: jobs.remove(job)

    return PlainServices(
        now=clock,
        report=findings.append,
        health=Health(),
        ready=addresses.put_nowait,
        spawn_every=spawn_every,
        stopping=asyncio.Event(),
        memory=PlainMemory(),
        records=PlainRecords(),
        folder=folder or Path("/nonexistent"),
        clock=clock,
        findings=findings,
        jobs=jobs,
        addresses=addresses,
    )
