"""`passerelle cluster-demo`: three routers on this machine work as one; one is killed, and nothing is lost.

No right and no namespace is needed: three NATS servers and a PostgreSQL come from wheels, all hosts are this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.sandbox.people import population
from router.demo.stage import ADMINISTRATOR, free_or_any
from router.prove.cluster.campaign import ownership_of, stop_all
from router.prove.cluster.flow import held_up
from router.prove.cluster.hosts import Loopback
from router.prove.cluster.load import Load, comes
from router.prove.cluster.nodes import Node
from router.prove.cluster.stage import Cast, Say, Stage, furnish_places, set_up
from router.prove.cluster.watch import LaneBook
from router.trial.process import TrialFault

NODES = 3
PEOPLE = 24
_QUIET = 5.0
"""Seconds of traffic before the kill, and after it."""

_DOWN = 12.0
_GENTLE = 2.0
"""Messages a second once the story is told."""

LIMIT = 10.0
_SETTLE = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What happened, for the last words: seconds without the killed node's lanes, and what became of the messages."""

    killed: str
    held_up: float
    sent: int
    acknowledged: int
    arrived: int
    lost: int
    patients: int
    out_of_order: int
    repeats: int
    unrecognisable: int
    wrongly_owned: int
    stopped_with: int | None

    @property
    def holds(self) -> bool:
        """Whether all went as promised."""
        complete = self.sent == self.acknowledged == self.arrived and not self.lost
        recognised = not self.unrecognisable and not self.out_of_order and not self.wrongly_owned
        return complete and recognised and self.held_up <= LIMIT and self.stopped_with == 0

    def sentences(self) -> list[str]:
        """Say it in words."""
        return [
            (
                f"{self.sent:,} messages were sent, {self.acknowledged:,} acknowledged, {self.arrived:,} arrived; "
                f"lost: {self.lost}."
            ),
            f"In order: {self.patients - self.out_of_order} of {self.patients} patients.",
            f"Sent again: {self.repeats}, "
            + (f"{self.unrecognisable} not recognisable." if self.unrecognisable else "each under its first identity."),
            f"The kill of {self.killed} held the slowest message up for {self.held_up:.1f} s (limit {LIMIT:.0f} s).",
            "It holds: nothing was lost." if self.holds else "It does not hold.",
        ]


