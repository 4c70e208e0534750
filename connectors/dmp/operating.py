"""What an operator does in the DMP by hand: ask, search, retrieve, delete, archive, mask. Rights are the profile's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from connectors.dmp.answers import Existence, Refusal, Registered, Retrieved, Trouble
from connectors.dmp.changes import status_change, visibility_change, with_visibility
from connectors.dmp.client import DmpClient
from connectors.dmp.queries import APPROVED, ARCHIVED, find_documents, get_documents
from connectors.dmp.rights import Transaction
from connectors.dmp.settings import DmpSettings
from connectors.dmp.signing import Unusable
from mappings.xds import vocabulary
from mappings.xds.datatypes import escape, write_ins
from mappings.xds.identities import oid_of
from mappings.xds.model import Author, DocumentEntry, SubmissionSet
from mappings.xds.writing import DELETED
from schemas.identifiers import IDNPS_OID, IDNST_OID
from schemas.identity import Ins

MASKED = "MASQUE_PS"


@dataclass(frozen=True, slots=True)
class NotThere:
    """The DMP does not have the document, or not in a state that can change."""


Answer = Refusal | Trouble
Changed = Registered | Refusal | Trouble | NotThere


class Operator:
    """Acts under the settings of a source or destination; close it in the end."""

    def __init__(self, settings: DmpSettings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._client = DmpClient(settings, now=now)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def test(self, ins: Ins) -> Existence | Answer:
        """TD0.2."""
        return await self._client.exists(ins)

    async def search(self, ins: Ins, *, archived: bool = False) -> tuple[DocumentEntry, ...] | Answer:
        """List the approved documents (EX_3.1-1030), and the archived ones on request."""
        who = write_ins(ins)
        statuses = (APPROVED, ARCHIVED) if archived else (APPROVED,)
        found = await self._client.search(who, find_documents(who, statuses=statuses))
        return found if isinstance(found, Refusal | Trouble) else found.entries

    async def retrieve(self, ins: Ins, unique_id: str) -> Retrieved | Answer | NotThere:
        """Give one document, from the repository that its entry names where the entry may be read."""
        who = write_ins(ins)
        repository = ""
        if self._client.denied(Transaction.SEARCH) is None:
            found = await self._current(who, unique_id)
            if not isinstance(found, DocumentEntry):
                return found
            repository = found.repository_unique_id or ""
        return await self._client.retrieve(who, repository, unique_id)

    async def delete(self, ins: Ins, unique_id: str) -> Changed:
        """Delete what this structure, or this person, deposited."""
        return await self._move(ins, unique_id, Transaction.DELETE, (APPROVED, ARCHIVED), DELETED)

    async def archive(self, ins: Ins, unique_id: str, *, back: bool = False) -> Changed:
        """Archive a document, or bring it back."""
        before, after = (ARCHIVED, APPROVED) if back else (APPROVED, ARCHIVED)
        return await self._move(ins, unique_id, Transaction.ARCHIVE, (before,), after)

    async def _move(
        self, ins: Ins, unique_id: str, transaction: Transaction, before: tuple[str, ...], after: str
    ) -> Changed:
        """Give a document another status; its present one is found by names alone, which every mode may ask for."""
        who = write_ins(ins)
        versions = await self._client.search(who, get_documents((unique_id,), references=True))
        if isinstance(versions, Refusal | Trouble):
            return versions
        for status in before:
            held = await self._client.search(who, find_documents(who, statuses=(status,), references=True))
            if isinstance(held, Refusal | Trouble):
                return held
            entry = next((one for one in versions.references if one in set(held.references)), None)
            if entry is not None:
                body = status_change(self._lot(who), entry, status, after)
                return await self._client.change(transaction, who, body)
        return NotThere()

    async def show(self, ins: Ins, unique_id: str, code: str, *, hidden: bool) -> Changed:
        """Mask, unmask or make visible. Raises ValueError for what the DMP never does: hide from the patient later."""
        if hidden and code != MASKED:
            raise ValueError("a document that is in the DMP can be made visible, not hidden from the patient's side")
        transaction = Transaction.MAKE_VISIBLE
        if code == MASKED:
            transaction = Transaction.MASK if hidden else Transaction.UNMASK
        who = write_ins(ins)
        found = await self._current(who, unique_id)
        if not isinstance(found, DocumentEntry):
            return found
        codes = with_visibility(found, code, present=hidden)
        body = visibility_change(self._lot(who), found, codes)
        return await self._client.change(transaction, who, body)

    async def _current(self, who: str, unique_id: str) -> DocumentEntry | Answer | NotThere:
        found = await self._client.search(who, get_documents((unique_id,)))
        if isinstance(found, Refusal | Trouble):
            return found
        states = (APPROVED, ARCHIVED)
        current = (one for one in found.entries if one.unique_id == unique_id and one.availability_status in states)
        return next(current, NotThere())

    def _lot(self, who: str) -> SubmissionSet:
        return SubmissionSet(
            entry_uuid="SubmissionSet01",
            unique_id=oid_of("operation", str(uuid4())),
            source_id=self._settings.oid,
            patient_id=who,
            submission_time=self._now().astimezone(UTC).strftime("%Y%m%d%H%M%S"),
            content_type_code=vocabulary.content_type_of_encounter(None),
            authors=(self._author(),),
        )

    def _author(self) -> Author:
        user = self._settings.user
        family, _, given = (user.name or "").partition(" ")
        person = f"{escape(user.id)}^{escape(family)}^{escape(given)}^^^^^^&{IDNPS_OID}&ISO^D^^^IDNPS"
        structure = self._settings.structure
        if structure is None:
            try:
                structure = next(iter(self._client.signer().units), "")
            except Unusable:
                structure = ""  # the call itself will say that the certificate cannot be used
        name = self._settings.software_name
        place = f"{escape(name)}^^^^^&{IDNST_OID}&ISO^IDNST^^^{escape(structure)}"
        return Author(person=person, institutions=(place,) if structure else ())
