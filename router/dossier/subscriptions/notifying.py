"""The notifier: what was committed is matched, numbered in the journal, and sent to the endpoints that asked for it.

Each subscription and dossier has its own order: a notice that fails holds back those of the same dossier alone. Killed
at any moment, what was not noted as delivered is sent again, under the same identity.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from router.dossier.door import Door
from router.dossier.rounds import Writes, go_round
from router.dossier.subscriptions.keeping import (
    Changed,
    Line,
    Pending,
    changes_since,
    keep_events,
    lines,
    pending,
    put_off,
    set_state,
    settle,
)
from router.dossier.subscriptions.matching import Matcher
from router.dossier.subscriptions.notices import Event, Standing, identity, notice, written
from router.dossier.subscriptions.sending import Sender, Sent
from router.dossier.subscriptions.wanted import Wanted
from router.engine.clock import micros
from router.journal.operations import Change
from router.journal.store import JournalFault, Store
from router.journal.unit import Unit
from router.journal.view import View, viewing

R = TypeVar("R")

TOGETHER = 200
"""Versions looked at, and notices sent, in one turn."""

AT_ONCE, AT_ONCE_EACH = 64, 8
"""Posts under way at the same time: of all subscriptions, and of one, so that who hangs leaves room for the others."""

IDLE_SECONDS = 1.0
RIGHTS_SECONDS = 30.0
"""How often it is looked at whether a subscriber may still be told anything."""

WAITS = (1, 5, 30, 120)
"""Seconds before the second, third… attempt; the last one repeats."""

GIVE_UP_SECONDS = 24 * 3600
HANDSHAKES = 5
SECOND = 1_000_000


_Lane = tuple[int, int | None]
"""A subscription and a dossier, whose notices go one after the other."""

_ITSELF = 0
"""In place of a dossier: what a subscription is told of itself."""


@dataclass(slots=True)
class _Look:
    """What one turn has to do."""

    lines: dict[int, Line]
    due: list[tuple[Pending, Event | None]]


class Notifier:
    """Tells subscribers. `wake` says that something was committed."""

    def __init__(
        self,
        store: Store,
        writer: Writes,
        door: Door,
        sender: Sender,
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
        *,
        base: str,
    ) -> None:
        self._store = store
        self._writer = writer
        self._door = door
        self._sender = sender
        self._now = now
        self._trouble = trouble
        self.base = base
        self._changed = asyncio.Event()
        self._known: dict[tuple[int, int], Wanted] = {}
        self._thread = ThreadPoolExecutor(1, "notifier")
        self._sealer = store.sealer.clone()
        self._rights_at = 0
        self._room = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[_Lane, asyncio.Task[None]] = {}
        self._broken: Exception | None = None
        self.delivered = 0

    def wake(self) -> None:
        """Look now."""
        self._changed.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        try:
            await go_round(self._turn, self._changed, self._trouble, idle=IDLE_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of what is under way, and release connections and threads."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()
        self._thread.shutdown(wait=False)

    async def once(self) -> bool:
        """Match what changed, then send what is due, to its end; False when there was nothing to do."""
        worked = await self._turn()
        await asyncio.gather(*self._under_way.values())
        return worked

    async def _turn(self) -> bool:
        """Match what changed, and begin to send what is due. Who does not answer keeps nobody else waiting."""
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken
        matched = await self._match()
        await self._look_at_rights()
        # Before looking: what ends meanwhile was perhaps looked at as it still waited, and is left to the next turn.
        busy = frozenset(self._under_way)
        of_each = Counter(number for number, _ in busy)
        full = frozenset(number for number, count in of_each.items() if count >= AT_ONCE_EACH)
        look = await self._read(lambda view: self._due(view, full))
        wanted: dict[_Lane, Coroutine[Any, Any, None]] = {}
        for one, event in look.due:
            if (one.subscription, one.patient) not in busy and of_each[one.subscription] < AT_ONCE_EACH:
                of_each[one.subscription] += 1
                wanted[one.subscription, one.patient] = self._deliver(look.lines[one.subscription], one, event)
        for line in look.lines.values():
            if (line.id, _ITSELF) in busy:
                continue
            if self._wants_handshake(line):
                wanted[line.id, _ITSELF] = self._shake(line)
            elif self._wants_heartbeat(line, look):
                wanted[line.id, _ITSELF] = self._beat(line)
        for lane, work in wanted.items():
            self._under_way[lane] = asyncio.create_task(self._in_lane(lane, work), name="subscription notice")
        return matched or bool(wanted)

    async def _in_lane(self, lane: _Lane, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except JournalFault as fault:
            self._trouble(str(fault))
        except Exception as defect:
            self._broken = defect  # raised by the next turn, where defects are told
        finally:
            del self._under_way[lane]
            self.wake()

    def _micros(self) -> int:
        return micros(self._now())

    async def _read(self, query: Callable[[View], R]) -> R:
        def look() -> R:
            with viewing(self._store, self._sealer) as view:
                return query(view)

        return await asyncio.get_running_loop().run_in_executor(self._thread, look)

    def _lines(self, view: View) -> list[Line]:
        found = lines(view, self._known)
        self._known = {(line.id, line.version): line.wanted for line in found}
        return found

    # --- matching -------------------------------------------------------------------------------------------------

    async def _match(self) -> bool:
        def look(view: View) -> tuple[dict[int, list[Changed]], int]:
            active = [line for line in self._lines(view) if line.state == "active"]
            behind = min((line.cursor for line in active), default=None)
            if behind is None:
                return {}, 0
            changes = changes_since(view, behind, TOGETHER)
            if not changes:
                return {}, 0
            matched = Matcher(view, self._door, self._micros()).matched(active, changes)
            return matched, changes[-1].at

        matched, upto = await self._read(look)
        if not upto:
            return False
        operation = Change(lambda unit: keep_events(unit, matched, upto), note="subscriptions")
        await self._writer.submit(operation)
        return True

    async def _look_at_rights(self) -> None:
        """Turn off what ended, and what is about people of whom its reader may not be told anything any more."""
        now = self._micros()
        if now - self._rights_at < RIGHTS_SECONDS * SECOND:
            return
        self._rights_at = now

        def look(view: View) -> list[tuple[int, str]]:
            matcher = Matcher(view, self._door, now)
            found = []
            for line in self._lines(view):
                if line.wanted.ends_at is not None and line.wanted.ends_at <= now:
                    found.append((line.id, "it has ended"))
                elif line.state == "active" and matcher.is_shut(line):
                    found.append((line.id, "nothing of this may be told to this reader any more"))
            return found

        for number, why in await self._read(look):
            await self._set(number, "off", why)

    async def _set(self, number: int, state: str, why: str, **values: int | None) -> None:
        def change(unit: Unit) -> None:
            set_state(unit, number, state, why, self._micros(), **values)

        await self._writer.submit(Change(change, note="subscription"))

    # --- sending ----------------------------------------------------------------------------------------------------

    def _due(self, view: View, full: frozenset[int]) -> _Look:
        now = self._micros()
        matcher = Matcher(view, self._door, now)
        on = {line.id: line for line in self._lines(view)}
        due: list[tuple[Pending, Event | None]] = []
        for one in pending(view, TOGETHER, but=full):
            line = on.get(one.subscription)
            if line is None or one.next_attempt_at > now:
                continue
            alerts = one.notice is not None and one.type == "CommunicationRequest"
            focus = matcher.told(line, one) if alerts else matcher.focus(line, one.type, one.logical_id)
            due.append((one, None if focus is None else Event(one.number, one.at, focus)))
        return _Look(on, due)

    async def _deliver(self, line: Line, one: Pending, event: Event | None) -> None:
        if event is None:
            # Hidden since, or withdrawn from this reader: they are not even told that there was something.
            await self._settle(one, "dropped", "it may not be told any more")
            return
        async with self._room:
            sent = await self._send(line, "event-notification", [event], identity(one.subscription, one.number))
        if sent.accepted:
            self.delivered += 1
            await self._settle(one, "delivered", sent.detail, line)
            return
        if sent.gone:
            await self._settle(one, "dead", sent.detail)
            await self._set(line.id, "off", "the endpoint answered that it is gone (410)")
            return
        now = self._micros()
        if now - one.at > GIVE_UP_SECONDS * SECOND:
            await self._settle(one, "dead", sent.detail)
            await self._set(line.id, "error", f"not delivered for a day: {sent.detail}")
            return
        wait = WAITS[min(one.attempts, len(WAITS) - 1)]
        await self._settle(one, "pending", sent.detail, next_at=now + wait * SECOND)

    async def _settle(
        self, one: Pending, state: str, detail: str, line: Line | None = None, next_at: int | None = None
    ) -> None:
        now = self._micros()

        def change(unit: Unit) -> None:
            settle(unit, one, state, detail, now, next_at)

        await self._writer.submit(Change(change, note="subscription notice"))
        if line is not None and line.wanted.heartbeat is not None:
            await self._next_beat(line)

    async def _send(self, line: Line, kind: str, events: Sequence[Event], name: str) -> Sent:
        wanted = line.wanted
        events_so_far = max((one.number for one in events), default=line.events)
        # A handshake is what makes a subscription active: it says what it will be.
        standing = Standing(line.key, wanted.topic, line.state, events_so_far)
        body = b""
        if wanted.payload:
            body = written(notice(self.base, standing, kind, events, wanted.content, self._micros()))
        return await self._sender.send(wanted, body, name, self._now())

    def _wants_handshake(self, line: Line) -> bool:
        due = line.next_handshake_at
        return line.state == "requested" and due is not None and due <= self._micros()

    async def _shake(self, line: Line) -> None:
        async with self._room:
            sent = await self._send(line, "handshake", [], identity(line.id, -line.version))
        if sent.accepted:
            await self._set(line.id, "active", "", next_handshake_at=None)
            if line.wanted.heartbeat is not None:
                await self._next_beat(line)
            self.wake()
            return
        attempts = line.handshake_attempts + 1
        if sent.gone or attempts >= HANDSHAKES:
            await self._set(line.id, "error", f"the handshake failed: {sent.detail}")
            return
        at = self._micros() + WAITS[min(attempts - 1, len(WAITS) - 1)] * SECOND

        def change(unit: Unit) -> None:
            put_off(unit, line.id, handshake_attempts=attempts, next_handshake_at=at, detail=sent.detail[:200])

        await self._writer.submit(Change(change, note="subscription handshake"))

    def _wants_heartbeat(self, line: Line, look: _Look) -> bool:
        if line.state != "active" or line.wanted.heartbeat is None:
            return False
        if any(one.subscription == line.id for one, _ in look.due):
            return False
        return line.next_heartbeat_at is None or line.next_heartbeat_at <= self._micros()

    async def _beat(self, line: Line) -> None:
        if line.next_heartbeat_at is not None:
            async with self._room:
                sent = await self._send(line, "heartbeat", [], identity(line.id, -self._micros()))
            if sent.gone:
                await self._set(line.id, "off", "the endpoint answered that it is gone (410)")
                return
        await self._next_beat(line)

    async def _next_beat(self, line: Line) -> None:
        at = self._micros() + (line.wanted.heartbeat or 0) * SECOND

        def change(unit: Unit) -> None:
            put_off(unit, line.id, next_heartbeat_at=at)

        await self._writer.submit(Change(change, note="subscription heartbeat"))
