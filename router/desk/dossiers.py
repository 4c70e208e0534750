"""The patients to compare a held Item with: whom the rules or anything it says point to, or whom a person seeks."""

from __future__ import annotations

from dataclasses import dataclass

from router.desk.queue import Held
from router.identity.candidates import MOST, Candidate, candidates_of
from router.identity.comparison import Comparison, compare
from router.identity.matching import authority_of
from router.identity.patients import Patient, load_patients, look_up, near_tokens, search_tokens
from router.journal.view import View
from schemas.identity import PatientIdentity

MOST_WORDS = 6
"""Words of a search text that are tried together and apart."""

SOUGHT = "sought"
"""How a patient was found, when a person looked for them."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """A patient of the register beside a held identity: how each strict trait agrees, and what pointed to them.

    `by` is a `router.identity.candidates.FoundBy`, `rules` for who was a candidate when the Item was held, or `sought`.
    """

    patient: Patient
    traits: Comparison
    by: str


def dossiers(view: View, held: Held, *, text: str = "") -> list[Dossier]:
    """Give whom an Item may be about, the likeliest first; with a `text`, whom a person looks for by name or number."""
    if held.item is None:
        return []
    identity = held.item.patient
    if text:
        return _sought(view, identity, text)
    found = candidates_of(view.connection, view.sealer, identity, authority_of(held.item))
    missing = [number for number in held.candidates if number not in {one.patient_id for one in found}]
    patients = load_patients(view.connection, view.sealer, [*(one.patient_id for one in found), *missing])
    given = [_dossier(one, patients[one.patient_id]) for one in found if one.patient_id in patients]
    given += [
        Dossier(patients[number], compare(identity, patients[number].identity), "rules")
        for number in missing
        if number in patients
    ]
    return given[:MOST]


def _dossier(found: Candidate, patient: Patient) -> Dossier:
    return Dossier(patient, found.traits, found.by.value)


def _sought(view: View, identity: PatientIdentity, text: str) -> list[Dossier]:
    """Find patients by the words of a text: whom most of them point to first."""
    words = text.split()[:MOST_WORDS]
    runs = {" ".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, len(words) + 1)}
    tokens = {token for run in runs if len(run) > 1 for token in search_tokens(view.sealer, run)}
    for cut in range(1, len(words)):
        # A family name with a given name, in either order: what tells the bearers of a frequent name apart.
        one, other = " ".join(words[:cut]), " ".join(words[cut:])
        for family, given in ((one, other), (other, one)):
            person = PatientIdentity(birth_name=family, first_given_name=given)
            tokens.update(near_tokens(view.sealer, person))
    hits: dict[int, int] = {}
    for numbers in look_up(view.connection, sorted(tokens)).active.values():
        for number in numbers:
            hits[number] = hits.get(number, 0) + 1
    likeliest = sorted(hits, key=lambda number: (-hits[number], number))[: MOST * 6]
    patients = load_patients(view.connection, view.sealer, likeliest)
    found = [Dossier(one, compare(identity, one.identity), SOUGHT) for one in patients.values()]
    return sorted(found, key=lambda one: (-hits[one.patient.id], -one.traits.agreeing, one.patient.id))[:MOST]
