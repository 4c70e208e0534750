"""What the DMP's registry calls a document now: looked up by uniqueId, or remembered from an earlier look-up.

Whole entries where rights allow them (TD3.1), else their names alone (TD3.1b). An entryUUID changes with each version
of the metadata, the logical id does not, the uniqueId never does (fact sheet dmp §4.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.contracts import Learnt, NotAsked, Parcel, Records, Reference, ReferenceKind
from connectors.dmp.answers import Listed, Refusal, Trouble
from connectors.dmp.client import DmpClient
from connectors.dmp.errors import Kind
from connectors.dmp.parcels import Wanted, read_parcel
from connectors.dmp.queries import APPROVED, ARCHIVED, find_documents, get_documents
from connectors.dmp.rights import Transaction
from mappings.contracts import FormatError
from mappings.xds.model import DocumentEntry
from mappings.xds.writing import Operation

DENIED_WAIT = 86_400.0
"""Seconds until a right that we have not is looked at again: the configuration may have changed."""

TROUBLE_WAIT = 900.0


@dataclass(frozen=True, slots=True)
class Found:
    """A document as the registry knows it: `entry` is None where only its name may be known.

    `kept` when the name was kept from an earlier look-up: the registry may have another one by now.
    """

    entry_uuid: str
    entry: DocumentEntry | None = None
    kept: bool = False

    def names(self) -> list[tuple[ReferenceKind, str]]:
        """Give the names that the registry gave it."""
        named = [(ReferenceKind.ENTRY_UUID, self.entry_uuid)]
        if self.entry is not None and self.entry.logical_id:
            named.append((ReferenceKind.LOGICAL_ID, self.entry.logical_id))
        return named


class Finder:
    """Looks documents up under one identity."""

    def __init__(self, client: DmpClient, records: Records) -> None:
        self._client = client
        self._records = records

    @property
    def whole(self) -> bool:
        """Whether entries may be read, not their names alone."""
        return self._client.denied(Transaction.SEARCH) is None

    async def kept(self, unique_id: str) -> Found | None:
        """Give what was kept of an earlier look-up, None where there was none."""
        names = await self._records.names_of(unique_id)
        uuid = names.get(ReferenceKind.ENTRY_UUID)
        return Found(uuid, kept=True) if uuid else None

    async def look_up(self, patient: str, unique_id: str) -> Found | Trouble | Refusal | None:
        """Find a document by its uniqueId: the current one of its versions where there are several."""
        answer = await self._client.search(patient, get_documents((unique_id,), references=not self.whole))
        if isinstance(answer, Trouble | Refusal):
            return answer
        return _current(answer, unique_id) if self.whole else await self._one_of(answer, patient)

    async def _one_of(self, answer: Listed, patient: str) -> Found | Trouble | Refusal | None:
        """Choose among the versions of one document, of which the names alone are known: the one that is approved."""
        if len(answer.references) < 2:
            return Found(answer.references[0]) if answer.references else None
        approved = await self._client.search(patient, find_documents(patient, references=True))
        if isinstance(approved, Trouble | Refusal):
            return approved
        both = [one for one in answer.references if one in set(approved.references)]
        return Found(both[0] if both else answer.references[-1])

    async def status_of(self, found: Found | None, patient: str) -> str | Trouble | Refusal | None:
        """Say whether a document is approved or archived, None when it is neither: a deletion names what was before."""
        if found is None:
            return None
        if found.entry is not None:
            status = found.entry.availability_status
            return status if status in (APPROVED, ARCHIVED) else None
        for status in (APPROVED, ARCHIVED):
            answer = await self._client.search(patient, find_documents(patient, statuses=(status,), references=True))
            if isinstance(answer, Trouble | Refusal):
                return answer
            if found.entry_uuid in answer.references:
                return status
        return None

    # --- some time after the submission

    async def learn(self, parcels: Sequence[Parcel]) -> dict[int, Learnt | NotAsked]:
        """Ask under which names the registry knows what these parcels submitted; those that are missing were not asked.

        Those of one patient are asked about at once where whole entries may be read: names alone do not say whose they
        are. A trouble that is not of one patient ends it.
        """
        answers: dict[int, Learnt | NotAsked] = {}
        by_patient: dict[str, list[tuple[Parcel, Wanted]]] = {}
        denied = None if self.whole else self._client.denied(Transaction.SEARCH_REFERENCE)
        for parcel in parcels:
            wanted = _submitted(parcel)
            if wanted is None:
                answers[parcel.delivery_id] = NotAsked("nothing was submitted by it that could be looked up", None)
            elif denied is not None:
                answers[parcel.delivery_id] = NotAsked(denied, DENIED_WAIT, denied=True)
            else:
                by_patient.setdefault(wanted.patient, []).append((parcel, wanted))
        for patient, those in by_patient.items():
            together = [those] if self.whole else [[one] for one in those]
            for asked in together:
                found = await self._names_of(patient, [wanted.unique_id for _, wanted in asked])
                for parcel, wanted in asked:
                    answers[parcel.delivery_id] = _told(found, wanted)
                if isinstance(found, Trouble | Refusal) and not _of_this_patient(found):
                    return answers
        return answers

    async def _names_of(self, patient: str, unique_ids: Sequence[str]) -> Mapping[str, Found] | Trouble | Refusal:
        if not self.whole:
            found = await self.look_up(patient, unique_ids[0])
            if isinstance(found, Trouble | Refusal):
                return found
            return {} if found is None else {unique_ids[0]: found}
        answer = await self._client.search(patient, get_documents(unique_ids))
        if isinstance(answer, Trouble | Refusal):
            return answer
        named = {one: _current(answer, one) for one in unique_ids}
        return {name: one for name, one in named.items() if one is not None}


def _current(answer: Listed, unique_id: str) -> Found | None:
    entries = [one for one in answer.entries if one.unique_id == unique_id]
    current = [one for one in entries if one.availability_status in (APPROVED, ARCHIVED)]
    chosen = next(iter(current or entries), None)
    return Found(chosen.entry_uuid, chosen) if chosen is not None else None


def _submitted(parcel: Parcel) -> Wanted | None:
    try:
        wanted = read_parcel(parcel)
    except FormatError:
        return None  # sent by another connector, or before today's format: there is no uniqueId to ask about
    return None if wanted.operation is Operation.DELETE else wanted


def _told(found: Mapping[str, Found] | Trouble | Refusal, wanted: Wanted) -> Learnt | NotAsked:
    if isinstance(found, Trouble):
        return NotAsked(found.detail, found.after or TROUBLE_WAIT)
    if isinstance(found, Refusal):
        return NotAsked(found.sentence, TROUBLE_WAIT)
    one = found.get(wanted.unique_id)
    return Learnt(tuple(Reference(kind, value) for kind, value in one.names()) if one is not None else ())


def _of_this_patient(answer: Trouble | Refusal) -> bool:
    return answer.kind in (Kind.PATIENT, Kind.NEVER)
