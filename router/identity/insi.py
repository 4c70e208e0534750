"""Asking INSi about a patient of the register, or about an identity that a message states.

    answer = await insi.query(patient_id, actor="camille")
    if answer.result is InsiResult.FOUND: ...       # `router.identity.insi_records.accept` writes it down

Nothing of the identity is written: a person found is accepted by a person, or by a rule that says so. The trace of each
call is kept, and a patient of the register whom INSi does not know as one person makes a task. A doubtful or fictitious
identity is not asked about (EXI ID 24 and 26).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from connectors.ins.answers import CallTrace, Found, NoAnswer, NotFound, Rejected, Reply, Several
from connectors.ins.client import InsiClient
from connectors.ins.comparison import Comparison, compare
from connectors.ins.settings import InsiSettings
from connectors.ins.sought import Insufficient, sought_of
from connectors.ins.verifying import SearchVerifier, Verdict, Verification, Verifier
from router.engine.clock import micros
from router.faults import Fault
from router.identity.insi_records import Purpose, ask_a_person, keep_calls
from router.identity.patients import load_patients
from router.identity.standing import UNSURE
from router.journal.operations import Operation
from router.journal.store import Store
from schemas.identifiers import InsEnvironment, ins_is_at_home
from schemas.identity import PatientIdentity


class UnknownPatient(Fault):
    """There is no patient of that number."""


class InsiResult(StrEnum):
    """What came of a query: stable codes, shown in words by the desk. Only FOUND may be accepted."""

    FOUND = "found"
    """One person, and no strict trait differs."""
    DIFFERENT = "different"
    """One person, but not surely ours: strict traits differ."""
    OTHER_ENVIRONMENT = "other_environment"
    """One person, whose INS is a test one on a production platform, or the other way round."""
    SEVERAL = "several"
    NONE = "none"
    UNAVAILABLE = "unavailable"
    """INSi did not answer; it says nothing of the person."""
    REFUSED = "refused"
    """INSi refuses this router or this request: an administrator has to look."""
    BLOCKED = "blocked"
    """The identity is doubtful or fictitious: INSi is not asked."""
    INSUFFICIENT = "insufficient"
    """Strict traits are missing, or INSi would not take them."""
    NOT_CONFIGURED = "not_configured"


_FOR_A_PERSON = frozenset({InsiResult.NONE, InsiResult.SEVERAL, InsiResult.DIFFERENT})
"""Answers after which an identity officer has to look."""


@dataclass(frozen=True, slots=True)
class InsiAnswer:
    """A result and what explains it.

    `code` is INSi's (00, 01, 02, a fault) or ours; `detail` one sentence without health data. `found` holds INSi's
    person when there is one, `comparison` how the traits of `asked` compare with theirs. `missing` names the traits for
    which INSi could not be asked. `calls` is how many calls it took.
    """

    result: InsiResult
    code: str
    asked: PatientIdentity
    detail: str = ""
    patient_id: int | None = None
    found: Found | None = None
    comparison: Comparison | None = None
    missing: tuple[str, ...] = ()
    calls: int = 0


class Insi:
    """The router's access to INSi. `settings` None: every query says NOT_CONFIGURED."""

    def __init__(
        self,
        settings: InsiSettings | None,
        store: Store,
        submit: Callable[[Operation[None]], Awaitable[None]],
        *,
        now: Callable[[], datetime],
        environment: str | None = None,
        client: InsiClient | None = None,
    ) -> None:
        self._store = store
        self._submit = submit
        self._now = now
        self._environment = InsEnvironment(environment) if environment is not None else None
        self._client = client
        if client is None and settings is not None:
            self._client = InsiClient(settings, now=now)

    @property
    def configured(self) -> bool:
        """Whether there is an INSi to ask."""
        return self._client is not None

    async def query(
        self, subject: int | PatientIdentity, *, actor: str, purpose: Purpose = Purpose.QUERY
    ) -> InsiAnswer:
        """Search by the traits of a patient (by number) or of an identity.

        Never raises for what INSi or the network did; raises UnknownPatient for a number that nobody has, JournalFault
        when the calls could not be traced.
        """
        patient_id = subject if isinstance(subject, int) else None
        asked = await self.identity_of(subject) if isinstance(subject, int) else subject
        if self._client is None:
            return InsiAnswer(InsiResult.NOT_CONFIGURED, "insi.not_configured", asked, patient_id=patient_id)
        if not UNSURE.isdisjoint(asked.attributes):
            return InsiAnswer(InsiResult.BLOCKED, "insi.blocked", asked, patient_id=patient_id)
        sought = sought_of(asked)
        if isinstance(sought, Insufficient):
            code = "insi.traits.insufficient"
            return InsiAnswer(InsiResult.INSUFFICIENT, code, asked, patient_id=patient_id, missing=sought.fields)
        traces: list[CallTrace] = []
        reply = await self._client.search(sought, traces.append)
        await self._trace(traces, purpose, actor, patient_id)
        answer = self._answer(reply, asked, patient_id, len(traces))
        if patient_id is not None and answer.result in _FOR_A_PERSON:
            await self._submit(ask_a_person(patient_id, micros(self._now())))
        return answer

    async def verify(
        self, patient_id: int, identity: PatientIdentity, *, actor: str, verifier: Verifier | None = None
    ) -> Verification:
        """Verify the INS that a patient holds; never raises for what INSi or the network did."""
        if self._client is None:
            return Verification(Verdict.UNKNOWN, "insi.not_configured")
        if not UNSURE.isdisjoint(identity.attributes):
            return Verification(Verdict.UNKNOWN, "insi.blocked")
        traces: list[CallTrace] = []
        verified = await (verifier or SearchVerifier(self._client, traces.append)).verify(identity)
        await self._trace(traces, Purpose.VERIFY, actor, patient_id)
        return verified

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def identity_of(self, patient_id: int) -> PatientIdentity:
        """Load a patient's identity. Raises UnknownPatient."""

        def load() -> PatientIdentity | None:
            with self._store.reading() as connection:
                known = load_patients(connection, self._store.sealer.clone(), [patient_id]).get(patient_id)
                return None if known is None else known.identity

        identity = await asyncio.to_thread(load)
        if identity is None:
            raise UnknownPatient(f"there is no patient {patient_id}")
        return identity

    def _answer(self, reply: Reply, asked: PatientIdentity, patient_id: int | None, calls: int) -> InsiAnswer:
        answer = partial(InsiAnswer, code=reply.code, asked=asked, patient_id=patient_id, calls=calls)
        if isinstance(reply, NotFound):
            return answer(InsiResult.NONE)
        if isinstance(reply, Several):
            return answer(InsiResult.SEVERAL)
        if isinstance(reply, Rejected):
            return answer(InsiResult.REFUSED, detail=reply.detail)
        if isinstance(reply, NoAnswer):
            return answer(InsiResult.UNAVAILABLE, detail=reply.detail)
        compared = compare(asked, reply.traits)
        result = InsiResult.FOUND if compared.agrees else InsiResult.DIFFERENT
        if self._environment is not None and not ins_is_at_home(reply.current.ins.oid, self._environment):
            result = InsiResult.OTHER_ENVIRONMENT
        return answer(result, found=reply, comparison=compared)

    async def _trace(self, traces: list[CallTrace], purpose: Purpose, actor: str, patient_id: int | None) -> None:
        if traces:
            await self._submit(keep_calls(traces, purpose, actor, patient_id))
