"""Hospital movements and identity events as HL7v2 ADT, IHE PAM France 2.11."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connectors.sandbox.er7 import AUTHORITY, message, msh, pid, professional, segment, stamp
from connectors.sandbox.people import HOSPITAL_NAME, INS_TEST_OID, PRESCRIBER, Person

STRUCTURES = {
    "A01": "ADT_A01",
    "A02": "ADT_A02",
    "A03": "ADT_A03",
    "A04": "ADT_A01",
    "A11": "ADT_A09",
    "A12": "ADT_A12",
    "A13": "ADT_A01",
    "A21": "ADT_A21",
    "A22": "ADT_A21",
    "A28": "ADT_A05",
    "A31": "ADT_A05",
    "A40": "ADT_A39",
    "A47": "ADT_A30",
    "Z99": "ADT_A01",
}
"""The events that the sandbox's hospital sends, and their message structures (MSH-9.3)."""

_IDENTITY_EVENTS = frozenset({"A28", "A31", "A40", "A47"})
_CANCELS = {"A11": "A01", "A12": "A02", "A13": "A03"}
_PROFILE = "2.11^IHE_FRANCE-2.11-PAM"


@dataclass(frozen=True, slots=True)
class Unit:
    """A care unit (UF): its code and label."""

    code: str
    label: str


EMERGENCIES = Unit("1010", "Urgences")
CARDIOLOGY = Unit("4036", "Cardiologie")
GERIATRICS = Unit("6055", "Gériatrie aiguë")


@dataclass(frozen=True, slots=True)
class Visit:
    """A hospital stay: visit number (PV1-19), account (PID-18), class (PV1-2), when it began and ended."""

    number: str
    account: str
    admitted_at: datetime
    patient_class: str = "I"
    discharged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement (segment ZBE): its id, when it took effect, the responsible unit, the bed.

    `historic` is ZBE-5. `original` is the event that an UPDATE or CANCEL is about (ZBE-6).
    """

    identifier: str
    at: datetime
    unit: Unit
    room: str = "12"
    bed: str = "1"
    previous: Unit | None = None
    historic: bool = False
    original: str = ""


def adt(
    event: str,
    person: Person,
    *,
    control_id: str,
    at: datetime,
    visit: Visit | None = None,
    movement: Movement | None = None,
    absorbed: str = "",
    processing: str = "T",
    charset: str = "UNICODE UTF-8",
) -> bytes:
    """Write one ADT message of `STRUCTURES`, sent `at`.

    Movements need `visit` and `movement`; A40 needs `absorbed`, the IPP that disappears into the person's own. A47
    withdraws the person's INS. Raises ValueError when what the event needs is missing or the event is not known.
    """
    if event not in STRUCTURES:
        raise ValueError(f"the sandbox's hospital does not send {event}")
    header = msh(
        f"ADT^{event}^{STRUCTURES[event]}",
        sender="GAM-FICTIVE",
        facility=HOSPITAL_NAME,
        control_id=control_id,
        at=at,
        version="2.5^FRA^2.11",
        profile=_PROFILE,
        processing=processing,
        charset=charset,
    )
    if event in _IDENTITY_EVENTS:
        return message((header, *_identity(event, person, at, absorbed)), charset)
    if visit is None or movement is None:
        raise ValueError(f"{event} is a movement: it needs a visit and a movement")
    segments = (
        header,
        segment("EVN", {2: stamp(at), 6: stamp(movement.at)}),
        pid(person, account=visit.account),
        _pv1(event, visit, movement),
        _zbe(event, movement),
    )
    return message(segments, charset)


def _identity(event: str, person: Person, at: datetime, absorbed: str) -> tuple[str, ...]:
    evn = segment("EVN", {2: stamp(at), 6: stamp(at)})
    if event == "A40":
        if not absorbed:
            raise ValueError("A40 is a merge: it needs the absorbed IPP")
        return evn, pid(person), segment("MRG", {1: f"{absorbed}^^^{AUTHORITY}^PI"})
    if event == "A47":
        ins_authority = f"^^^ASIP-SANTE-INS-NIR&{INS_TEST_OID}&ISO^INS"
        kept = (f"{person.ipp}^^^{AUTHORITY}^PI", f'""{ins_authority}')
        return evn, pid(person, identifiers=kept), segment("MRG", {1: f"{person.matricule}{ins_authority}"})
    return evn, pid(person), "PV1|1|N"


def _pv1(event: str, visit: Visit, movement: Movement) -> str:
    previous = movement.previous
    ended = event == "A03"
    fields = {
        1: "1",
        2: visit.patient_class,
        3: f"{movement.unit.code}^{movement.room}^{movement.bed}^{AUTHORITY}^O",
        4: "R",
        6: f"{previous.code}^^^{AUTHORITY}" if previous else "",
        7: professional(PRESCRIBER),
        19: f"{visit.number}^^^{AUTHORITY}^VN",
        36: "8" if ended else "",
        44: stamp(visit.admitted_at),
        45: stamp(visit.discharged_at) if visit.discharged_at and ended else "",
        51: "V" if event == "A11" else "",
    }
    return segment("PV1", fields)


def _zbe(event: str, movement: Movement) -> str:
    action = "CANCEL" if event in _CANCELS else "UPDATE" if event == "Z99" else "INSERT"
    unit = f"{movement.unit.label}^^^^^{AUTHORITY}^UF^^^{movement.unit.code}"
    fields = {
        1: f"{movement.identifier}^GAM-FICTIVE^1.2.250.1.999.35.2^ISO",
        2: stamp(movement.at),
        4: action,
        5: "Y" if movement.historic else "N",
        6: movement.original or _CANCELS.get(event, ""),
        7: unit,
        8: unit,
        9: "HMS",
    }
    return segment("ZBE", fields)
