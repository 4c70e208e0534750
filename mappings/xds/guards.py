"""What forbids or questions a deposit in the DMP, said before anything leaves (fact sheet dmp §1, §4).

A guard is a Finding with a code `dmp.guard.…`, one a reason. It travels inside the parcel, in a slot of the request
that the destination takes out: there a person sees why a Delivery is held, and may insist only where it is legal.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib.resources import files

from lxml import etree

from mappings.cda.oids import CONFIDENTIALITY_OID
from mappings.contracts import FormatError, WriteContext
from mappings.xds import vocabulary
from mappings.xds.model import Code, DocumentEntry, Slots, metadata_name
from mappings.xds.travelling import Travelling
from mappings.xml_source import parse_xml
from schemas.document import Wishes
from schemas.finding import Finding, Severity
from schemas.identifiers import InsEnvironment, ins_authority
from schemas.identity import PatientIdentity
from schemas.identity_status import ins_usable
from schemas.item import DocumentItem, Item

PREFIX = "dmp.guard."
SLOT = "urn:x-passerelle:xds:guard"
"""Slot of the request that carries the guards, one value each; it never leaves the router."""

INSISTABLE = frozenset(f"{PREFIX}{name}" for name in ("type", "format", "size", "representatives", "former"))
"""Guards that a person may overrule: what our tables, or our settings, may know less well than the DMP does."""

MAJORITY = 18

_V3 = "{urn:hl7-org:v3}"
_FACILITY = re.compile(r"SA\d{2}", re.ASCII)
_FACILITY_SCHEME = "1.2.250.1.71.4.2.4"
_REQUIRED = (
    "unique_id",
    "class_code",
    "practice_setting_code",
    "healthcare_facility_type_code",
    "title",
    "creation_time",
    "service_start_time",
    "authors",
    "legal_authenticator",
    "source_patient_id",
)
_OPEN_FORMATS = ("urn:ans:ci-sis:", "urn:asip:ci-sis:")
"""Families of formatCodes that grow with each model: a newer member than our table is no fault."""


def guards_of(item: Item, read: Travelling | None, entry: DocumentEntry | None, context: WriteContext) -> list[Finding]:
    """Say what stands against sending an Item to the DMP; `read` and `entry` are None for a deletion."""
    found = list(_of_patient(item.patient, context))
    wishes = item.content.wishes if isinstance(item, DocumentItem) else None
    found += _of_wishes(wishes)
    if read is not None and entry is not None:
        found += _of_codes(entry)
        found += _of_confidentiality(entry, item.patient, wishes, context.now.date())
        found += [
            _guard("metadata", f"{entry.entry_uuid} {metadata_name(name)}", "the DMP requires this metadata")
            for name in _REQUIRED
            if not getattr(entry, name)
        ]
        if is_empty(read.content):
            found.append(_guard("empty", entry.entry_uuid, "the document has no content: an empty one is not sent"))
    return found


def _guard(name: str, where: str, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, code=PREFIX + name, where=where, message=message)


def _of_patient(patient: PatientIdentity, context: WriteContext) -> Iterator[Finding]:
    if patient.ins is None or not ins_usable(patient.status, patient.attributes):
        yield _guard("identity", "patient", "the identity is not qualified: nothing goes to the DMP under it")
        return
    authority = ins_authority(patient.ins.oid)
    home = context.environment
    if authority is None:
        yield _guard("identity", "patient.ins", "the INS has an authority that the DMP does not know")
    elif home is not None and authority.environment is InsEnvironment.DEMONSTRATION:
        yield _guard("identity", "patient.ins", "the INS is one of demonstration")
    elif home is not None and authority.environment.value != home.value:
        yield _guard("identity", "patient.ins", "the INS belongs to another environment (test or production)")


def _of_wishes(wishes: Wishes | None) -> Iterator[Finding]:
    if wishes is None:
        return
    if wishes.dmp is False:
        yield _guard("opposed", "content.wishes.dmp", "the sender says that this is not for the DMP (opposition)")
    if wishes.secret_connection:
        yield _guard("secret", "content.wishes.secret_connection", "a secret connection is for a person to make")


def _of_codes(entry: DocumentEntry) -> Iterator[Finding]:
    kind, form, place = entry.type_code, entry.format_code, entry.healthcare_facility_type_code
    if kind is None or vocabulary.type_label(kind.code) is None:
        yield _guard("type", f"{entry.entry_uuid} typeCode", "the type of document is not one of the DMP's (JDV_J07)")
    if form is None or not known_format(form):
        yield _guard("format", f"{entry.entry_uuid} formatCode", "the format is not one of the DMP's (JDV_J60)")
    if place is not None and not (_FACILITY.fullmatch(place.code) and place.scheme == _FACILITY_SCHEME):
        where = f"{entry.entry_uuid} healthcareFacilityTypeCode"
        yield _guard("metadata", where, "the sector of activity is not one of JDV_J61")
    setting = entry.practice_setting_code
    if setting is not None and vocabulary.known_code("practice_setting", setting.code) is None:
        yield _guard("metadata", f"{entry.entry_uuid} practiceSettingCode", "the setting is not one of JDV_J04")


def _of_confidentiality(
    entry: DocumentEntry, patient: PatientIdentity, wishes: Wishes | None, today: date
) -> Iterator[Finding]:
    where = f"{entry.entry_uuid} confidentialityCode"
    codes = entry.confidentiality_codes
    if sum(code.scheme == CONFIDENTIALITY_OID for code in codes) != 1:
        yield _guard("confidentiality", where, "one of N, R and V is needed, and one only")
    if not all(_is_official(code) for code in codes):
        yield _guard("confidentiality", where, "a code is not one of the DMP's (JDV_J58)")
    if wishes is not None and wishes.hidden_from_representatives and _age(patient.birth_date, today) >= MAJORITY:
        yield _guard("representatives", where, "hidden from the legal representatives of somebody of full age")


def _is_official(code: Code) -> bool:
    """Say whether a code and its scheme are of the value set, whatever label the sender gave them."""
    official = vocabulary.known_code("confidentiality", code.code)
    return official is not None and official.scheme == code.scheme


def _age(born: str | None, today: date) -> int:
    """Count the years; somebody whose birth date is not known in full is taken for a child: nothing is objected."""
    try:
        birth = date.fromisoformat(born or "")
    except ValueError:
        return 0
    return today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))


@cache
def _format_codes() -> frozenset[str]:
    codes: set[str] = set()
    for package, name, column in (
        ("mappings.cda", "format_codes.csv", "format"),
        ("mappings.xds", "formats.csv", "code"),
    ):
        text = (files(package) / "data" / name).read_text(encoding="utf-8")
        codes.update(row[column] for row in csv.DictReader(text.splitlines()))
    return frozenset(codes)


def known_format(code: Code) -> bool:
    """Say whether a formatCode is one of the DMP's, or of a family that grows."""
    return code.code in _format_codes() or code.code.startswith(_OPEN_FORMATS)


