"""The router's side of checking: one process that stays warm, started when first needed, replaced when it fails.

A document that kills or hangs the process costs itself only: its check is given up, and the next one meets a new
process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

import orjson

from router.validation.faults import PackageFault, ValidationUnavailable
from router.validation.frames import HEAD, BrokenFrame, framed, length_of
from schemas.finding import Finding

MODULE = "router.validation.process"
TRIES = 2
"""How often a document is given to a process that ends: the first may have been killed for another reason."""

LARGE = 64 * 1024 * 1024
"""Bytes of a content after which the process is replaced, for its memory."""


class ValidationServer:
    """Checks documents one after the other, in a process of its own."""

    def __init__(self, package: Path, cache: Path, *, seconds: float = 120.0) -> None:
        """`seconds` is the longest that one check may take, the loading of schematrons included."""
        self._arguments = (sys.executable, "-m", MODULE, str(package), str(cache), str(os.getpid()))
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._closed = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Number of the process, None when none runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def validate(self, content: bytes, format_name: str = "cda", beside: Sequence[bytes] = ()) -> list[Finding]:
        """Check every CDA document that a content carries.

        Raises PackageFault when the package cannot be used, ValidationUnavailable when the check took too long or ended
        its process.
        """
        question = orjson.dumps({"format": format_name, "beside": len(beside)})
        frames = b"".join(framed(part) for part in (question, content, *beside))
        async with self._turn:
            for _ in range(TRIES):
                if self._closed:
                    raise ValidationUnavailable("the router is stopping")
                try:
                    async with asyncio.timeout(self._seconds):
                        reply = await self._ask(frames)
                except TimeoutError:
                    await self._end()
                    raise ValidationUnavailable(f"the check was given up after {self._seconds:g} seconds") from None
                except (OSError, asyncio.IncompleteReadError, BrokenFrame):
                    await self._end()
                except BaseException:
                    # Given up half-way: the next answer would not be that of the next question.
                    await self._end()
                    raise
                else:
                    if len(content) > LARGE:
                        await self._end()  # Saxon keeps the memory that a large document took
                    return _findings(reply)
        raise ValidationUnavailable("the process that checks ended while it checked")

    async def _ask(self, frames: bytes) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
            self.starts += 1
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None  # noqa: S101 - it was asked for above
        assert pipe_out is not None  # noqa: S101 - the same
        pipe_in.write(frames)
        await pipe_in.drain()
        return await pipe_out.readexactly(length_of(await pipe_out.readexactly(HEAD)))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def close(self) -> None:
        """End the process; a check under way is given up."""
        self._closed = True
        await self._end()


def _findings(reply: bytes) -> list[Finding]:
    answer = orjson.loads(reply)
    if "fault" in answer:
        raise PackageFault(answer["fault"])
    return [Finding.model_validate(one) for one in answer["findings"]]
