"""Registering the people of a file, with a report of duplicates and suspects.

What the numbers say is done; what they leave open is only reported. An entry is refused when registering it would merge
two people on a guess: its numbers belong to several patients, or to one whose traits or matricule contradict it, or to
another entry of the same file. Whoever only resembles a patient is registered beside them, and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TypeVar

from router.identity.comparison import compare, contradicts
from router.identity.importing import Entry
from router.identity.patients import load_patients, look_up, patient_tokens, register
from router.journal.store import Store
from router.journal.unit import Unit
from schemas.identity import PatientIdentity
from schemas.ins_crosscheck import cross_check

TOGETHER = 200
"""Entries that share a transaction."""

T = TypeVar("T")


class ImportCode(StrEnum):
    """What a report tells of an entry. The first six refuse it, the others warn."""

    UNUSABLE = "unusable"
    SAME_MATRICULE = "same_matricule"
    SAME_IDENTIFIER = "same_identifier"
    SEVERAL = "several_patients"
    TRAITS = "trait_mismatch"
    OTHER_MATRICULE = "other_matricule"
    SAME_TRAITS = "same_traits"
    FORMER = "historic_matricule"
    NIR_TRAITS = "nir_contradicts_traits"


@dataclass(frozen=True, slots=True)
class ImportNote:
    """One line of the report: the entry, the code, whom it is compared with, and a sentence without personal data."""

    entry: str
    code: str
    refused: bool
    other: str
    message: str


@dataclass(slots=True)
class ImportReport:
    """What an import did, and what a person should look at."""

    registered: int = 0
    updated: int = 0
    refused: int = 0
    notes: list[ImportNote] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        return asdict(self)


def import_patients(
    store: Store,
    entries: Iterable[Entry],
    *,
    in_coordination: bool,
    now: Callable[[], int],
    each: Callable[[list[list[Entry]]], Iterable[list[Entry]]] = iter,
) -> ImportReport:
    """Register entries, those of one transaction at a time; `each` may show the progress, `now` gives microseconds."""
    run = _Import(in_coordination)
    for group in each(list(_groups(list(entries)))):
        with store.writing() as connection:
            unit = Unit(connection, store.sealer)
            for entry in group:
                run.take(unit, entry, now())
            unit.flush()
    return run.report


def _groups(entries: list[Entry]) -> Iterator[list[Entry]]:
    for start in range(0, len(entries), TOGETHER):
        yield entries[start : start + TOGETHER]


class _Import:
    """One import under way: its report, and the numbers that its entries had so far."""

    def __init__(self, in_coordination: bool) -> None:
        self.report = ImportReport()
        self._in_coordination = in_coordination
        self._places: dict[int, str] = {}
        self._patients: dict[int, str] = {}

    def take(self, unit: Unit, entry: Entry, now: int) -> None:
        identity = entry.identity
        if identity is None:
            self._refuse(entry, ImportCode.UNUSABLE, "", entry.problem)
            return
        kinds = patient_tokens(unit.sealer, identity)
        numbers = {token: kind for token, kind in kinds.items() if kind in {"identifier", "ins"}}
        if self._repeats(entry, numbers) or self._contradicts(unit, entry, identity, numbers):
            return
        done = register(identity, in_coordination=self._in_coordination, now=now).apply(unit)
        if done.created:
            self.report.registered += 1
        else:
            self.report.updated += 1
        self._places |= dict.fromkeys(numbers, entry.place)
        self._patients[done.patient_id] = entry.place
        for code, message in entry.warnings:
            self._note(entry, code, "", message)
        self._suspect(unit, entry, identity, done.patient_id, kinds)

    def _repeats(self, entry: Entry, numbers: dict[int, str]) -> bool:
        for token, kind in numbers.items():
            first = self._places.get(token)
            if first is not None:
                code = ImportCode.SAME_MATRICULE if kind == "ins" else ImportCode.SAME_IDENTIFIER
                self._refuse(entry, code, first, "has a number of an earlier entry: write one entry for one person")
                return True
        return False

    def _contradicts(self, unit: Unit, entry: Entry, identity: PatientIdentity, numbers: dict[int, str]) -> bool:
        known = set().union(*look_up(unit.connection, list(numbers)).active.values())
        if len(known) > 1:
            others = ", ".join(f"patient {number}" for number in sorted(known))
            self._refuse(entry, ImportCode.SEVERAL, others, "its numbers belong to several known patients")
            return True
        for number, patient in load_patients(unit.connection, unit.sealer, known).items():
            other, ins = f"patient {number}", patient.identity.ins
            if contradicts(identity, patient.identity):
                self._refuse(entry, ImportCode.TRAITS, other, "its number is known, and a strict trait differs")
                return True
            if ins is not None and identity.ins is not None and ins.matricule != identity.ins.matricule:
                self._refuse(entry, ImportCode.OTHER_MATRICULE, other, "its identifier is known with another matricule")
                return True
        return False

    def _suspect(self, unit: Unit, entry: Entry, identity: PatientIdentity, number: int, kinds: dict[int, str]) -> None:
        traits = [token for token, kind in kinds.items() if kind == "traits"]
        alike = set().union(*look_up(unit.connection, traits).active.values()) - {number}
        for other, patient in load_patients(unit.connection, unit.sealer, sorted(alike)).items():
            if compare(identity, patient.identity).same:
                message = "has the five traits of another patient, under other numbers: homonym or duplicate"
                self._note(entry, ImportCode.SAME_TRAITS, self._patients.get(other, f"patient {other}"), message)
        ins = identity.ins
        if ins is None:
            return
        matricule = [token for token, kind in kinds.items() if kind == "ins"]
        for other in sorted(set().union(*look_up(unit.connection, matricule).former.values())):
            self._note(entry, ImportCode.FORMER, f"patient {other}", "its matricule is a former one of another patient")
        wrong = cross_check(ins.matricule, identity.sex, identity.birth_date, identity.birth_place)
        if wrong:
            told = ", ".join(trait.value.lower() for trait in wrong)
            self._note(entry, ImportCode.NIR_TRAITS, "", f"the matricule says otherwise of: {told}")

    def _note(self, entry: Entry, code: str, other: str, message: str) -> None:
        self.report.notes.append(ImportNote(entry.place, str(code), False, other, message))

    def _refuse(self, entry: Entry, code: ImportCode, other: str, message: str) -> None:
        self.report.refused += 1
        self.report.notes.append(ImportNote(entry.place, code.value, True, other, message))
