"""Submits, replaces, deletes and changes documents in the DMP, one parcel at a time.

Nothing leaves before the guards have been looked at; a submission that may have arrived is looked up by its uniqueId
before it is sent again; the former document's entry UUID is looked up right before it is replaced or deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.contracts import Delivered, Hold, Outcome, Parcel, ReferenceKind, Refused, Retry, Services
from connectors.dmp.answers import Existence, Listed, Refusal, Registered, Trouble
from connectors.dmp.changes import status_change, visibility_change
from connectors.dmp.client import DmpClient
from connectors.dmp.doubts import Doubts
from connectors.dmp.errors import Kind
from connectors.dmp.outcomes import after_refusal, after_trouble, guard, held
from connectors.dmp.parcels import Wanted, documents_of, read_parcel, related_to, unsigned
from connectors.dmp.queries import APPROVED, ARCHIVED, find_documents, get_documents
from connectors.dmp.rights import Transaction
from connectors.dmp.settings import DmpDestinationSettings
from connectors.dmp.signing import Unusable
from connectors.reporting import Reporter
from mappings.contracts import FormatError
from mappings.xds.guards import INSISTABLE, PREFIX
from mappings.xds.model import DocumentEntry
from mappings.xds.writing import DELETED, Operation
from schemas.finding import Finding, Severity

FORMER = f"{PREFIX}former"
TIDY_SECONDS = 60.0
REMEMBERED = 10_000
"""Patients whose existence in the DMP is remembered."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document as the registry knows it now: `entry` is None where only its name may be known."""

    entry_uuid: str
    entry: DocumentEntry | None = None


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
            arrived = await self._look_up(wanted, wanted.unique_id)
            if isinstance(arrived, Trouble | Refusal):
                return self._undecided(arrived, wanted)
            if arrived is not None:
                return self._delivered(wanted, "it was there already: an earlier attempt had arrived", arrived)
        elif await self._services.records.known(ReferenceKind.HASH, wanted.digest):
            before = await self._look_up(wanted, wanted.unique_id)
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
        return await self._submit(wanted, former)

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
        arrived_now = await self._look_up(wanted, wanted.unique_id)
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
        if not self._settings.learn_entry:
            return None
        found = await self._look_up(wanted, wanted.unique_id)
        return found if isinstance(found, Found) else None

    def _delivered(self, wanted: Wanted, detail: str, found: Found | None, answer: bytes = b"") -> Delivered:
        names: list[tuple[ReferenceKind, str]] = []
        if found is not None:
            names.append((ReferenceKind.ENTRY_UUID, found.entry_uuid))
            if found.entry is not None and found.entry.logical_id:
                names.append((ReferenceKind.LOGICAL_ID, found.entry.logical_id))
        return Delivered(detail, answer, acknowledged=True, references=wanted.references(*names))

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

    async def _look_up(self, wanted: Wanted, unique_id: str) -> Found | Trouble | Refusal | None:
        """Find a document by its uniqueId: whole where rights allow (TD3.1), else by its name alone (TD3.1b)."""
        whole = self._client.denied(Transaction.SEARCH) is None
        answer = await self._client.search(wanted.patient, get_documents((unique_id,), references=not whole))
        if isinstance(answer, Trouble | Refusal):
            return answer
        if whole:
            entries = [one for one in answer.entries if one.unique_id == unique_id]
            current = [one for one in entries if one.availability_status in (APPROVED, ARCHIVED)]
            chosen = next(iter(current or entries), None)
            return Found(chosen.entry_uuid, chosen) if chosen is not None else None
        return await self._one_of(answer, wanted)

    async def _one_of(self, answer: Listed, wanted: Wanted) -> Found | Trouble | Refusal | None:
        """Choose among the versions of one document, of which the names alone are known: the one that is approved."""
        if len(answer.references) < 2:
            return Found(answer.references[0]) if answer.references else None
        approved = await self._client.search(wanted.patient, find_documents(wanted.patient, references=True))
        if isinstance(approved, Trouble | Refusal):
            return approved
        both = [one for one in answer.references if one in set(approved.references)]
        return Found(both[0] if both else answer.references[-1])

    async def _former(self, wanted: Wanted, accepted: frozenset[str]) -> Found | Outcome | None:
        """Find what is to be replaced; None when a person insists on submitting without it."""
        assert wanted.former is not None  # noqa: S101 - asked about a replacement only
        found = await self._look_up(wanted, wanted.former)
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
        found = await self._look_up(wanted, wanted.unique_id)
        if isinstance(found, Trouble | Refusal):
            return self._undecided(found, wanted)
        status = await self._status_of(found, wanted)
        if isinstance(status, Trouble | Refusal):
            return self._undecided(status, wanted)
        if found is None or status is None:
            return Delivered("there is nothing to delete: the DMP does not have it (any more)", acknowledged=True)
        body = status_change(wanted.lot, found.entry_uuid, status, DELETED)
        return self._changed(await self._client.change(Transaction.DELETE, wanted.patient, body), wanted, found)

    async def _status_of(self, found: Found | None, wanted: Wanted) -> str | Trouble | Refusal | None:
        """Say whether a document is approved or archived, None when it is neither: a deletion names what was before."""
        if found is None:
            return None
        if found.entry is not None:
            status = found.entry.availability_status
            return status if status in (APPROVED, ARCHIVED) else None
        for status in (APPROVED, ARCHIVED):
            query = find_documents(wanted.patient, statuses=(status,), references=True)
            answer = await self._client.search(wanted.patient, query)
            if isinstance(answer, Trouble | Refusal):
                return answer
            if found.entry_uuid in answer.references:
                return status
        return None

    async def _change_visibility(self, wanted: Wanted) -> Outcome:
        found = await self._look_up(wanted, wanted.unique_id)
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
        return self._changed(await self._client.change(transaction, wanted.patient, body), wanted, found)

    def _changed(self, answer: Registered | Refusal | Trouble, wanted: Wanted, found: Found) -> Outcome:
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
