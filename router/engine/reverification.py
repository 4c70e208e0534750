"""INS verified again after a while, a few patients at a time: INSi is a service that all share.

The register is walked by patient number; what is due is an INS that was never verified here, or not for `period`. One
about which INSi said nothing useful is tried again after a day. A trouble of INSi's ends the round: the next one begins
where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, select

from connectors.ins.answers import NoAnswer, Rejected
from connectors.ins.verifying import Verdict
from router.engine.clock import micros
from router.identity.insi import Insi
from router.identity.insi_records import Recorded, record_verification
from router.identity.patients import load_patients
from router.identity.standing import UNSURE
from router.journal import tables
from router.journal.operations import Operation
from router.journal.store import Store
from schemas.identity import IdentityStatus, Ins, PatientIdentity

ACTOR = "passerelle"
LOOKED_AT = 1000
"""INS that are looked at in one round, due or not: a round costs the same whatever the size of the register."""

UNKNOWN_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    """A patient whose INS is to be verified."""

    patient_id: int
    ins: Ins
    identity: PatientIdentity


class Reverification:
    """Runs rounds. `wake` is called when Deliveries were stopped: their Items are prepared anew."""

    def __init__(
        self,
        insi: Insi,
        store: Store,
        submit: Callable[[Operation[Recorded]], Awaitable[Recorded]],
        *,
        period: timedelta,
        batch: int,
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        self._insi = insi
        self._store = store
        self._submit = submit
        self._period = period
        self._batch = batch
        self._now = now
        self._wake = wake
        self._after = 0
        """Number of the last patient looked at."""

    async def run(self) -> int:
        """Verify the next patients that are due; gives how many INSi was asked about."""
        due, end = await asyncio.to_thread(self._next)
        asked = 0
        for one in due:
            verified = await self._insi.verify(one.patient_id, one.identity, actor=ACTOR)
            asked += 1
            if isinstance(verified.reply, NoAnswer | Rejected) and _is_trouble(verified.reply):
                self._after = one.patient_id - 1
                return asked
            recorded = await self._submit(
                record_verification(one.patient_id, one.ins, verified, actor=ACTOR, now=micros(self._now()))
            )
            if recorded.stopped or (recorded.current and verified.verdict is Verdict.KO):
                self._wake()
        self._after = end
        return asked

    def _next(self) -> tuple[list[Due], int]:
        """Find who is due after the last patient looked at, and up to which number the register was walked."""
        token, verified = tables.patient_token.c, tables.insi_verification.c
        walk = (
            select(token.patient_id, token.token, verified.at, verified.verdict)
            .outerjoin(
                tables.insi_verification,
                and_(verified.patient_id == token.patient_id, verified.ins_token == token.token),
            )
            .where(token.kind == "ins", token.patient_id > self._after)
            .order_by(token.patient_id)
            .limit(LOOKED_AT)
        )
        now = self._now()
        with self._store.reading() as connection:
            rows = connection.execute(walk).all()
            candidates = [row.patient_id for row in rows if self._is_due(row.at, row.verdict, now)]
            sealer = self._store.sealer.clone()
            due: list[Due] = []
            for number in candidates:
                patient = load_patients(connection, sealer, [number]).get(number)
                if patient is not None and (found := due_of(number, patient.identity)) is not None:
                    due.append(found)
                if len(due) == self._batch:
                    return due, number
        return due, rows[-1].patient_id if len(rows) == LOOKED_AT else 0

    def _is_due(self, at: int | None, verdict: str | None, now: datetime) -> bool:
        if at is None or verdict is None:
            return True
        if verdict == Verdict.KO.value:
            return False
        wait = UNKNOWN_AGAIN if verdict == Verdict.UNKNOWN.value else self._period
        return at <= micros(now - wait)


def due_of(number: int, identity: PatientIdentity) -> Due | None:
    """Give what is to be verified of a patient: nothing where INSi did not confirm the INS, or may not be asked."""
    confirmed = identity.status in (IdentityStatus.RETRIEVED, IdentityStatus.QUALIFIED)
    if identity.ins is None or not confirmed or not UNSURE.isdisjoint(identity.attributes):
        return None
    return Due(number, identity.ins, identity)


def _is_trouble(reply: NoAnswer | Rejected) -> bool:
    """Say whether it is INSi that has a trouble, and not one reply that cannot be used."""
    return reply.again or not reply.called if isinstance(reply, NoAnswer) else reply.everyone
