"""What runs beside the router while the dossier's API is on: the follower of the journal, and the notifier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from router.config.model import DossierSection
from router.dossier.api.deposits import Deposits
from router.dossier.api.service import DossierSettings
from router.dossier.circle_door import CircleDoor
from router.dossier.leaving.mailing import ByMail
from router.dossier.leaving.ordinary import Ordinary
from router.dossier.leaving.senders import NoticeSenders
from router.dossier.leaving.subscribed import ToTools
from router.dossier.rounds import Writes
from router.dossier.store.following import Follower, Projects, stop_following
from router.dossier.subscriptions.addresses import AddressPolicy
from router.dossier.subscriptions.notifying import Notifier
from router.dossier.subscriptions.sending import HttpSender
from router.journal.operations import Change, Queued
from router.journal.store import Store


class DossierRuntime:
    """Runs the dossier. `start` gives the work to be run; `committed` is told of each commit of the pipeline."""

    def __init__(
        self,
        section: DossierSection,
        store: Store,
        writer: Writes,
        pool: Projects,
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
        *,
        base: str,
        deposits: Deposits | None = None,
        mail: Callable[[], ByMail] | None = None,
        queued: Callable[[Sequence[Queued]], None] = lambda _: None,
    ) -> None:
        policy = AddressPolicy.of(section.subscriber_networks, http=section.subscriber_http)
        self.is_on = section.api
        self.door = CircleDoor()
        self.settings = DossierSettings(section.url, bool(section.client_authorities), policy, deposits)
        self._writer = writer
        self._has_ways = section.api or section.alerts.any
        self._began = False

        def make() -> tuple[Follower, Notifier, NoticeSenders]:
            follower = Follower(store, writer, pool, now, trouble, self._kept)
            notifier = Notifier(store, writer, self.door, HttpSender(policy), now, trouble, base=section.url or base)
            senders = NoticeSenders(
                store,
                writer,
                ToTools(self.door, store.blobs, on=section.api),
                Ordinary(section.alerts),
                now,
                trouble,
                mail=mail,
                handed=notifier.wake,
                queued=queued,
            )
            return follower, notifier, senders

        self._make = make
        self.follower, self.notifier, self.senders = make()

    async def start(self, spawn: Callable[[Awaitable[None], str], object]) -> None:
        """Begin to follow and to tell, where the API is on; else what changes is left for the day when it is.

        Notices leave where there is any way for them; without one they wait, and the dossier shows it. What is begun
        again, after it was cancelled, begins with what the journal says: another node went on with it meanwhile.
        """
        if self._began:
            self.follower, self.notifier, self.senders = self._make()
        self._began = True
        if self._has_ways:
            spawn(self.senders.run(), "notices")
        if not self.is_on:
            await self._writer.submit(Change(stop_following, note="dossier ends"))
            return
        await self.follower.begin()
        spawn(self.follower.run(), "dossier")
        spawn(self.notifier.run(), "subscriptions")

    def committed(self) -> None:
        """Look now at what the pipeline committed."""
        self.senders.wake()
        if self.is_on:
            self.follower.wake()

    def changed(self) -> None:
        """Look now at what a tool wrote."""
        self.follower.wake()
        self.notifier.wake()
        self.senders.wake()

    def _kept(self) -> None:
        self.notifier.wake()
        self.senders.wake()
