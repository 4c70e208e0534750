"""The twelve header lines of an HPRIM Médecin report (hprim 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mappings.authority import authority_of
from mappings.contracts import ReadContext
from mappings.french_time import DEFAULT_PIVOT, find_day, read_day
from mappings.hprim_medecin.layout import Line, RawReport
from mappings.notes import Notes
from mappings.plain_text import squeezed, without_controls, without_entities
from schemas.actors import Address, Organization, Professional, Recipient
from schemas.coding import Identifier
from schemas.identifiers import MatriculeVerdict, check_matricule
from schemas.identity import PatientIdentity

CODE_COLUMNS = 10
"""Width of the code on lines 11 and 12; the name begins two columns further."""

_PLACEHOLDERS = frozenset({"", ".", "_", "-"})
_LONGEST_CODE = 40
_COLUMNS = re.compile(r"\S\s{2,}\S")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says; `date` is line 10, of which nobody said whether it is of sampling or of edition."""

    patient: PatientIdentity
    report_id: str | None = None
    date: str | None = None
    sender: Organization | None = None
    recipient: Recipient | None = None


def read_header(report: RawReport, context: ReadContext, notes: Notes) -> Header:
    """Read a report's header; a report without one has an empty identity, that only a person can fill."""
    if not report.header:
        return Header(patient=PatientIdentity())
    return _Reader(report, context, notes).read()


def text_of(line: Line) -> str:
    """Give a header line's content: stripped, entities replaced, `.` and `_` (which stand for nothing) as empty."""
    text = without_entities(without_controls(line.text)).strip()
    return "" if text in _PLACEHOLDERS else text


