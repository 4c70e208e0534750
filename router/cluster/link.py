"""The connection to NATS: made in the background, made again when it breaks, and never waited for by who receives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import nats
import nats.errors
from nats.aio.client import Client

from router.cluster.settings import NatsSettings

AGAIN_SECONDS = 0.5
"""Wait between two tries to connect."""

PING_SECONDS = 2
"""How often the server is asked whether it is there; two questions without an answer end the connection."""


class Link:
    """One node's connection. `client` is None until it is made; `up` waits for it."""

    def __init__(self, settings: NatsSettings, trouble: Callable[[str], None]) -> None:
        self.settings = settings
        self.client: Client | None = None
        self._trouble = trouble
        self._up = asyncio.Event()
        self._said = ""
        self._each: list[Callable[[Client], Awaitable[None]]] = []

    def at_start(self, do: Callable[[Client], Awaitable[None]]) -> None:
        """Do something once the connection is made; subscriptions last over reconnections."""
        self._each.append(do)

    async def run(self) -> None:
        """Connect, and keep trying; returns once connected, as the client then reconnects by itself."""
        while True:
            try:
                client = await self._connect()
            except (OSError, TimeoutError, nats.errors.Error, asyncio.InvalidStateError) as problem:
                self.say(f"NATS cannot be reached ({type(problem).__name__}); messages are received, and read later")
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            for do in self._each:
                await do(client)
            self.client = client
            self._said = ""
            self._up.set()
            return

    async def up(self) -> Client:
        """Wait for the connection."""
        await self._up.wait()
        if self.client is None:  # pragma: no cover - the event is set after the client is there
            raise RuntimeError("a connection that is up has a client")
        return self.client

    @property
    def is_up(self) -> bool:
        """Whether the servers answer at this moment."""
        return self.client is not None and self.client.is_connected

    async def _connect(self) -> Client:
        settings = self.settings
        client = Client()
        await client.connect(
            list(settings.servers),
            name=settings.name,
            no_echo=True,  # a node's own bells and words are not for itself
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=2,
            allow_reconnect=True,
            tls=settings.tls,
            user=settings.user or None,
            password=settings.password or None,
            token=settings.token or None,
            error_cb=self._error,
            disconnected_cb=self._gone,
            reconnected_cb=self._back,
        )
        return client

    async def _error(self, problem: Exception) -> None:
        self.say(f"NATS: {type(problem).__name__}")

    async def _gone(self) -> None:
        self.say("the connection to NATS is broken; lanes are given back until it is made again")

    async def _back(self) -> None:
        self._said = ""

    def say(self, sentence: str) -> None:
        """Tell of a trouble once, until there is another one or it has passed."""
        if sentence != self._said:
            self._said = sentence
            self._trouble(sentence)

    def passed(self) -> None:
        """Tell of the next trouble anew."""
        self._said = ""

    async def close(self) -> None:
        """Send what is left, and leave."""
        client, self.client = self.client, None
        if client is None:
            return
        with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):  # leaving is silent where nobody answers
            if client.is_connected:
                await asyncio.wait_for(client.flush(), 2)
        with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
            await client.close()
