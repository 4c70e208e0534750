"""Two identities compared trait by trait, as the identity desk shows them and the decision table uses them.

Compared are the five strict traits of the INS: birth name, first birth given name, birth date, sex, birth place (INS
guide, RNIV). What is stored is never changed for it: both sides are normalised to be compared only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from router.journal.sealing import loose
from schemas.identity import PatientIdentity, Sex
from schemas.traits import first_in_list, loosened, normalised

TRAITS = ("birth_name", "first_given_name", "birth_date", "sex", "birth_place")
"""The compared traits, in the order in which they are shown."""


class Agreement(StrEnum):
    """How one trait agrees on two sides."""

    EQUAL = "E"
    """Equal once written with the letters of INSi."""
    QUASI = "Q"
    """Equal but for hyphens, apostrophes, or further given names."""
    DIFFERENT = "D"
    MISSING = "M"
    """One side does not state it, or less precisely: it neither agrees nor contradicts."""


_AGREES = frozenset({Agreement.EQUAL, Agreement.QUASI})


@dataclass(frozen=True, slots=True)
class Comparison:
    """The agreement of each strict trait."""

    birth_name: Agreement
    first_given_name: Agreement
    birth_date: Agreement
    sex: Agreement
    birth_place: Agreement

    @property
    def differs(self) -> bool:
        """Whether any trait that both sides state is different."""
        return any(getattr(self, name) is Agreement.DIFFERENT for name in TRAITS)

    @property
    def same(self) -> bool:
        """Whether the five traits agree; a birth place that one side does not know is forgiven, nothing else is."""
        others = all(getattr(self, name) in _AGREES for name in TRAITS[:-1])
        return others and self.birth_place is not Agreement.DIFFERENT

    @property
    def agreeing(self) -> int:
        """How many traits agree."""
        return sum(getattr(self, name) in _AGREES for name in TRAITS)


def compare(sent: PatientIdentity, known: PatientIdentity) -> Comparison:
    """Compare what a message says with what the register knows; it is the same both ways."""
    return Comparison(
        birth_name=_birth_names(sent, known),
        first_given_name=_first_given_names(sent, known),
        birth_date=_dates(sent.birth_date, known.birth_date),
        sex=_sexes(sent.sex, known.sex),
        birth_place=_places(sent.birth_place, known.birth_place),
    )


def first_given_name(identity: PatientIdentity) -> str | None:
    """Give the first birth given name, by itself or out of the list; a given name of unknown kind stands in for it."""
    given = identity.birth_given_names
    return identity.first_given_name or (given[0] if given else None) or identity.given_name


def _birth_names(sent: PatientIdentity, known: PatientIdentity) -> Agreement:
    agreement = _texts(sent.birth_name or sent.family_name, known.birth_name or known.family_name)
    if agreement is not Agreement.DIFFERENT or (sent.birth_name and known.birth_name):
        return agreement
    # A name whose kind was not stated, and which is the other side's name in use, says nothing of the birth name.
    ways = ((sent, known), (known, sent))
    in_use = (_texts(one.family_name, other.used_name) in _AGREES for one, other in ways if not one.birth_name)
    return Agreement.MISSING if any(in_use) else Agreement.DIFFERENT


def _first_given_names(sent: PatientIdentity, known: PatientIdentity) -> Agreement:
    one, other = first_given_name(sent), first_given_name(known)
    agreement = _texts(one, other)
    if agreement is not Agreement.DIFFERENT or one is None or other is None:
        return agreement
    begins = first_in_list(one, _list(known, other)) or first_in_list(other, _list(sent, one))
    return Agreement.QUASI if begins else Agreement.DIFFERENT


def _list(identity: PatientIdentity, first: str) -> str:
    return " ".join(identity.birth_given_names) or first


def _texts(one: str | None, other: str | None) -> Agreement:
    if not one or not other:
        return Agreement.MISSING
    if one == other or normalised(one) == normalised(other):
        return Agreement.EQUAL
    return Agreement.QUASI if loosened(one) == loosened(other) else Agreement.DIFFERENT


def _dates(one: str | None, other: str | None) -> Agreement:
    if not one or not other:
        return Agreement.MISSING
    if one == other:
        return Agreement.EQUAL
    # A year alone is no birth date that differs from a day of that year.
    return Agreement.MISSING if one.startswith(other) or other.startswith(one) else Agreement.DIFFERENT


def _sexes(one: Sex | None, other: Sex | None) -> Agreement:
    if one in (None, Sex.UNKNOWN) or other in (None, Sex.UNKNOWN):
        return Agreement.MISSING
    return Agreement.EQUAL if one is other else Agreement.DIFFERENT


def _places(one: str | None, other: str | None) -> Agreement:
    first, second = (one or "").strip().upper(), (other or "").strip().upper()
    if not first or not second or first == "99999" or second == "99999":
        return Agreement.MISSING
    if first == second:
        return Agreement.EQUAL
    corsican = {first[:2], second[:2]}
    if "20" in corsican and corsican & {"2A", "2B"} and first[2:] == second[2:]:
        return Agreement.QUASI  # Corsica had one department until 1976
    return Agreement.DIFFERENT


def contradicts(sent: PatientIdentity, known: PatientIdentity) -> bool:
    """Say whether a strict trait that both sides state differs: name, first given name, birth date, sex.

    More lenient than `compare`, for the policy `register`: a name in use stands for a birth name, any given name for
    the first one, and dates are compared as far as both are precise.
    """
    if not sent.birth_name or sent.birth_name != known.birth_name:
        names = _folded(sent.birth_name, sent.used_name, sent.family_name)
        known_names = _folded(known.birth_name, known.used_name, known.family_name)
        if names and known_names and not names & known_names:
            return True
    if not sent.first_given_name or sent.first_given_name != known.first_given_name:
        given = _folded(sent.first_given_name, sent.used_given_name, sent.given_name, *sent.birth_given_names)
        known_given = _folded(known.first_given_name, known.used_given_name, known.given_name, *known.birth_given_names)
        apart = bool(given and known_given) and not given & known_given
        if apart and _first_given_names(sent, known) is Agreement.DIFFERENT:
            return True
    if sent.birth_date and known.birth_date:
        precision = min(len(sent.birth_date), len(known.birth_date))
        if sent.birth_date[:precision] != known.birth_date[:precision]:
            return True
    stated = {Sex.FEMALE, Sex.MALE}
    return sent.sex in stated and known.sex in stated and sent.sex is not known.sex


def _folded(*names: str | None) -> set[str]:
    return {folded for name in names if name and (folded := loose(name))}
