"""The notifier: what was committed is matched, numbered in the journal, and sent to the endpoints that asked for it.

Each subscription and dossier has its own order: a notice that fails holds back those of the same dossier alone. Killed
at any moment, what was not noted as delivered is sent again, under the same identity.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

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
from router.journal.store import Store
from router.journal.unit import Unit
from router.journal.view import View, viewing

R = TypeVar("R")

TOGETHER = 200
"""Versions looked at, and notices sent, in one turn."""

AT_ONCE = 16
"""Posts under way at the same time."""

IDLE_SECONDS = 1.0
RIGHTS_SECONDS = 30.0
"""How often it is looked at whether a subscriber may still be told anything."""

WAITS = (1, 5, 30, 120)
"""Seconds before the second, third… attempt; the last one repeats."""

GIVE_UP_SECONDS = 24 * 3600
HANDSHAKES = 5
SECOND = 1_000_000


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
        self.delivered = 0

    def wake(self) -> None:
        """Look now."""
        self._changed.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        try:
            await go_round(self.once, self._changed, self._trouble, idle=IDLE_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """Release connections and threads."""
        await self._sender.close()
        self._thread.shutdown(wait=False)

    async def once(self) -> bool:
        """Match what changed, then send what is due; False when there was nothing to do."""
        matched = await self._match()
        await self._look_at_rights()
        look = await self._read(self._due)
        shakes = [line for line in look.lines.values() if self._wants_handshake(line)]
        hearts = [line for line in look.lines.values() if self._wants_heartbeat(line, look)]
        if not (look.due or shakes or hearts):
            return matched
        room = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(
            *(self._deliver(look.lines[one.subscription], one, event, room) for one, event in look.due),
            *(self._shake(line, room) for line in shakes),
            *(self._beat(line, room) for line in hearts),
        )
        return True

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

    def _due(self, view: View) -> _Look:
        now = self._micros()
        matcher = Matcher(view, self._door, now)
        on = {line.id: line for line in self._lines(view)}
        due: list[tuple[Pending, Event | None]] = []
        for one in pending(view, TOGETHER):
            line = on.get(one.subscription)
            if line is None or one.next_attempt_at > now:
                continue
            alerts = one.notice is not None and one.type == "CommunicationRequest"
            focus = matcher.told(line, one) if alerts else matcher.focus(line, one.type, one.logical_id)
            due.append((one, None if focus is None else Event(one.number, one.at, focus)))
        return _Look(on, due)

    async def _deliver(self, line: Line, one: Pending, event: Event | None, room: asyncio.Semaphore) -> None:
        if event is None:
            # Hidden since, or withdrawn from this reader: they are not even told that there was something.
            await self._settle(one, "dropped", "it may not be told any more")
            return
        async with room:
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

    async def _shake(self, line: Line, room: asyncio.Semaphore) -> None:
        async with room:
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

    async def _beat(self, line: Line, room: asyncio.Semaphore) -> None:
        if line.next_heartbeat_at is not None:
            async with room:
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
