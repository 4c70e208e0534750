"""Who has a DMP here: the sandbox's fictitious people, some without one, and a treating doctor for Mme Rose."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.sandbox.dmp.store import Authorisation, DmpStore, Patient, State
from connectors.sandbox.dmp.syntax import PatientKey
from connectors.sandbox.people import (
    BY_USED_NAME,
    INS_TEST_OID,
    PRESCRIBER,
    ROSE,
    STRANGER,
    WITHOUT_INS,
    Person,
    Practitioner,
    population,
)

TREATING = Practitioner("99990000038", "TESTTRAITANT", "DOMINIQUE")
"""Mme Rose's treating doctor, who deposits from elsewhere; the RPPS is of a range that is not assigned."""

CLOSED = STRANGER
"""Somebody whose DMP was closed."""

OPPOSED = BY_USED_NAME
"""Somebody who refused to have one."""


def key_of(person: Person) -> PatientKey:
    """Give a person's INS."""
    return PatientKey(person.matricule, INS_TEST_OID)


def idnat(practitioner: Practitioner) -> str:
    """Give a professional's national id as the DMP writes it: `8` and the RPPS."""
    return f"8{practitioner.rpps}"


def patient_of(person: Person, state: State) -> Patient:
    """Make a patient of a person."""
    return Patient(
        key_of(person),
        state,
        person.birth_name,
        " ".join(person.birth_given_names),
        f"{person.birth_date:%Y%m%d}",
        person.sex,
        person.used_name or "",
    )


def seed(store: DmpStore, others: Iterable[Person] = ()) -> None:
    """Add the people who are not there yet; who is there keeps what a test or a user made of them."""
    people = {key_of(one): one for one in (*population(20), WITHOUT_INS, CLOSED, OPPOSED, *others)}
    states = {key_of(CLOSED): State.CLOSED, key_of(OPPOSED): State.OPPOSED}
    with store.writing():
        for key, person in people.items():
            if store.patient(key) is None:
                store.keep_patient(patient_of(person, states.get(key, State.ACTIVE)))
                if person is ROSE:
                    store.authorise(key, Authorisation(idnat(TREATING), "VALIDE", treating=True))
                    store.authorise(key, Authorisation(idnat(PRESCRIBER), "VALIDE", treating=False))