def run_cluster_demo(*, once: bool, port: int = 8080, say: Say = print) -> int:
    """Play the demonstration; gives the exit status: 0 when nothing was lost.

    Without `once` the cluster stays up, with gentle traffic, until SIGINT or SIGTERM. `port` is the first node's
    dashboard's, a free one if it is taken. Raises TrialFault when the cluster cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix=f"passerelle-cluster-{os.getpid()}-") as folder:
        return asyncio.run(_run(Path(folder), once=once, port=port, say=say))


async def _run(folder: Path, *, once: bool, port: int, say: Say) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    load = Load(population(PEOPLE), rate=15.0, connections=6, seed=1)
    password = secrets.token_urlsafe(9)
    say("Setting up on this machine:")
    async with _staged(folder, load, password, port, say) as stage:
        first = stage.cluster.nodes[0]
        if not once:
            say(f"\n  Dashboard   {first.web}  (who does what: {first.web}/nodes)")
            say(f"  Login       {ADMINISTRATOR}\n  Password    {password}\n")
        async with load.flowing(stage.address):
            killed, seconds = await _kill_one(stage, load, ended, say)
            if not once and not ended.is_set():
                load.at(_GENTLE)
                say(f"\nTraffic goes on; the dashboard is at {first.web}. Ctrl-C ends it, with a last account.")
                await ended.wait()
            say("No more messages are sent; those under way are brought to their end.")
        load.receiver.calm()
        await load.arrived(_SETTLE)
        await comes(lambda: stage.all_owned, LIMIT)
        told = await _tell(stage, load, killed, seconds)
    for sentence in told.sentences():
        say(sentence)
    return 0 if told.holds else 1


@asynccontextmanager
async def _staged(folder: Path, load: Load, password: str, port: int, say: Say) -> AsyncIterator[Stage]:
    network = Loopback()
    cast = Cast(
        nodes=[(f"node{rank}", "all") for rank in range(1, NODES + 1)],
        people=population(PEOPLE),
        password=password,
        web=("127.0.0.1", free_or_any(port)),
    )
    async with AsyncExitStack() as stack:
        cluster = await furnish_places(stack, network, folder, cast, lambda said: say(f"  {said}"))
        stage = await set_up(stack, cluster, cast, load.receiver, LaneBook(), lambda said: say(f"  {said}"))
        if not await comes(lambda: stage.all_owned, _SETTLE):
            raise TrialFault(f"the nodes did not share the lanes out within {_SETTLE:.0f} s")
        say("  a coordination tool that fails now and then, and laboratories that send again what is not acknowledged")
        yield stage


async def _kill_one(stage: Stage, load: Load, ended: asyncio.Event, say: Say) -> tuple[str, float]:
    """Kill the node that works on most, wait for the others to take its lanes over, start it again."""
    await comes(lambda: bool(load.ledger.arrivals), _SETTLE)
    await _unless(ended, _QUIET)
    say(f"{len(load.ledger.arrivals):,} messages have arrived. The lanes of work are shared out: {_shares(stage)}.")
    victim = _busiest(stage)
    began = time.monotonic()
    victim.process.kill()
    say(f"{victim.name} is killed (SIGKILL): nobody was told, and what it was sending is cut in the middle.")
    if await comes(lambda: stage.all_owned and not _lanes_of(stage, victim.name), _SETTLE):
        say(f"After {time.monotonic() - began:.1f} s the others have its lanes: {_shares(stage)}.")
    else:
        say(f"After {_SETTLE:.0f} s some of its lanes are still nobody's.")
    await _unless(ended, max(0.0, began + _DOWN - time.monotonic()))
    victim.start()
    await victim.listening()
    say(f"{victim.name} is back, and asks for its share.")
    await comes(lambda: stage.all_owned and bool(_lanes_of(stage, victim.name)), _SETTLE)
    say(f"The lanes of work now: {_shares(stage)}.")
    await _unless(ended, _QUIET)
    held = held_up(load.ledger, began, time.monotonic(), since=began, limit=LIMIT)
    say(f"The slowest message of the time was on its way for {held.longest:.1f} s; {load.ledger.backlog} are now.")
    return victim.name, held.longest


async def _tell(stage: Stage, load: Load, killed: str, seconds: float) -> Told:
    seen = ownership_of(stage.book)
    stopped = await stop_all(stage)
    ledger = load.ledger
    return Told(
        killed=killed,
        held_up=seconds,
        sent=len(ledger.attempts),
        acknowledged=len(ledger.acknowledged),
        arrived=len(ledger.arrivals),
        lost=len(ledger.lost),
        patients=len(ledger.order),
        out_of_order=len(ledger.out_of_order),
        repeats=ledger.duplicates,
        unrecognisable=ledger.unrecognisable,
        wrongly_owned=len({*seen.went_back, *seen.twice, *seen.nobodys, *seen.doubled}),
        stopped_with=next((status for status in stopped.values() if status != 0), 0),
    )


def _busiest(stage: Stage) -> Node:
    """Give the node with most lanes, but not the first: its dashboard is being looked at."""
    return max(stage.cluster.nodes[1:], key=lambda node: len(_lanes_of(stage, node.name)))


def _lanes_of(stage: Stage, name: str) -> list[str]:
    return [lane for lane, names in stage.book.owners().items() if name in names]


def _shares(stage: Stage) -> str:
    counted = Counter(name for names in stage.book.owners().values() for name in names)
    return ", ".join(f"{name} has {count}" for name, count in sorted(counted.items()))


async def _unless(ended: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until the end is asked for."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
