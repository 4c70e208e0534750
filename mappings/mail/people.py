"""Whose a mail's documents are: one person, whom the subject may announce, or nobody certain (ECO.2.1.1, 2.1.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date

from mappings.french_time import french_day
from mappings.mail.envelope import Envelope
from mappings.notes import Notes
from mappings.same_person import OTHER_PATIENT, SamePerson, same_person
from schemas.identity import PatientIdentity

SEVERAL = "mail.patients.several"
"""Code of the Finding for which the router holds a whole message: its documents are about several people."""

_YEAR = 366
_DAY = re.compile(r"\b(\d{1,2}/\d{1,2}/\d{4})\s*$")


def check_one_patient(people: Sequence[PatientIdentity], notes: Notes) -> None:
    """Hold a mail to one patient: documents about several people are an alarm."""
    if any(same_person(one, other) is SamePerson.NO for rank, one in enumerate(people) for other in people[rank + 1 :]):
        notes.error(SEVERAL, "", "the mail holds documents about several people")


def check_subject(envelope: Envelope, people: Sequence[PatientIdentity], notes: Notes) -> None:
    """Compare the person whom the subject announces with the one whom the documents name.

    A birth date that differs is an alarm, unless it is a day of the past year: some senders date the document there. A
    name that does not appear only makes one look: subjects are cut, and carry names of daily life.
    """
    announced = envelope.announced
    if not announced or not people:
        return
    day = _DAY.search(announced)
    said = french_day(day[1]) if day is not None else None
    for person in people:
        born = person.birth_date
        if said and born and len(born) == len(said) and born != said:
            if _is_recent(said, envelope.sent_at):
                notes.warning("mail.subject.date", "Subject", "the date in the subject is not a birth date")
                continue
            message = "the subject announces another birth date than that of the patient of the document"
            notes.error(OTHER_PATIENT, "Subject", message)
        names = [_folded(one) for one in (person.birth_name, person.used_name, person.family_name) if one]
        if said and names and not any(name in _folded(announced) for name in names):
            notes.warning(
                "mail.subject.name", "Subject", "the subject does not have the name of the document's patient"
            )


def one_patient(people: Sequence[PatientIdentity]) -> PatientIdentity | None:
    """Give the one whom every document names, None where they name nobody or not surely the same."""
    if not people or any(same_person(people[0], one) is not SamePerson.YES for one in people[1:]):
        return None
    return people[0]


def _is_recent(day: str, sent_at: str | None) -> bool:
    if sent_at is None:
        return False
    days = (date.fromisoformat(sent_at[:10]) - date.fromisoformat(day)).days
    return -_YEAR <= days <= _YEAR


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE"))
    return "".join(char for char in plain.upper() if char.isalnum() and char.isascii())
