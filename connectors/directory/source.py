"""Watches a folder and submits the files that partners put there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.contracts import Inbound, Inbox, NotAccepted, Receipt, Refusal, Services
from connectors.directory.filing import copy_to_new
from connectors.directory.folder import Folder, InUse, Picked
from connectors.directory.settings import DirectorySourceSettings
from connectors.reporting import Reporter
from connectors.spool import APART
from schemas.finding import Finding, Severity

BATCH_FILES = 32
BATCH_BYTES = 8 * 1024 * 1024
STOP_GRACE = 10.0
"""Seconds given at stop to the files being submitted; whatever happens to them, they are still in the work folder."""

OUTCOME_WAIT = 1.0
"""Seconds that a look waits for its messages to be read, before it is over."""

EMPTY = Finding(severity=Severity.ERROR, code="directory.file.empty", where="file", message="the file is empty")


@dataclass(frozen=True, slots=True)
class Done:
    """A file of the work folder whose message is on stable storage: where it goes, and what goes with it."""

    companions: tuple[str, ...] = ()
    reason: str | None = None


class DirectorySource:
    """Looks every `every` seconds. What it picked up stays in the work folder until it is committed and put away.

    After a crash, what is found there is submitted again: the inbox recognises what it already has.
    """

    def __init__(self, name: str, settings: DirectorySourceSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._report = Reporter(services)
        self._folder = Folder(settings)
        self._looking = asyncio.Lock()
        self._look_is_due = False
        self._stopped = False
        self._trouble = ""
        self._done: dict[str, Done] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._used: set[str] = set()
        self._waiting: dict[str, datetime] = {}
        self._counts = dict.fromkeys(("looks", "messages", "duplicates", "rejected", "not_accepted"), 0)
        services.health.figures.update(self._counts, unsettled=0, waiting=0)

    async def run(self, inbox: Inbox) -> None:
        """Look at once, then periodically until stopped or cancelled; what is being submitted is finished."""

        async def look() -> None:
            await self._look(inbox)

        await self._open()
        self._services.ready(str(self._settings.folder))
        first = asyncio.create_task(look())
        stop = self._services.spawn_every(self._settings.every, look)
        try:
            await self._services.stopping.wait()
        finally:
            self._stopped = True
            stop()
            await self._finish(first)
            self._services.health.state, self._services.health.detail = "stopped", ""

    async def _finish(self, first: asyncio.Task[None]) -> None:
        """Finish the look under way; files whose messages are not read yet stay in work, to be recognised later."""
        try:
            async with asyncio.timeout(STOP_GRACE), self._looking:
                await asyncio.to_thread(self._folder.close)
            await first
        except TimeoutError:
            first.cancel()
            self._report("directory.stop.unfinished", self.name, "files were still being submitted at stop")
        for task in list(self._reading.values()):
            task.cancel()
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    async def _open(self) -> bool:
        """Make sure that the folder can be read; say so in the health record when it cannot."""
        health = self._services.health
        try:
            await asyncio.to_thread(self._folder.open)
        except InUse:
            health.state, health.detail = "standby", "another reader holds this folder"
        except OSError as failure:
            self._troubled(failure, "directory.folder.unusable", "the folder cannot be used")
            health.state, health.detail = "degraded", self._trouble
        else:
            if health.state != "watching":
                health.state, health.detail = "watching", ""
            return True
        return False

    async def _look(self, inbox: Inbox) -> None:
        """Take in whatever is ready. Never raises: what fails is said, and tried again at the next look.

        Looks do not overlap, and no more than one waits its turn.
        """
        if self._look_is_due:
            return
        self._look_is_due = True
        async with self._looking:
            self._look_is_due = False
            self._trouble = ""
            if not self._stopped and await self._open():
                try:
                    await self._take_in(inbox)
                except OSError as failure:
                    self._troubled(failure, "directory.folder.unusable", "the folder cannot be used")
                health = self._services.health
                health.state, health.detail = ("degraded" if self._trouble else "watching"), self._trouble
            self._count("looks")

    async def _take_in(self, inbox: Inbox) -> None:
        """Go on with what is in work, then pick up what has settled, oldest first."""
        folder, figures = self._folder, self._services.health.figures
        listing = await asyncio.to_thread(folder.look, self._services.now())
        figures["unsettled"] = listing.unsettled
        in_work = await asyncio.to_thread(folder.in_work)
        self._waiting = {name: since for name, since in self._waiting.items() if name in in_work}
        going_on = await self._work_through(inbox, in_work, listing.companions)
        for start in range(0, len(listing.ready), BATCH_FILES):
            if not going_on:
                break
            names = listing.ready[start : start + BATCH_FILES]
            picked = await asyncio.to_thread(folder.pick_up_all, names)
            going_on = await self._work_through(inbox, picked, listing.companions)
        await self._await_readings()
        await asyncio.to_thread(self._put_away_companions)
        figures["waiting"] = len(self._waiting)

    async def _work_through(self, inbox: Inbox, names: Sequence[str], companions: dict[str, str]) -> bool:
        """Submit and put away files of the work folder, in batches; False when it is better to stop for now."""
        at = 0
        while at < len(names):
            at, batch = await asyncio.to_thread(self._read_batch, names, at, companions)
            taken = await asyncio.gather(*(self._submit(inbox, picked) for picked in batch))
            await asyncio.to_thread(self._put_away)
            if self._stopped or not all(taken):
                return False
        return True

    def _read_batch(self, names: Sequence[str], at: int, companions: dict[str, str]) -> tuple[int, list[Picked]]:
        """Read the next files, within BATCH_BYTES; a long one goes alone, so that order is kept."""
        batch: list[Picked] = []
        size = 0
        while at < len(names) and size < BATCH_BYTES:
            name = names[at]
            if name not in self._done and name not in self._reading:
                try:
                    picked = self._folder.read(name, companions)
                except FileNotFoundError:
                    pass  # taken out of the work folder by hand: there is nothing left to lose
                except OSError as failure:
                    self._troubled(failure, "directory.file.unreadable", "a file cannot be read")
                else:
                    if picked.size > APART and batch:
                        break
                    if not self._must_wait(picked):
                        batch.append(picked)
                        size += BATCH_BYTES if picked.size > APART else picked.size
            at += 1
        return at, batch

    def _must_wait(self, picked: Picked) -> bool:
        """Say whether a file still waits for companions; past `companion_wait`, it goes without them."""
        if not picked.missing:
            self._waiting.pop(picked.name, None)
            return False
        since = self._waiting.setdefault(picked.name, self._services.now())
        if self._services.now() - since < timedelta(seconds=self._settings.companion_wait):
            return True
        self._waiting.pop(picked.name)
        self._report("directory.companion.missing", self.name, "a file that a message names did not come with it")
        return False

    async def _submit(self, inbox: Inbox, picked: Picked) -> bool:
        """Submit one file; False when the inbox takes nothing now."""
        refusal = self._refusal(picked)
        try:
            receipt = await self._hand_over(inbox, picked, refusal)
        except NotAccepted as failure:
            self._count("not_accepted")
            self._trouble = f"not accepted: {failure.reason}"
            return False
        except OSError as failure:
            self._troubled(failure, "directory.file.unreadable", "a file cannot be handed over")
            return True
        except Exception as failure:
            # Whatever went wrong behind the inbox, the file stays in work and the source lives.
            self._trouble = f"{type(failure).__name__} at submission"
            self._report("directory.submit.failed", self.name, self._trouble, Severity.ERROR)
            return False
        self._count("duplicates" if receipt.duplicate else "messages")
        if refusal is not None:
            self._conclude(picked, refusal)
        else:
            self._reading[picked.name] = asyncio.create_task(self._learn(inbox, receipt, picked))
        return True

    async def _learn(self, inbox: Inbox, receipt: Receipt, picked: Picked) -> None:
        """Wait until the message was read: archive and error folder are not the same end."""
        try:
            rejection = await inbox.outcome(receipt)
        except Exception as failure:
            # The file stays in work: at the next look it is submitted again, recognised, and asked about again.
            self._trouble = f"{type(failure).__name__} while the message was read"
            self._report("directory.outcome.failed", self.name, self._trouble, Severity.ERROR)
        else:
            self._conclude(picked, rejection)
        finally:
            del self._reading[picked.name]

    def _conclude(self, picked: Picked, rejection: Finding | None) -> None:
        if rejection is not None:
            self._count("rejected")
        self._done[picked.name] = Done(tuple(picked.siblings), None if rejection is None else rejection.message)

    async def _await_readings(self) -> None:
        """Give the messages of this look a moment to be read; the others are put away at a later look."""
        if self._reading:
            await asyncio.wait(self._reading.values(), timeout=OUTCOME_WAIT)
        await asyncio.to_thread(self._put_away)

    async def _hand_over(self, inbox: Inbox, picked: Picked, refusal: Finding | None) -> Receipt:
        """Submit the bytes or, for a large file, a copy: the inbox takes it over, and ours is still to be archived."""
        spool = inbox.spool() if picked.large else None
        try:
            if spool is not None:
                await asyncio.to_thread(copy_to_new, self._folder.work / picked.name, spool)
            return await inbox.submit(
                Inbound(
                    content=picked.content if spool is None else spool,
                    received_at=self._services.now(),
                    control_id=picked.name,
                    filename=picked.name,
                    siblings=picked.siblings,
                    refusal=None if refusal is None else Refusal(refusal),
                )
            )
        except BaseException:
            if spool is not None:
                await asyncio.to_thread(spool.unlink, missing_ok=True)
            raise

    def _refusal(self, picked: Picked) -> Finding | None:
        if picked.size == 0:
            return EMPTY
        if picked.too_large:
            return Finding(
                severity=Severity.ERROR,
                code="directory.file.too_large",
                where="file",
                message=f"the file is longer than {int(self._settings.max_file)} bytes; only its beginning is kept",
            )
        return None

    def _put_away(self) -> None:
        """Archive, delete or set aside what is committed; what cannot be moved now is tried at the next look."""
        for name, done in list(self._done.items()):
            now = self._services.now()
            try:
                if done.reason is None:
                    self._folder.put_away(name, now)
                else:
                    self._folder.put_aside(name, done.reason, now)
            except FileNotFoundError:
                pass  # removed by hand after the commit: it is where it should be, away
            except OSError as failure:
                self._troubled(failure, "directory.file.not_put_away", "a file taken in cannot be put away")
                continue
            del self._done[name]
            self._used.update(done.companions)

    def _put_away_companions(self) -> None:
        for name in list(self._used):
            try:
                self._folder.put_away_companion(name, self._services.now())
            except OSError as failure:
                self._troubled(failure, "directory.file.not_put_away", "a file taken in cannot be put away")
                continue
            self._used.discard(name)

    def _troubled(self, failure: OSError, code: str, what: str) -> None:
        """Say what failed, never of which file: names of files may hold a patient's name."""
        self._trouble = f"{what}: {failure.strerror or type(failure).__name__}"
        self._report(code, self.name, self._trouble, Severity.ERROR)

    def _count(self, figure: str) -> None:
        self._counts[figure] += 1
        self._services.health.figures[figure] = self._counts[figure]
