"""The overview's figures, counted at most once a second however many people look; connectors' own words stay fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Column, select

from router.certificates import CertificateEnd, CertificateNote
from router.journal import tables
from router.journal.queries_mail import MailTroubles, mail_troubles
from router.journal.queries_overview import Backlog, Situation, Waiting, situation
from router.journal.queries_rates import ENDED, MINUTE, RECEIVED, Bin, Tally, last_moment
from router.journal.storage import Outlook, Storage, measure, outlook
from router.journal.view import View
from router.watch.profile import Profile
from router.web.context import FlowStatus, WebContext
from router.web.history import History, Period, history_of, usual_profile

LEAST_AGE = 1.0
"""Seconds for which figures are good."""

SHARE = 10
"""Figures that cost much are asked less often: at most a tenth of the time goes into them."""

STORAGE_SECONDS = 60.0
HISTORY_SECONDS = 2.0
USUAL_SECONDS = 600.0
DAY, HOUR = 86_400_000_000, 3_600_000_000
NO_BACKLOG = Backlog(Waiting(), 0)
NO_MAILS = MailTroubles()


@dataclass(frozen=True, slots=True)
class FlowLine:
    """A source or destination with what the journal knows of it.

    `per_minute` is the mean of the last five minutes, `hour` the count of the last hour and `curve` the same by minute.
    `failures` are messages rejected in a day, or Deliveries that are dead.
    """

    status: FlowStatus
    last_at: int | None
    per_minute: float
    hour: int
    curve: tuple[int, ...]
    backlog: Backlog
    failures: int


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that the overview shows. `complete` once the whole day has been counted."""

    at: int
    situation: Situation
    sources: tuple[FlowLine, ...]
    destinations: tuple[FlowLine, ...]
    bins: tuple[Bin, ...]
    complete: bool
    storage: Storage
    certificates: tuple[CertificateNote, ...]
    last_at: int | None
    last_source: str
    mails: MailTroubles = NO_MAILS


@dataclass(slots=True)
class _Kept:
    """A value, when it was asked for, and what that cost in seconds."""

    value: Any = None
    asked: float = float("-inf")
    cost: float = 0.0


