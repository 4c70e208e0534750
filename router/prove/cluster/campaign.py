"""The run of a campaign: a cluster is built, loaded, put under one fault after the other, and held to account."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from connectors.sandbox.people import population
from router.journal.store import JournalPlace
from router.prove.accounting import account, states, wait_for_answers
from router.prove.cluster.balancer import Backend, Balancer
from router.prove.cluster.database import Database
from router.prove.cluster.faults import make
from router.prove.cluster.flow import TimedLedger, held_up
from router.prove.cluster.hosts import Loopback, Network, namespaces
from router.prove.cluster.nodes import Cluster, Node, Settings, configuration, furnish
from router.prove.cluster.queues import Queues
from router.prove.cluster.schedule import Planned, draw_list, read_list, split
from router.prove.cluster.verdict import ClusterVerdict, Ownership, Seen, judge_cluster
from router.prove.cluster.watch import LaneBook, watching
from router.prove.receiver import UnreliableReceiver
from router.prove.senders import Sender, Target
from router.prove.verdict import Kill
from router.trial.patience import Patience
from router.trial.process import TrialFault

_LOOK = 0.1
_CALM_BEFORE = 4.0
"""Seconds of load without a fault at the beginning."""


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """How large the cluster is, and what is done to it.

    `nodes` routers that work, `receivers` that receive, and one with the dashboard. `faults` is a list as
    `schedule.read_list` takes it; empty, as many are drawn as fit into `seconds`. `rate` messages a second come over
    `connections`. `limit` is the longest failover, `settle` how long the run waits for traffic that does not come back,
    in seconds. `network` says whether hosts are namespaces; `postgres` is the URL of an empty database to use instead
    of one that the harness runs.
    """

    nodes: int = 3
    receivers: int = 2
    seconds: float = 300.0
    faults: str = ""
    seed: int = 1
    rate: float = 20.0
    connections: int = 8
    patients: int = 40
    send_lanes: int = 8
    limit: float = 10.0
    settle: float = 60.0
    with_namespaces: bool = True
    postgres: str = ""


def run_campaign(options: CampaignOptions, say: Callable[[str], None] = lambda _: None) -> ClusterVerdict:
    """Run a campaign; `say` is told each step. Raises TrialFault when the cluster cannot be run at all.

    Everything that is made is taken away again, also when the run is interrupted or asked to end by SIGTERM.
    """
    planned = read_list(options.faults) if options.faults else []
    if options.postgres and options.with_namespaces:
        raise TrialFault("a PostgreSQL of your own cannot be reached from the namespaces: add --no-namespaces")
    with ExitStack() as stack:
        network: Network = stack.enter_context(namespaces()) if options.with_namespaces else Loopback()
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"passerelle-cluster-{os.getpid()}-"))
        return asyncio.run(_Campaign(options, network, Path(scratch), planned, say).run())


class _Campaign:
    def __init__(
        self,
        options: CampaignOptions,
        network: Network,
        folder: Path,
        planned: list[Planned],
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._network = network
        self._folder = folder
        self._planned = planned
        self._say = say
        self._ledger = TimedLedger()
        self._draw = random.Random(options.seed)
        self._receiver = UnreliableReceiver(self._ledger, random.Random(options.seed + 1))
        self._book = LaneBook()
        self._seen: list[Seen] = []
        self._left_out: list[str] = []
        self._largest = 0
        self._load_began = 0.0

    async def run(self) -> ClusterVerdict:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            cluster = await self._build(stack)
            target = await self._begin(stack, cluster)
            await self._load_and_disturb(cluster, target)
            self._receiver.calm()
            self._say("the faults are over: settling")
            await self._settle()
            ownership = self._ownership()
            stopped = await self._stop(cluster)
            verdict = ClusterVerdict(
                nodes=[f"{node.name} ({node.role})" for node in cluster.nodes],
                network="network namespaces" if self._network.cuts else "addresses of one machine",
                limit=self._options.limit,
                faults=self._seen,
                left_out=self._left_out,
                ownership=ownership,
                accounts=await asyncio.to_thread(
                    account,
                    self._ledger,
                    self._receiver,
                    self._place(cluster),
                    seed=self._options.seed,
                    kills=[Kill(0, whole_group=True, while_starting=False) for one in self._seen if one.kind == "kill"],
                    stopped=stopped,
                    seconds=time.monotonic() - began,
                ),
            )
        return replace(verdict, reasons=judge_cluster(verdict))

    async def _build(self, stack: AsyncExitStack) -> Cluster:
        options, network = self._options, self._network
        self._say("three NATS servers and a PostgreSQL")
        queues = Queues(network, self._folder)
        stack.callback(queues.stop_all)
        queues.start_all()
        database: Database | None = None
        if not options.postgres:
            database = Database(network, self._folder, disk=os.geteuid() == 0)
            stack.callback(database.remove)
            database.make()
        await queues.ready()
        able = {"links"} if network.cuts else set()
        if database is not None:
            able |= {"database", "disk"} if database.can_fill else {"database"}
        if not self._planned:
            self._planned = draw_list(options.seconds, able, self._draw)
        self._planned, self._left_out = split(self._planned, able)
        names = [("receive", f"receive{rank}") for rank in range(1, options.receivers + 1)]
        names += [("work", f"work{rank}") for rank in range(1, options.nodes + 1)]
        nodes = [
            Node(network, self._folder, name, role, secret=queues.password) for role, name in [*names, ("web", "web")]
        ]
        return Cluster(network, queues, database, nodes)

    async def _begin(self, stack: AsyncExitStack, cluster: Cluster) -> Target:
        """Start the routers and what is around them, and wait until messages can flow."""
        options = self._options
        url = await stack.enter_async_context(self._receiver.serving(self._network.outside.address))
        text = configuration(Settings(url, options.send_lanes), self._url(cluster), cluster.queues)
        self._say(f"{len(cluster.nodes)} routers: {', '.join(node.name for node in cluster.nodes)}")
        furnish(cluster.nodes, text, self._url(cluster), list(population(options.patients, options.seed)))
        if sum(states(self._place(cluster), "message").values()):
            raise TrialFault("the journal already holds messages: give an empty database")
        for node in cluster.nodes:
            stack.callback(node.process.kill)
            node.start()
        for node in cluster.nodes:
            await node.listening()
        await stack.enter_async_context(
            watching(
                self._book,
                lambda: _connect(self._url(cluster)),
                cluster.queues.urls,
                cluster.queues.user,
                cluster.queues.password,
            )
        )
        balancer = Balancer(
            [
                Backend(node.name, node.host.address, node.mllp_port, node.web_port)
                for node in cluster.nodes
                if node.role in {"receive", "all"}
            ]
        )
        self._backends = balancer.backends
        address = await stack.enter_async_context(balancer.serving(self._network.outside.address))
        if not await self._comes(self._all_owned, 60.0):
            raise TrialFault("the nodes did not share the lanes out within 60 s")
        return Target(address)

    async def _load_and_disturb(self, cluster: Cluster, target: Target) -> None:
        options = self._options
        people = list(enumerate(population(options.patients, options.seed)))
        enough = asyncio.Event()
        self._load_began = time.monotonic()
        pause = options.connections / options.rate
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._measure_backlog())
            senders = [
                group.create_task(
                    Sender(
                        target,
                        self._ledger,
                        people[rank :: options.connections],
                        random.Random(options.seed * 1000 + rank),
                        pause=pause,
                        answer=8.0,
                    ).run(enough)
                )
                for rank in range(options.connections)
                if people[rank :: options.connections]
            ]
            await asyncio.sleep(_CALM_BEFORE)
            for planned in self._planned:
                await self._disturb(planned, cluster)
            await asyncio.sleep(max(0.0, self._load_began + options.seconds - time.monotonic()))
            enough.set()
            await asyncio.gather(*senders)
            watch.cancel()

    async def _disturb(self, planned: Planned, cluster: Cluster) -> None:
        """Make one fault, end it, wait until traffic flows, and note what was seen."""
        rest = self._draw.uniform(1.0, 3.0)
        if planned.at is not None:
            rest = self._load_began + planned.at - time.monotonic()
        await asyncio.sleep(max(0.0, rest))
        kind = planned.kind
        fault = make(planned, cluster, self._backends, self._draw)
        self._largest = 0
        began = time.monotonic()
        words = [await fault.begin()]
        self._say(f"{began - self._load_began:5.0f} s  {words[0]}")
        await asyncio.sleep(kind.lasts)
        words.append(await fault.end())
        ended = time.monotonic()
        recovered = await self._recovered(ended)
        closed = time.monotonic()
        held = held_up(self._ledger, began, closed, since=ended if kind.outage else began, limit=self._options.limit)
        moved = self._book.moved(began, closed)
        self._seen.append(
            Seen(
                kind=kind.name,
                sentence=kind.sentence,
                host=fault.target,
                began=round(began - self._load_began, 1),
                ended=round(ended - self._load_began, 1),
                recovered=None if recovered is None else round(recovered - self._load_began, 1),
                outage=kind.outage,
                words=words,
                held_up=held.longest,
                acknowledged_after=held.acknowledgement,
                messages=held.messages,
                beyond=held.beyond,
                lanes_moved=moved,
                largest_backlog=self._largest,
            )
        )
        self._say(
            f"{closed - self._load_began:5.0f} s  {words[1]}; slowest message {held.longest:.1f} s, "
            f"{moved} lanes moved, largest backlog {self._largest}"
        )

    async def _recovered(self, ended: float) -> float | None:
        """Wait until all that was sent before the fault's end has arrived, and lanes are all owned."""
        waiting = {mark for mark, sent in self._ledger.sent_at.items() if sent <= ended}
        waiting -= self._ledger.arrivals.keys()
        patience = Patience(self._options.settle)
        while waiting or not self._all_owned():
            if patience.ended:
                return None
            await asyncio.sleep(_LOOK)
            waiting -= self._ledger.arrivals.keys()
        return time.monotonic()

    async def _measure_backlog(self) -> None:
        while True:
            self._largest = max(self._largest, self._ledger.backlog)
            await asyncio.sleep(_LOOK)

    async def _settle(self) -> None:
        seen, patience = -1, Patience(self._options.settle)
        while self._ledger.lost and not patience.ended:
            if len(self._ledger.arrivals) != seen:
                seen = len(self._ledger.arrivals)
                patience.renew()
            await asyncio.sleep(_LOOK)
        await self._comes(self._all_owned, self._options.limit)

    def _all_owned(self) -> bool:
        owners = self._book.owners()
        return len(owners) > self._options.send_lanes and all(len(names) == 1 for names in owners.values())

    def _ownership(self) -> Ownership:
        book, owners = self._book, self._book.owners()
        return Ownership(
            lanes=len(book.fences),
            takings=len(book.takings),
            samples=book.samples,
            statements=book.statements,
            went_back=sorted(book.went_back),
            twice=sorted(book.twice),
            nobodys=sorted(lane for lane, names in owners.items() if not names),
            doubled=sorted(lane for lane, names in owners.items() if len(names) > 1),
        )

    async def _stop(self, cluster: Cluster) -> int | None:
        """Stop every router gracefully; gives the first status that is not 0."""
        await asyncio.to_thread(wait_for_answers, self._place(cluster))
        for node in cluster.nodes:
            node.process.ask()
        stopped = [await asyncio.to_thread(node.process.stop) for node in cluster.nodes]
        return next((status for status in stopped if status != 0), 0)

    async def _comes(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is true; False when it does not become so in time."""
        patience = Patience(seconds)
        while not true():
            if patience.ended:
                return False
            await asyncio.sleep(_LOOK)
        return True

    def _url(self, cluster: Cluster) -> str:
        return self._options.postgres if cluster.database is None else cluster.database.url

    def _place(self, cluster: Cluster) -> JournalPlace:
        return JournalPlace.at(cluster.nodes[0].folder / "data", self._url(cluster))


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, connect_timeout=2, autocommit=True)
