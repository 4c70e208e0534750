"""A journal with held Items and a register, for what persons decide about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from web_journal import Journal, open_journal, person, report

from router.desk.deciding import Decide, Decided
from router.desk.reasons import CHOICES, Why
from router.desk.undoing import Undo, Undone
from router.identity.patients import register
from router.journal import tables
from router.journal.decisions import DeskAction
from router.journal.operations import IDENTITY_PLACE
from router.journal.tables import ItemState
from schemas.identity import PatientIdentity

NOW = 1_800_000_000_000_000


@dataclass
class Office:
    """The journal as a person at the desk changes it."""

    journal: Journal
    now: int = NOW

    def hold(self, number: int, *, reason: str = "no_match", patient: Any = None) -> int:
        """Receive a report that is held, and give its Item's number."""
        self.now += 1
        message = self.journal.message(self.now, control=f"HELD{number}")
        item = self.journal.item(
            report(patient or person(3), f"{number:032x}"),
            line="NFS, 4 résultats",
            patient_id=None,
            state=ItemState.HELD,
            reason=reason,
            to=(),
        )
        self.journal.read(message, self.now, [item])
        return int(self.rows(tables.item)[-1].id)

    def decide(self, action: DeskAction, *items: int, patient: int | None = None, **more: Any) -> Decided:
        self.now += 1
        values = {"actor": "claire", "why": CHOICES[action][0], "now": self.now, "patient_id": patient, **more}
        return self.journal.apply(Decide(action, items, **values))

    def undo(self, decision: int | None, **more: Any) -> Undone:
        self.now += 1
        assert decision is not None
        return self.journal.apply(Undo(decision, **{"actor": "claire", "why": Why.MISTAKE, "now": self.now, **more}))

    def rows(self, table: Any) -> list[Any]:
        with self.journal.store.reading() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key.columns)))

    def item(self, number: int) -> Any:
        return next(row for row in self.rows(tables.item) if row.id == number)

    def patient(self, number: int) -> PatientIdentity:
        row = next(row for row in self.rows(tables.patient) if row.id == number)
        return PatientIdentity.model_validate_json(self.journal.store.sealer.open(row.sealed_identity, IDENTITY_PLACE))

    def message_of(self, number: int) -> Any:
        return next(row for row in self.rows(tables.message) if row.id == self.item(number).message_id)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    journal = open_journal(tmp_path)
    for number in range(3):
        journal.apply(register(person(number), in_coordination=True, now=NOW))
    yield Office(journal)
    journal.store.close()
