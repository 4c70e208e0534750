"""The traits of one person, ready for INSi, made from an identity as it was stored or received."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.birth_dates import DateFault, birth_date
from schemas.birth_places import PlaceKind, kind_of_place
from schemas.identity import PatientIdentity, Sex
from schemas.traits import NameKind, TraitFault, checked_name


@dataclass(frozen=True, slots=True)
class Sought:
    """Normalised traits (INS guide). `others` are the birth given names after the first; the place may be unknown."""

    birth_name: str
    first_given_name: str
    others: tuple[str, ...]
    sex: str
    birth_date: str
    birth_place: str | None

    @property
    def given_names(self) -> tuple[str, ...]:
        """Every birth given name, in order."""
        return (self.first_given_name, *self.others)


@dataclass(frozen=True, slots=True)
class Insufficient:
    """INSi cannot be asked: names of the fields of PatientIdentity that are missing or that it would not take."""

    fields: tuple[str, ...]


def sought_of(identity: PatientIdentity) -> Sought | Insufficient:
    """Make what is sought; names in use never stand for birth names. A given name that INSi cannot take is left out."""
    wrong: list[str] = []
    name = checked_name(identity.birth_name or "", NameKind.FAMILY)
    first_raw = identity.first_given_name or next(iter(identity.birth_given_names), "")
    first = checked_name(first_raw, NameKind.GIVEN)
    born = birth_date(identity.birth_date or "")
    if isinstance(name, TraitFault):
        wrong.append("birth_name")
    if isinstance(first, TraitFault):
        wrong.append("first_given_name")
    if identity.sex not in (Sex.FEMALE, Sex.MALE):
        wrong.append("sex")
    if isinstance(born, DateFault):
        wrong.append("birth_date")
    if wrong or isinstance(name, TraitFault) or isinstance(first, TraitFault) or isinstance(born, DateFault):
        return Insufficient(tuple(wrong))
    checked = (checked_name(one, NameKind.GIVEN) for one in identity.birth_given_names)
    others = tuple(dict.fromkeys(one for one in checked if not isinstance(one, TraitFault) and one != first))
    sex = identity.sex.value if identity.sex is not None else ""
    return Sought(name, first, others, sex, born.value, known_place(identity.birth_place))


def known_place(code: str | None) -> str | None:
    """Give a COG code that names a place, None for one that is missing, malformed or «unknown» (99999)."""
    if code is None or kind_of_place(code) in (PlaceKind.WRONG, PlaceKind.UNKNOWN_PLACE):
        return None
    return code.strip().upper()
