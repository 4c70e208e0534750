"""Keeping what sendings came to: the attempt, the Delivery's new state, and what checking found before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import select, update

from connectors.contracts import Reference
from router.journal import tables
from router.journal.fencing import Fence, Fences, fenced, takings_of
from router.journal.naming import ask_later
from router.journal.operations import ANSWER_PLACE, PARCEL_DETAIL_PLACE
from router.journal.receipts import keep_references
from router.journal.tables import WORST, DeliveryState
from router.journal.unit import END_DELIVERY, Question, Unit, deliveries_settled
from schemas.finding import Finding

_SPOKEN = frozenset(
    {
        DeliveryState.DELIVERED.value,
        DeliveryState.ACKNOWLEDGED.value,
        DeliveryState.DEAD.value,
        DeliveryState.HELD.value,
    }
)
_PUT_BACK = frozenset({DeliveryState.DEAD.value, DeliveryState.HELD.value})
_ARRIVED = frozenset({DeliveryState.DELIVERED, DeliveryState.ACKNOWLEDGED})


@dataclass(slots=True)
class RecordAttempt:
    """Keep what one sending came to, and the Delivery's new state."""

    delivery_id: int
    number: int
    started_at: int
    ended_at: int
    outcome: str
    detail: str
    answer: bytes
    state: DeliveryState
    attempts_before: int = 0
    next_attempt_at: int | None = None
    findings: Sequence[Finding] = ()
    """What was noticed before it was sent; kept with what its writer noticed."""
    references: Sequence[Reference] = ()
    """Names under which the partner knows it."""
    learn_at: int | None = None
    """When the partner may be asked for names that it tells only later (microseconds), None where it is not."""
    stopped: bool = False
    """After the commit: a receipt that was there already says that it need not be sent again."""

    def apply(self, unit: Unit) -> None:
        """Insert the attempt and update the Delivery."""
        self.record(unit, settled=None)

    def record(self, unit: Unit, *, settled: str | None) -> None:
        """Do so for a Delivery that was settled while it was being sent, or not: `settled` is its state then.

        One that was cancelled is what its sending came to, unless it would be tried again. One about which the partner
        has spoken meanwhile stays what the partner said; one that a person put back to what it was has arrived.
        """
        if settled in _PUT_BACK and self.state in _ARRIVED and not self._spoken_of(unit):
            settled = None
        if self.findings:
            keep_findings(unit, self.delivery_id, self.findings)
        waits = self.state in tables.OPEN_DELIVERIES or self.state is DeliveryState.HELD
        answer = unit.sealer.seal(self.answer, ANSWER_PLACE) if self.answer else None
        unit.add(
            tables.attempt,
            {
                "delivery_id": self.delivery_id,
                "number": self.number,
                "started_at": self.started_at,
                "ended_at": self.ended_at,
                "outcome": self.outcome,
                "detail": self.detail[:400],
                "sealed_answer": answer,
            },
        )
        if (settled == DeliveryState.CANCELLED.value and waits) or settled in _SPOKEN:
            counted = {"attempts": self.number, "attempts_before": self.attempts_before}
            column = tables.delivery.c
            unit.connection.execute(update(tables.delivery).where(column.id == self.delivery_id).values(counted))
            return
        unit.change(
            END_DELIVERY,
            {
                "b_id": self.delivery_id,
                "state": self.state.value,
                "ended_at": None if waits else self.ended_at,
                "next_attempt_at": self.next_attempt_at,
                "attempts": self.number,
                "attempts_before": self.attempts_before,
                "detail": self.detail[:400],
            },
        )
        if self.references:
            self.stopped = keep_references(unit, self.delivery_id, self.references, self.ended_at)
        if self.learn_at is not None:
            ask_later(unit, self.delivery_id, self.learn_at)

    def _spoken_of(self, unit: Unit) -> bool:
        column = tables.delivery_receipt.c
        found = select(column.id).where(column.delivery_id == self.delivery_id).limit(1)
        return unit.connection.execute(found).first() is not None


def keep_findings(unit: Unit, delivery_id: int, findings: Sequence[Finding]) -> None:
    """Add to what was noticed about a Delivery."""
    place, column = tables.delivery_content, tables.delivery.c
    sealed = unit.connection.execute(select(place.c.sealed_detail).where(place.c.delivery_id == delivery_id)).scalar()
    detail = orjson.loads(unit.sealer.open(sealed, PARCEL_DETAIL_PLACE)) if sealed is not None else {}
    detail["findings"] = detail.get("findings", []) + [one.model_dump(mode="json") for one in findings]
    unit.connection.execute(
        update(place)
        .where(place.c.delivery_id == delivery_id)
        .values(sealed_detail=unit.sealer.seal(orjson.dumps(detail), PARCEL_DETAIL_PLACE))
    )
    worst = max(WORST[one.severity] for one in findings)
    unit.connection.execute(
        update(tables.delivery).where(column.id == delivery_id, column.worst < worst).values(worst=worst)
    )


@dataclass(slots=True)
class RecordAttempts:
    """Keep what several sendings came to, in their order.

    After the commit, `refused` are the takings of lanes (`fences`, by Delivery) that no longer hold: what was sent
    under them is not recorded here, and is sent again, under the same identity, by the node that has the lane now.
    """

    attempts: Sequence[RecordAttempt]
    fences: Fences = field(default_factory=dict)
    refused: frozenset[Fence] = frozenset()

    def questions(self) -> Iterable[Question]:
        """Give what `apply` will ask."""
        if self.fences:
            yield takings_of(self.fences.values())
        yield deliveries_settled([one.delivery_id for one in self.attempts])

    def apply(self, unit: Unit) -> bool:
        """Record them all; True when one that would be tried again must not be: it was cancelled, or it arrived."""
        attempts = self.attempts
        if self.fences:
            self.refused = fenced(unit, set(self.fences.values()))
            attempts = [one for one in attempts if self.fences.get(one.delivery_id) not in self.refused]
            if not attempts:
                return False
        settled = unit.settled([one.delivery_id for one in attempts])
        for one in attempts:
            one.record(unit, settled=settled.get(one.delivery_id))
        cancelled = {number for number, state in settled.items() if state == DeliveryState.CANCELLED.value}
        if cancelled:
            # Only here do attempts need to know of patients, and patients need attempts.
            from router.identity.flows_published import arrived_all_the_same

            arrived = [one for one in attempts if one.delivery_id in cancelled and one.state in _ARRIVED]
            arrived_all_the_same(unit, [one.delivery_id for one in arrived], now=attempts[-1].ended_at)
        again = any(one.delivery_id in settled and one.state in tables.OPEN_DELIVERIES for one in attempts)
        return again or any(one.stopped for one in attempts)
