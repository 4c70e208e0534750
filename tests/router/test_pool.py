"""The pool of workers, replaced while others wait their turn in it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from router.engine.pool import WorkerPool


async def test_work_that_was_queued_in_a_replaced_pool_is_lost_and_nobody_is_cancelled(make_rig: Any) -> None:
    rig = make_rig(workers=1)
    await rig.start()
    pool: WorkerPool = rig.engine.pool
    tasks = [asyncio.create_task(pool._run(time.sleep, 60)) for _ in range(6)]
    await asyncio.sleep(0.1)
    pool._replace(pool._generation)
    for task in tasks:
        with pytest.raises(BrokenProcessPool):
            await task
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.sent)
    waiting = asyncio.create_task(pool._run(time.sleep, 0.2))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await rig.stop()
