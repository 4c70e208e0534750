"""The codes of errors of XDS and of the DMP: what each means, in English and French, and what is done about it.

The DMP's own table is not public: a code is an open string, kept as it came; one that is not known here is told as
such, and is not tried again.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

_SHOWN = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,60}", re.ASCII)


class Kind(StrEnum):
    """What an error asks for (fact sheet dmp §4.7)."""

    LATER = "later"
    """It may pass: the same submission is sent again."""
    NEVER = "never"
    """The same submission will meet it again."""
    CALLER = "caller"
    """It is about us, not about this document: nothing is sent until somebody has looked."""
    DEPOSITED = "deposited"
    """It may be there already: look it up."""
    PATIENT = "patient"
    """It is about the patient's DMP: a person decides."""
    WARNING = "warning"
    """It is not an error."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is known of a code."""

    code: str
    kind: Kind
    en: str
    fr: str

    @property
    def sentence(self) -> str:
        """Say it in English, with the code as it came."""
        return f"{self.code}: {self.en}"


def meaning_of(code: str) -> Meaning:
    """Give what a code means. A code that is no word is not repeated: it may hold anything."""
    shown = code if _SHOWN.fullmatch(code) else "unreadable code"
    known = meanings().get(shown)
    if known is not None:
        return known
    if shown.endswith(("Busy", "OutOfResources", "NotAvailable")):
        return Meaning(shown, Kind.LATER, "the DMP cannot answer now", "le DMP ne peut pas répondre pour l'instant")
    return Meaning(
        shown,
        Kind.NEVER,
        "the DMP refuses, with a code that is not known here",
        "le DMP refuse, avec un code qui n'est pas connu ici",
    )


@cache
def meanings() -> dict[str, Meaning]:
    """List the known codes."""
    text = (files("connectors.dmp") / "data" / "errors.csv").read_text(encoding="utf-8")
    return {
        row["code"]: Meaning(row["code"], Kind(row["class"]), row["en"], row["fr"])
        for row in csv.DictReader(text.splitlines())
    }
