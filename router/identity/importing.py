"""Reading patients from files: CSV or a FHIR Bundle."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson
from pydantic import ValidationError

from mappings.contracts import Format, FormatError, ReadContext
from mappings.registry import format_named
from schemas.coding import Identifier
from schemas.finding import Severity
from schemas.identifiers import MatriculeVerdict, check_matricule, ins_authority
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex

UNUSABLE_INS = "ins_unusable"
"""Code of the warning that an INS was left out: its number does not verify, or its authority or status forbids it."""

COLUMNS = (
    "ipp_authority",
    "ipp",
    "ins",
    "ins_oid",
    "birth_name",
    "birth_given_names",
    "used_name",
    "birth_date",
    "sex",
    "birth_place",
)
"""Columns of the CSV. `birth_given_names` are separated by blanks; `ins` needs its `ins_oid`; any may be empty."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One person of a file: where, who, and in sentences without personal data what is wrong.

    An entry with a `problem` has no identity and cannot be used. `warnings` are (code, sentence).
    """

    place: str
    identity: PatientIdentity | None
    problem: str = ""
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PatientsRead:
    """What a file gave, in its order."""

    entries: tuple[Entry, ...]

    @property
    def identities(self) -> tuple[PatientIdentity, ...]:
        """Whoever can be registered."""
        return tuple(entry.identity for entry in self.entries if entry.identity is not None)

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each entry that could not be used (no personal data in it)."""
        return tuple(f"{entry.place}: {entry.problem}" for entry in self.entries if entry.problem)


def read_patients(content: bytes) -> PatientsRead:
    """Read a CSV or a FHIR Bundle. Raises FormatError when it is neither."""
    head = content.lstrip()[:1]
    return _from_bundle(content) if head == b"{" else _from_csv(content)


def authority_uri(text: str) -> str:
    """Give the URI of an authority written as a URI, an OID, a FINESS number or a name."""
    text = text.strip()
    if ":" in text:
        return text
    if text[:1].isdigit() and "." in text:
        return f"urn:oid:{text}"
    if len(text) == 9 and text.isalnum() and text[2:].isdigit():
        return f"urn:x-finess:{text}"
    return f"urn:x-authority:{quote(text, safe='')}"


def _from_csv(content: bytes) -> PatientsRead:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    delimiter = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return _from_rows(reader)
    except csv.Error as problem:
        raise FormatError("patients.csv", f"line {reader.line_num + 1}", f"this is no CSV ({problem})") from None


def _from_rows(reader: csv.DictReader[str]) -> PatientsRead:
    names = [name.strip() for name in reader.fieldnames or ()]
    unknown = [name for name in names if name not in COLUMNS]
    if not names or unknown:
        raise FormatError(
            "patients.columns", "line 1", f"unknown columns; write a header with some of: {', '.join(COLUMNS)}"
        )
    entries = []
    for row in reader:
        values = {name.strip(): (value or "").strip() for name, value in row.items() if isinstance(name, str)}
        entries.append(_entry(f"line {reader.line_num}", values))
    return PatientsRead(tuple(entries))


def _entry(place: str, values: dict[str, str]) -> Entry:
    warnings: tuple[tuple[str, str], ...] = ()
    if values.get("ipp") and values.get("ins"):
        verdict = check_matricule(values["ins"]).verdict
        if verdict is not MatriculeVerdict.OK:
            # The person is known by another number: only the one that does not verify is left out.
            told = f"the ins is not a valid matricule ({verdict.value}): it is not used"
            warnings = ((UNUSABLE_INS, told),)
            values = values | {"ins": "", "ins_oid": ""}
    result = _identity(values)
    if isinstance(result, str):
        return Entry(place, None, result)
    return Entry(place, result, warnings=warnings)


def _identity(values: dict[str, str]) -> PatientIdentity | str:
    identifiers = []
    if values.get("ipp"):
        if not values.get("ipp_authority"):
            return "an ipp without its ipp_authority recognises nobody"
        system = authority_uri(values["ipp_authority"])
        identifiers.append(Identifier(system=system, value=values["ipp"], type="PI", assigner=values["ipp_authority"]))
    ins = None
    if values.get("ins"):
        checked = check_matricule(values["ins"])
        if checked.verdict is not MatriculeVerdict.OK:
            return f"the ins is not a valid matricule ({checked.verdict.value})"
        if ins_authority(values.get("ins_oid")) is None:
            return "the ins needs its ins_oid, one of the INS authorities"
        ins = Ins(matricule=checked.value, oid=values["ins_oid"].removeprefix("urn:oid:"))
    if not identifiers and ins is None:
        return "neither an ipp nor an ins: nothing would recognise this person"
    given = tuple(values.get("birth_given_names", "").split())
    try:
        return PatientIdentity(
            ins=ins,
            status=IdentityStatus.QUALIFIED if ins is not None else None,
            identifiers=tuple(identifiers),
            birth_name=values.get("birth_name") or None,
            birth_given_names=given,
            first_given_name=given[0] if given else None,
            used_name=values.get("used_name") or None,
            birth_date=values.get("birth_date") or None,
            sex=Sex(values["sex"].upper()) if values.get("sex") else None,
            birth_place=values.get("birth_place") or None,
        )
    except ValidationError as invalid:
        return f"{invalid.errors()[0]['loc'][0]} is not in the expected form"
    except ValueError:
        return "sex is F, M or U"


def _from_bundle(content: bytes) -> PatientsRead:
    fhir = format_named("fhir")
    return PatientsRead(
        tuple(_from_resource(fhir, f"patient {rank}", one) for rank, one in enumerate(_patients(content), start=1))
    )


def _from_resource(fhir: Format, place: str, patient: object) -> Entry:
    bundle = orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]})
    try:
        reading = fhir.read(bundle, ReadContext())
    except FormatError as refused:
        return Entry(place, None, refused.message)
    if not reading.items:
        return Entry(place, None, "nothing could be read")
    noticed = [finding for finding in reading.findings if finding.severity is not Severity.INFO]
    warnings = tuple((UNUSABLE_INS if ".ins." in one.code else one.code, one.message) for one in noticed)
    return Entry(place, reading.items[0].patient, warnings=warnings)


def _patients(content: bytes) -> Iterator[object]:
    try:
        resource = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise FormatError("patients.json", "content", "is not valid JSON") from None
    if resource.get("resourceType") == "Patient":
        yield resource
        return
    entries: Sequence[dict[str, object]] = resource.get("entry", ())
    for entry in entries:
        inner = entry.get("resource")
        if isinstance(inner, dict) and inner.get("resourceType") == "Patient":
            yield inner
