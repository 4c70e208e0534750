"""The lanes of this node: taken while there is room in its share, kept by saying so every second, dropped in time.

A node that cannot have it confirmed that it still owns a lane drops it by itself before JetStream gives it to another:
the confirmation counts from the moment at which it was asked for, the server counts from when it heard of it, which is
later. What neither clock can exclude (a token handed out twice after the servers lost a part of their memory) is caught
by the fence in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping

import nats.errors
import nats.js.errors

from router.cluster.contracts import Fence, NodeStatus
from router.cluster.link import Link
from router.cluster.share import shares
from router.cluster.tokens import Token, Tokens, kind_of

KEEP_SECONDS = 1.0
"""How often the servers are told that this node is still at work."""

MARGIN_SECONDS = 1.5
"""A lane is dropped so long before `ack_wait` ends: what was just begun in it can end."""

TAKE_SECONDS = 1.0
"""How long one question for tokens stands."""

REST_SECONDS = 0.05
"""Wait after a question for tokens that brought none: one that fails at once must not keep the loop for itself."""

LOOK_SECONDS = 0.5
"""How often a node at its share looks whether that has grown."""

REFUSED_SECONDS = 1.0
"""A token that the engine does not take is offered again after this time."""

GAIN_SECONDS = 30.0
"""A lane that the engine takes longer to take than this goes to another node: its journal may not answer."""

PREPARE_SECONDS = 15.0
"""How often it is looked whether the stream still has its tokens."""

Gained = Callable[[Fence], Awaitable[bool]]
Lost = Callable[[str], Awaitable[None]]

_UNREACHED = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError)


class JetStreamLanes:
    """Implements `Lanes` with tokens. All its state is touched by one event loop only."""

    def __init__(
        self,
        link: Link,
        journal_epoch: Callable[[], Awaitable[int]],
        nodes: Callable[[], Collection[NodeStatus]],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._journal_epoch = journal_epoch
        self._nodes = nodes
        self._now = now
        self._valid = link.settings.ack_seconds - MARGIN_SECONDS
        self._held: dict[str, Token] = {}
        self._taking: dict[str, float] = {}
        self._dropping: dict[str, asyncio.Task[None]] = {}
        self._tokens: Tokens | None = None
        self._gone = False
        self._released = False
        self._wanted: Callable[[], Collection[str]] = tuple
        self._gained: Gained
        self._lost: Lost

    def owned(self) -> Mapping[str, Fence]:
        """Give what this node owns at this moment."""
        limit = self._now() - self._valid
        return {
            lane: token.fence
            for lane, token in self._held.items()
            if token.confirmed_at > limit and lane not in self._dropping and lane not in self._taking
        }

    async def run(self, wanted: Callable[[], Collection[str]], gained: Gained, lost: Lost) -> None:
        """Own lanes among those wanted, until cancelled."""
        self._wanted, self._gained, self._lost = wanted, gained, lost
        client = await self._link.up()
        self._tokens = tokens = Tokens(client, self._link.settings, self._journal_epoch)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(tokens))
            group.create_task(self._prepare(tokens))
            for kind in sorted({kind_of(lane) for lane in wanted()} | self._kinds()):
                group.create_task(self._take(group, tokens, kind))

    def _kinds(self) -> set[str]:
        roles = self._link.settings.roles
        kinds = {"read", "send", "jobs"} if "work" in roles else set()
        return kinds | ({"poll"} if "receive" in roles else set())

    # --- taking ---------------------------------------------------------------------------------------------------

    async def _prepare(self, tokens: Tokens) -> None:
        """Make the stream, and look from time to time whether it has a token for every lane."""
        while not self._released:
            try:
                tokens.forget()
                await tokens.prepare(self._kinds())
                await tokens.put(self._wanted())
                self._link.passed()
            except _UNREACHED as problem:
                self._link.say(f"JetStream does not answer ({type(problem).__name__}); lanes wait for it")
                await asyncio.sleep(LOOK_SECONDS)
                continue
            wanted = set(self._wanted())
            for _ in range(int(PREPARE_SECONDS / LOOK_SECONDS)):
                await asyncio.sleep(LOOK_SECONDS)
                if self._gone or set(self._wanted()) != wanted:
                    break
            self._gone = False

    def _room(self, kind: str) -> int:
        """Give how many lanes of a kind this node lacks (above 0) or has too many (below)."""
        if self._released:
            return 0
        share = shares(self._wanted(), list(self._nodes()), self._link.settings.name).get(kind, 0)
        own = (self._held.keys() | self._taking.keys()) - self._dropping.keys()
        return share - sum(kind_of(lane) == kind for lane in own)

    async def _take(self, group: asyncio.TaskGroup, tokens: Tokens, kind: str) -> None:
        while not self._released:
            room = self._room(kind)
            if room < 0:
                await self._give_back_some(tokens, kind, -room)
            if room <= 0 or not tokens.is_ready(kind):
                await asyncio.sleep(LOOK_SECONDS)
                continue
            came = False
            try:
                async with contextlib.aclosing(tokens.take(kind, room, TAKE_SECONDS, self._now)) as coming:
                    async for token in coming:
                        came = True
                        if token.lane not in self._taking:  # else its former handing-out is still being taken
                            self._taking[token.lane] = self._now()
                            group.create_task(self._taken(tokens, token))
            except _UNREACHED as problem:
                self._link.say(f"JetStream gives out no lanes ({type(problem).__name__})")
                if isinstance(problem, nats.js.errors.ServiceUnavailableError):
                    self._gone = True  # no server knows the consumer: it may have to be made anew
                await asyncio.sleep(LOOK_SECONDS)
                continue
            if not came:
                await asyncio.sleep(REST_SECONDS)

    async def _taken(self, tokens: Tokens, token: Token) -> None:
        """Take a lane whose token has come; until that is done, it is in `_taking`."""
        lane = token.lane
        try:
            if lane in self._held:
                # JetStream gave it out anew, to us again: what was confirmed meanwhile was for the former handing-out.
                await self._drop(lane)
            # Confirmed at once: it may have come as the question ended, and be late before it is the turn of `_keep`.
            if not self._is_late(token) and await tokens.keep(token, KEEP_SECONDS, self._now):
                await self._gain(tokens, token)
        finally:
            del self._taking[lane]

    async def _gain(self, tokens: Tokens, token: Token) -> None:
        lane = token.lane
        if self._released or lane not in set(self._wanted()):
            await self._back(tokens, token, 0.0 if self._released else REFUSED_SECONDS)
            return
        self._held[lane] = token
        # The engine writes the fence to the journal, and from then on nobody else can write for this lane.
        taken = await self._gained(token.fence)
        if not taken and self._held.get(lane) is token:
            del self._held[lane]
            await self._back(tokens, token, REFUSED_SECONDS)

    async def _give_back_some(self, tokens: Tokens, kind: str, count: int) -> None:
        """Make room for another node: what was taken last goes first, it has the least under way."""
        mine = [lane for lane in self._held if kind_of(lane) == kind]
        mine = [lane for lane in mine if lane not in self._taking and lane not in self._dropping]
        # Side by side: one that takes long to let go of must not keep the others from who waits for them.
        await asyncio.gather(*(self._hand_over(tokens, lane) for lane in reversed(mine[-count:])))

    async def _hand_over(self, tokens: Tokens, lane: str) -> None:
        token = self._held[lane]
        await self._drop(lane)
        await self._back(tokens, token)

    def _is_late(self, token: Token) -> bool:
        """Say whether a token was confirmed so long ago that it may be another node's."""
        return token.confirmed_at <= self._now() - self._valid

    async def _back(self, tokens: Tokens, token: Token, delay: float = 0.0) -> None:
        """Hand a token back, unless it may be in other hands, out of which that would take it.

        Nor while the servers are away: it would be said once they are back. It is handed out when `ack_wait` ends.
        """
        if self._is_late(token) or not self._link.is_up:
            return
        with contextlib.suppress(*_UNREACHED):
            await tokens.give_back(token, delay)

    # --- keeping and dropping -------------------------------------------------------------------------------------

    async def _keep(self, tokens: Tokens) -> None:
        while not self._released:
            await asyncio.gather(*(self._keep_one(tokens, token) for token in list(self._held.values())))
            for lane in [lane for lane, token in self._held.items() if self._is_late(token)]:
                if lane not in self._taking:
                    # Not waited for: a lane that takes long to let go of must not make the others late too.
                    self.give_up(lane)
            await asyncio.sleep(KEEP_SECONDS)

    async def _keep_one(self, tokens: Tokens, token: Token) -> None:
        if self._held.get(token.lane) is not token or self._is_late(token):
            return
        now = self._now()
        if now - self._taking.get(token.lane, now) <= GAIN_SECONDS:
            await tokens.keep(token, KEEP_SECONDS, self._now)

    async def _drop(self, lane: str) -> None:
        """Let go of a lane here; its token is not touched."""
        dropping = self._dropping.get(lane)
        if dropping is None:
            dropping = self._dropping[lane] = asyncio.create_task(self._dropped(lane))
        await asyncio.shield(dropping)

    async def _dropped(self, lane: str) -> None:
        try:
            await self._lost(lane)
        finally:
            self._held.pop(lane, None)
            del self._dropping[lane]

    def give_up(self, lane: str) -> None:
        """Drop a lane that the journal says is another node's.

        The token stays untouched: it is in that node's hands. Were it in nobody's, it is given out after `ack_wait`.
        """
        if lane in self._held and lane not in self._dropping:
            self._dropping[lane] = asyncio.create_task(self._dropped(lane))

    async def release(self) -> None:
        """Give every lane back at once, and take none any more."""
        self._released = True
        tokens = self._tokens
        # What is being dropped is another's, or is handed over by who drops it.
        held = [token for lane, token in self._held.items() if lane not in self._dropping]
        self._held = {}
        if tokens is not None:
            with contextlib.suppress(*_UNREACHED):  # a question that cannot be ended is one that nobody hears either
                await tokens.ask_no_more()
            for token in held:
                await self._back(tokens, token)
