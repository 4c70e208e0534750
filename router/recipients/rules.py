"""The two tables of who gets what, as data: a router has its own in their place when its configuration names them.

`who_gets_what.csv`: for each reason to write to somebody and each category of data (`*`: any), whether it is sent. The
first row that fits holds; where none does, nothing is sent. `legal_wishes.csv`: which combinations of a sender's wishes
are legal (national rules of MSSanté, matrix of the PFI), and whom they let be written to.

    RulesFault               a table cannot be used: the line, and what is wrong with it
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from router.faults import Fault
from schemas.document import Wishes
from schemas.habilitation import DataCategory


class RulesFault(Fault):
    """A table of recipients cannot be used."""


class Reason(StrEnum):
    """Why somebody is written to."""

    NAMED = "named"
    """The sender names them (PRT, intended recipient of the metadata)."""
    PRACTITIONER = "practitioner"
    """The general practitioner of the patient (médecin traitant)."""
    CIRCLE = "circle"
    """A member of the circle of care."""
    PATIENT = "patient"
    """The patient's own mailbox in Mon espace santé."""


class Audience(StrEnum):
    """To whom a mail speaks: each audience has its own mail, body and marks."""

    PROFESSIONAL = "professional"
    PATIENT = "patient"


class Send(StrEnum):
    """What a row says: sent, sent when the sender asks for it, not sent."""

    YES = "yes"
    ASKED = "asked"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: `data` None fits any category."""

    reason: Reason
    data: DataCategory | None
    send: Send
    why: str


@dataclass(frozen=True, slots=True)
class WishRow:
    """One legal combination: True, False or None (either) of each wish of `WISHES`, and the audiences it allows."""

    values: tuple[bool | None, ...]
    audiences: frozenset[Audience]


WISHES = (
    "masked_to_professionals",
    "hidden_from_patient",
    "hidden_from_representatives",
    "mssante_professionals",
    "mssante_patient",
)
"""MASQUE_PS, INVISIBLE_PATIENT, INVISIBLE_REP_LEGAUX, DESTMSSANTEPS, DESTMSSANTEPAT: `schemas.document.Wishes`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Both tables."""

    rows: tuple[Rule, ...]
    wishes: tuple[WishRow, ...]

    def send(self, reason: Reason, data: DataCategory) -> Send:
        """Say whether this category of data goes to somebody for this reason."""
        fitting = (row.send for row in self.rows if row.reason is reason and row.data in (None, data))
        return next(fitting, Send.NO)

    def audiences(self, wishes: Wishes | None) -> frozenset[Audience] | None:
        """Give whom a sender's wishes let be written to; None when the combination is illegal.

        A sender who says nothing of MSSanté leaves both open; a wish that is not said counts as N.
        """
        if wishes is None or (wishes.mssante_professionals is None and wishes.mssante_patient is None):
            return frozenset(Audience)
        said = tuple(bool(getattr(wishes, name)) for name in WISHES)
        for row in self.wishes:
            if all(wanted in (None, value) for wanted, value in zip(row.values, said, strict=True)):
                return row.audiences
        return None


@cache
def default_rules() -> Rules:
    """Give the tables that the router comes with."""
    return Rules(read_rows(shipped("who_gets_what.csv")), read_wishes(shipped("legal_wishes.csv")))


def shipped(name: str) -> str:
    """Give the text of a table that the router comes with."""
    return files("router.recipients").joinpath(name).read_text(encoding="utf-8")


def read_rows(text: str) -> tuple[Rule, ...]:
    """Read a table of who gets what. Raises RulesFault."""
    rows = []
    for number, row in _rows(text, ("reason", "data", "send")):
        try:
            data = None if row["data"] == "*" else DataCategory(row["data"])
            rows.append(Rule(Reason(row["reason"]), data, Send(row["send"]), row.get("why", "")))
        except ValueError as wrong:
            raise RulesFault(f"line {number}: {wrong}") from None
    return tuple(rows)


def read_wishes(text: str) -> tuple[WishRow, ...]:
    """Read a table of legal combinations. Raises RulesFault."""
    values = {"Y": True, "N": False, "*": None}
    rows = []
    for number, row in _rows(text, (*WISHES, "result")):
        try:
            wanted = tuple(values[row[name]] for name in WISHES)
            audiences = frozenset(Audience(word) for word in row["result"].split() if word != "none")
        except KeyError as wrong:
            raise RulesFault(f"line {number}: {wrong.args[0]!r} is not Y, N or *") from None
        except ValueError as wrong:
            raise RulesFault(f"line {number}: {wrong}") from None
        rows.append(WishRow(wanted, audiences))
    return tuple(rows)


def _rows(text: str, columns: Iterable[str]) -> Iterable[tuple[int, dict[str, str]]]:
    try:
        return _checked_rows(csv.DictReader(text.removeprefix("\ufeff").splitlines()), columns)
    except csv.Error as problem:
        raise RulesFault(f"it is no CSV ({problem})") from None


def _checked_rows(reader: csv.DictReader[str], columns: Iterable[str]) -> Iterable[tuple[int, dict[str, str]]]:
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise RulesFault(f"line 1: there is no column {', '.join(missing)}")
    found = [
        (reader.line_num, {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)})
        for row in reader
    ]
    if not found:
        raise RulesFault("the table has no row")
    return found
