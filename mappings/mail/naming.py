"""The subject of a document mail and the names of its PDF copies (ECO.2.1.3, ECO.2.1.6)."""

from __future__ import annotations

import re
import unicodedata
from zoneinfo import ZoneInfo

from mappings.french_time import local_time, write_day
from mappings.mail.headers import clean
from schemas.document import Document, DocumentOperation
from schemas.identity import PatientIdentity

MARKER = "XDM/1.0/DDM+"
ARCHIVE = "IHE_XDM.ZIP"
_LABEL = 40
_NUMBER = re.compile(r"[A-Za-z0-9./ -]{1,30}")
"""A number that people use; one that only programs read has no place in a name."""
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]+')


def label_of(document: Document) -> str:
    """Give the label of a document's type, in forty characters at most."""
    kind = document.type
    label = (kind.display if kind is not None else None) or document.title or "Document"
    return clean(label)[:_LABEL].strip()


def subject_of(document: Document, patient: PatientIdentity, mark: str) -> str:
    """Write `XDM/1.0/DDM+label NAME given JJ/MM/AAAA`; `mark` stands before the label of a correction."""
    name = plain(patient.birth_name or patient.used_name or patient.family_name or "").upper()
    given = plain(patient.first_given_name or patient.used_given_name or patient.given_name or "")
    replaces = document.operation is DocumentOperation.REPLACE and mark
    label = f"{clean(mark)} {label_of(document)}" if replaces else label_of(document)
    return clean(f"{MARKER}{label} {name} {given} {_birth_day(patient)}")


def person_line(patient: PatientIdentity) -> str:
    """Name the patient for somebody who reads: `NAME Given, né(e) le JJ/MM/AAAA`; empty when nobody is named."""
    name = patient.birth_name or patient.used_name or patient.family_name
    if not name:
        return ""
    given = patient.first_given_name or patient.used_given_name or patient.given_name or ""
    born = _birth_day(patient)
    return clean(f"{name.upper()} {given}") + (f", né(e) le {born}" if born else "")


def _birth_day(patient: PatientIdentity) -> str:
    date = patient.birth_date or ""
    return "/".join(reversed(date.split("-"))) if len(date) == 10 else ""


def pdf_name(document: Document, patient: PatientIdentity, zone: ZoneInfo, rank: int) -> str:
    """Name a PDF copy: `AAAAMMJJ_type_NOM_prénom[_dossier].pdf`; the further copies have a number."""
    start = document.period_start or document.created_at or ""
    day = local_time(start, zone).date().isoformat() if "T" in start else start
    name = (patient.birth_name or patient.used_name or patient.family_name or "").upper()
    given = patient.first_given_name or patient.used_given_name or patient.given_name or ""
    number = next((one for one in (document.report_id, document.order_id) if one and _NUMBER.fullmatch(one)), "")
    parts = [day.replace("-", ""), label_of(document), name, given, number, str(rank) if rank > 1 else ""]
    safe = (_NOT_IN_NAMES.sub(" ", clean(part)).replace("_", " ").strip() for part in parts)
    return ("_".join(part for part in safe if part)[:200] or "document") + ".pdf"


def plain(text: str) -> str:
    """Write a name without accents, as subjects want it."""
    spelled = text.replace("œ", "oe").replace("Œ", "OE").replace("æ", "ae").replace("Æ", "AE")
    return "".join(one for one in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(one))


def shown_day(moment: str | None, zone: ZoneInfo) -> str:
    """Write the day of a moment as people write it; empty when there is none."""
    return write_day(moment, zone) if moment else ""


def shown_moment(moment: str | None, zone: ZoneInfo) -> str:
    """Write a moment as people write it; only its day where nothing more is known, empty when there is none."""
    if not moment or "T" not in moment:
        return shown_day(moment, zone)
    return f"{local_time(moment, zone):%d/%m/%Y %H:%M}"
