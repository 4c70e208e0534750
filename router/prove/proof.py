"""The run of a proof: a real router, loaded, killed at random moments, restarted, and at the end held to account."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.sandbox.people import population
from router.journal.store import JournalPlace
from router.prove.accounting import account, states, wait_for_answers
from router.prove.coordination import laboratory_to_dossier
from router.prove.ledger import Ledger
from router.prove.receiver import UnreliableReceiver
from router.prove.senders import Sender, Target
from router.prove.verdict import Kill, Verdict, judge
from router.trial.folder import make_folder, register
from router.trial.patience import Patience
from router.trial.process import RouterProcess, TrialFault

_POLL = 0.01


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """How hard to try.

    `kills` SIGKILLs, each after `acks` (from, to) further acknowledgements; `connections` senders share `patients`
    people. `settle` is how long, in seconds, the end of the run may pass without progress. `url` puts the journal on
    an empty PostgreSQL database. `folder` keeps the router's folder there; without it, it is temporary. The same
    `seed` gives the same choices, not the same timing.
    """

    kills: int = 10
    connections: int = 8
    patients: int = 40
    acks: tuple[int, int] = (60, 400)
    workers: int = 2
    seed: int = 1
    settle: float = 60.0
    url: str = ""
    folder: Path | None = None


def prove(options: ProofOptions, say: Callable[[str], None] = lambda _: None) -> Verdict:
    """Run a proof; `say` is told each step. Raises TrialFault when the router cannot be run at all."""
    with tempfile.TemporaryDirectory(prefix="passerelle-proof-") as scratch:
        folder = options.folder or Path(scratch) / "router"
        return asyncio.run(_Proof(options, folder, say).run())


def configuration(options: ProofOptions, fhir_url: str) -> str:
    """Write the configuration of the router under proof."""
    return f"""\
[journal]
url = "{options.url}"

[engine]
workers = {options.workers}

[web]
listen = "127.0.0.1:0"

{laboratory_to_dossier("127.0.0.1:0", fhir_url, max_attempts=50)}"""


class _Proof:
    def __init__(self, options: ProofOptions, folder: Path, say: Callable[[str], None]) -> None:
        self._options = options
        self._folder = folder
        self._say = say
        self._ledger = Ledger()
        self._draw = random.Random(options.seed)
        self._receiver = UnreliableReceiver(self._ledger, random.Random(options.seed + 1))
        self._target = Target("")
        self._kills: list[Kill] = []

    async def run(self) -> Verdict:
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(self._receiver.serving())
            self._say("a fresh router")
            await asyncio.to_thread(self._prepare, url)
            router = RouterProcess(self._folder)
            stack.push_async_callback(asyncio.to_thread, router.__exit__)
            self._target.address = (await asyncio.to_thread(router.start)).sources["labo"]
            try:
                await self._load_and_kill(router)
            except* TrialFault as faults:
                # A task group gives its faults in a bundle; the first one is the sentence.
                raise faults.exceptions[0] from None
            self._receiver.calm()
            self._say("settling")
            await self._settle(router)
            stopped = await asyncio.to_thread(router.stop)
        verdict = await asyncio.to_thread(
            account,
            self._ledger,
            self._receiver,
            self._place,
            seed=self._options.seed,
            kills=self._kills,
            stopped=stopped,
            seconds=time.monotonic() - began,
        )
        return replace(verdict, reasons=judge(verdict))

    def _prepare(self, url: str) -> None:
        make_folder(self._folder, configuration(self._options, url), url=self._options.url)
        register(self._folder, population(self._options.patients, self._options.seed))
        if sum(states(self._place, "message").values()):
            raise TrialFault("the journal already holds messages: give an empty database")

    async def _load_and_kill(self, router: RouterProcess) -> None:
        people = list(enumerate(population(self._options.patients, self._options.seed)))
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for rank in range(self._options.connections):
                mine = people[rank :: self._options.connections]
                if mine:
                    draw = random.Random(self._options.seed * 1000 + rank)
                    group.create_task(Sender(self._target, self._ledger, mine, draw).run(enough))
            for number in range(1, self._options.kills + 1):
                await self._acknowledgements(self._draw.randint(*self._options.acks), router)
                await asyncio.sleep(self._draw.uniform(0.0, 0.05))
                await self._kill(router, number)
            await self._acknowledgements(self._draw.randint(*self._options.acks), router)
            enough.set()

    async def _acknowledgements(self, more: int, router: RouterProcess) -> None:
        """Wait for `more` acknowledgements; raises TrialFault when the router ends by itself or gives none."""
        wanted = len(self._ledger.acknowledged) + more
        seen, patience = 0, Patience(self._options.settle)
        while len(self._ledger.acknowledged) < wanted:
            if not router.running:
                raise TrialFault(f"the router ended by itself: {router.last_words()}")
            answered = len(self._ledger.acknowledged) + len(self._ledger.refused)
            if answered != seen:
                seen = answered
                patience.renew()
            elif patience.ended:
                raise TrialFault(f"no acknowledgement for {self._options.settle:.0f} s: {router.last_words()}")
            await asyncio.sleep(_POLL)

    async def _kill(self, router: RouterProcess, number: int) -> None:
        """Kill the router and start it anew; one time in four, it is killed once more while it starts."""
        await self._kill_now(router, while_starting=False)
        self._say(f"killed {number} of {self._options.kills}, {len(self._ledger.acknowledged):,} acknowledged so far")
        if self._draw.random() < 0.25:
            await asyncio.to_thread(router.launch)
            await asyncio.sleep(self._draw.uniform(0.05, 1.5))
            await self._kill_now(router, while_starting=True)
        self._target.address = (await asyncio.to_thread(router.start)).sources["labo"]

    async def _kill_now(self, router: RouterProcess, *, while_starting: bool) -> None:
        whole_group = self._draw.random() < 0.5
        self._kills.append(Kill(len(self._ledger.acknowledged), whole_group, while_starting))
        await asyncio.to_thread(lambda: router.kill(whole_group=whole_group))

    async def _settle(self, router: RouterProcess) -> None:
        """Wait until all that was acknowledged arrived, or nothing new does any more."""
        seen, patience = -1, Patience(self._options.settle)
        while self._ledger.lost and router.running and not patience.ended:
            if len(self._ledger.arrivals) != seen:
                seen = len(self._ledger.arrivals)
                patience.renew()
            await asyncio.sleep(5 * _POLL)
        # The last answers are on their way back: their deliveries are settled once the journal says so.
        await asyncio.to_thread(wait_for_answers, self._place)

    @property
    def _place(self) -> JournalPlace:
        return JournalPlace.at(self._folder / "data", self._options.url)
