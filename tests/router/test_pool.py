"""The pool of workers, replaced while others wait their turn in it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from router.engine import pool as pool_module
from router.engine.pool import WorkerPool


async def test_work_that_was_queued_in_a_replaced_pool_is_lost_and_nobody_is_cancelled(make_rig: Any) -> None:
    rig = make_rig()
    await rig.start()
    pool: WorkerPool = rig.engine.pool
    held, begun = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        held.wait(20)

    hanging = asyncio.create_task(pool._run(hold))
    await asyncio.to_thread(begun.wait, 20)
    queued = asyncio.create_task(pool._run(lambda: "never"))
    await asyncio.sleep(0)
    former = pool_module._worker
    pool._replace(pool._generation)
    held.set()
    await hanging
    with pytest.raises(BrokenProcessPool):
        await queued
    assert former is not None
    former.close()
    assert await pool.process([], rig.engine._now()) == [], "the pipeline goes on with the next one"
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.sent)
    waiting = asyncio.create_task(pool._run(threading.Event().wait, 0.2))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await rig.stop()
