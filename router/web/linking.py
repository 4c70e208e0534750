"""Links asked for on the dashboard: each is found in a process of its own, with a figure, and remembered."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from router.linking.links import Links, LinksAsked

KEPT = 40
NICE = 10
AT_ONCE = 2
SECONDS = 90.0
"""A process that is still there after this long hangs, and is ended."""


@dataclass(slots=True)
class Linking:
    """One search under way or over. `share` is of a hundred; `failed` when it gave nothing."""

    share: int = 0
    links: Links | None = None
    failed: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self.links is None and not self.failed


class Linkings:
    """Starts searches, a few at a time; remembers the last ones. Used from the event loop only.

    What is remembered are names of places (`PID[1]-5`), no values.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, Linking] = OrderedDict()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._looks: OrderedDict[tuple[bytes, int], None] = OrderedDict()

    def look(self, session: bytes, message: int) -> None:
        """Remember that a session looks at a message, and that this was noted in the audit."""
        self._looks[session, message] = None
        if len(self._looks) > KEPT:
            self._looks.popitem(last=False)

    def looked(self, session: bytes, message: int) -> bool:
        """Say whether a look of this session at this message was noted."""
        return (session, message) in self._looks

    def find(self, key: Hashable) -> Linking | None:
        """Give what is known, or under way, of a message and a Delivery."""
        return self._found.get(key)

    def start(self, key: Hashable, asked: LinksAsked) -> Linking:
        """Start a search, unless it was started already."""
        linking = self._found.get(key)
        if linking is None:
            linking = self._found[key] = Linking()
            for old in [one for one, state in self._found.items() if not state.running][: len(self._found) - KEPT]:
                del self._found[old]
            linking.task = asyncio.create_task(self._run(linking, asked), name="links")
        return linking

    async def _run(self, linking: Linking, asked: LinksAsked) -> None:
        try:
            async with self._room, asyncio.timeout(SECONDS):
                linking.links = await _search(linking, asked)
        except (OSError, TimeoutError):
            linking.links = None
        linking.failed = linking.links is None


async def _search(linking: Linking, asked: LinksAsked) -> Links | None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "router.linking.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=None if sys.platform == "win32" else lambda: os.nice(NICE),
    )
    assert process.stdin is not None  # noqa: S101 - it was asked for
    assert process.stdout is not None  # noqa: S101 - the same
    try:
        counting = asyncio.create_task(_count(linking, process))
        process.stdin.write(pickle.dumps(asked))
        process.stdin.close()
        told = await process.stdout.read()
        await counting
        if await process.wait() != 0:
            return None
        found = pickle.loads(told)  # noqa: S301 - written by the process that was just started
        return found if isinstance(found, Links) else None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _count(linking: Linking, process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None  # noqa: S101 - it was asked for
    while line := await process.stderr.readline():
        if (said := line.strip()).isdigit():
            linking.share = int(said)
