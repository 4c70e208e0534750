"""The client of the DMP: one method a transaction, each with its own assertion, none that raises for what the DMP did.

client = DmpClient(settings, now=services.now)
answer = await client.submit(patient, request)      # Registered, Refusal or Trouble
await client.close()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from lxml import etree

from connectors.dmp.answers import Existence, Listed, Refusal, Registered, Retrieved, Trouble
from connectors.dmp.errors import Kind, meaning_of
from connectors.dmp.existence import ACTION as EXISTENCE_ACTION, Asking, read_existence, write_existence
from connectors.dmp.mtom import Malformed, Multipart, Part, write_multipart
from connectors.dmp.queries import Query, write_query, write_retrieve
from connectors.dmp.replies import read_document, read_list, read_registry
from connectors.dmp.rights import Profile, Transaction, denial
from connectors.dmp.settings import DmpSettings, Mode
from connectors.dmp.signing import Signer, Unusable, signer_of
from connectors.dmp.soap import NotAnAnswer, write_envelope
from connectors.dmp.transport import Answer, Transport
from connectors.dmp.vihf import PURPOSE_OID, Actor, Coded, signed, write_vihf
from mappings.xds.datatypes import write_ins
from mappings.xds.ebrim_writing import provide_and_register
from mappings.xds.model import Submission
from schemas.identity import Ins

R = TypeVar("R")

SUBMIT = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
UPDATE = "urn:ihe:iti:2010:UpdateDocumentSet"

NEVER_ALLOWED = "dmp.right"
"""Code of the Trouble of what the rights matrix denies: nothing was sent."""


class DmpClient:
    """Speaks with the DMP. Safe to use from many tasks of one loop."""

    def __init__(self, settings: DmpSettings, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._transport = Transport(settings)
        self._actor: Actor | None = None
        self._signer: Signer | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def signer(self) -> Signer:
        """Give the signing pair, read once. Raises Unusable."""
        if self._signer is None:
            pair = self._settings.signature
            password = pair.key_password.get_secret_value() if pair.key_password is not None else None
            self._signer = signer_of(pair.cert, pair.key, password)
        return self._signer

    def denied(self, transaction: Transaction) -> str | None:
        """Say why the rights matrix denies something, None when it does not (or does not count here)."""
        settings = self._settings
        return denial(transaction, settings.profile, settings.access) if settings.local_rights else None

    @property
    def submitting(self) -> Transaction:
        """What submitting is called for this profile: TD2.2 by an employee's card, TD2.1 by all others."""
        by_card = self._settings.profile is Profile.EMPLOYEE
        return Transaction.SUBMIT_BY_SECRETARY if by_card else Transaction.SUBMIT

    # --- transactions

    async def exists(self, ins: Ins) -> Existence | Refusal | Trouble:
        """TD0.2: is there a DMP, is it active, may we consult it."""
        asking = Asking(self._settings.oid, self._settings.software_name, str(uuid4()), str(uuid4()), self._now())
        answer = await self._call(
            Transaction.EXISTENCE,
            self._settings.patients,
            EXISTENCE_ACTION,
            write_ins(ins),
            write_existence(ins, asking),
        )
        if isinstance(answer, Trouble):
            return answer
        found = _read(answer, lambda: read_existence(answer.element, ins))
        if isinstance(found, tuple):
            return Refusal(tuple(meaning_of(code) for code in found), answer.raw)
        return found

    async def submit(
        self, patient: str, submission: Submission, documents: dict[str, bytes]
    ) -> Registered | Refusal | Trouble:
        """TD2.1: submit documents, by entry UUID, with their metadata; each travels as a part of its own."""
        cids = {entry: f"{rank}.{uuid4().hex}@passerelle" for rank, entry in enumerate(documents, 1)}
        body = provide_and_register(submission, {entry: f"cid:{cid}" for entry, cid in cids.items()})
        parts = [Part(cids[entry], "text/xml; charset=UTF-8", content) for entry, content in documents.items()]
        answer = await self._call(
            self.submitting, self._settings.repository, SUBMIT, patient, body, parts, changes=True
        )
        return self._registered(answer)

    async def search(self, patient: str, query: Query) -> Listed | Refusal | Trouble:
        """TD3.1, or TD3.1b when the query wants references alone."""
        wanted = Transaction.SEARCH_REFERENCE if query.references else Transaction.SEARCH
        answer = await self._call(wanted, self._settings.registry, QUERY, patient, write_query(query))
        if isinstance(answer, Trouble):
            return answer
        found = await asyncio.to_thread(_read, answer, lambda: read_list(answer.element))
        return replace(found, answer=answer.raw) if isinstance(found, Refusal) else found

    async def retrieve(self, patient: str, repository: str, unique_id: str) -> Retrieved | Refusal | Trouble:
        """TD3.2: give one document, by its uniqueId."""
        body = write_retrieve(repository or self._settings.repository_unique_id, unique_id)
        answer = await self._call(Transaction.RETRIEVE, self._settings.repository, RETRIEVE, patient, body)
        if isinstance(answer, Trouble):
            return answer
        found = _read(answer, lambda: read_document(answer.element, answer.parts, unique_id))
        return replace(found, answer=answer.raw) if isinstance(found, Refusal) else found

    async def change(
        self, transaction: Transaction, patient: str, body: etree._Element
    ) -> Registered | Refusal | Trouble:
        """TD3.3: change the status or the visibility of what is there."""
        answer = await self._call(transaction, self._settings.registry, UPDATE, patient, body, changes=True)
        return self._registered(answer)

    def _registered(self, answer: Answer | Trouble) -> Registered | Refusal | Trouble:
        if isinstance(answer, Trouble):
            return answer
        found = _read(answer, lambda: read_registry(answer.element), changes=True)
        return found if isinstance(found, Trouble) else replace(found, answer=answer.raw)

    # --- one call

    async def _call(
        self,
        transaction: Transaction,
        path: str,
        action: str,
        patient: str,
        body: etree._Element,
        parts: list[Part] | None = None,
        *,
        changes: bool = False,
    ) -> Answer | Trouble:
        said = self.denied(transaction)
        if said is not None:
            return Trouble(NEVER_ALLOWED, said, Kind.NEVER, reached=False)
        message_id = f"urn:uuid:{uuid4()}"
        url = self._settings.address(path)
        try:
            request = await asyncio.to_thread(self._written, action, message_id, url, patient, body, parts)
        except Unusable as problem:
            return Trouble(
                "dmp.signature", f"our signing certificate cannot be used: {problem}", Kind.CALLER, reached=False
            )
        answer = await self._transport.post(url, request, action, message_id, self._now())
        # What only asks leaves nothing in doubt.
        return answer if changes or not isinstance(answer, Trouble) else replace(answer, in_doubt=False)

    def _written(
        self,
        action: str,
        message_id: str,
        to: str,
        patient: str,
        body: etree._Element,
        parts: list[Part] | None,
    ) -> bytes | Multipart:
        signer = self.signer()
        at = self._now()
        if not signer.certificate.not_valid_before_utc <= at < signer.certificate.not_valid_after_utc:
            raise Unusable("it is not valid today")
        assertion = write_vihf(self._acting(signer), patient, f"_{uuid4()}", at, signer.subject)
        assertion = signed(assertion, signer, self._settings.algorithm)
        envelope = write_envelope(action, message_id, to, assertion, body)
        if parts is None:
            return envelope
        return write_multipart(envelope, parts, f"passerelle-{uuid4().hex}", action)

    def _acting(self, signer: Signer) -> Actor:
        if self._actor is None:
            self._actor = actor_of(self._settings, signer, self._now())
        return self._actor


