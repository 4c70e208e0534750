"""Watches a mailbox, takes its mails into the journal, and files them by what became of them.

    connect ─ look ─ take each mail ─ (journal reads) ─ answer ─ file ─ wait (IDLE or `every`) ─ look …
       ▲                                                                      │
       └───────────── wait a moment, longer each time ◄── the connection was lost

A mail leaves the folder only after its outcome is known. Killed anywhere, the source finds it there again, submits it
under the same control id, and the journal recognises it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import orjson

from connectors.contracts import Inbox, NotAccepted, Services
from connectors.mssante.answering import Answering
from connectors.mssante.mailbox import Mailbox, MailboxFault, Waiting
from connectors.mssante.pickup import Hand, Pickup, Thread
from connectors.mssante.settings import MssanteSourceSettings
from connectors.reporting import Reporter
from schemas.finding import Severity

STOP_GRACE = 10.0
"""Seconds given at stop to the mail being submitted; whatever happens to it, it is still in the folder."""

OUTCOME_WAIT = 1.0
"""Seconds that a look waits for its mails to be read, before it is over."""

BATCH = 32
"""Mails taken before those that are read by then are filed."""

STATES = {"login": "failed", "token": "failed", "certificate": "failed", "folder": "failed"}
"""Health states by kind of trouble; any other is `unreachable`."""

CURSOR = "cursor"


class MssanteSource:
    """One folder of one mailbox."""

    def __init__(self, name: str, settings: MssanteSourceSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._report = Reporter(services)
        self._mailbox = Mailbox(settings)
        self._thread = Thread(name)
        self._pickup = Pickup(settings, services, self._mailbox, self._thread, self._report, name)
        self._answering = Answering(name, settings, services, self._mailbox, self._thread, self._report)
        self._hands: dict[int, Hand] = {}
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._validity = 0
        self._done_up_to = 0
        self._wake = asyncio.Event()
        self._figures_due = True
        self._stopped = False
        self._ended = asyncio.Event()
        self._told_ready = False
        self._trouble = ""
        names = ("looks", "messages", "duplicates", "rejected", "not_accepted", "reconnections", "filed", "answers")
        self._counts = dict.fromkeys(names, 0)
        services.health.figures.update(self._counts, account=settings.account, box=settings.box, waiting=0)

    async def run(self, inbox: Inbox) -> None:
        """Watch until stopped or cancelled; the mail being submitted is finished, and what was read is filed."""
        work = asyncio.create_task(self._work(inbox))
        stop = self._services.spawn_every(self._settings.every, self._tick)
        stopping = asyncio.create_task(self._services.stopping.wait())
        try:
            await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopped = True
            self._ended.set()
            stop()
            stopping.cancel()
            self._wake.set()
            await self._finish(work)
            self._services.health.state, self._services.health.detail = "stopped", ""
        if work.done() and not work.cancelled() and (defect := work.exception()) is not None:
            raise defect

    async def _finish(self, work: asyncio.Task[None]) -> None:
        await asyncio.wait((work,), timeout=STOP_GRACE)
        if not work.done():
            self._report("mssante.stop.unfinished", self.name, "a mail was still being submitted at stop")
            self._mailbox.abort()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        await self._forget_readings()
        await self._answering.close()
        self._thread.close()

    async def _tick(self) -> None:
        """Look without being told."""
        self._figures_due = True
        self._wake.set()

    # --- life of a connection -------------------------------------------------------------------------------------

    async def _work(self, inbox: Inbox) -> None:
        delay = self._settings.reconnect_first
        while not self._stopped:
            try:
                await self._connect()
                while not self._stopped:
                    await self._look(inbox)
                    delay = self._settings.reconnect_first
                    if not self._stopped:
                        await self._wait()
                await self._await_readings()
                await self._file(inbox)
            except MailboxFault as fault:
                self._fell(fault)
            finally:
                await self._thread(self._mailbox.close)
                self._ready()
            if self._stopped:
                return
            await self._pause(delay * random.uniform(0.8, 1.2))
            delay = min(delay * 2, self._settings.reconnect_longest)
            self._count("reconnections")

    async def _connect(self) -> None:
        await self._thread(self._mailbox.open, self._services.now())
        if self._mailbox.validity != self._validity:
            if self._validity:
                said = "the server renumbered the folder (UIDVALIDITY): mails are recognised by Message-ID and content"
                self._report("mssante.mailbox.renumbered", self.name, said)
            await self._forget_readings()
            self._hands.clear()
            self._validity = self._mailbox.validity
        self._done_up_to = 0 if self._settings.moves else await self._cursor()
        self._figures_due = True

    def _ready(self) -> None:
        if not self._told_ready:
            self._told_ready = True
            self._services.ready(f"{self._settings.address} · {self._settings.folder}")

    def _fell(self, fault: MailboxFault) -> None:
        health = self._services.health
        health.state, health.detail = STATES.get(fault.kind, "unreachable"), fault.sentence
        self._report(fault.code, self.name, fault.sentence, Severity.ERROR)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return

    async def _wait(self) -> None:
        """Wait until the server tells something, `every` is over, a mail was read, or the end."""
        if self._wake.is_set():
            return
        if not (self._settings.idle and await self._thread(lambda: self._mailbox.can_idle)):
            await self._wake.wait()
            return
        if await self._thread(self._mailbox.idle):
            self._wake.set()
        loop, descriptor = asyncio.get_running_loop(), self._mailbox.fileno()
        loop.add_reader(descriptor, self._wake.set)
        try:
            async with asyncio.timeout(self._settings.idle_renew):
                await self._wake.wait()
        except TimeoutError:
            pass  # IDLE is begun anew after the next look
        finally:
            loop.remove_reader(descriptor)
        await self._thread(self._mailbox.idle_done)

    # --- one look -------------------------------------------------------------------------------------------------

    async def _look(self, inbox: Inbox) -> None:
        """Take in whatever waits. Raises MailboxFault; anything else is said, and tried again at the next look."""
        self._wake.clear()
        self._trouble = ""
        waiting = await self._thread(self._mailbox.waiting, self._done_up_to)
        await self._tell_figures()
        self._watching(len(waiting))
        self._ready()
        await self._take_all(inbox, waiting)
        await self._await_readings()
        await self._file(inbox)
        if not self._settings.moves:
            await self._advance(waiting)
        self._watching(sum(mail.uid not in self._hands for mail in waiting))
        self._count("looks")

    def _watching(self, waiting: int) -> None:
        health = self._services.health
        health.figures["waiting"] = waiting
        health.state, health.detail = "watching", self._trouble

    async def _take_all(self, inbox: Inbox, waiting: Sequence[Waiting]) -> None:
        present = {mail.uid for mail in waiting}
        for uid in [uid for uid, hand in self._hands.items() if hand.concluded and uid not in present]:
            del self._hands[uid]  # taken out of the folder by hand, or filed: it is where it should be, away
        taken = 0
        for mail in waiting:
            if mail.uid in self._hands:
                continue
            if self._stopped or not await self._take(inbox, mail):
                return
            taken += 1
            if taken % BATCH == 0:
                await self._file(inbox)

    async def _take(self, inbox: Inbox, mail: Waiting) -> bool:
        """Take one mail; False when it is better to take no more for now."""
        try:
            hand = await self._pickup.take(inbox, mail)
        except MailboxFault as fault:
            if fault.kind == "gone":
                return True
            if fault.kind != "refused":
                raise
            self._troubled(fault.code, fault.sentence)
            return True
        except NotAccepted as failure:
            self._count("not_accepted")
            self._trouble = f"not accepted: {failure.reason}"
            return False
        except OSError as failure:
            said = f"a mail cannot be stored ({failure.strerror or type(failure).__name__})"
            self._troubled("mssante.mail.not_stored", said)
            return False
        except Exception as failure:
            # Whatever went wrong behind the inbox, the mail is still in the folder and the source lives.
            self._troubled("mssante.submit.failed", f"{type(failure).__name__} at submission")
            return False
        self._count("duplicates" if hand.receipt.duplicate else "messages")
        self._services.health.figures["last_pick_up"] = self._services.now().isoformat(timespec="seconds")
        self._hands[mail.uid] = hand
        if hand.concluded:
            self._count("rejected")
        else:
            self._reading[mail.uid] = asyncio.create_task(self._learn(inbox, hand))
        return True

    async def _learn(self, inbox: Inbox, hand: Hand) -> None:
        """Wait until the mail was read: the two folders are not the same end."""
        try:
            hand.rejection = await inbox.outcome(hand.receipt)
        except Exception as failure:
            # At the next look it is submitted again, recognised, and asked about again.
            self._hands.pop(hand.uid, None)
            self._troubled("mssante.outcome.failed", f"{type(failure).__name__} while a mail was read")
        else:
            hand.concluded = True
            if hand.rejection is not None:
                self._count("rejected")
        finally:
            self._reading.pop(hand.uid, None)
            self._wake.set()

    async def _await_readings(self) -> None:
        """Give the mails of this look a moment to be read; the others are filed after the next one."""
        if self._reading:
            await asyncio.wait(self._reading.values(), timeout=OUTCOME_WAIT)

    async def _forget_readings(self) -> None:
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._reading.clear()

    # --- filing ---------------------------------------------------------------------------------------------------

    async def _file(self, inbox: Inbox) -> None:
        """Answer and file the mails whose outcome is known; what cannot be filed now is tried at the next look."""
        settings = self._settings
        known = [hand for hand in self._hands.values() if hand.concluded]
        ready = [hand for hand in known if await self._answered(inbox, hand)]
        if not settings.moves:
            return
        for folder, hands in (
            (settings.processed_folder, [hand for hand in ready if hand.rejection is None]),
            (settings.failed_folder, [hand for hand in ready if hand.rejection is not None]),
        ):
            if not hands:
                continue
            try:
                await self._thread(self._mailbox.move, [hand.uid for hand in hands], folder)
            except MailboxFault as fault:
                if fault.kind == "lost":
                    raise
                self._troubled("mssante.mailbox.not_filed", f"{fault.sentence}: does the folder {folder} exist?")
                continue
            for hand in hands:
                del self._hands[hand.uid]
                self._count("filed")

    async def _answered(self, inbox: Inbox, hand: Hand) -> bool:
        """Send the notification that the sender asked for; False when it must be tried again."""
        if hand.notified:
            return True
        settled, sent = await self._answering.settle(inbox, hand)
        hand.notified = settled
        if sent:
            self._count("answers")
        return settled

    # --- shared boxes: nothing is moved, a number is remembered ----------------------------------------------------

    async def _cursor(self) -> int:
        kept = await self._services.memory.recall(CURSOR)
        found = orjson.loads(kept) if kept else {}
        return int(found["uid"]) if found.get("validity") == self._validity else 0

    async def _advance(self, waiting: Sequence[Waiting]) -> None:
        """Remember up to which number every mail is settled; those behind it are not asked about again."""
        up_to = self._done_up_to
        for mail in waiting:
            hand = self._hands.get(mail.uid)
            if hand is None or not (hand.concluded and hand.notified):
                break
            up_to = mail.uid
        if up_to != self._done_up_to:
            await self._services.memory.keep(CURSOR, orjson.dumps({"validity": self._validity, "uid": up_to}))
            self._done_up_to = up_to
            for uid in [uid for uid in self._hands if uid <= up_to]:
                del self._hands[uid]

    # --- what is said ---------------------------------------------------------------------------------------------

    async def _tell_figures(self) -> None:
        if not self._figures_due:
            return
        self._figures_due = False
        figures = self._services.health.figures
        try:
            found = await self._thread(self._mailbox.figures)
        except MailboxFault as fault:
            if fault.kind == "lost":
                raise
            self._report(fault.code, self.name, fault.sentence)
            return
        figures["unread"] = found.unread
        figures["oldest_unread"] = found.oldest_unread.isoformat() if found.oldest_unread is not None else ""
        figures["quota_used"], figures["quota_limit"] = found.quota_used, found.quota_limit

    def _troubled(self, code: str, said: str) -> None:
        self._trouble = said
        self._report(code, self.name, said, Severity.ERROR)

    def _count(self, figure: str) -> None:
        self._counts[figure] += 1
        self._services.health.figures[figure] = self._counts[figure]
