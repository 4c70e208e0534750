"""The run of a campaign: a cluster is built, loaded, put under one fault after the other, and held to account."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.sandbox.people import population
from router.prove.accounting import account, wait_for_answers
from router.prove.cluster.faults import make
from router.prove.cluster.flow import held_up
from router.prove.cluster.hosts import Loopback, Network, namespaces
from router.prove.cluster.load import LOOK, Load, comes
from router.prove.cluster.nodes import Cluster
from router.prove.cluster.schedule import Planned, draw_list, read_list, split
from router.prove.cluster.stage import Cast, Say, Stage, furnish_places, set_up
from router.prove.cluster.verdict import ClusterVerdict, Ownership, Seen, judge_cluster
from router.prove.cluster.watch import LaneBook
from router.prove.verdict import Kill
from router.trial.patience import Patience
from router.trial.process import TrialFault

_CALM_BEFORE = 4.0
"""Seconds of load without a fault at the beginning."""


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """How large the cluster is, and what is done to it.

    `nodes` routers that work, `receivers` that receive, and with `pages` one with the dashboard. `faults` is a list as
    `schedule.read_list` takes it; empty, as many are drawn as fit into `seconds`. `rate` messages a second come over
    `connections`. `limit` is the longest failover, `settle` how long the run waits for traffic that does not come back,
    in seconds. `network` says whether hosts are namespaces; `postgres` is the URL of an empty database to use instead
    of one that the harness runs. `folder` keeps the logs there.
    """

    nodes: int = 3
    receivers: int = 2
    pages: bool = True
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
    folder: Path | None = None


def run_campaign(options: CampaignOptions, say: Say = lambda _: None) -> ClusterVerdict:
    """Run a campaign; `say` is told each step. Raises TrialFault when the cluster cannot be run at all.

    Everything that is made is taken away again, also when the run is interrupted or asked to end by SIGTERM.
    """
    planned = read_list(options.faults) if options.faults else []
    if options.postgres and options.with_namespaces:
        raise TrialFault("a PostgreSQL of your own cannot be reached from the namespaces: add --no-namespaces")
    with ExitStack() as stack:
        network: Network = stack.enter_context(namespaces()) if options.with_namespaces else Loopback()
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"passerelle-cluster-{os.getpid()}-"))
        if options.folder is not None:
            stack.callback(_keep, Path(scratch), options.folder)
        try:
            return asyncio.run(_Campaign(options, network, Path(scratch), planned, say).run())
        except asyncio.CancelledError:
            raise TrialFault("the campaign was asked to end before its time: nothing is proved") from None


def _keep(scratch: Path, folder: Path) -> None:
    """Keep the logs of a campaign; its journal and its keys go with it."""
    for log in scratch.rglob("*.log"):
        kept = folder / f"{log.parent.name if log.name == 'serve.log' else 'servers'}-{log.name}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, kept)


class _Campaign:
    def __init__(
        self, options: CampaignOptions, network: Network, folder: Path, planned: list[Planned], say: Say
    ) -> None:
        self._options = options
        self._network = network
        self._folder = folder
        self._planned = planned
        self._say = say
        self._draw = random.Random(options.seed)
        people = population(options.patients, options.seed)
        self._load = Load(people, rate=options.rate, connections=options.connections, seed=options.seed)
        self._cast = Cast(
            nodes=[
                *((f"receive{rank}", "receive") for rank in range(1, options.receivers + 1)),
                *((f"work{rank}", "work") for rank in range(1, options.nodes + 1)),
                *((("web", "web"),) if options.pages else ()),
            ],
            people=people,
            send_lanes=options.send_lanes,
            postgres=options.postgres,
        )
        self._seen: list[Seen] = []
        self._left_out: list[str] = []
        self._load_began = 0.0

    async def run(self) -> ClusterVerdict:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            cluster = await furnish_places(stack, self._network, self._folder, self._cast, self._say)
            self._plan(cluster)
            stage = await set_up(stack, cluster, self._cast, self._load.receiver, LaneBook(), self._say)
            if not await comes(lambda: stage.all_owned, 60.0):
                raise TrialFault("the nodes did not share the lanes out within 60 s")
            async with self._load.flowing(stage.address):
                await self._disturb_all(stage)
            self._load.receiver.calm()
            self._say("the faults are over: settling")
            await self._load.arrived(self._options.settle)
            await comes(lambda: stage.all_owned, self._options.limit)
            verdict = await self._account(stage, began)
        return replace(verdict, reasons=judge_cluster(verdict))

    def _plan(self, cluster: Cluster) -> None:
        able = {"links"} if self._network.cuts else set()
        if cluster.database is not None:
            able |= {"database", "disk"} if cluster.database.can_fill else {"database"}
        planned = self._planned or draw_list(self._options.seconds, able, self._draw)
        self._planned, self._left_out = split(planned, able)

    async def _disturb_all(self, stage: Stage) -> None:
        self._load_began = time.monotonic()
        await asyncio.sleep(_CALM_BEFORE)
        for planned in self._planned:
            await self._disturb(planned, stage)
        await asyncio.sleep(max(0.0, self._load_began + self._options.seconds - time.monotonic()))

    async def _disturb(self, planned: Planned, stage: Stage) -> None:
        """Make one fault, end it, wait until traffic flows, and note what was seen."""
        rest = self._draw.uniform(1.0, 3.0)
        if planned.at is not None:
            rest = self._load_began + planned.at - time.monotonic()
        await asyncio.sleep(max(0.0, rest))
        kind, limit = planned.kind, self._options.limit
        fault = make(planned, stage.cluster, self._draw)
        self._load.largest_backlog = 0
        began = time.monotonic()
        words = [await fault.begin()]
        self._say(f"{began - self._load_began:5.0f} s  {words[0]}")
        await asyncio.sleep(kind.lasts)
        words.append(await fault.end())
        ended = time.monotonic()
        recovered = await self._recovered(stage, ended)
        closed = time.monotonic()
        held = held_up(self._load.ledger, began, closed, since=ended if kind.outage else began, limit=limit)
        seen = Seen(
            kind=kind.name,
            sentence=kind.sentence,
            host=fault.target,
            began=round(began - self._load_began, 1),
            ended=round(ended - self._load_began, 1),
            recovered=round(closed - self._load_began, 1) if recovered else None,
            outage=kind.outage,
            words=words,
            held_up=held.longest,
            acknowledged_after=held.acknowledgement,
            messages=held.messages,
            beyond=held.beyond,
            lanes_moved=stage.book.moved(began, closed),
            largest_backlog=self._load.largest_backlog,
        )
        self._seen.append(seen)
        self._say(
            f"{closed - self._load_began:5.0f} s  {words[1]}; slowest message {held.longest:.1f} s, "
            f"{seen.lanes_moved} lanes moved, largest backlog {seen.largest_backlog}"
        )

    async def _recovered(self, stage: Stage, ended: float) -> bool:
        """Wait until all that was sent before the fault's end has arrived, and every lane has its owner."""
        ledger = self._load.ledger
        waiting = {mark for mark, sent in ledger.sent_at.items() if sent <= ended} - ledger.arrivals.keys()
        patience = Patience(self._options.settle)
        while waiting or not stage.all_owned:
            if patience.ended:
                return False
            await asyncio.sleep(LOOK)
            waiting -= ledger.arrivals.keys()
        return True

    async def _account(self, stage: Stage, began: float) -> ClusterVerdict:
        ownership = ownership_of(stage.book)
        stopped = await stop_all(stage)
        left = [name for name, status in stopped.items() if status != 0]
        return ClusterVerdict(
            nodes=[f"{node.name} ({node.role})" for node in stage.cluster.nodes],
            network="network namespaces" if self._network.cuts else "addresses of one machine",
            limit=self._options.limit,
            faults=self._seen,
            left_out=self._left_out,
            ownership=ownership,
            not_stopped=left,
            accounts=await asyncio.to_thread(
                account,
                self._load.ledger,
                self._load.receiver,
                stage.place,
                seed=self._options.seed,
                kills=[Kill(0, whole_group=True, while_starting=False) for one in self._seen if one.kind == "kill"],
                stopped=stopped[left[0]] if left else 0,
                seconds=time.monotonic() - began,
            ),
        )


def ownership_of(book: LaneBook) -> Ownership:
    """Say what was seen of the lanes, and whose they are now."""
    owners = book.owners()
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


async def stop_all(stage: Stage) -> dict[str, int | None]:
    """Stop every router gracefully, once its last answers are noted; gives how each ended, None for one that hung."""
    await asyncio.to_thread(wait_for_answers, stage.place)
    # Asked once only, all at once: a second SIGTERM while a process leaves would end it as a signal does.
    for node in stage.cluster.nodes:
        node.process.ask()
    return {node.name: await asyncio.to_thread(node.process.ended, 60.0) for node in stage.cluster.nodes}
