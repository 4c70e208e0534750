"""Learning that a worker process ended, also where its executor cannot.

A process killed in the middle of writing its answer leaves a part of it in the pipe. The executor's thread reads on,
waits for the rest for ever, and never looks whether the process is still there; another worker may wait for the lock
that the killed one held. Whoever waits for an answer of such an executor is told here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Executor
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

GRACE_SECONDS = 1.0
"""How long the executor may take to notice by itself that a process ended; it fails what waited, as it should."""


def processes_of(executor: Executor) -> list[BaseProcess]:
    """Give the processes of an executor; none when it has not started any, or runs threads."""
    return list((getattr(executor, "_processes", None) or {}).values())


class Bereavement:
    """`told` ends when a process of the executor ended and the executor did not say so in time."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self._loop = asyncio.get_running_loop()
        self._watched: set[BaseProcess] = set()
        self.told: asyncio.Future[None] = self._loop.create_future()

    def watch(self) -> None:
        """Look at the processes that there are by now: an executor starts one after the other, as tasks come."""
        for process in processes_of(self.executor):
            if process not in self._watched:
                self._watched.add(process)
                threading.Thread(target=self._wait, args=(process,), name="worker-ends", daemon=True).start()

    def _wait(self, process: BaseProcess) -> None:
        wait([process.sentinel])
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._loop.call_later, GRACE_SECONDS, self._tell)

    def _tell(self) -> None:
        if not self.told.done():
            self.told.set_result(None)


def put_down(executor: Executor) -> None:
    """End an executor at once: its processes are killed, and its thread is freed of a half-written answer."""
    for process in processes_of(executor):
        process.kill()
    # With our own end of the pipe closed too, reading a half-written answer ends instead of waiting for its rest.
    writer = getattr(getattr(executor, "_result_queue", None), "_writer", None)
    if writer is not None:
        with contextlib.suppress(OSError):  # closed by the executor in the meantime
            writer.close()
    executor.shutdown(wait=False, cancel_futures=True)
