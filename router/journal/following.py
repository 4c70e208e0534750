"""What an Item does to the journal beside being kept: a contract between the engine and what gives Items a meaning.

An identity event changes the patient that it is about. It does so in the transaction that commits its Item, or not at
all; the journal itself knows nothing of identities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import select

from router.journal import tables
from router.journal.asking import ANY_DOSSIER
from router.journal.unit import Question, Unit, patients_changed


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of it.

    `hold` is the reason for which the Item must wait instead, with the patients that it may be about. `changed` are
    the patients that are no longer what they were: what was prepared from them is stale. `stopped` is true when
    Deliveries that were still to be sent may not be any more.
    """

    hold: str | None = None
    candidates: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    stopped: bool = False


class Follow(Protocol):
    """What follows from one Item. Pickled: workers prepare it, the writer applies it."""

    def apply(self, unit: Unit, item_id: int, now: int) -> Followed:
        """Apply it; `item_id` is the number that the Item has or will get, `now` is in microseconds."""


class Tell(Protocol):
    """What an Item that belongs to a patient is for their dossier, and for the people around them. Pickled as well."""

    def apply(self, unit: Unit, item_id: int, patient_id: int, now: int, *, has_dossier: bool) -> None:
        """Apply it; the Item is kept already. `has_dossier`: the patient has, or had, one."""


def tell_all(unit: Unit, told: Sequence[tuple[Tell, int, int]], now: int) -> None:
    """Apply what Items (numbers) that belong to patients (numbers) are for dossiers; nothing where nobody has one."""
    if not told or not unit.has_dossiers():
        return
    unit.flush()  # what is written about an Item comes after it
    connection, column = unit.connection, tables.dossier.c
    patients = sorted({patient_id for _, _, patient_id in told})
    have = set(connection.execute(select(column.patient_id).where(column.patient_id.in_(patients))).scalars())
    for tell, item_id, patient_id in told:
        tell.apply(unit, item_id, patient_id, now, has_dossier=patient_id in have)


class FromPatient(Protocol):
    """What was prepared from a patient as it was seen then (`operations.PreparedItem`)."""

    @property
    def patient_id(self) -> int | None:
        """The patient's number."""

    @property
    def patient_seen(self) -> int | None:
        """When the patient had last changed; None when it does not matter."""

    @property
    def untold(self) -> bool:
        """Whether it was prepared for a journal in which nobody has a dossier."""


def _seen_and_untold(prepared: Iterable[FromPatient]) -> tuple[list[int], bool]:
    """Give the patients that were seen, in order, and whether anything was prepared before any dossier."""
    numbers: set[int] = set()
    untold = False
    for one in prepared:
        if one.patient_seen is not None and one.patient_id:
            numbers.add(one.patient_id)
        untold = untold or one.untold
    return sorted(numbers), untold


def questions_of(prepared: Iterable[FromPatient]) -> Iterable[Question]:
    """Give what `Patients`, and then `tell_all`, will ask of these."""
    numbers, _ = _seen_and_untold(prepared)
    if numbers:
        yield patients_changed(numbers)
    yield ANY_DOSSIER, ()


class Patients:
    """Says whether what was prepared from patients is still right, within one transaction."""

    def __init__(self, unit: Unit, prepared: Iterable[FromPatient]) -> None:
        numbers, untold = _seen_and_untold(prepared)
        self._changed_at = unit.patients_changed(numbers) if numbers else {}
        self._told_now = untold and unit.has_dossiers()

    def changed(self, numbers: Iterable[int]) -> None:
        """Say that these patients have just changed."""
        for number in numbers:
            self._changed_at.pop(number, None)

    def stale(self, prepared: Iterable[FromPatient]) -> bool:
        """Say whether one of these was prepared from a patient who is no longer the same, or before any dossier."""
        for one in prepared:
            number, seen = one.patient_id, one.patient_seen
            if number is not None and seen is not None and self._changed_at.get(number) != seen:
                return True
            if self._told_now and one.untold:
                return True
        return False
