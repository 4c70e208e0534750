"""What INSi said, written down: calls, verifications, and the identity that it confirms or no longer does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, insert

from connectors.ins.answers import CallTrace, CertifiedTraits, Found
from connectors.ins.comparison import compare, first_given_name
from connectors.ins.verifying import Verdict, Verification
from router.identity.flows_keeping import keep_identity, patient_now
from router.identity.flows_published import Cause
from router.identity.patients import ins_token, look_up, remember_former
from router.identity.standing import UNSURE
from router.identity.tasks import TaskKind, close_tasks_of, open_task
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.operations import Change, Notice
from router.journal.unit import Unit
from schemas.finding import Severity
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex
from schemas.identity_status import StatusEvent, after

REPLY_PLACE = b"insi_verification.sealed_reply"


class Purpose(StrEnum):
    """Why INSi was called."""

    QUERY = "query"
    VERIFY = "verify"
    TEST = "test"


class Accepted(StrEnum):
    """What came of accepting a person of INSi; anything but DONE changed nothing."""

    DONE = "done"
    NO_PATIENT = "no_patient"
    CHANGED = "changed"
    """The identity is no longer the one that was asked about, and its traits differ from INSi's."""
    UNSURE = "unsure"
    """The identity is doubtful or fictitious."""
    HELD_BY_ANOTHER = "held_by_another"
    """Another patient of the register has this INS: a duplicate, or a collision."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a verification changed: the statuses before and after; `stopped` when Deliveries were stopped for it.

    `current` is False when the patient's INS is no longer the one that was verified: nothing was written.
    """

    current: bool
    before: IdentityStatus | None = None
    after: IdentityStatus | None = None
    stopped: bool = False


def keep_calls(traces: Sequence[CallTrace], purpose: Purpose, actor: str, patient_id: int | None) -> Change[None]:
    """Keep the traces of one query's calls."""

    def change(unit: Unit) -> None:
        rows = [
            {
                "at": int(trace.started_at.timestamp() * 1_000_000),
                "message_id": trace.message_id,
                "purpose": purpose.value,
                "actor": actor[:120],
                "patient_id": patient_id,
                "attempt": trace.attempt,
                "milliseconds": trace.milliseconds,
                "status": trace.status,
                "code": trace.code[:40],
            }
            for trace in traces
        ]
        unit.connection.execute(insert(tables.insi_call), rows)

    return Change(change, note="calls to INSi")


def ask_a_person(patient_id: int, now: int) -> Change[None]:
    """Open the task of somebody whom INSi does not know as one person: the identity stays as it is until then."""
    return Change(
        lambda unit: open_task(unit, patient_id, TaskKind.NOT_SINGLE, now=now), note="INSi knows no single one"
    )


def record_verification(patient_id: int, ins: Ins, verified: Verification, *, actor: str, now: int) -> Change[Recorded]:
    """Write down what a verification of a patient's INS says.

    A negative one takes the status back (retrieved → provisional, qualified → validated): the INS leaves no more, what
    was to leave under it is prepared anew, and an identity officer gets a task. An unknown one changes nothing.
    """

    def change(unit: Unit) -> Recorded:
        patient = patient_now(unit, patient_id)
        if patient is None or patient.identity.ins != ins:
            return Recorded(current=False)
        _keep_verdict(unit, patient_id, ins, verified, now)
        record_audit(
            actor, "verify INS", f"patient {patient_id}", now=now, detail=f"{verified.verdict.value}: {verified.code}"
        ).apply(unit)
        before = patient.identity.status
        if verified.verdict is not Verdict.KO:
            return Recorded(True, before, before)
        status = before if before is None else after(before, StatusEvent.VERIFICATION_FAILED)
        identity = patient.identity.model_copy(update={"status": status or IdentityStatus.PROVISIONAL})
        stopped = keep_identity(unit, patient_id, patient.identity, identity, Cause(now, "insi_verification"))
        open_task(unit, patient_id, TaskKind.NOT_CONFIRMED, now=now)
        said = f"INSi does not confirm the INS of patient {patient_id} any more ({verified.code}); it leaves no more"
        Notice(now, "insi", Severity.WARNING.value, "identity.ins.not_confirmed", f"patient {patient_id}", said).apply(
            unit
        )
        return Recorded(True, before, identity.status, stopped)

    return Change(change, note="verification of an INS")


def accept(patient_id: int, found: Found, *, actor: str, now: int) -> Change[Accepted]:
    """Take a person of INSi as this patient: INS, traits byte for byte, status retrieved or qualified (EXI REC 07, 08).

    The strict traits are compared again with the identity as it is now: one that differs changes nothing.
    """

    def change(unit: Unit) -> Accepted:
        patient = patient_now(unit, patient_id)
        if patient is None:
            return Accepted.NO_PATIENT
        known = patient.identity
        if not UNSURE.isdisjoint(known.attributes):
            return Accepted.UNSURE
        if not compare(known, found.traits).agrees:
            return Accepted.CHANGED
        token = ins_token(unit.sealer, found.current.ins.matricule)
        if look_up(unit.connection, [token]).active.get(token, set()) - {patient_id}:
            return Accepted.HELD_BY_ANOTHER
        confirmed = confirmed_identity(known, found)
        keep_identity(unit, patient_id, known, confirmed, Cause(now, "insi_confirmed"))
        former = [one.ins.matricule for one in found.history]
        remember_former(patient_id, former).apply(unit)
        _keep_verdict(unit, patient_id, found.current.ins, Verification(Verdict.OK, found.code, found), now)
        close_tasks_of(unit, patient_id, TaskKind.NOT_SINGLE, actor=actor, now=now)
        record_audit(actor, "accept INS", f"patient {patient_id}", now=now, detail="confirmed by INSi").apply(unit)
        return Accepted.DONE

    return Change(change, note="INS from INSi")


def confirmed_identity(known: PatientIdentity, found: Found) -> PatientIdentity:
    """Give an identity with what INSi says of it; what INSi leaves out stays as it was."""
    traits: CertifiedTraits = found.traits
    first = first_given_name(known, traits) or known.first_given_name
    listed = known.birth_given_names
    if traits.given_names:
        rest = traits.given_names.removeprefix(first or "")
        listed = (first, *rest.split()) if first and rest[:1] in {"", " "} else tuple(traits.given_names.split())
    return known.model_copy(
        update={
            "ins": found.current.ins,
            "status": after(known.status or IdentityStatus.PROVISIONAL, StatusEvent.INSI_CONFIRMED),
            "birth_name": traits.birth_name or known.birth_name,
            "birth_given_names": listed,
            "first_given_name": first,
            "birth_date": traits.birth_date or known.birth_date,
            "sex": Sex(traits.sex) if traits.sex in {"F", "M"} else known.sex,
            "birth_place": traits.birth_place or known.birth_place,
        }
    )


def _keep_verdict(unit: Unit, patient_id: int, ins: Ins, verified: Verification, now: int) -> None:
    reply = verified.reply.reply if isinstance(verified.reply, Found) else None
    table = tables.insi_verification
    unit.connection.execute(delete(table).where(table.c.patient_id == patient_id))
    unit.connection.execute(
        insert(table).values(
            patient_id=patient_id,
            ins_token=ins_token(unit.sealer, ins.matricule),
            at=now,
            verdict=verified.verdict.value,
            code=verified.code[:40],
            sealed_reply=None if reply is None else unit.sealer.seal(reply, REPLY_PLACE),
        )
    )
