"""Birth places by their COG code: a commune, a country (`99` and three digits), or an unknown place."""

from __future__ import annotations

import re
from enum import StrEnum

UNKNOWN = "99999"

_COG = re.compile(r"(?:\d{2}|2[AB])\d{3}", re.ASCII)


class PlaceKind(StrEnum):
    """What a COG code names. A postal code has the same shape: only a table of communes tells them apart."""

    COMMUNE = "COMMUNE"
    COUNTRY = "COUNTRY"
    UNKNOWN_PLACE = "UNKNOWN_PLACE"
    CORSICA_BEFORE_1976 = "COMMUNE_CORSICA_PRE1976"
    WRONG = "ERR_FORMAT"


def kind_of_place(code: str) -> PlaceKind:
    """Tell what a COG code names."""
    code = code.strip().upper()
    if not _COG.fullmatch(code):
        return PlaceKind.WRONG
    if code == UNKNOWN:
        return PlaceKind.UNKNOWN_PLACE
    if code.startswith("99"):
        return PlaceKind.COUNTRY
    return PlaceKind.CORSICA_BEFORE_1976 if code.startswith("20") else PlaceKind.COMMUNE
