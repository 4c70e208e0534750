"""Who may do what in the DMP: the rights matrix as data (fact sheet dmp §1, note PDT-INF-526 v1.8 of 25/09/2024).

What it denies is refused here, with its reason, before anything is sent; the DMP judges all the same. The matrix of the
reinforced indirect mode was not published as text: there the row of the person who is authenticated decides.
"""

from __future__ import annotations

import csv
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Transaction(StrEnum):
    """What may be allowed, by its name in the DMP."""

    EXISTENCE = "TD0.2"
    SUBMIT = "TD2.1"
    SUBMIT_BY_SECRETARY = "TD2.2"
    SEARCH = "TD3.1"
    SEARCH_REFERENCE = "TD3.1b"
    RETRIEVE = "TD3.2"
    MASK = "TD3.3a mask"
    UNMASK = "TD3.3a unmask"
    MAKE_VISIBLE = "TD3.3b"
    DELETE = "TD3.3c"
    ARCHIVE = "TD3.3d"


class Profile(StrEnum):
    """Who calls: the columns of the matrix."""

    PROFESSIONAL = "PS"
    DOCTOR = "MD"
    OCCUPATIONAL_DOCTOR = "MDT"
    TREATING_DOCTOR = "MT"
    EMPLOYEE = "CPE"
    STRUCTURE = "ES"


class Access(StrEnum):
    """In which circumstances: ordinary, centre 15, or break-glass."""

    NORMAL = "normal"
    REGULATION = "regulation"
    BREAK_GLASS = "break_glass"


class Right(StrEnum):
    """`own`: only for what the same person or structure deposited, which the DMP alone can tell."""

    YES = "yes"
    OWN = "own"
    NO = "no"


SENTENCES = {
    Transaction.EXISTENCE: "ask whether a DMP exists",
    Transaction.SUBMIT: "submit documents",
    Transaction.SUBMIT_BY_SECRETARY: "submit documents for a doctor",
    Transaction.SEARCH: "search documents",
    Transaction.SEARCH_REFERENCE: "look a document up by its uniqueId",
    Transaction.RETRIEVE: "retrieve documents",
    Transaction.MASK: "mask documents",
    Transaction.UNMASK: "unmask documents",
    Transaction.MAKE_VISIBLE: "make documents visible",
    Transaction.DELETE: "delete documents",
    Transaction.ARCHIVE: "archive documents",
}


def right(transaction: Transaction, profile: Profile, access: Access) -> Right:
    """Give what the matrix says."""
    return _matrix()[transaction.value, profile.value, access.value]


def denial(transaction: Transaction, profile: Profile, access: Access) -> str | None:
    """Say why something is refused here, None when it is not."""
    if right(transaction, profile, access) is not Right.NO:
        return None
    doing = SENTENCES[transaction]
    return f"{transaction.value}: the profile {profile.value} ({access.value} access) has no right to {doing}"


@cache
def _matrix() -> dict[tuple[str, str, str], Right]:
    text = (files("connectors.dmp") / "data" / "rights.csv").read_text(encoding="utf-8")
    return {
        (row["transaction"], row["profile"], access.value): Right(row[access.value])
        for row in csv.DictReader(text.splitlines())
        for access in Access
    }