@dataclass(slots=True)
class Boards:
    """Makes boards and situations, and keeps them for a moment. Safe to use from several threads."""

    context: WebContext
    clock: Callable[[], float] = time.monotonic
    tally: Tally = field(default_factory=Tally)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _last: dict[tuple[str, str], int | None] = field(default_factory=dict)

    def board(self, view: View, now: int) -> Board:
        """Give the overview's figures."""
        with self._lock:
            complete: bool = self._fresh("tally", LEAST_AGE, lambda: self.tally.refresh(view, now))
            return self._board(view, now, complete)

    def situation(self, view: View, now: int) -> Situation:
        """Give what is wrong and what waits, for the menu of every page."""
        found: Situation = self._fresh("situation", LEAST_AGE, lambda: self._situation(view, now))
        return found

    def storage(self, view: View) -> Storage:
        """Give the room that is taken and left."""
        found: Storage = self._fresh("storage", STORAGE_SECONDS, lambda: measure(view, self.context.store.place))
        return found

    def certificates(self) -> tuple[CertificateNote, ...]:
        """Give what is wrong with the certificates."""
        found: tuple[CertificateNote, ...] = self._fresh(
            "certificates", STORAGE_SECONDS, lambda: tuple(self.context.certificates())
        )
        return found

    def certificate_ends(self) -> tuple[CertificateEnd, ...]:
        """Give every certificate with its end."""
        found: tuple[CertificateEnd, ...] = self._fresh(
            "certificate_ends", STORAGE_SECONDS, lambda: tuple(self.context.certificate_ends())
        )
        return found

    def mails(self, view: View, now: int) -> MailTroubles:
        """Give what is wrong with mails that left: those without a receipt for too long, those refused in a day."""
        if "mail" not in self.context.offers():
            return NO_MAILS
        found: MailTroubles = self._fresh(
            "mails", LEAST_AGE, lambda: mail_troubles(view, late_at=late_at(self.context, now), since=now - DAY)
        )
        return found

    def history(self, view: View, period: Period, now: int, zone: ZoneInfo) -> History:
        """Give a week or a month by stretches."""
        name = f"history {period} {zone.key}"
        found: History = self._fresh(name, HISTORY_SECONDS, lambda: history_of(view, period, now, zone))
        return found

    def usual(self, view: View, now: int) -> Profile:
        """Give what all sources together usually send; learned anew every hour."""
        name = f"usual {now // HOUR}"
        with self._lock:
            for former in [key for key in self._kept if key.startswith("usual ") and key != name]:
                del self._kept[former]
        found: Profile = self._fresh(name, USUAL_SECONDS, lambda: usual_profile(view, now, self.context.timezone))
        return found

    def outlook(self, view: View, now: int) -> Outlook | None:
        """Say how fast the journal grows, None while that is not known."""
        found: Outlook | None = self._fresh("outlook", STORAGE_SECONDS, lambda: outlook(view, self.storage(view), now))
        return found

    def forget(self) -> None:
        """Ask anew: a person changed rows."""
        with self._lock:
            self._kept.clear()
            self.tally.forget()

    def _fresh(self, name: str, seconds: float, ask: Callable[[], Any]) -> Any:
        with self._lock:
            kept = self._kept.setdefault(name, _Kept())
            started = self.clock()
            if started - kept.asked >= max(seconds, SHARE * kept.cost):
                kept.value = ask()
                kept.asked = started
                kept.cost = self.clock() - started
            return kept.value

    def _situation(self, view: View, now: int) -> Situation:
        names = [status.name for status in self.context.flows() if status.side == "destination"]
        return situation(view, names, since=now - DAY, troubles_since=now - HOUR)

    def _board(self, view: View, now: int, complete: bool) -> Board:
        found = self.situation(view, now)
        flows = _with_former(self.context.flows(), self.tally, found.backlog)
        failing: dict[str, int] = {}
        for group in found.failures.groups:
            failing[group.destination] = failing.get(group.destination, 0) + group.count
        sources, destinations = [], []
        for status in flows:
            if status.side == "source":
                last = self._last_at(view, now, status.name, RECEIVED, tables.message.c.received_at)
                rejected = found.rejected_by_source.get(status.name, 0)
                sources.append(self._line(now, status, RECEIVED, last, NO_BACKLOG, rejected))
            else:
                last = self._last_at(view, now, status.name, ENDED, tables.delivery.c.ended_at)
                waits = found.backlog.get(status.name, NO_BACKLOG)
                destinations.append(self._line(now, status, ENDED, last, waits, failing.get(status.name, 0)))
        newest = max(sources, key=lambda line: line.last_at or 0, default=None)
        return Board(
            now,
            found,
            tuple(sources),
            tuple(destinations),
            tuple(self.tally.bins(now)),
            complete,
            self.storage(view),
            self.certificates(),
            newest.last_at if newest is not None else None,
            newest.status.name if newest is not None else "",
            self.mails(view, now),
        )

    def _line(
        self, now: int, status: FlowStatus, series: str, last: int | None, backlog: Backlog, failures: int
    ) -> FlowLine:
        return FlowLine(
            status,
            last,
            self.tally.per_minute(series, status.name, now, 5),
            self.tally.total(series, status.name, now, 60),
            tuple(self.tally.curve(series, status.name, now, 60)),
            backlog,
            failures,
        )

    def _last_at(self, view: View, now: int, name: str, series: str, moment: Column[Any]) -> int | None:
        """Say when something last happened; the minute is known from the counts, so that the look is short."""
        owner = tables.message.c.source if series == RECEIVED else tables.delivery.c.destination
        active = max((minute for minute, counts in self.tally.counted[series].items() if name in counts), default=None)
        if active is None and (series, name) in self._last:
            return self._last[series, name]
        if active is None:
            self._last[series, name] = last_moment(view, series, name)
            return self._last[series, name]
        statement = select(moment).where(owner == name, moment >= active * MINUTE).order_by(moment.desc()).limit(1)
        found: int | None = view.connection.execute(statement).scalar()
        if found is None:
            return self._last.get((series, name))
        self._last[series, name] = found
        return found


def late_at(context: WebContext, now: int) -> int | None:
    """Give the moment before which a mail must have left to wait for its receipt too long; None when none ever does."""
    return now - context.receipt_hours * HOUR if context.receipt_hours else None


def _with_former(flows: Sequence[FlowStatus], tally: Tally, waiting: Mapping[str, Backlog]) -> list[FlowStatus]:
    """Add what was active today and is no longer configured, and destinations that are gone and have something waiting.

    Their traffic must not vanish from the page.
    """
    known = {(status.side, status.name) for status in flows}
    received, ended = sorted(tally.names(RECEIVED)), sorted({*tally.names(ENDED), *waiting})
    former = [FlowStatus(name, "source", "", "removed") for name in received if ("source", name) not in known]
    former += [FlowStatus(name, "destination", "", "removed") for name in ended if ("destination", name) not in known]
    return [*flows, *former]
