"""Submits, replaces, deletes and changes documents in the DMP, one parcel at a time.

Nothing leaves before the guards have been looked at; a submission that may have arrived is looked up by its uniqueId
before it is sent again. What is replaced or deleted goes by the entry UUID that was kept or, where whole entries may be
read or that one is refused, by what the registry says right before.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from connectors.contracts import (
    Delivered,
    Hold,
    Learnt,
    NotAsked,
    Outcome,
    Parcel,
    ReferenceKind,
    Refused,
    Retry,
    Services,
)
from connectors.dmp.answers import Existence, Refusal, Registered, Trouble
from connectors.dmp.changes import status_change, visibility_change
from connectors.dmp.client import DmpClient
from connectors.dmp.doubts import Doubts
from connectors.dmp.errors import Kind
from connectors.dmp.finding import Finder, Found
from connectors.dmp.outcomes import after_refusal, after_trouble, guard, held
from connectors.dmp.parcels import Wanted, documents_of, read_parcel, related_to, unsigned
from connectors.dmp.queries import APPROVED
from connectors.dmp.rights import Transaction
from connectors.dmp.settings import DmpDestinationSettings
from connectors.dmp.signing import Unusable
from connectors.reporting import Reporter
from mappings.contracts import FormatError
from mappings.xds.guards import INSISTABLE, PREFIX
from mappings.xds.writing import DELETED, Operation
from schemas.finding import Finding, Severity

FORMER = f"{PREFIX}former"
TIDY_SECONDS = 60.0
REMEMBERED = 10_000
"""Patients whose existence in the DMP is remembered."""


class DmpDestination:
    """One DMP, under one identity."""

    def __init__(
        self,
        name: str,
        settings: DmpDestinationSettings,
        services: Services,
        *,
        client: Callable[[DmpDestinationSettings, Callable[[], datetime]], DmpClient] | None = None,
    ) -> None:
        self.name = name
        self._settings = settings
        self._services = services
        self._client = client(settings, services.now) if client else DmpClient(settings, now=services.now)
        self._finder = Finder(self._client, services.records)
        self._doubts = Doubts(services.memory, services.now)
        self._report = Reporter(services)
        self._accepting: dict[bytes, datetime] = {}
        self._stop_tidying: Callable[[], None] | None = services.spawn_every(TIDY_SECONDS, self._doubts.tidy)
        services.health.state = "ready"

    async def close(self) -> None:
        """Close the connections."""
        stop, self._stop_tidying = self._stop_tidying, None
        if stop is not None:
            stop()
        await self._client.close()

    async def send(self, parcel: Parcel) -> Outcome:
        """Do what the parcel wants, once."""
        try:
            wanted = await asyncio.to_thread(read_parcel, parcel)
        except FormatError as problem:
            return Refused(f"this cannot be sent to the DMP: {problem.message}")
        key = f"held/{parcel.delivery_id}"
        accepted = await self._accepted(key) if parcel.insisted else frozenset()
        outcome = await self._sent(wanted, parcel, accepted)
        if isinstance(outcome, Hold):
            shown = accepted | {one.code for one in outcome.findings}
            await self._services.memory.keep(key, " ".join(sorted(shown)).encode())
        elif parcel.insisted and not isinstance(outcome, Retry):
            await self._services.memory.keep(key, None)
        self._note(wanted, outcome)
        return outcome

    async def learn(self, parcels: Sequence[Parcel]) -> Mapping[int, Learnt | NotAsked]:
        """Look up, some time later, under which names the registry knows what was submitted (TD3.1, TD3.1b)."""
        return await self._finder.learn(parcels)

    async def _accepted(self, key: str) -> frozenset[str]:
        """Give the guards that a person overrules: those that were shown, where it is legal."""
        shown = await self._services.memory.recall(key)
        return frozenset((shown or b"").decode().split()) & INSISTABLE

    async def _sent(self, wanted: Wanted, parcel: Parcel, accepted: frozenset[str]) -> Outcome:
        guards = [*wanted.guards, *self._own_guards(wanted)]
        standing = [one for one in guards if one.code not in accepted]
        if standing:
            return held(*standing)
        match wanted.operation:
            case Operation.DELETE:
                return await self._delete(wanted)
            case Operation.VISIBILITY:
                return await self._change_visibility(wanted)
            case _:
                return await self._deposit(wanted, parcel.attempt, accepted)

    def _own_guards(self, wanted: Wanted) -> list[Finding]:
        found: list[Finding] = []
        submits = self._client.submitting
        transaction = Transaction.DELETE if wanted.operation is Operation.DELETE else submits
        denied = None if wanted.operation is Operation.VISIBILITY else self._client.denied(transaction)
        if denied is not None:
            found.append(guard("rights", denied))
        if len(wanted.document) > self._settings.max_document:
            limit = int(self._settings.max_document) // 1024
            found.append(guard("size", f"the document is larger than {limit} kB, the most that is sent"))
        return found

    # --- submission

    async def _deposit(self, wanted: Wanted, attempt: int, accepted: frozenset[str]) -> Outcome:
        if attempt > 1 or await self._doubts.about(wanted.unique_id, wanted.lot_id):
            arrived = await self._finder.look_up(wanted.patient, wanted.unique_id)
            if isinstance(arrived, Trouble | Refusal):
                return self._undecided(arrived, wanted)
            if arrived is not None:
                return self._delivered(wanted, "it was there already: an earlier attempt had arrived", arrived)
        elif await self._services.records.known(ReferenceKind.HASH, wanted.digest):
            before = await self._finder.look_up(wanted.patient, wanted.unique_id)
            if isinstance(before, Trouble | Refusal):
                return self._undecided(before, wanted)
            if before is not None:
                return held(guard("deposited", "this very document is in the DMP already"))
        refused = await self._patient_has_none(wanted)
        if refused is not None:
            return refused
        former: Found | None = None
        if wanted.former is not None:
            looked = await self._former(wanted, accepted)
            if not isinstance(looked, Found | None):
                return looked
            former = looked
        outcome = await self._submit(wanted, former)
        if former is None or not former.kept or not isinstance(outcome, Refused):
            return outcome
        # The name that was kept may be of a version that is no more: whoever changes the metadata gives it another.
        now = await self._former(wanted, accepted, afresh=True)
        if not isinstance(now, Found | None):
            return now
        return outcome if now is not None and now.entry_uuid == former.entry_uuid else await self._submit(wanted, now)

    async def _submit(self, wanted: Wanted, former: Found | None) -> Outcome:
        submission = related_to(wanted.submission, former.entry_uuid if former is not None else None)
        if not self._settings.sign_lots:
            submission = unsigned(submission)
        try:
            documents = await asyncio.to_thread(self._documents, wanted)
        except Unusable as problem:
            return Retry(f"our signing certificate cannot be used: {problem}", reached=False)
        except FormatError as problem:
            return Refused(f"this cannot be sent to the DMP: {problem.message}")
        await self._doubts.begin(wanted.unique_id, wanted.lot_id)
        answer = await self._client.submit(wanted.patient, submission, documents)
        if isinstance(answer, Registered) and not answer.partial:
            self._doubts.settled(wanted.unique_id)
            arrived = await self._learnt(wanted)
            said = "; ".join(one.sentence for one in answer.warnings)
            return self._delivered(wanted, f"with remarks: {said}" if said else "", arrived, answer.answer)
        if isinstance(answer, Trouble):
            if not answer.in_doubt:
                self._doubts.settled(wanted.unique_id)
            return self._undecided(answer, wanted)
        if isinstance(answer, Refusal) and answer.kind is not Kind.DEPOSITED:
            self._doubts.settled(wanted.unique_id)
            return after_refusal(answer)
        # Half a yes, or «it is there already»: the registry knows which.
        arrived_now = await self._finder.look_up(wanted.patient, wanted.unique_id)
        if isinstance(arrived_now, Trouble | Refusal):
            return self._undecided(arrived_now, wanted)
        self._doubts.settled(wanted.unique_id)
        if isinstance(answer, Refusal):
            return after_refusal(answer)
        said = "; ".join(one.sentence for one in answer.warnings) or "a part was not done"
        if arrived_now is None:
            return Refused(f"the DMP did a part of it, without the document: {said}", answer.answer)
        return self._delivered(wanted, f"with remarks: {said}", arrived_now, answer.answer)

    def _documents(self, wanted: Wanted) -> dict[str, bytes]:
        signer = self._client.signer() if self._settings.sign_lots else None
        return documents_of(wanted, signer, self._settings.lot_algorithm)

    async def _learnt(self, wanted: Wanted) -> Found | None:
        if self._settings.learn_entry != "now":
            return None
        found = await self._finder.look_up(wanted.patient, wanted.unique_id)
        return found if isinstance(found, Found) else None

    def _delivered(self, wanted: Wanted, detail: str, found: Found | None, answer: bytes = b"") -> Delivered:
        names = found.names() if found is not None else []
        later = self._settings.learn_after_minutes * 60 if self._settings.learn_entry == "later" else None
        return Delivered(
            detail,
            answer,
            acknowledged=True,
            references=wanted.references(*names),
            learn_after=later if found is None else None,
        )

    async def _patient_has_none(self, wanted: Wanted) -> Outcome | None:
        """Ask TD0.2 whether the patient's DMP takes documents; None when it does."""
        ins = wanted.ins()
        if self._settings.existence == "trust" or ins is None:
            return None
        key = hashlib.blake2b(wanted.patient.encode(), digest_size=16).digest()
        until = self._accepting.get(key)
        if until is not None and self._services.now() < until:
            return None
        answer = await self._client.exists(ins)
        if isinstance(answer, Existence):
            if answer.accepts:
                if len(self._accepting) >= REMEMBERED:
                    self._accepting.clear()
                self._accepting[key] = self._services.now() + timedelta(hours=self._settings.existence_hours)
                return None
            said = "the patient's DMP is closed" if answer.exists else "the patient has no DMP"
            return held(guard("no_dmp", f"TD0.2: {said}"))
        return self._undecided(answer, wanted)

    # --- what is there already

    async def _former(
        self, wanted: Wanted, accepted: frozenset[str], *, afresh: bool = False
    ) -> Found | Outcome | None:
        """Find what is to be replaced; None when a person insists on submitting without it.

        Where a look-up would tell its name alone, the name that was kept will do, unless it is wanted `afresh`.
        """
        assert wanted.former is not None  # noqa: S101 - asked about a replacement only
        kept = None if afresh or self._finder.whole else await self._finder.kept(wanted.former)
        if kept is not None:
            return kept
        found = await self._finder.look_up(wanted.patient, wanted.former)
        if isinstance(found, Trouble | Refusal):
            return self._undecided(found, wanted)
        status = found.entry.availability_status if found is not None and found.entry is not None else APPROVED
        if found is None or status != APPROVED:
            if FORMER in accepted:
                return None
            said = "is not in the DMP" if found is None else "is not its current version there"
            message = f"the document that this one replaces {said}; sent all the same, it goes as a new one"
            return held(guard("former", message))
        return found

    async def _delete(self, wanted: Wanted) -> Outcome:
        kept = None if self._finder.whole else await self._finder.kept(wanted.unique_id)
        if kept is not None:
            answer = await self._changed_status(wanted, kept, APPROVED)
            if not isinstance(answer, Refusal):
                return self._changed(answer, wanted, kept)
            # Archived, deleted already, or of another version by now: the registry is asked.
        found = await self._finder.look_up(wanted.patient, wanted.unique_id)
        if isinstance(found, Trouble | Refusal):
            return self._undecided(found, wanted)
        status = await self._finder.status_of(found, wanted.patient)
        if isinstance(status, Trouble | Refusal):
            return self._undecided(status, wanted)
        if found is None or status is None:
            return Delivered("there is nothing to delete: the DMP does not have it (any more)", acknowledged=True)
        return self._changed(await self._changed_status(wanted, found, status), wanted, found)

    async def _changed_status(self, wanted: Wanted, found: Found, status: str) -> Registered | Refusal | Trouble:
        body = status_change(wanted.lot, found.entry_uuid, status, DELETED)
        return await self._client.change(Transaction.DELETE, wanted.patient, body)

    async def _change_visibility(self, wanted: Wanted) -> Outcome:
        found = await self._finder.look_up(wanted.patient, wanted.unique_id)
        if isinstance(found, Trouble | Refusal):
            return self._undecided(found, wanted)
        if found is None:
            return Refused("the DMP does not have the document whose visibility is to change")
        codes = wanted.entry.confidentiality_codes
        hidden = {one.code for one in codes}
        transaction = Transaction.MASK if "MASQUE_PS" in hidden else Transaction.MAKE_VISIBLE
        denied = self._client.denied(transaction)
        if denied is not None or found.entry is None:
            return held(guard("rights", denied or "the metadata of the document may not be read: they cannot change"))
        body = visibility_change(wanted.lot, found.entry, codes)
        # The registry gives the changed entry another name, which is to be looked up in its turn.
        return self._changed(await self._client.change(transaction, wanted.patient, body), wanted, None)

    def _changed(self, answer: Registered | Refusal | Trouble, wanted: Wanted, found: Found | None) -> Outcome:
        if isinstance(answer, Trouble | Refusal):
            return self._undecided(answer, wanted)
        return self._delivered(wanted, "", found, answer.answer)

    # --- health

    def _undecided(self, answer: Trouble | Refusal, wanted: Wanted) -> Outcome:
        return after_refusal(answer) if isinstance(answer, Refusal) else after_trouble(answer, wanted)

    def _note(self, wanted: Wanted, outcome: Outcome) -> None:
        health = self._services.health
        if isinstance(outcome, Retry) and not outcome.reached:
            health.state, health.detail = "degraded", outcome.detail
            self._report("dmp.stopped", self.name, outcome.detail, Severity.ERROR)
        elif isinstance(outcome, Delivered | Refused | Retry):
            health.state, health.detail = "ready", ""
        kind = type(outcome).__name__.lower()
        word = wanted.operation.value if isinstance(outcome, Delivered) else kind
        health.figures[word] = int(health.figures.get(word, 0)) + 1
