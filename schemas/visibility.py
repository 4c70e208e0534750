"""Visibility: what a document or note says of itself (JDV_J08, TRE_A07), and what was decided about it in a dossier."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntFlag, StrEnum

from schemas.base import Frozen
from schemas.circle import RoleFamily
from schemas.coding import Coding


class Mark(IntFlag):
    """What a thing says of its own visibility; kept as a number, so that a query can look at it."""

    NONE = 0
    RESTRICTED = 1
    """Confidentiality R."""
    VERY_RESTRICTED = 2
    """Confidentiality V: its author and the general practitioner only."""
    MASQUE_PS = 4
    MASQUE_PSOCIAL = 8
    MASQUE_PT = 16
    INVISIBLE_PATIENT = 32
    INVISIBLE_REPRESENTANTS_LEGAUX = 64
    MEDICAL = 128
    """A note of medical content (a request for an opinion), where the matrix says `non-health`."""


_BY_CODE = {
    "R": Mark.RESTRICTED,
    "V": Mark.VERY_RESTRICTED,
    "MASQUE_PS": Mark.MASQUE_PS,
    "MASQUE_PSOCIAL": Mark.MASQUE_PSOCIAL,
    "MASQUE_PT": Mark.MASQUE_PT,
    "INVISIBLE_PATIENT": Mark.INVISIBLE_PATIENT,
    "INVISIBLE_REPRESENTANTS_LEGAUX": Mark.INVISIBLE_REPRESENTANTS_LEGAUX,
}


def marks_of(labels: Iterable[Coding]) -> Mark:
    """Give the marks of security labels; N and codes that are no marks give none. Code systems are not looked at."""
    found = Mark.NONE
    for label in labels:
        found |= _BY_CODE.get(label.code, Mark.NONE)
    return found


class RestrictionKind(StrEnum):
    """What was decided: hidden from some, or shown to some only."""

    HIDDEN = "hidden"
    AUDIENCE = "audience"


class Restriction(Frozen):
    """A decision about one thing in a dossier, whatever the version of it.

    `hidden` with neither members nor families hides it from the whole circle; with some, from those. `audience` shows
    it to those and to nobody else.
    """

    kind: RestrictionKind
    members: tuple[int, ...] = ()
    families: tuple[RoleFamily, ...] = ()

    def keeps_from(self, member: int | None, family: RoleFamily) -> bool:
        """Say whether it keeps the thing from a member (None: the person themself)."""
        meant = member in self.members or family in self.families
        if self.kind is RestrictionKind.AUDIENCE:
            return not meant
        return meant or not (self.members or self.families)
