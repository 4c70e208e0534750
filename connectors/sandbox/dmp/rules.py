"""What each object of a lot must hold: the tables of slots, classifications and identifiers, and how they are checked.

Sources: IHE ITI vol. 3 § 4.2.3, and the CI-SIS's restrictions for the DMP (legal authenticator, service start, title,
lot signature). The profile `ihe` leaves the French restrictions out, for messages that are not French.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from connectors.sandbox.dmp import names, syntax
from connectors.sandbox.dmp.metadata import Classification, Identifier, Registered
from connectors.sandbox.dmp.refusals import RegistryProblem
from connectors.sandbox.dmp.value_sets import REFERENCE_TYPES, ValueSets


class Profile(StrEnum):
    """Whose rules hold."""

    DMP = "dmp"
    IHE = "ihe"


@dataclass(frozen=True, slots=True)
class Checks:
    """What the sandbox holds a request to; a message of another age or country may need one left out."""

    profile: Profile = Profile.DMP
    vihf: bool = True
    """The signature, the issuer and the age of the VIHF; its attributes are read in any case."""
    lot_signature: bool = True
    """Digests and signature value of the lot's signature; that there is one is held in any case."""
    cda_identity: bool = True
    """The id of a CDA is the uniqueId of its entry."""
    values: ValueSets = field(default_factory=ValueSets)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What one kind of object holds: slots (required ones, then one value only), classifications and identifiers."""

    required_slots: frozenset[str]
    french_slots: frozenset[str]
    single_slots: frozenset[str]
    known_slots: frozenset[str]
    author: str
    codes: dict[str, tuple[int, int]]
    identifiers: dict[str, str]


_ANY = 1000

ENTRY = _Shape(
    required_slots=frozenset({"creationTime", "languageCode", "sourcePatientId"}),
    french_slots=frozenset({"legalAuthenticator", "serviceStartTime"}),
    single_slots=frozenset(
        {
            "creationTime",
            "languageCode",
            "legalAuthenticator",
            "serviceStartTime",
            "serviceStopTime",
            "sourcePatientId",
            "hash",
            "size",
            "repositoryUniqueId",
            "documentAvailability",
        }
    ),
    known_slots=frozenset({"sourcePatientInfo", "URI", names.REFERENCE_IDS}),
    author=names.AUTHOR,
    codes={
        names.CLASS_CODE: (1, 1),
        names.TYPE_CODE: (1, 1),
        names.FORMAT_CODE: (1, 1),
        names.CONFIDENTIALITY: (1, 4),
        names.FACILITY_TYPE: (1, 1),
        names.PRACTICE_SETTING: (1, 1),
        names.EVENT_CODE: (0, _ANY),
    },
    identifiers={
        names.ENTRY_PATIENT: "XDSDocumentEntry.patientId",
        names.ENTRY_UNIQUE_ID: "XDSDocumentEntry.uniqueId",
    },
)

LOT = _Shape(
    required_slots=frozenset({"submissionTime"}),
    french_slots=frozenset(),
    single_slots=frozenset({"submissionTime"}),
    known_slots=frozenset({"intendedRecipient"}),
    author=names.LOT_AUTHOR,
    codes={names.CONTENT_TYPE: (1, 1)},
    identifiers={
        names.LOT_PATIENT: "XDSSubmissionSet.patientId",
        names.LOT_SOURCE: "XDSSubmissionSet.sourceId",
        names.LOT_UNIQUE_ID: "XDSSubmissionSet.uniqueId",
    },
)

_TIMES = ("creationTime", "serviceStartTime", "serviceStopTime", "submissionTime")
_AUTHOR_SLOTS: dict[str, Callable[[str], str | None]] = {
    "authorPerson": syntax.xcn_problem,
    "authorInstitution": syntax.xon_problem,
    "authorSpecialty": syntax.specialty_problem,
}


def problems_of(one: Registered, shape: _Shape, checks: Checks) -> Iterator[RegistryProblem]:
    """Say what one object breaks, in sentences that quote names and no value."""
    for sentence in (*_slots(one, shape, checks), *_codes(one, shape, checks), *_identifiers(one, shape, checks)):
        yield RegistryProblem("XDSRegistryMetadataError", sentence, one.id)
    for name in one.slots:
        if name.startswith("urn:") and name not in shape.known_slots:
            yield RegistryProblem("XDSExtraMetadataNotSaved", f"slot {name} is not kept", one.id, warning=True)


def _slots(one: Registered, shape: _Shape, checks: Checks) -> Iterator[str]:
    french = checks.profile is Profile.DMP
    yield from (f"slot {name} stands more than once" for name in one.doubled)
    for name in sorted(shape.required_slots | (shape.french_slots if french else frozenset())):
        if not one.slots.get(name) or not one.slot(name):
            yield f"slot {name} is missing"
    known = shape.required_slots | shape.french_slots | shape.single_slots | shape.known_slots
    for name, values in one.slots.items():
        if name not in known and not name.startswith("urn:"):
            yield f"slot {name} is not one of this object's"
        if name in shape.single_slots and len(values) > 1:
            yield f"slot {name} has {len(values)} values instead of one"
        if any(len(value) > 256 for value in values):
            yield f"slot {name} has a value of more than 256 characters"
    for name in _TIMES:
        if name in one.slots and not syntax.is_time(one.slot(name)):
            yield f"slot {name} is not a UTC time in 4 to 14 digits"
    start, stop = one.slot("serviceStartTime"), one.slot("serviceStopTime")
    if start and stop and syntax.whole_time(start) > syntax.whole_time(stop):
        yield "slot serviceStopTime is before serviceStartTime"
    if french:
        yield from _french_slots(one, shape)


def _french_slots(one: Registered, shape: _Shape) -> Iterator[str]:
    for name, check in (("legalAuthenticator", syntax.xcn_problem), ("sourcePatientId", syntax.cx_problem)):
        problem = check(one.slot(name)) if one.slot(name) else None
        if problem is not None:
            yield f"slot {name} {problem}"
    for value in one.slots.get("sourcePatientInfo", ()):
        if not value.startswith("PID-") or "|" not in value:
            yield "slot sourcePatientInfo has a value that is not PID-n|…"
    for value in one.slots.get(names.REFERENCE_IDS, ()):
        parts = value.split("^")
        if len(parts) < 5 or syntax.cx_problem(value) or parts[4] not in REFERENCE_TYPES:
            yield f"slot {names.REFERENCE_IDS} has a value that is not id^^^&OID&ISO^type, of a type that the DMP takes"
    if shape is ENTRY and not one.title:
        yield "the title (Name) is missing"


def _codes(one: Registered, shape: _Shape, checks: Checks) -> Iterator[str]:
    counted = Counter(found.scheme for found in one.classifications if found.scheme)
    for scheme, (least, most) in shape.codes.items():
        if not least <= counted[scheme] <= most:
            yield f"{counted[scheme]} classification(s) {scheme}, {least} to {most} expected"
    for scheme in counted:
        if scheme not in shape.codes and scheme != shape.author:
            yield f"classification {scheme} is not one of this object's"
    for found in one.classifications:
        if found.classified != one.id:
            yield f"classification {found.id} has a classifiedObject that is not its object"
        if found.scheme in shape.codes:
            yield from _coded(found, checks)
    yield from _authors(one, shape, checks)


def _coded(found: Classification, checks: Checks) -> Iterator[str]:
    if not found.code:
        yield f"classification {found.scheme} has an empty nodeRepresentation"
    if len(found.coding_schemes) != 1 or not found.coding_schemes[0]:
        yield f"classification {found.scheme} has not exactly one codingScheme"
        return
    if not found.label:
        yield f"classification {found.scheme} has no label (Name)"
    if checks.profile is Profile.DMP and not checks.values.takes(found.scheme, found.code, found.coding_schemes[0]):
        yield f"classification {found.scheme} has a code that is not in its value set"


def _authors(one: Registered, shape: _Shape, checks: Checks) -> Iterator[str]:
    authors = one.coded(shape.author)
    if not authors or (shape is LOT and len(authors) > 1):
        yield f"{len(authors)} author(s), {'one' if shape is LOT else 'at least one'} expected"
    for author in authors:
        if author.code:
            yield "an author has a nodeRepresentation that is not empty"
        if len(author.slots.get("authorPerson", ())) != 1:
            yield "an author has not exactly one authorPerson"
        for name, check in _AUTHOR_SLOTS.items() if checks.profile is Profile.DMP else ():
            for value in author.slots.get(name, ()):
                problem = check(value)
                if problem is not None:
                    yield f"slot {name} {problem}"


def _identifiers(one: Registered, shape: _Shape, checks: Checks) -> Iterator[str]:
    for scheme, name in shape.identifiers.items():
        found = [held for held in one.identifiers if held.scheme == scheme]
        if len(found) != 1:
            yield f"{len(found)} identifier(s) {name}, one expected"
            continue
        yield from _identifier(one, found[0], name, checks)
    for held in one.identifiers:
        if held.scheme not in shape.identifiers:
            yield f"identifier {held.scheme} is not one of this object's"


def _identifier(one: Registered, found: Identifier, name: str, checks: Checks) -> Iterator[str]:
    if found.registry_object != one.id:
        yield f"identifier {name} has a registryObject that is not its object"
    if found.name != name:
        yield f"identifier {name} has another name"
    if name.endswith("uniqueId") and not syntax.is_unique_id(found.value):
        yield f"identifier {name} is not an OID of at most 64 characters"
    if checks.profile is not Profile.DMP:
        return
    if name.endswith("sourceId") and not syntax.is_oid(found.value):
        yield f"identifier {name} is not an OID"
    if name.endswith("patientId") and syntax.patient_key(found.value) is None:
        yield f"identifier {name} is not an INS (number^^^&OID&ISO^NH)"