class _Reader:
    def __init__(self, report: RawReport, context: ReadContext, notes: Notes) -> None:
        self.report = report
        self.context = context
        self.notes = notes

    def line(self, number: int) -> Line | None:
        """Give line `number` of the recommendation (1 to 12), wherever a missing or added line has pushed it."""
        shift = self.report.shift if number > 5 else 0
        at = number - 1 + shift
        return self.report.header[at] if 0 <= at < len(self.report.header) else None

    def text(self, number: int) -> str:
        line = self.line(number)
        return text_of(line) if line else ""

    def leave(self, number: int) -> None:
        if line := self.line(number):
            self.notes.leave(line.where, without_controls(line.text))

    def where(self, number: int) -> str:
        line = self.line(number)
        return line.where if line else f"line {number}"

    def read(self) -> Header:
        sender = self._organization(11)
        date = self._report_date()
        identifiers = self._identifiers(sender)
        if self.report.shift:
            for line in self.report.header[: 5 + max(self.report.shift, 0)]:
                self.notes.leave(line.where, line.text)
            patient = PatientIdentity(identifiers=identifiers[-1:] if self.text(8) else ())
        else:
            if not (self.text(2) and self.text(3)):
                self.notes.warning(
                    "hprim.patient.name_missing", self.where(2), "the patient's name or first name is missing"
                )
            patient = PatientIdentity(
                identifiers=identifiers, family_name=self.text(2) or None, given_name=self.text(3) or None
            )
        address, birth_date = self._address(), self._birth_date(date)
        patient = patient.model_copy(update={"birth_date": birth_date, "addresses": (address,) if address else ()})
        return Header(patient, self.text(9) or None, date, sender, self._recipient())

    def _identifiers(self, sender: Organization | None) -> tuple[Identifier, ...]:
        code, insured = self._patient_code(sender), self._insured_number()
        return tuple(one for one in (code, insured) if one)

    def _patient_code(self, sender: Organization | None) -> Identifier | None:
        """Line 1 is a patient number, or the name again, a title for the receiver, a line of routing codes."""
        code = self.text(1)
        if not code or self.report.shift:
            return None
        names = {squeezed(text).casefold() for text in (self.text(2), f"{self.text(2)} {self.text(3)}")}
        if len(code) > _LONGEST_CODE or _COLUMNS.search(code) or squeezed(code).casefold() in names:
            self.notes.info("hprim.patient.no_code", self.where(1), "line 1 is no patient number: not used as one")
            self.leave(1)
            return None
        return Identifier(system=authority_of(sender), value=code, type="PI", assigner=sender.name if sender else None)

    def _insured_number(self) -> Identifier | None:
        """Line 8 is the number of the insured person, not always the patient: never an INS."""
        text = self.text(8)
        if not text:
            return None
        checked = check_matricule(text)
        if checked.verdict in {MatriculeVerdict.WRONG_LENGTH, MatriculeVerdict.WRONG_FORMAT}:
            self.notes.warning("hprim.insured_number.not_one", self.where(8), "line 8 is no social security number")
            self.leave(8)
            return None
        if checked.verdict is MatriculeVerdict.WRONG_KEY:
            self.notes.warning(
                "hprim.insured_number.key", self.where(8), "the key of the insured number does not verify"
            )
        return Identifier(value=checked.value, type="SB")

    def _address(self) -> Address | None:
        lines = () if self.report.shift else tuple(text for text in (self.text(4), self.text(5)) if text)
        place = self.text(6)
        first, _, rest = place.partition(" ")
        if any(char.isdigit() for char in first):
            postal_code, city = first, rest.strip() or None
        else:
            postal_code, city = None, place or None
        if not (lines or postal_code or city):
            return None
        return Address(lines=lines, city=city, postal_code=postal_code)

    def _pivot(self, date: str | None) -> int:
        """Two-digit years beyond the present are of the last century; the present is when the message came."""
        option = self.context.options.get("pivot", "")
        if option.isdigit():
            return int(option) % 100
        if self.context.received_at is not None:
            return self.context.received_at.year % 100
        return int(date[2:4]) if date else DEFAULT_PIVOT

    def _birth_date(self, date: str | None) -> str | None:
        text = self.text(7)
        if not text:
            return None
        day = read_day(text, self._pivot(date))
        if day is None:
            self.notes.warning("hprim.date.unreadable", self.where(7), "the birth date cannot be read")
            self.leave(7)
            return None
        value = day.value
        if day.short_year:
            if date and value > date:
                value = f"19{value[2:]}"
            self.notes.warning(
                "hprim.date.short_year", self.where(7), "the birth year has two digits: the century is a guess"
            )
        if day.cut:
            message = "the birth date has a month or a day that does not exist: only the certain part is kept"
            self.notes.warning("hprim.date.partial", self.where(7), message)
            self.leave(7)
        return value

    def _report_date(self) -> str | None:
        text = self.text(10)
        if not text:
            return None
        day = read_day(text, self._pivot(None))
        if day is None and (inner := find_day(text)):
            day = read_day(inner, self._pivot(None))
            self.notes.info("hprim.date.embedded", self.where(10), "the date stands among other signs")
            self.leave(10)
        if day is None:
            self.notes.warning("hprim.date.unreadable", self.where(10), "the date of the report cannot be read")
            self.leave(10)
            return None
        if day.cut:
            self.notes.warning("hprim.date.partial", self.where(10), "the date of the report is incomplete")
            self.leave(10)
        return day.value

    def _organization(self, number: int) -> Organization | None:
        line = self.line(number)
        code, name = split_code_and_name(line.text) if line else ("", "")
        if not (code or name):
            return None
        return Organization(name=name or None, identifiers=(Identifier(value=code),) if code else ())

    def _recipient(self) -> Recipient | None:
        line = self.line(12)
        code, name = split_code_and_name(line.text) if line else ("", "")
        if not (code or name):
            return None
        identifiers = (Identifier(value=code),) if code else ()
        return Recipient(professional=Professional(name=name or None, identifiers=identifiers))


def split_code_and_name(raw: str) -> tuple[str, str]:
    """Split line 11 or 12: a code in columns 1-10, aligned left or right, a blank, a name from column 12.

    Where the columns do not hold (a name alone, one blank between code and name), a first word with a digit is a code;
    otherwise everything is the name. `.`, `_` and blanks stand for nothing.
    """
    text = without_entities(without_controls(raw)).expandtabs().rstrip()
    code, gap, name = (
        text[:CODE_COLUMNS].strip(),
        text[CODE_COLUMNS : CODE_COLUMNS + 1],
        text[CODE_COLUMNS + 1 :].strip(),
    )
    if gap.strip() or " " in code:
        head, _, rest = text.strip().partition("  ")
        if rest and " " not in head:
            code, name = head, rest.strip()
        else:
            first, _, rest = text.strip().partition(" ")
            code, name = (
                (first, rest.strip()) if any(char.isdigit() for char in first) or first == "." else ("", text.strip())
            )
    return ("" if code in _PLACEHOLDERS else code), ("" if name in _PLACEHOLDERS else name)