def is_empty(content: bytes) -> bool:
    """Say whether a CDA has neither a file nor a word in its body (EX_GEN-1060). Raises FormatError on bad XML."""
    root = parse_xml(content, code="cda")
    texts = list(root.iter(f"{_V3}nonXMLBody"))
    if not texts:
        texts = list(root.iter(f"{_V3}structuredBody"))
    return not any(_says_something(one) for one in texts)


def _says_something(body: etree._Element) -> bool:
    if any(str(text).strip() for text in body.itertext()):
        return True
    return any(one.get("value") for one in body.iter(f"{_V3}reference", f"{_V3}value"))


# --- inside the parcel


def guard_slots(guards: list[Finding]) -> Slots:
    """Write guards as a slot of the request."""
    values = tuple(f"{one.code}|{one.where}|{one.message}" for one in guards)
    return ((SLOT, values),) if values else ()


def read_guards(slots: Slots) -> tuple[Finding, ...]:
    """Read the guards of a parcel. Raises FormatError `xds.guard` for what is none."""
    found = []
    for name, values in slots:
        for value in values if name == SLOT else ():
            code, _, rest = value.partition("|")
            where, mark, message = rest.partition("|")
            if not mark or not code.startswith(PREFIX):
                raise FormatError("xds.guard", name, "this is not a guard")
            found.append(Finding(severity=Severity.ERROR, code=code, where=where, message=message))
    return tuple(found)
