"""Who may do what: the DMP's matrix (PDT-INF-526 v1.8, September 2024) as data.

A cell is three signs, for normal access, régulation (centre 15) and break-glass:
`y` yes, `-` no, `o` own documents only, `m` yes, but of masked documents own ones only.
"""

from __future__ import annotations

from enum import StrEnum

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.store import HeldEntry, Owner


class Profile(StrEnum):
    """The caller's column."""

    PROFESSIONAL = "PS"
    DOCTOR = "MD"
    OCCUPATIONAL = "MdT"
    TREATING = "MT"
    EMPLOYEE = "CPE"
    STRUCTURE = "ES"


class Access(StrEnum):
    """The purpose of use that the VIHF states."""

    NORMAL = "normal"
    REGULATION = "regulation"
    BREAK_GLASS = "break_glass"


class Right(StrEnum):
    """The matrix's rows."""

    EXISTENCE = "TD0.2"
    AUTHORISE = "TD0.3"
    PATIENT_LIST = "TD0.4"
    SUBMIT = "TD2.1"
    METADATA = "TD3.1"
    REFERENCE = "TD3.1 reference"
    RETRIEVE = "TD3.2"
    MASK = "TD3.3a mask"
    UNMASK = "TD3.3a unmask"
    SHOW_PATIENT = "TD3.3b"
    DELETE = "TD3.3c"
    ARCHIVE = "TD3.3d"


_COLUMNS = tuple(Profile)
_MATRIX = {
    #                     PS    MD    MdT   MT    CPE   ES
    Right.EXISTENCE: "    yyy   yyy   y--   y-y   y--   yy-",
    Right.AUTHORISE: "    y--   y--   ---   y--   y--   ---",
    Right.PATIENT_LIST: " yyy   yyy   y--   y-y   y--   y--",
    Right.SUBMIT: "       yyy   yyy   y--   y-y   y--   yy-",
    Right.METADATA: "     myy   myy   m--   y-y   ---   ---",
    Right.REFERENCE: "    myy   myy   m--   y-y   m--   mm-",
    Right.RETRIEVE: "     myy   myy   ---   y-y   ---   ---",
    Right.MASK: "         y--   y--   y--   y--   ---   ---",
    Right.UNMASK: "       o--   o--   o--   y--   ---   ---",
    Right.SHOW_PATIENT: " y--   y--   y--   y--   ---   ---",
    Right.DELETE: "       ooo   ooo   o--   o-o   o--   oo-",
    Right.ARCHIVE: "      o--   oyy   o--   y-y   ---   ---",
}
"""TD2.2 (an employee's card) is ITI-41 too: it is the `SUBMIT` of the column CPE. The matrix says nothing
of masked documents asked for by reference; here a reference is not given where the document would not be."""


def cell(right: Right, profile: Profile, access: Access) -> str:
    """Give the sign of one cell."""
    columns = _MATRIX[right].split()
    return columns[_COLUMNS.index(profile)][tuple(Access).index(access)]


def may(right: Right, profile: Profile, access: Access) -> bool:
    """Say whether the caller may begin at all."""
    return cell(right, profile, access) != "-"


def may_touch(
    right: Right, profile: Profile, access: Access, caller: Owner, entry: HeldEntry, *, emergency: bool
) -> bool:
    """Say whether the caller may do it to this document.

    `emergency` is the patient's consent that masked documents open to break-glass and régulation.
    """
    sign = cell(right, profile, access)
    own = _owns(profile, caller, entry.owner)
    if sign == "-":
        return False
    if sign == "o":
        return own
    if not is_masked(entry) or own or profile is Profile.TREATING:
        return True
    if right in (Right.METADATA, Right.REFERENCE, Right.RETRIEVE):
        return sign == "y" and emergency
    return True


def is_masked(entry: HeldEntry) -> bool:
    """Say whether the document is masked to professionals."""
    return any(code.partition("^")[0] == names.MASKED for code in entry.facts.get("ConfidentialityCode", ()))


def _owns(profile: Profile, caller: Owner, owner: Owner) -> bool:
    if profile in (Profile.STRUCTURE, Profile.EMPLOYEE):
        return bool(caller.structure) and caller.structure == owner.structure
    return bool(caller.person) and caller.person == owner.person
