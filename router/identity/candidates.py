"""Whom a held identity may be about: everybody in the register that anything of it points to, compared trait by trait.

This is for a person who decides. The decision table attaches nobody for being a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, func, select

from router.identity.comparison import Comparison, compare
from router.identity.patients import (
    KEPT_KIND,
    identifier_token,
    ins_token,
    load_patients,
    matching_identifiers,
    near_tokens,
    trait_tokens,
)
from router.journal import tables
from router.journal.sealing import Sealer
from schemas.identity import PatientIdentity

MOST = 10
"""Candidates given, the likeliest first."""

_EACH = 60
"""Patients that are looked at for one way of finding: thousands may share a frequent name."""

_FOUND = (
    # Who was merged is found as the survivor.
    select(func.coalesce(tables.patient.c.merged_into, tables.patient.c.id), tables.patient_token.c.kind)
    .join(tables.patient, tables.patient.c.id == tables.patient_token.c.patient_id)
    .where(tables.patient_token.c.token.in_(bindparam("tokens", expanding=True)))
    .order_by(tables.patient_token.c.patient_id)
    .limit(_EACH)
)


class FoundBy(StrEnum):
    """What points to a candidate, the strongest first."""

    INS = "ins"
    IDENTIFIER = "identifier"
    FORMER_INS = "former_ins"
    TRAITS = "traits"
    """Family name, birth date and sex."""
    NEAR = "near"
    """The given name with the family name, or with the birth date and sex: one trait is otherwise."""


_STRENGTH = {found: rank for rank, found in enumerate(FoundBy)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient that an identity may be about: what points to them, and how each strict trait agrees."""

    patient_id: int
    traits: Comparison
    by: FoundBy


def candidates_of(
    connection: Connection, sealer: Sealer, identity: PatientIdentity, sender: str = ""
) -> list[Candidate]:
    """Give the candidates for an identity, the likeliest first, at most `MOST`.

    An INS points to its holder whatever the status that the sender gives it: a person looks at it here. `sender` is the
    URI of the authority of identifiers sent without one (`matching.authority_of`).
    """
    found: dict[int, FoundBy] = {}
    for by, tokens in _ways(sealer, identity, sender):
        if not tokens:
            continue
        for patient_id, kind in connection.execute(_FOUND, {"tokens": tokens}):
            found.setdefault(patient_id, FoundBy.FORMER_INS if kind == KEPT_KIND else by)
    patients = load_patients(connection, sealer, sorted(found))
    candidates = [
        Candidate(number, compare(identity, patient.identity), found[number]) for number, patient in patients.items()
    ]
    return sorted(candidates, key=_likelihood)[:MOST]


def _ways(sealer: Sealer, identity: PatientIdentity, sender: str) -> list[tuple[FoundBy, list[int]]]:
    pairs = matching_identifiers(identity, sender)
    return [
        (FoundBy.INS, [] if identity.ins is None else [ins_token(sealer, identity.ins.matricule)]),
        (FoundBy.IDENTIFIER, [identifier_token(sealer, *pair) for pair in pairs]),
        (FoundBy.TRAITS, trait_tokens(sealer, identity)),
        (FoundBy.NEAR, near_tokens(sealer, identity)),
    ]


def _likelihood(candidate: Candidate) -> tuple[int, int, int]:
    return (_STRENGTH[candidate.by], -candidate.traits.agreeing, candidate.patient_id)
