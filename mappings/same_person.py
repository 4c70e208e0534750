"""Whether two identities are one person: that of a message, and that of the document which it carries.

A document about somebody else than its envelope says is an identity alarm: nothing of the message goes on until a
person has looked. The INS decides where both have one; the strict traits (birth name, first given name, birth date,
sex) may contradict it, and prove something alone only where name, given name and birth date are all there (RNIV).
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum

from schemas.finding import Finding, Severity
from schemas.identifiers import check_matricule, ins_authority, ins_of
from schemas.identity import Ins, PatientIdentity, Sex

OTHER_PATIENT = "document.other_patient"
"""Code of the Finding for which the router holds a whole message."""

_STATED = frozenset({Sex.FEMALE, Sex.MALE})


class SamePerson(StrEnum):
    """`unknown`: the two have nothing in common that could tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def same_person(first: PatientIdentity, second: PatientIdentity) -> SamePerson:
    """Compare two identities: an INS or a strict trait that differs says no."""
    by_ins = _same_ins(first, second)
    if by_ins is False or traits_contradict(first, second):
        return SamePerson.NO
    if by_ins or _traits_agree(first, second):
        return SamePerson.YES
    return SamePerson.UNKNOWN


def other_patient(where: str) -> Finding:
    """Give the Finding that says that the document at `where` is about another person than its envelope."""
    return Finding(
        severity=Severity.ERROR,
        code=OTHER_PATIENT,
        where=where,
        message="the document is about another person than the message that carries it",
    )


def traits_contradict(first: PatientIdentity, second: PatientIdentity) -> bool:
    """Say whether a strict trait that both state differs; accents, case and hyphens do not count."""
    names, other_names = _names(first), _names(second)
    if names and other_names and not names & other_names:
        return True
    given, other_given = _given_names(first), _given_names(second)
    if given and other_given and not given & other_given:
        return True
    if first.birth_date and second.birth_date and not _same_day(first.birth_date, second.birth_date):
        return True
    return first.sex in _STATED and second.sex in _STATED and first.sex is not second.sex


def _traits_agree(first: PatientIdentity, second: PatientIdentity) -> bool:
    """Say whether name, given name and whole birth date are stated by both (and so, do not contradict)."""
    return all(
        _names(one) and _given_names(one) and one.birth_date and len(one.birth_date) == 10 for one in (first, second)
    )


def _same_ins(first: PatientIdentity, second: PatientIdentity) -> bool | None:
    """Compare INS of one kind: a NIA and a NIR may be the same person's."""
    ours, theirs = _matricules(first), _matricules(second)
    kinds = ours.keys() & theirs.keys()
    if not kinds:
        return None
    return any(ours[kind] & theirs[kind] for kind in kinds)


def _matricules(identity: PatientIdentity) -> dict[str, set[str]]:
    """Give the 13 characters of every INS by kind (NIR, NIA), those that may not be used as an INS too."""
    found = [one for one in map(ins_of, identity.identifiers) if one is not None]
    by_kind: dict[str, set[str]] = {}
    for ins in ([identity.ins] if identity.ins else []) + found:
        if kind := _kind(ins):
            by_kind.setdefault(kind, set()).add(check_matricule(ins.matricule).value[:13])
    return by_kind


def _kind(ins: Ins) -> str | None:
    authority = ins_authority(ins.oid)
    return authority.kind if authority else None


def _same_day(one: str, other: str) -> bool:
    precision = min(len(one), len(other))
    return one[:precision] == other[:precision]


def _names(identity: PatientIdentity) -> set[str]:
    return _folded(identity.birth_name, identity.used_name, identity.family_name)


def _given_names(identity: PatientIdentity) -> set[str]:
    """Give the given names, and the first of those that were sent as one text with blanks between them."""
    names = [identity.first_given_name, identity.used_given_name, identity.given_name, *identity.birth_given_names]
    firsts = [name.split(maxsplit=1)[0] for name in names if name and name.strip()]
    return _folded(*names, *firsts)


def _folded(*names: str | None) -> set[str]:
    return {folded for name in names if name and (folded := _fold(name))}


def _fold(name: str) -> str:
    """Fold a name for comparison: capitals, no accents, letters and digits only."""
    plain = unicodedata.normalize("NFKD", name.replace("œ", "oe").replace("Œ", "OE").replace("æ", "ae"))
    return "".join(character for character in plain.upper() if character.isalnum() and character.isascii())
