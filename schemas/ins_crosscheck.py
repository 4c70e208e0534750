"""What a NIR says of its holder, compared with the traits: warnings, never a rejection (official samples break it)."""

from __future__ import annotations

from enum import StrEnum

from schemas.birth_places import PlaceKind, kind_of_place
from schemas.identifiers import check_matricule
from schemas.identity import Sex

_SEXES = {"1": Sex.MALE, "2": Sex.FEMALE}


class CrossCheck(StrEnum):
    """Which trait does not agree with the number."""

    SEX = "SEX"
    YEAR = "YEAR"
    MONTH = "MONTH"
    PLACE = "PLACE"


def cross_check(matricule: str, sex: Sex | None, born: str | None, place: str | None) -> tuple[CrossCheck, ...]:
    """Compare; a trait that is not known agrees, as does a month that the number leaves out (20 to 99)."""
    number = check_matricule(matricule).value
    if len(number) < 13:
        return ()
    found: list[CrossCheck] = []
    if sex in (Sex.MALE, Sex.FEMALE) and _SEXES.get(number[0], sex) is not sex:
        found.append(CrossCheck.SEX)
    if born and born[2:4] != number[1:3]:
        found.append(CrossCheck.YEAR)
    if born and len(born) >= 7 and number[3:5] <= "12" and born[5:7] != number[3:5]:
        found.append(CrossCheck.MONTH)
    comparable = place is not None and kind_of_place(place) in (PlaceKind.COMMUNE, PlaceKind.COUNTRY)
    if comparable and place is not None and place.strip().upper() != number[5:10]:
        found.append(CrossCheck.PLACE)
    return tuple(found)
