"""Making the faults: each has a begin and an end, and says in words what was done and seen."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from router.journal.store import WRITE_LOCK
from router.prove.cluster.database import Database
from router.prove.cluster.nodes import Cluster, Node
from router.prove.cluster.schedule import NotAFault, Planned
from router.trial.patience import Patience
from router.trial.process import TrialFault

SKEW = 3600.0
"""Seconds that a skewed node's wall clock is ahead."""

_CATCH_SECONDS = 20.0
_SETTLED = 0.05
_WRITING = """
SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s AND client_addr = %s
"""

Step = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class Fault:
    """One fault on one host: `begin` makes it and says what was done, `end` undoes it and says what was seen."""

    target: str
    begin: Step
    end: Step


def make(planned: Planned, cluster: Cluster, draw: random.Random) -> Fault:
    """Make ready a planned fault; a host that the plan leaves open is drawn. Raises TrialFault for one unknown."""
    try:
        maker = _MAKERS[planned.kind.name]
    except KeyError:
        raise NotAFault(f"there is no way to make the fault `{planned.kind.name}`") from None
    return maker(_Scene(cluster, planned.target, draw))


@dataclass(frozen=True, slots=True)
class _Scene:
    cluster: Cluster
    wanted: str
    draw: random.Random

    def node(self) -> Node:
        """Give the node that is to be hit: the one of that name, or one of that role; never one with pages alone."""
        able = [node for node in self.cluster.nodes if node.role == self.wanted or (not self.wanted and node.works)]
        return self.draw.choice(able) if able else self.cluster.node(self.wanted)

    def server(self) -> str:
        """Give the NATS server that is to be hit."""
        names = sorted(self.cluster.queues.servers)
        if self.wanted and self.wanted not in names:
            raise NotAFault(f"there is no NATS server {self.wanted}; there are {', '.join(names)}")
        return self.wanted or self.draw.choice(names)

    @property
    def database(self) -> Database:
        """Give the PostgreSQL that the harness runs."""
        if self.cluster.database is None:
            raise TrialFault("PostgreSQL is not run by the harness: it is left alone")
        return self.cluster.database


def _kill(scene: _Scene) -> Fault:
    node = scene.node()

    async def begin() -> str:
        node.process.kill()
        return f"{node.name} killed"

    async def end() -> str:
        node.start()
        await node.listening()
        return f"{node.name} listens again"

    return Fault(node.name, begin, end)


def _freeze(scene: _Scene, *, writing: bool = False) -> Fault:
    node = scene.node()

    async def begin() -> str:
        if writing and not await _caught_writing(scene, node, node.process.freeze, node.process.thaw):
            node.process.freeze()
            return f"{node.name} stopped (SIGSTOP); it was not caught writing"
        if not writing:
            node.process.freeze()
        return f"{node.name} stopped (SIGSTOP){', holding the write lock' if writing else ''}"

    async def end() -> str:
        node.process.thaw()
        await asyncio.sleep(1.0)
        return f"{node.name} goes on (SIGCONT){await _restarted(node)}"

    return Fault(node.name, begin, end)


def _cut(scene: _Scene, *, writing: bool = False) -> Fault:
    node = scene.node()
    network = scene.cluster.network

    def cut() -> None:
        network.cut(node.host)

    def mend() -> None:
        network.mend(node.host)

    async def begin() -> str:
        if writing and not await _caught_writing(scene, node, cut, mend):
            cut()
            return f"the link of {node.name} cut; it was not caught writing"
        if not writing:
            cut()
        return f"the link of {node.name} cut{', which held the write lock' if writing else ''}"

    async def end() -> str:
        mend()
        return f"mended{await _restarted(node)}"

    return Fault(node.name, begin, end)


def _cut_nats(scene: _Scene) -> Fault:
    name = scene.server()
    queues, network = scene.cluster.queues, scene.cluster.network
    host = queues.servers[name].host

    async def begin() -> str:
        led = await queues.leaders()
        network.cut(host)
        return f"the link of {name} cut, which led {_led(led, name)}"

    async def end() -> str:
        network.mend(host)
        return "mended"

    return Fault(name, begin, end)


