"""PID and what stands around it (PD1, ROL, ZFD): who the message is about."""

from __future__ import annotations

from collections.abc import Iterable

from mappings.hl7v2.datatypes import address, coding, is_removal, professional, telecom
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.ins import read_identifiers
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import NULL
from mappings.hl7v2.times import birth_date
from schemas.actors import Address, Professional, Telecom
from schemas.identity import PatientIdentity, Sex

_SEXES = {"F": Sex.FEMALE, "M": Sex.MALE, "U": Sex.UNKNOWN}
_OTHER_SEXES = frozenset({"O", "A", "N", "I"})
_TRUTH = {"Y": True, "O": True, "N": False}
_NAME_TYPES = frozenset({"L", "D", "S", "U"})
_DELETABLE = {
    7: "birth_date",
    8: "sex",
    11: "addresses",
    13: "telecoms",
    14: "telecoms",
    16: "marital_status",
    23: "birth_place_name",
    26: "citizenships",
    29: "deceased_at",
    30: "deceased",
}


class _Names:
    """The names of PID-5, sorted by their type (XPN-7)."""

    __slots__ = (
        "birth_given_names",
        "birth_name",
        "civility",
        "deleted",
        "family_name",
        "first_given_name",
        "given_name",
        "used_given_name",
        "used_name",
    )

    def __init__(self) -> None:
        self.birth_name: str | None = None
        self.birth_given_names: tuple[str, ...] = ()
        self.first_given_name: str | None = None
        self.used_name: str | None = None
        self.used_given_name: str | None = None
        self.family_name: str | None = None
        self.given_name: str | None = None
        self.civility: str | None = None
        self.deleted: list[str] = []


def patient_of(
    notes: Notebook, pid: Segment, pd1: Segment | None = None, around: Iterable[Segment] = ()
) -> PatientIdentity:
    """Read the patient. `around` are the ROL and ZFD of the same patient; other segments among them are ignored."""
    known = read_identifiers(notes, pid)
    names = _names(notes, pid)
    deleted = names.deleted
    for n, field in _DELETABLE.items():
        if pid.raw(n) == NULL and field not in deleted:
            deleted.append(field)
    if known.ins_removed:
        deleted.append("ins")
    born = _birth_date(notes, pid)
    addresses, place, place_name = _addresses(notes, pid)
    practitioner, corrected = _around(notes, around, deleted)
    marital = pid.first(16)
    values: dict[str, object] = {
        "ins": known.ins,
        "status": known.status,
        "attributes": known.attributes,
        "identifiers": known.others,
        "birth_name": names.birth_name,
        "birth_given_names": names.birth_given_names,
        "first_given_name": names.first_given_name,
        "used_name": names.used_name,
        "used_given_name": names.used_given_name,
        "family_name": names.family_name,
        "given_name": names.given_name,
        "civility": names.civility,
        "birth_date": born,
        "birth_date_corrected": corrected,
        "sex": _sex(notes, pid),
        "birth_place": place,
        "birth_place_name": pid.code(23) or place_name,
        "addresses": addresses,
        "telecoms": _telecoms(notes, pid),
        "marital_status": coding(marital, notes.syntax) if marital and marital != NULL else None,
        "citizenships": tuple(code for raw in pid.repetitions(26) if (code := _first(notes, raw))),
        "deceased": _TRUTH.get(pid.code(30)),
        "deceased_at": notes.time(pid, 29),
        "confidential": _TRUTH.get(pd1.code(12)) if pd1 is not None else None,
        "general_practitioner": practitioner,
        "deleted": tuple(deleted),
    }
    # What was not sent is the model's default: leaving it out is quicker than having it validated.
    return PatientIdentity.model_validate({name: value for name, value in values.items() if value is not None})


def _first(notes: Notebook, raw: str) -> str:
    return notes.syntax.code(raw.split(notes.syntax.component, 1)[0])


