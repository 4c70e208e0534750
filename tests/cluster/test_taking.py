"""Taking and handing over, where tokens come late: with tokens and a clock of the test's own, and of a real server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import nats

from router.cluster.contracts import Fence, NodeStatus
from router.cluster.ownership import GAIN_SECONDS, JetStreamLanes
from router.cluster.settings import NatsSettings
from router.cluster.tokens import Token, Tokens

if TYPE_CHECKING:
    from tests.cluster.conftest import Nodes
else:
    Nodes = object

ACK_SECONDS = 6.0
VALID_SECONDS = 4.5
LANES = ("send.0", "send.1", "send.2")


class Handed:
    """Tokens as a test hands them out; it notes what is said of each to the servers."""

    def __init__(self) -> None:
        self.at = 100.0
        self.coming: asyncio.Queue[Token] = asyncio.Queue()
        self.said: list[tuple[str, str, int]] = []
        self.answers = True

    def hand(self, lane: str, count: int, *, asked_before: float) -> None:
        """Hand a token out, in answer to what was asked so many seconds before."""
        self.coming.put_nowait(Token(lane, Fence(lane, 1, count), SimpleNamespace(), self.at - asked_before))  # type: ignore[arg-type]  # a message that is not looked at

    def now(self) -> float:
        return self.at

    def is_ready(self, kind: str) -> bool:
        return kind == "send"

    async def take(self, *_: Any) -> AsyncGenerator[Token, None]:
        yield await self.coming.get()

    async def keep(self, token: Token, seconds: float, now: Callable[[], float]) -> bool:
        self.said.append(("keep", token.lane, token.fence.count))
        if self.answers:
            token.confirmed_at = now()
        return self.answers

    async def give_back(self, token: Token, delay: float = 0.0) -> None:
        self.said.append(("give back", token.lane, token.fence.count))

    async def ask_no_more(self) -> None:
        self.said.append(("ask no more", "", 0))


class Here:
    """A node that owns such tokens. `letting_go` is set while it may let go of a lane."""

    def __init__(self) -> None:
        self.tokens = Handed()
        self.gained: list[Fence] = []
        self.letting_go = asyncio.Event()
        self.letting_go.set()
        self.gaining = asyncio.Event()
        self.gaining.set()
        self.nodes = [_node("here")]
        settings = SimpleNamespace(name="here", roles=frozenset({"work"}), ack_seconds=ACK_SECONDS)
        link = SimpleNamespace(settings=settings, is_up=True, say=lambda _: None)
        self.lanes = JetStreamLanes(link, _no_epoch, lambda: self.nodes, now=self.tokens.now)  # type: ignore[arg-type]  # a link without a connection
        self.lanes._wanted, self.lanes._gained, self.lanes._lost = lambda: LANES, self._gain, self._lose
        self.lanes._tokens = self.tokens  # type: ignore[assignment]  # tokens of the test's own

    async def _gain(self, fence: Fence) -> bool:
        self.gained.append(fence)
        await self.gaining.wait()
        return True

    async def _lose(self, lane: str) -> None:
        await self.letting_go.wait()

    @contextlib.asynccontextmanager
    async def taking(self) -> AsyncIterator[None]:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(self.lanes._take(group, self.tokens, "send"))  # type: ignore[arg-type]  # tokens of the test's own
            try:
                yield
            finally:
                task.cancel()

    async def take_all(self) -> None:
        async with self.taking():
            for lane in LANES:
                self.tokens.hand(lane, 1, asked_before=0.0)
            while len(self.lanes.owned()) < len(LANES):  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(0)
        self.tokens.said.clear()


def _node(name: str) -> NodeStatus:
    return NodeStatus(name, ("work",), "1", started_at=0, at=0)


async def _no_epoch() -> int:
    return 0


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_token_that_comes_as_the_question_ends_is_confirmed_before_anything_else() -> None:
    # It would be late half a second later, before it is the turn of what keeps the others: JetStream gave it out again
    # at the same moment of that turn each time, and a lane was nobody's most of the time, for minutes.
    here = Here()
    async with here.taking():
        here.tokens.hand("send.0", 1, asked_before=VALID_SECONDS - 0.5)
        while not here.gained:  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0)
        assert here.tokens.said == [("keep", "send.0", 1)]
        await _turns()
        here.tokens.at += 1.0
        assert set(here.lanes.owned()) == {"send.0"}


async def test_a_token_that_may_be_anothers_is_not_spoken_of() -> None:
    here = Here()
    async with here.taking():
        here.tokens.hand("send.0", 1, asked_before=VALID_SECONDS)
        await _turns()
        here.tokens.answers = False
        here.tokens.hand("send.1", 1, asked_before=0.0)
        await _turns()
    assert here.gained == []
    assert here.tokens.said == [("keep", "send.1", 1)]
    assert here.lanes._taking == {}


async def test_a_lane_that_cannot_be_taken_for_long_is_kept_from_the_others_no_longer() -> None:
    here = Here()
    here.gaining.clear()
    async with here.taking():
        here.tokens.hand("send.0", 1, asked_before=0.0)
        await _turns()
        [token] = here.lanes._held.values()
        for _ in range(10):
            here.tokens.at += GAIN_SECONDS / 10
            token.confirmed_at = here.tokens.at  # what is said each second is confirmed each second
            await here.lanes._keep_one(here.tokens, token)  # type: ignore[arg-type]  # tokens of the test's own
        here.tokens.at += 1.0
        await here.lanes._keep_one(here.tokens, token)  # type: ignore[arg-type]
        assert here.tokens.said == [("keep", "send.0", 1)] * 11
        here.tokens.at += VALID_SECONDS
        here.gaining.set()
        await _turns()
        assert here.lanes.owned() == {}


async def test_lanes_are_handed_over_side_by_side_and_one_that_was_lost_meanwhile_is_left_alone() -> None:
    here = Here()
    await here.take_all()
    here.letting_go.clear()
    here.nodes = [_node("here"), _node("other"), _node("third")]
    async with here.taking():
        await _turns()
        assert here.lanes._dropping.keys() == {"send.1", "send.2"}
        here.tokens.at += VALID_SECONDS  # nothing was confirmed: all are late
        here.lanes.give_up("send.0")
        here.letting_go.set()
        await _turns()
    assert here.tokens.said == []
    assert here.lanes._held == {}


async def test_what_the_journal_says_is_anothers_is_not_given_back_by_making_room_nor_by_leaving() -> None:
    here = Here()
    await here.take_all()
    here.letting_go.clear()
    here.lanes.give_up("send.2")
    here.nodes = [_node("here"), _node("other"), _node("third")]
    async with here.taking():
        await _turns()
        assert here.lanes._dropping.keys() == {"send.1", "send.2"}
        await here.lanes.release()
        assert here.tokens.said == [("ask no more", "", 0), ("give back", "send.0", 1)]
        here.letting_go.set()
        await _turns()
    assert here.tokens.said[2:] == [("give back", "send.1", 1)]


async def test_who_asks_no_more_is_given_nothing_and_who_asks_is_given_it_at_once(nodes: Nodes) -> None:
    servers = list(nodes.servers.urls)
    leaving, staying = await nats.connect(servers), await nats.connect(servers)
    settings = NatsSettings(nodes.servers.urls, "any", frozenset({"work"}), ack_seconds=30.0)
    one, other = Tokens(leaving, settings, _no_epoch), Tokens(staying, settings, _no_epoch)
    for tokens in (one, other):
        await tokens.prepare({"jobs"})
    await one.put(["jobs"])
    await leaving.publish(one.subject("jobs").replace("jobs.-", "jobs.none"), b"")  # by hand: the token of no lane
    async with asyncio.timeout(20):
        [token] = [found async for found in one.take("jobs", 2, 10, time.monotonic)]
        asking = asyncio.ensure_future(anext(one.take("jobs", 5, 1, time.monotonic), None))
        await leaving.flush()
        await one.ask_no_more()
        await one.give_back(token)
        again = await anext(other.take("jobs", 1, 10, time.monotonic))
        assert again.fence.is_newer_than(token.fence)
        assert await asking is None
        assert [found async for found in other.take("jobs", 1, 0.1, time.monotonic)] == []
    info = await staying.jetstream().consumer_info(settings.stream, "jobs")
    assert info.num_ack_pending == 1
    await leaving.close()
    await staying.close()
