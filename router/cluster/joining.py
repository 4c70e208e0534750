"""Joining a cluster: the connection, lanes, bells and presence of one node, put together for `passerelle serve`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from router.cluster.contracts import Cluster
from router.cluster.exchange import NatsBells, NatsPresence
from router.cluster.link import Link
from router.cluster.ownership import JetStreamLanes
from router.cluster.settings import NatsSettings


@dataclass(frozen=True, slots=True)
class Member:
    """A node's place in its cluster. `cluster` is what the engine is made with."""

    cluster: Cluster
    link: Link
    _presence: NatsPresence

    async def run(self) -> None:
        """Connect and be present, until cancelled; what needs the connection waits for it, nothing else does."""
        await self.link.run()
        await self._presence.run()

    async def leave(self) -> None:
        """Give lanes back and close the connection; after the engine has stopped."""
        await self.cluster.lanes.release()
        await self.link.close()


def join(settings: NatsSettings, journal_epoch: Callable[[], Awaitable[int]], trouble: Callable[[str], None]) -> Member:
    """Make a member of a cluster; nothing is connected before `run`.

    `journal_epoch` gives the greatest epoch of the journal's fences, 0 when there is none.
    """
    link = Link(settings, trouble)
    presence = NatsPresence(link)
    lanes = JetStreamLanes(link, journal_epoch, presence.nodes)
    cluster = Cluster(settings.name, settings.roles, settings.send_lanes, lanes, NatsBells(link), presence)
    return Member(cluster, link, presence)
