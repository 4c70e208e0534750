"""A node that stops ends what owns its lanes, even where the client of NATS loses the cancellation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

from router.cluster.contracts import NodeStatus
from router.cluster.ownership import JetStreamLanes


class Losing:
    """Tokens whose client answers what it was cancelled in: `asyncio.wait_for` of Python 3.11 does, now and then."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.lost = 0

    def is_ready(self, kind: str) -> bool:
        return True

    async def take(self, *what: Any) -> AsyncGenerator[Any, None]:
        self.asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        self.lost += 1
        for token in ():
            yield token


async def test_a_node_that_left_asks_for_no_lanes_although_its_cancellation_was_lost() -> None:
    settings = SimpleNamespace(name="here", roles=frozenset({"work"}), ack_seconds=6.0, send_lanes=1)
    here = NodeStatus("here", ("work",), "1", started_at=0, at=0)

    async def epoch() -> int:
        return 0

    lanes = JetStreamLanes(SimpleNamespace(settings=settings), epoch, lambda: [here])  # type: ignore[arg-type]  # a link that is not used
    lanes._wanted = lambda: ["send.0"]
    tokens = Losing()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        taking = group.create_task(lanes._take(group, tokens, "send"))  # type: ignore[arg-type]  # tokens of the test's own
        await tokens.asked.wait()
        await lanes.release()
        taking.cancel()
    assert tokens.lost == 1
