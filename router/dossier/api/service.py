"""What every request to the API needs: the journal, the door, and who is to be woken after a change."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from router.dossier.accesses import Access as Decided, keep_accesses
from router.dossier.api.calls import Call
from router.dossier.api.deposits import Deposits
from router.dossier.door import Door
from router.dossier.readings import keep_readings
from router.dossier.store.access import Access
from router.dossier.subscriptions.addresses import AddressPolicy
from router.journal.actions import record_audit
from router.journal.blobs import BlobStore
from router.journal.operations import Change, Operation
from router.journal.unit import Unit
from router.journal.view import View
from router.quotas import Quota

R = TypeVar("R")


class Journal(Protocol):
    """The journal as the web server lends it (`router.web.desk.Desk`)."""

    def now(self) -> int:
        """Give the present moment in microseconds."""

    def look(self, query: Callable[[View], R]) -> Awaitable[R]:
        """Run a query in a thread."""

    def submit(self, operation: Operation[R]) -> Awaitable[R]:
        """Apply an operation through the journal's writer."""

    def report(self, said: str) -> Awaitable[None]:
        """Keep a defect as a notice."""


def _new_id() -> str:
    return str(uuid.uuid4())


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class DossierSettings:
    """How the API is served. `url` is its address as tools know it, empty: as each request says."""

    url: str = ""
    certificates: bool = False
    """Whether every tool must show a client certificate."""

    subscribers: AddressPolicy = field(default_factory=AddressPolicy)
    """Where notices may go."""

    deposits: Deposits | None = None
    """Which documents a route takes to the DMP, where those of an unqualified identity are refused; else None."""


@dataclass(frozen=True, slots=True)
class Service:
    """The API's means. `changed` is called after something was written."""

    journal: Journal
    door: Door
    blobs: BlobStore
    settings: DossierSettings = field(default_factory=DossierSettings)
    changed: Callable[[], None] = lambda: None
    proofs: Quota = field(default_factory=lambda: Quota(0))
    """What an address may try in vain."""

    calls: Quota = field(default_factory=lambda: Quota(0))
    """What a tool may ask."""

    new_id: Callable[[], str] = _new_id
    new_secret: Callable[[], str] = _new_secret

    def access(self, view: View, call: Call) -> Access:
        """Open a reader's eyes."""
        return Access(view, self.door, call.may.reader, call.now)

    async def noted(
        self, call: Call, what: str, decided: list[Decided], fetched: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Keep who looked at what, and by which rule, before it is answered. What cannot be noted is not shown.

        `fetched` are the things that a list gave, with the member who has them by it.
        """
        await self.journal.submit(noting(call, what, decided, fetched))


def noting(call: Call, what: str, decided: list[Decided], fetched: Sequence[tuple[int, int]] = ()) -> Change[None]:
    """Give the change that keeps a request in the audit trail, and the decisions about each dossier."""

    def change(unit: Unit) -> None:
        keep_note(unit, call, what, decided)
        keep_readings(unit.connection, fetched, call.now, read=False)

    return Change(change, note="dossier api")


def keep_note(unit: Unit, call: Call, what: str, decided: list[Decided]) -> None:
    """Keep a request within a transaction."""
    action = f"dossier {call.method.lower()}"
    rules = ",".join(sorted({f"{one.verdict.rule.value}" for one in decided}))
    record_audit(call.may.reader.name, action, what[:120], now=call.now, detail=rules[:400]).apply(unit)
    keep_accesses(unit.connection, decided, call.now)
