"""The watch: once a minute, signs become alarms, and whoever is to be told is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.config.model import WatchSection
from router.engine.clock import micros
from router.journal.operations import Operation
from router.journal.store import Store
from router.journal.view import View, viewing
from router.watch.alarms import keep_signs, open_alarms, to_tell, told
from router.watch.nodes import Listening, known_nodes, note_heard, silent_nodes
from router.watch.profile import HOUR, Profile
from router.watch.signs import WEEKS, Sign, SignKind, disk_sign, gather, last_received, learn
from router.watch.telling import Teller
from router.web.context import FlowStatus
from router.web.states import DOWN

EVERY = 60.0
LOOK_BACK = timedelta(weeks=WEEKS)
"""How far back the last message of a source is looked for at the start: as far as its profile is learned."""

OVERLAP = timedelta(minutes=5)
"""What was received is looked for a little further back than the last round: commits come a little later."""


@dataclass(slots=True)
class Watching:
    """Runs rounds. `flows` says how sources and destinations are; `trouble` is told what an administrator must know.

    `nodes` says whom a node of a cluster has heard; None on a single machine.
    """

    store: Store
    submit: Callable[[Operation[None]], Awaitable[None]]
    section: WatchSection
    flows: Callable[[], Sequence[FlowStatus]]
    teller: Teller
    zone: ZoneInfo
    now: Callable[[], datetime]
    trouble: Callable[[str], None]
    nodes: Listening | None = None
    _profiles: dict[str, Profile] = field(default_factory=dict)
    _learned: int = -1
    _last: dict[str, int] = field(default_factory=dict)
    _listening: dict[str, int] = field(default_factory=dict)
    _looked: datetime | None = None
    _began: int | None = None

    async def run(self) -> None:
        """Look once: open, bring up to date and close alarms, then tell of those that nobody was told of."""
        now = self.now()
        if self.nodes is not None:
            await self.submit(note_heard(self.nodes(), micros(now)))
        signs = await asyncio.to_thread(self._look, now)
        await self.submit(keep_signs(signs, micros(now)))
        with self.store.reading() as connection:
            waiting = to_tell(open_alarms(connection), micros(now))
        if not waiting:
            return
        numbers = [alarm.id for alarm in waiting]
        if not self.teller.ways:
            # Nobody is to be told: the pages show them.
            await self.submit(told(numbers, micros(now)))
            return
        came = await self.teller.tell(waiting, now)
        for trouble in came.troubles:
            self.trouble(trouble)
        if came.ways:
            await self.submit(told(numbers, micros(now)))

    def _look(self, now: datetime) -> list[Sign]:
        with viewing(self.store) as view:
            self._learn(view, now)
            since = now - LOOK_BACK if self._looked is None else self._looked - OVERLAP
            for name, at in last_received(view, micros(since)).items():
                self._last[name] = max(at, self._last.get(name, 0))
            self._looked = now
            flows = self.flows()
            silent = {one.subject for one in open_alarms(view.connection) if one.kind is SignKind.SILENCE}
            listening = {name: at for name, at in self._hear(flows, now).items() if name not in silent}
            found = gather(view, flows, self._profiles, self._last, self.section, now, listening)
            full = disk_sign(view, self.store.place, self.section.disk_days, now) if self.section.disk_days else None
            found += self._look_at_nodes(view, micros(now))
            return found if full is None else [*found, full]

    def _look_at_nodes(self, view: View, now: int) -> list[Sign]:
        if self.nodes is None or not self.section.node_minutes:
            return []
        if self._began is None:
            self._began = now
        told = [one.subject for one in open_alarms(view.connection) if one.kind is SignKind.NODE]
        known, minutes = known_nodes(view.connection), self.section.node_minutes
        return silent_nodes(known, self.nodes(), told, minutes=minutes, began=self._began, now=now)

    def _hear(self, flows: Sequence[FlowStatus], now: datetime) -> dict[str, int]:
        """Note since when each source can be heard: since this watch began, or since it was paused or down."""
        able = {one.name for one in flows if one.side == "source" and not one.paused and one.state not in DOWN}
        self._listening = {name: self._listening.get(name, micros(now)) for name in able}
        return self._listening

    def _learn(self, view: View, now: datetime) -> None:
        hour = int(now.timestamp()) // HOUR
        if hour != self._learned:
            self._profiles = learn(view, now, self.zone)
            self._learned = hour