def actor_of(settings: DmpSettings, signer: Signer, at: datetime) -> Actor:
    """Say who acts by these settings; `at` is when this session began. Raises Unusable without a structure."""
    user = settings.user
    structure = settings.structure or next(iter(signer.units), None)
    if structure is None:
        raise Unusable("it has no OU that says which structure acts")
    speciality = None
    if user.speciality is not None:
        speciality = Coded(user.speciality, user.speciality_system, user.speciality_label or user.speciality)
    return Actor(
        user_id=user.id,
        user_name=user.name,
        profession=Coded(user.profession, user.profession_system, user.profession_label),
        speciality=speciality,
        structure=structure,
        sector=settings.sector,
        mode=settings.mode.value,
        authentication_class=settings.authentication_class,
        version=settings.vihf_version,
        purpose=Coded(settings.purpose, PURPOSE_OID, settings.purpose_label),
        software_name=settings.software_name,
        software_version=settings.software_version,
        software_id=settings.software_id,
        authenticated_at=at,
        homologation=settings.homologation.get_secret_value(),
        declares_class=settings.mode is Mode.REINFORCED,
    )


def _read(answer: Answer, read: Callable[[], R], *, changes: bool = False) -> R | Trouble:
    """Read a body; what cannot be read is a trouble that leaves in doubt what was asked."""
    try:
        return read()
    except (NotAnAnswer, Malformed) as problem:
        return Trouble(problem.code, problem.message, in_doubt=changes, answer=answer.raw)
