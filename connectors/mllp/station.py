"""What all connections of one MLLP source share: the inbox, who may connect, the figures, the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from connectors.contracts import Inbox, Receipt, Services
from connectors.mllp.answers import Answers, too_fast
from connectors.mllp.settings import MllpSourceSettings
from connectors.pace import TokenBucket
from connectors.reporting import Reporter
from connectors.tls import certificate_names
from mappings.hl7v2.header import HeaderCheck

if TYPE_CHECKING:
    from connectors.mllp.connection import Connection

FIGURES = (
    "connections",
    "messages",
    "duplicates",
    "rejected",
    "not_accepted",
    "unanswered",
    "garbage_bytes",
    "truncated",
    "too_large",
    "turned_away",
    "slowed",
    "too_fast",
)

KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 4}
"""A peer that vanished without a word is noticed after 140 seconds."""


class Station:
    """`connections` are open, `tasks` are submissions under way; `draining` once the source stops."""

    def __init__(self, name: str, settings: MllpSourceSettings, services: Services, inbox: Inbox) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self.inbox = inbox
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.posted = 0
        self._idle = asyncio.Event()
        self.draining = False
        self.report = Reporter(services)
        self._counts = dict.fromkeys(FIGURES, 0)
        services.health.figures.update(self._counts)
        self._answers = Answers(services.now, self._next_control_id, release_2=settings.release_2)
        self._by_peer: dict[str, int] = {}
        self.bucket = (
            TokenBucket(settings.max_rate, settings.burst, asyncio.get_running_loop().time)
            if settings.max_rate is not None
            else None
        )
        self._started = f"{services.now():%y%m%d%H%M%S}"
        self._serial = itertools.count(1)

    def count(self, figure: str, by: int = 1) -> None:
        """Add to a figure of the health record."""
        value = self._counts[figure] + by
        self._counts[figure] = value
        self.services.health.figures[figure] = value

    def welcome(self, connection: Connection, transport: asyncio.Transport, peer: str) -> str | None:
        """Take a connection in; give the reason when the settings do not allow it."""
        if len(self.connections) >= self.settings.max_connections:
            return "too many connections"
        most = self.settings.max_connections_per_peer
        if most is not None and self._by_peer.get(peer, 0) >= most:
            return "too many connections from this address"
        if not self._admits(peer):
            return "this address is not among allowed_peers"
        tls = self.settings.tls
        if tls is not None and tls.allowed_client_subjects:
            names = certificate_names(transport.get_extra_info("peercert"))
            if names.isdisjoint(tls.allowed_client_subjects):
                return "the client certificate bears no allowed name"
        self.connections.add(connection)
        self._by_peer[peer] = self._by_peer.get(peer, 0) + 1
        self.count("connections")
        _keep_alive(transport)
        return None

    def turn_away(self, peer: str, reason: str) -> None:
        """Note a connection that is closed at once."""
        self.count("turned_away")
        self.report("mllp.connection.turned_away", peer, reason)

    def goodbye(self, connection: Connection, peer: str) -> None:
        """Forget a connection that closed."""
        if connection in self.connections:
            self.connections.remove(connection)
            left = self._by_peer.pop(peer, 1) - 1
            if left:
                self._by_peer[peer] = left
            self.count("connections", -1)

    def committed(self, header: HeaderCheck, receipt: Receipt) -> bytes:
        """Make the answer to a message that is on stable storage."""
        self.count("duplicates" if receipt.duplicate else "messages")
        if header.refusal is None:
            return self._answers.taken(header)
        self.count("rejected")
        return self._answers.rejected(header, header.refusal, header.error_code)

    def not_accepted(self, header: HeaderCheck) -> bytes:
        """Make the answer to a message that could not be kept."""
        self.count("not_accepted")
        return self._answers.later(header)

    def too_fast(self, header: HeaderCheck, peer: str, wait: float) -> bytes:
        """Make the answer to a message that is one too many; it was not kept."""
        self.count("too_fast")
        self.report("mllp.too_fast", peer, "more messages came than max_rate allows; they were answered AR")
        return self._answers.later(header, too_fast(wait))

    def slowed(self, peer: str) -> None:
        """Note that a peer is left unread for a while."""
        self.count("slowed")
        self.report("mllp.slowed", peer, "more messages came than max_rate allows; their sender is made to wait")

    def settled(self) -> None:
        """Note that a posted message has its answer."""
        self.posted -= 1
        if not self.posted:
            self._idle.set()

    async def drain(self) -> None:
        """Let what was submitted be committed and answered, within `stop_grace`, then close every connection."""
        self.draining = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.stop_grace
        for connection in list(self.connections):
            connection.stop_reading()
        while (self.tasks or self.posted) and (left := deadline - loop.time()) > 0:
            self._idle.clear()
            if self.tasks:
                await asyncio.wait(self.tasks, timeout=left)
            elif self.posted:
                await asyncio.wait([asyncio.ensure_future(self._idle.wait())], timeout=left)
        if self.tasks or self.posted:
            self.report(
                "mllp.stop.unanswered",
                self.name,
                f"{len(self.tasks) + self.posted} messages were not committed in time at stop; their senders got no "
                "acknowledgement and will send them again",
            )
            stuck = list(self.tasks)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
        leaving = [connection.closed for connection in self.connections]
        for connection in list(self.connections):
            connection.close()
        if leaving:
            await asyncio.wait(leaving, timeout=max(1.0, deadline - loop.time()))
        for connection in list(self.connections):
            connection.abort()

    def _admits(self, peer: str) -> bool:
        if not self.settings.allowed_peers:
            return True
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.settings.allowed_peers)

    def _next_control_id(self) -> str:
        """Make the MSH-10 of an answer: 20 characters, never used twice by this source."""
        return f"{self._started}{next(self._serial):08d}"


def _keep_alive(transport: asyncio.Transport) -> None:
    """Notice peers that vanished; a system without these options does without."""
    connected = transport.get_extra_info("socket")
    if connected is None:
        return
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in KEEPALIVE.items():
            if hasattr(socket, option):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