def _names(notes: Notebook, pid: Segment) -> _Names:
    names = _Names()
    syntax = notes.syntax
    for raw in pid.repetitions(5):
        pieces = syntax.components(raw)
        family = syntax.code(syntax.subcomponents(pieces[0])[0])
        parts = [syntax.code(piece) for piece in pieces]
        parts += [""] * (8 - len(parts))
        given, all_given, civility, kind = parts[1], parts[2], parts[4], parts[6]
        if not kind and parts[7] in _NAME_TYPES:
            # An example of the French annex has prefix and type one place to the right (§3.5).
            kind, civility = parts[7], parts[5] or civility
            notes.use(pid, 5)
        names.civility = names.civility or civility or None
        if kind in ("L", "M") and names.birth_name is None:
            names.birth_name = family or None
            names.first_given_name = given or None
            names.birth_given_names = _given_names(given, all_given)
        elif kind == "D":
            names.used_name, names.used_given_name = family or None, given or None
            if is_removal(raw, syntax):
                names.deleted.append("used_name")
            if len(pieces) > 1 and pieces[1] == NULL:
                names.deleted.append("used_given_name")
        elif kind in ("", "U") and names.family_name is None and (family or given):
            names.family_name, names.given_name = family or None, given or None
            names.birth_given_names = names.birth_given_names or _given_names(given, all_given)
        elif family or given:
            notes.info("hl7v2.name.unused", pid.where(5), "a name of a type that is not used here was left out")
    return names


def _given_names(given: str, all_given: str) -> tuple[str, ...]:
    """Read XPN-3: the whole list of given names in France, the *further* ones in the base standard."""
    further = tuple(all_given.split())
    if not further or not given:
        return further
    words = tuple(given.upper().replace("-", " ").split())
    beginning = tuple(all_given.upper().replace("-", " ").split())[: len(words)]
    return further if beginning == words else (given, *further)


def _birth_date(notes: Notebook, pid: Segment) -> str | None:
    raw = pid.code(7)
    if not raw:
        return None
    born, real = birth_date(raw)
    if born is None:
        notes.warn("hl7v2.time.invalid", pid.where(7), "the birth date is not readable; it was left out")
    elif not real:
        notes.info("hl7v2.identity.lunar_date", pid.where(7), "the birth date is not a day of the calendar")
    return born


def _sex(notes: Notebook, pid: Segment) -> Sex | None:
    code = pid.code(8).upper()
    if not code:
        return None
    if code in _SEXES:
        return _SEXES[code]
    if code in _OTHER_SEXES:
        notes.info("hl7v2.identity.sex", pid.where(8), "the sex is read as unknown")
        return Sex.UNKNOWN
    notes.warn("hl7v2.identity.sex", pid.where(8), "the sex is not a code of table 0001; it was left out")
    return None


def _addresses(notes: Notebook, pid: Segment) -> tuple[tuple[Address, ...], str | None, str | None]:
    """Read PID-11: the birth place is the repetition typed BDL, with its COG code in XAD-9."""
    kept: list[Address] = []
    place = place_name = None
    for raw in pid.repetitions(11):
        found = address(raw, notes.syntax)
        if found is None:
            continue
        if found.use == "BDL":
            place, place_name = found.insee, found.city
        else:
            kept.append(found)
    return tuple(kept), place, place_name


def _telecoms(notes: Notebook, pid: Segment) -> tuple[Telecom, ...]:
    found = (telecom(raw, notes.syntax) for n in (13, 14) for raw in pid.repetitions(n) if raw != NULL)
    return tuple(one for one in found if one is not None)


def _around(notes: Notebook, around: Iterable[Segment], deleted: list[str]) -> tuple[Professional | None, bool | None]:
    practitioner: Professional | None = None
    corrected: bool | None = None
    for segment in around:
        if segment.name == "ZFD":
            corrected = _TRUTH.get(segment.code(4))
        elif segment.name == "ROL" and segment.code(3) != "ODRP":
            notes.leave(segment)
        elif segment.name == "ROL":
            if segment.code(2) == "DE":
                deleted.append("general_practitioner")
            else:
                practitioner = role_holder(notes, segment)
    return practitioner, corrected


def role_holder(notes: Notebook, rol: Segment) -> Professional | None:
    """Read the person of a ROL, with the address and telecoms that the segment gives."""
    person = professional(rol.first(4), notes.syntax)
    if person is None:
        return None
    telecoms = [telecom(raw, notes.syntax) for raw in rol.repetitions(12)]
    found = address(rol.first(11), notes.syntax)
    return person.model_copy(update={"address": found, "telecoms": tuple(one for one in telecoms if one is not None)})
