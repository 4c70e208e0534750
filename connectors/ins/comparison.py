"""INSi's person against ours, trait by trait: equal, equal but for hyphens and apostrophes, or different.

A person found is ours only when no strict trait differs. A birth place missing on one side is tolerated; anything else
that INSi leaves out counts as different, for it was not confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connectors.ins.answers import CertifiedTraits
from connectors.ins.sought import known_place
from schemas.birth_dates import BirthDate, birth_date
from schemas.birth_places import PlaceKind, kind_of_place
from schemas.identity import PatientIdentity
from schemas.traits import first_in_list, loosened, normalised


class Likeness(StrEnum):
    """How two values of one trait compare; NEAR differs by hyphens, apostrophes or Corsica's former code."""

    EQUAL = "equal"
    NEAR = "near"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The likeness of each strict trait, by the names of PatientIdentity's fields."""

    traits: tuple[tuple[str, Likeness], ...]

    @property
    def agrees(self) -> bool:
        """Whether no trait differs."""
        return not self.different

    @property
    def different(self) -> tuple[str, ...]:
        """The traits that differ."""
        return tuple(name for name, likeness in self.traits if likeness is Likeness.DIFFERENT)

    @property
    def near(self) -> tuple[str, ...]:
        """The traits that are written otherwise."""
        return tuple(name for name, likeness in self.traits if likeness is Likeness.NEAR)


def compare(ours: PatientIdentity, theirs: CertifiedTraits) -> Comparison:
    """Compare all five strict traits."""
    return Comparison(
        (
            ("birth_name", _names(ours.birth_name, theirs.birth_name)),
            ("birth_given_names", _given_names(ours, theirs)),
            ("birth_date", _dates(ours.birth_date, theirs.birth_date)),
            ("sex", _equal(ours.sex is not None and ours.sex.value == theirs.sex)),
            ("birth_place", _places(ours.birth_place, theirs.birth_place)),
        )
    )


def first_given_name(ours: PatientIdentity, theirs: CertifiedTraits) -> str | None:
    """Give the first birth given name out of INSi's list: ours when it begins the list, else up to the first blank.

    The list has no mark between names but a blank, which compound names hold as well.
    """
    if theirs.first_given_name:
        return theirs.first_given_name
    given = theirs.given_names
    if not given:
        return None
    first = ours.first_given_name or next(iter(ours.birth_given_names), None)
    if first and first_in_list(first, given):
        return given[: len(normalised(first))]
    return given.split(" ")[0]


def _equal(same: bool) -> Likeness:
    return Likeness.EQUAL if same else Likeness.DIFFERENT


def _names(ours: str | None, theirs: str | None) -> Likeness:
    if not ours or not theirs:
        return Likeness.DIFFERENT
    if normalised(ours) == normalised(theirs):
        return Likeness.EQUAL
    return Likeness.NEAR if loosened(ours) == loosened(theirs) else Likeness.DIFFERENT


def _given_names(ours: PatientIdentity, theirs: CertifiedTraits) -> Likeness:
    listed = theirs.given_names or theirs.first_given_name
    first = ours.first_given_name or next(iter(ours.birth_given_names), None)
    if not first or not listed or not first_in_list(first, listed):
        return Likeness.DIFFERENT
    whole = " ".join(ours.birth_given_names) or first
    # A message often gives fewer names than the civil status: one list must begin the other.
    if not first_in_list(whole, listed) and not first_in_list(listed, whole):
        return Likeness.DIFFERENT
    plain, sent = normalised(whole), normalised(listed)
    return Likeness.EQUAL if sent.startswith(plain) or plain.startswith(sent) else Likeness.NEAR


def _dates(ours: str | None, theirs: str | None) -> Likeness:
    if not ours or not theirs:
        return Likeness.DIFFERENT
    return _equal(_completed(ours) == _completed(theirs))


def _completed(text: str) -> str:
    found = birth_date(text)
    return found.value if isinstance(found, BirthDate) else text


def _places(ours: str | None, theirs: str | None) -> Likeness:
    here, there = known_place(ours), known_place(theirs)
    if here is None or there is None or here == there:
        return Likeness.EQUAL
    kinds = {kind_of_place(here), kind_of_place(there)}
    corsican = {here[:2], there[:2]} <= {"20", "2A", "2B"}
    if PlaceKind.CORSICA_BEFORE_1976 in kinds and corsican and here[2:] == there[2:]:
        return Likeness.NEAR
    return Likeness.DIFFERENT