def _kill_leader(scene: _Scene) -> Fault:
    queues = scene.cluster.queues

    async def begin() -> str:
        led = await queues.leaders()
        # The server that leads most: of the stream of lanes, and of the consumers by which lanes are kept.
        leader, _ = max(Counter(led.values()).items(), key=lambda one: one[1], default=("", 0))
        fault.target = leader if leader in queues.servers else scene.server()
        queues.servers[fault.target].kill()
        return f"{fault.target} killed, which led {_led(led, fault.target)}"

    async def end() -> str:
        led = await queues.leaders()
        queues.start(fault.target)
        return f"{', '.join(sorted(set(led.values()))) or 'nobody'} led meanwhile; {fault.target} started again"

    fault = Fault("", begin, end)
    return fault


def _led(leaders: Mapping[str, str], server: str) -> str:
    led = sorted(part for part, leader in leaders.items() if leader == server)
    return f"{len(led)} of {len(leaders)} parts ({', '.join(led)})" if led else f"none of {len(leaders)} parts"


def _restart(scene: _Scene, *, immediate: bool) -> Fault:
    database = scene.database

    async def begin() -> str:
        await asyncio.to_thread(database.stop, immediate=immediate)
        return f"PostgreSQL stopped ({'immediate' if immediate else 'fast'})"

    async def end() -> str:
        database.start()
        await asyncio.to_thread(database.wait)
        return "started again, and answers"

    return Fault(database.host.name, begin, end)


def _disk_full(scene: _Scene) -> Fault:
    database = scene.database

    async def begin() -> str:
        ballast = await asyncio.to_thread(database.fill)
        return f"the disk of PostgreSQL filled with {ballast / 1e6:.0f} MB"

    async def end() -> str:
        died = not database.server.alive
        database.free()
        if died:
            database.start()
        await asyncio.to_thread(database.wait)
        return "room again" + ("; PostgreSQL had ended by itself and was started again" if died else "")

    return Fault(database.host.name, begin, end)


def _skew(scene: _Scene) -> Fault:
    node = scene.node()

    async def restart(ahead: float) -> None:
        await asyncio.to_thread(node.process.stop)
        node.start(skew=ahead)
        await node.listening()

    async def begin() -> str:
        await restart(SKEW)
        return f"{node.name} restarted with the wall clock that its parts are given {SKEW:.0f} s ahead"

    async def end() -> str:
        await restart(0.0)
        return f"{node.name} restarted with the right one"

    return Fault(node.name, begin, end)


def _slow(scene: _Scene) -> Fault:
    node = scene.node()
    network = scene.cluster.network

    async def begin() -> str:
        return f"the link of {node.name} slow ({network.slow(node.host) or 'not possible here'})"

    async def end() -> str:
        network.quicken(node.host)
        return f"quick again{await _restarted(node)}"

    return Fault(node.name, begin, end)


async def _caught_writing(scene: _Scene, node: Node, stop: Callable[[], None], go_on: Callable[[], None]) -> bool:
    """Stop a node in the middle of a write transaction; False when it was not caught in one in time."""

    def catch() -> bool:
        patience = Patience(_CATCH_SECONDS)
        # Most tries find it writing and too late: the transaction ends before the node is stopped.
        with scene.database.connect() as connection:
            while not patience.ended:
                if not connection.execute(_WRITING, (WRITE_LOCK, node.host.address)).fetchone():
                    continue
                stop()
                time.sleep(_SETTLED)
                if connection.execute(_WRITING, (WRITE_LOCK, node.host.address)).fetchone():
                    return True
                go_on()
        return False

    return await asyncio.to_thread(catch)


async def _restarted(node: Node) -> str:
    """Start a node again that ended by itself, as its service manager would; say so."""
    if node.process.alive:
        return ""
    status = node.process.status
    node.start()
    await node.listening()
    return f"; {node.name} had ended by itself with {status} and was started again"


_MAKERS: dict[str, Callable[[_Scene], Fault]] = {
    "kill": _kill,
    "freeze": _freeze,
    "freeze-writing": lambda scene: _freeze(scene, writing=True),
    "cut": _cut,
    "cut-writing": lambda scene: _cut(scene, writing=True),
    "cut-nats": _cut_nats,
    "kill-leader": _kill_leader,
    "pg-fast": lambda scene: _restart(scene, immediate=False),
    "pg-immediate": lambda scene: _restart(scene, immediate=True),
    "disk-full": _disk_full,
    "skew": _skew,
    "slow": _slow,
}
