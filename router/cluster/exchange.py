"""Bells and presence: what nodes tell each other over plain NATS. Nothing is kept, and nothing depends on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from router.cluster.contracts import Bell, NodeStatus, NotUnderstood
from router.cluster.link import Link

SAY_SECONDS = 1.0
HEARD_SECONDS = 5.0
"""A node that was not heard for so long is not counted."""

LARGEST = 512 * 1024
"""A status above this many bytes is said without its flows."""


class NatsBells:
    """Implements `Bells`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._subject = f"{link.settings.prefix}.bell"
        self._heard: Callable[[Bell], None] | None = None
        self._ringing: set[asyncio.Task[None]] = set()
        self.not_understood = 0
        link.at_start(self._subscribe)

    async def _subscribe(self, client: Client) -> None:
        await client.subscribe(self._subject, cb=self._on_message)

    def ring(self, bell: Bell) -> None:
        """Tell the others; never waits, and never raises."""
        if bell and self._link.is_up:
            task = asyncio.get_running_loop().create_task(self._ring(bell.to_json()))
            self._ringing.add(task)
            task.add_done_callback(self._ringing.discard)

    async def _ring(self, data: bytes) -> None:
        client = self._link.client
        if client is not None:
            with contextlib.suppress(nats.errors.Error, OSError):  # what a bell would have said is found by a look
                await client.publish(self._subject, data)

    def listen(self, heard: Callable[[Bell], None]) -> None:
        """Call `heard` for each bell of another node."""
        self._heard = heard

    async def _on_message(self, message: Msg) -> None:
        try:
            bell = Bell.from_json(message.data)
        except NotUnderstood:
            self.not_understood += 1
            return
        if self._heard is not None:
            self._heard(bell)


class NatsPresence:
    """Implements `Presence`. `run` says every second what there is to say."""

    def __init__(self, link: Link, *, now: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._subject = f"{link.settings.prefix}.node"
        self._now = now
        self._status: Callable[[], NodeStatus] | None = None
        self._others: dict[str, tuple[float, NodeStatus]] = {}
        self.not_understood = 0
        link.at_start(self._subscribe)

    async def _subscribe(self, client: Client) -> None:
        await client.subscribe(self._subject, cb=self._on_message)

    def say(self, status: Callable[[], NodeStatus]) -> None:
        """Say once a second what `status` gives."""
        self._status = status

    async def run(self) -> None:
        """Say it until cancelled."""
        client = await self._link.up()
        while True:
            if self._status is not None and client.is_connected:
                with contextlib.suppress(nats.errors.Error, OSError):  # it is said again in a second
                    await client.publish(self._subject, _short(self._status()))
            await asyncio.sleep(SAY_SECONDS)

    async def _on_message(self, message: Msg) -> None:
        try:
            status = NodeStatus.from_json(message.data)
        except NotUnderstood:
            self.not_understood += 1
            return
        self._others[status.name] = (self._now(), status)

    def nodes(self) -> Sequence[NodeStatus]:
        """Give those who were heard lately, this one included, by name."""
        limit = self._now() - HEARD_SECONDS
        self._others = {name: heard for name, heard in self._others.items() if heard[0] > limit}
        there = {name: status for name, (_, status) in self._others.items()}
        if self._status is not None:
            own = self._status()
            there[own.name] = own
        return [there[name] for name in sorted(there)]


def _short(status: NodeStatus) -> bytes:
    data = status.to_json()
    if len(data) <= LARGEST:
        return data
    return NodeStatus(
        status.name,
        status.roles,
        status.version,
        status.started_at,
        status.at,
        status.lanes,
        configuration=status.configuration,
        trouble=status.trouble,
    ).to_json()
