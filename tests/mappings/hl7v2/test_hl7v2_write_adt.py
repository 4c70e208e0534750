from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hl7v2_messages import INS, PID, identity, reading, stay

from mappings.contracts import ReadContext, Rendition, WriteContext
from mappings.hl7v2.reader import read
from mappings.hl7v2.triggers import triggers
from mappings.hl7v2.writer import write
from schemas.actors import Organization
from schemas.coding import Identifier
from schemas.identity import PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.item import IdentityItem, Item, ItemKind, Provenance, StayItem
from schemas.stay import Stay

CONTEXT = WriteContext(now=datetime(2026, 1, 5, 9, 15, tzinfo=UTC), identity="ADT-1")
CH = "CH-FICTIF&990000001&M"
EVN = "EVN||20260105101500||||20260105101000"
PV1 = f"PV1|1|I|4036^22^3^{CH}^O|R|||||||||||||||V-5^^^{CH}^VN"
ZBE = f"ZBE|M1^GAM^990000001^M|20260105093000||UPDATE|N|A01|Cardio^^^^^{CH}^UF^^^4036|Soins^^^^^{CH}^UF^^^4037|HMS"
SOURCE = Provenance(format="canonical", where="test")


def lines(rendition: Rendition) -> list[str]:
    return rendition.content.decode().split("\r")[:-1]


def said(rendition: Rendition) -> list[str]:
    return [finding.code for finding in rendition.findings]


def bare(item: Item) -> dict[str, object]:
    return item.model_dump(exclude={"id", "source", "sender"})


def back(item: Item) -> Item:
    return read(write(item, CONTEXT).content, ReadContext()).items[0]


@pytest.mark.parametrize(
    "event",
    sorted(
        trigger.trigger
        for trigger in triggers().values()
        if trigger.kind in (ItemKind.STAY, ItemKind.IDENTITY) and trigger.trigger != "A08"
    ),
)
def test_every_event_survives_the_journey(event: str) -> None:
    other = (
        f"PID|2||IPP-2^^^{CH}^PI||AUTRE^^^^^^U" if event in ("A24", "A37") else f"MRG|IPP-9^^^{CH}^PI||NDA-9^^^{CH}^AN"
    )
    found = reading(EVN, PID, other, PV1, ZBE, "ZFD||||N|INSI|20260101", kind=f"ADT^{event}")
    item = found.items[0]
    written = write(item, CONTEXT)
    assert said(written) == []
    assert lines(written)[0].split("|")[8] == f"ADT^{event}^{triggers()['ADT', event].structure}"
    again = read(written.content, ReadContext())
    assert bare(again.items[0]) == bare(item)
    assert again.unread == ()
    assert ("MRG-1" in [one.where for one in found.unread]) is (event not in ("A40", "A44", "A47", "A24", "A37"))


@pytest.mark.shared_data
def test_agreed_examples_survive_the_journey(shared_data: Path) -> None:
    folder = shared_data / "hl7v2" / "own-examples"
    names = sorted(path.name for path in folder.glob("adt_*.hl7") if "trap" not in path.name)
    assert len(names) == 8
    for name in names:
        item = read((folder / name).read_bytes(), ReadContext()).items[0]
        assert bare(back(item)) == bare(item), name


def test_admission_is_written_to_the_letter() -> None:
    item = stay(reading(EVN, PID, PV1, ZBE.replace("UPDATE|N|A01", "INSERT|N|"), "ZFM|8", kind="ADT^A01"))
    header = "MSH|^~\\&|PASSERELLE|LABO-FICTIF|||20260105101500+0100||ADT^A01^ADT_A01|ADT-1|P|2.5^FRA^2.11|||||FRA|"
    assert lines(write(item, CONTEXT)) == [
        header + "UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM",
        "EVN||20260105101500+0100||||20260105093000+0100",
        PID,
        f"PV1|1|I|4036^22^3^{CH}^O|R|||||||||||||||V-5^^^{CH}^VN" + "|" * 25 + "20260105093000+0100",
        f"ZBE|M1^GAM^990000001^M|20260105093000+0100||INSERT|N||Cardio^^^^^{CH}^UF^^^4036|Soins^^^^^{CH}^UF^^^4037|HMS",
        "ZFM|8",
    ]


@pytest.mark.parametrize(
    ("event", "trigger"),
    [("stay.started", "A01"), ("stay.ended", "A03"), ("stay.on_leave", "A21"), ("movement.cancelled", "A12")],
)
def test_stay_from_elsewhere_gets_the_trigger_of_its_event(event: str, trigger: str) -> None:
    item = StayItem(
        id="0" * 32, patient=PatientIdentity(), source=SOURCE, content=Stay(event=event, trigger="", visit=None)
    )
    rendition = write(item, CONTEXT)
    assert lines(rendition)[0].split("|")[8].startswith(f"ADT^{trigger}^")
    assert said(rendition) == ["hl7v2.write.no_movement"]


def test_event_that_nothing_says_is_an_error() -> None:
    content = IdentityEvent(event="patient.teleported", trigger="")
    rendition = write(IdentityItem(id="0" * 32, patient=PatientIdentity(), source=SOURCE, content=content), CONTEXT)
    assert lines(rendition)[0].split("|")[8] == "ADT^A31^ADT_A05"
    assert said(rendition) == ["hl7v2.write.event"]


def test_removed_ins_names_its_own_authority() -> None:
    removed = PID.replace(INS, f'""^{INS.partition("^")[2]}').replace("VALI", "PROV")
    item = identity(reading(EVN, removed, f"MRG|{INS}", kind="ADT^A47"))
    rendition = write(item, CONTEXT)
    pid = next(line for line in lines(rendition) if line.startswith("PID"))
    assert pid.split("|")[3].endswith('~""^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS')
    assert bare(back(item)) == bare(item)


def test_removed_traits_are_removed_again() -> None:
    pid = 'PID|1||IPP-1^^^CH^PI||FICTIVE^ALEX^ALEX^^^^L~""^""^^^^^D||""|""|||""||""|||""|||||||""|||""|||""|""||VALI'
    item = identity(reading(EVN, pid, kind="ADT^A31"))
    assert bare(back(item)) == bare(item)


def test_merge_without_an_absorbed_identifier_is_an_error() -> None:
    content = IdentityEvent(event="patient.merged", trigger="A40")
    rendition = write(IdentityItem(id="0" * 32, patient=PatientIdentity(), source=SOURCE, content=content), CONTEXT)
    assert said(rendition) == ["hl7v2.write.no_absorbed"]


def test_contacts_and_facility_are_written() -> None:
    nk1 = (
        "NK1|1|PROCHE^FICTIF|SPO^Conjoint|2 RUE Y^^VILLE^^99999|^PRN^PH^^^^^^^^^0199000003||K^Confiance"
        + "|" * 26
        + "C-1^^^X^PN"
    )
    for facility in ("", "CH^X", "CHU", "CHU&1.2.3&ISO", "CHU&7&L"):
        item = stay(reading(EVN, PID, nk1, f"PV1|1|I|4036^^^{facility}", ZBE, kind="ADT^Z99"))
        assert bare(back(item)) == bare(item)


def test_hospital_without_a_place_is_said() -> None:
    content = Stay(
        event="stay.started",
        trigger="A08",
        hospital=Organization(identifiers=(Identifier(system="urn:oid:1.2.250.1.71.4.2.2", value="990000002"),)),
    )
    item = StayItem(id="0" * 32, patient=PatientIdentity(), source=SOURCE, content=content)
    assert said(write(item, CONTEXT)) == ["hl7v2.write.not_carried"]
