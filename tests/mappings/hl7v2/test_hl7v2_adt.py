from __future__ import annotations

import pytest
from hl7v2_messages import INS, PID, codes, identity, reading, stay

from mappings.contracts import ReadContext
from mappings.hl7v2.triggers import Trigger, triggers
from schemas.coding import Identifier
from schemas.identity import IdentityStatus, Ins
from schemas.item import ItemKind, StayItem
from schemas.stay import Location, MovementAction, StayStatus

EVN = "EVN||20260105101500||||20260105101000"
CH = "CH-FICTIF&990000001&M"
PV1 = f"PV1|1|I|4036^22^3^{CH}^O|R|||||||||||||||V-5^^^{CH}^VN"
ZBE = f"ZBE|M1^GAM^990000001^M|20260105093000||INSERT|N||Cardio^^^^^{CH}^UF^^^4036|Soins^^^^^{CH}^UF^^^4037|HMS"


def adt(event: str, *lines: str, context: ReadContext | None = None) -> StayItem:
    return stay(reading(*lines, kind=f"ADT^{event}", context=context))


@pytest.mark.parametrize(
    "trigger",
    [trigger for trigger in triggers().values() if trigger.kind in (ItemKind.STAY, ItemKind.IDENTITY)],
    ids=lambda trigger: str(trigger.trigger),
)
def test_every_event_of_the_table_is_read(trigger: Trigger) -> None:
    found = reading(
        EVN,
        PID,
        f"MRG|IPP-9^^^{CH}^PI||NDA-9",
        PV1,
        ZBE.replace("INSERT", "UPDATE"),
        PID,
        kind=f"ADT^{trigger.trigger}",
    )
    assert found.items
    assert found.items[0].kind == trigger.kind
    assert found.message_type == f"ADT^{trigger.trigger}"
    assert "hl7v2.message.unsupported" not in codes(found)


def test_admission_reads_visit_location_movement_and_people() -> None:
    item = adt(
        "A01^ADT_A01",
        EVN,
        PID.replace("VALI", "VALI").replace("|M||||||||||", f"|M||||||||||NDA-7^^^{CH}^AN"),
        "PD1||U||||||||||Y",
        "ROL||UC|ODRP|899700000017^GENERALISTE^FICTIVE^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS|||||||"
        "1 RUE X^^VILLE^^99999^FRA^O|^WPN^PH^^^^^^^^^0199000002",
        "NK1|1|PROCHE^FICTIF|SPO^Conjoint|2 RUE Y^^VILLE|^PRN^PH^^^^^^^^^0199000003||K^Confiance"
        + "|" * 26
        + f"CLE-1^^^{CH}^PN",
        f"PV1|1|I|4036^22^3^{CH}^O|R|PRE-1^^^{CH}|4035^^^{CH}|899700000025^DOCTEUR^FICTIF^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1"
        "&ISO^D^^^IDNPS|||||||7||Y|||V-5^^^CH-FICTIF&990000001&M^VN||03"
        + "|" * 15
        + "3^^|FINESS-D|||||||20260105093000",
        "PV2||||||||20260105080000|20260110|||motif||||||||||N",
        ZBE,
        "ZFA|ACTIF||||||||IO||INC",
        "ZFM|8|6",
        "ROL||AD|RP|97^ADRESSEUR^FICTIF",
        "ROL||AD|CP|98^CONSULTE^FICTIF",
    )
    content = item.content
    assert (content.event, content.trigger, content.status) == ("stay.started", "A01", StayStatus.IN_PROGRESS)
    assert content.visit == Identifier(system="urn:x-finess:990000001", value="V-5", type="VN", assigner="CH-FICTIF")
    assert content.account is not None
    assert (content.account.value, content.account.type) == ("NDA-7", "AN")
    assert content.pre_admission is not None
    assert (content.patient_class, content.admission_type, content.treatment_mode) == ("I", "R", "03")
    assert content.admit_source == "7"
    assert content.location is not None
    assert (content.location.unit, content.location.room, content.location.bed, content.location.status) == (
        "4036",
        "22",
        "3",
        "O",
    )
    assert content.prior_location is not None
    assert content.prior_location.unit == "4035"
    (movement,) = content.movements
    assert movement.identifiers[0].value == "M1"
    assert (movement.start, movement.action, movement.historic, movement.nature) == (
        "2026-01-05T09:30:00+01:00",
        MovementAction.INSERT,
        False,
        "HMS",
    )
    assert movement.medical_unit is not None
    assert movement.care_unit is not None
    assert (movement.medical_unit.identifiers[0].value, movement.care_unit.name) == ("4036", "Soins")
    assert content.admitted_at == "2026-01-05T09:30:00+01:00"
    assert content.expected_discharge_at == "2026-01-10"
    assert (content.entry_mode, content.exit_mode) == ("8", "6")
    assert (content.dmp_feeding, content.dmp_consultation) == ("IO", "INC")
    assert content.attending is not None
    assert content.attending.identifiers[0].value == "99700000025"
    assert content.referring is not None
    assert content.referring.family_name == "ADRESSEUR"
    assert content.protected is True
    assert content.hospital is not None
    assert content.hospital.identifiers[0].value == "990000001"
    (contact,) = content.contacts
    assert (contact.family_name, contact.identifiers[0].value) == ("PROCHE", "CLE-1")
    assert contact.role is not None
    assert contact.role.code == "K"
    assert (item.occurred_at, item.patient.confidential) == ("2026-01-05T09:30:00+01:00", True)
    doctor = item.patient.general_practitioner
    assert doctor is not None
    assert doctor.address is not None
    assert (doctor.family_name, doctor.address.city, doctor.telecoms[0].value) == ("GENERALISTE", "VILLE", "0199000002")


def test_role_that_has_no_place_is_left_unread() -> None:
    found = reading(EVN, PID, PV1, ZBE, "ROL||AD|CP|98^CONSULTE^FICTIF", kind="ADT^A01")
    assert ("ROL-4", "98^CONSULTE^FICTIF") in [(one.where, one.text) for one in found.unread]


@pytest.mark.parametrize(
    ("event", "zbe", "name", "status"),
    [
        ("A01", "INSERT|N|", "stay.started", StayStatus.IN_PROGRESS),
        ("A04", "INSERT|N|", "stay.started", StayStatus.IN_PROGRESS),
        ("A05", "INSERT|N|", "stay.planned", StayStatus.PLANNED),
        ("A14", "INSERT|N|", "stay.pending", StayStatus.PLANNED),
        ("A38", "CANCEL|N|A05", "stay.plan_cancelled", StayStatus.CANCELLED),
        ("A11", "CANCEL|N|A01", "stay.cancelled", StayStatus.CANCELLED),
        ("A03", "INSERT|N|", "stay.ended", StayStatus.FINISHED),
        ("A13", "CANCEL|N|A03", "stay.reopened", StayStatus.IN_PROGRESS),
        ("A21", "INSERT|N|", "stay.on_leave", StayStatus.ON_LEAVE),
        ("A22", "INSERT|N|", "stay.returned", StayStatus.IN_PROGRESS),
        ("A53", "CANCEL|N|A22", "stay.return_cancelled", StayStatus.ON_LEAVE),
        ("A06", "INSERT|N|", "stay.class_changed", StayStatus.IN_PROGRESS),
        ("A07", "CANCEL|N|A06", "stay.class_changed", StayStatus.IN_PROGRESS),
        ("A02", "INSERT|Y|", "movement.added", StayStatus.UNKNOWN),
        ("A12", "CANCEL|Y|A02", "movement.cancelled", StayStatus.UNKNOWN),
        ("Z99", "UPDATE|N|A01", "movement.updated", StayStatus.IN_PROGRESS),
        ("Z99", "UPDATE|N|A03", "movement.updated", StayStatus.FINISHED),
        ("Z99", "UPDATE|Y|A01", "movement.updated", StayStatus.UNKNOWN),
        ("Z80", "INSERT|N|", "movement.added", StayStatus.IN_PROGRESS),
        ("Z81", "CANCEL|N|Z80", "movement.cancelled", StayStatus.IN_PROGRESS),
    ],
)
def test_event_and_status_of_the_stay(event: str, zbe: str, name: str, status: StayStatus) -> None:
    item = adt(event, EVN, PID, PV1, ZBE.replace("INSERT|N|", zbe))
    assert (item.content.event, item.content.status) == (name, status)


def test_period_falls_back_on_the_movement_that_begins_or_ends_the_stay() -> None:
    assert adt("A01", EVN, PID, PV1, ZBE).content.admitted_at == "2026-01-05T09:30:00+01:00"
    assert adt("A03", EVN, PID, PV1, ZBE).content.discharged_at == "2026-01-05T09:30:00+01:00"
    assert adt("A02", EVN, PID, PV1, ZBE).content.admitted_at is None


def test_discharged_stay_stays_finished_under_a_historic_movement() -> None:
    discharged = PV1 + "|" * 25 + "20260104|20260105"
    assert adt("A12", EVN, PID, discharged, ZBE.replace("INSERT|N", "CANCEL|Y")).content.status is StayStatus.FINISHED


def test_visit_falls_back_on_the_account() -> None:
    item = adt("A01", EVN, PID.replace("|M||||||||||", "|M||||||||||NDA-7"), "PV1|1|O", ZBE)
    assert item.content.visit == Identifier(value="NDA-7", type="AN")


@pytest.mark.parametrize(
    ("zbe", "lenient", "action"),
    [
        ("ZBE|M1|20260105093000|INSERT|N||UM", False, None),
        ("ZBE|M1|20260105093000|INSERT|N||UM", True, MovementAction.INSERT),
        ("ZBE|M1|20260105093000|||INSERT|N|A02", True, MovementAction.INSERT),
    ],
)
def test_shifted_movement_is_an_error_and_repaired_only_on_demand(
    zbe: str, lenient: bool, action: MovementAction | None
) -> None:
    context = ReadContext(options={"zbe": "lenient"} if lenient else {})
    found = reading(EVN, PID, PV1, zbe, kind="ADT^A02", context=context)
    assert stay(found).content.movements[0].action is action
    assert [(one.code, one.where) for one in found.findings] == [("hl7v2.zbe.shifted", "ZBE-4")]


def test_movement_without_action_is_a_warning_and_a_message_without_movement_is_said() -> None:
    assert codes(reading(EVN, PID, PV1, "ZBE|M1|20260105093000", kind="ADT^A02")) == ["hl7v2.zbe.action"]
    assert [one.code for one in reading(EVN, PID, PV1, kind="ADT^A02").findings] == ["hl7v2.zbe.missing"]
    assert codes(reading(EVN, PID, PV1, ZBE, kind="ADT^Z99")) == ["hl7v2.zbe.action"]


def test_several_movements_are_kept_in_the_order_of_the_message() -> None:
    second = ZBE.replace("M1^GAM", "M2^GAM").replace("0930", "0730")
    item = adt("A02", EVN, PID, PV1, ZBE, second)
    assert [one.identifiers[0].value for one in item.content.movements] == ["M1", "M2"]
    assert item.occurred_at == "2026-01-05T09:30:00+01:00"


def test_forbidden_update_is_read_as_both_with_an_information() -> None:
    found = reading(EVN, PID, PV1, "ZFD|||Y|Y|INSI|20260101", kind="ADT^A08")
    assert [item.kind for item in found.items] == ["stay", "identity"]
    assert stay(found).content.event == "stay.updated"
    assert identity(found, 1).content.event == "patient.updated"
    assert identity(found, 1).content.obtained_by == "INSI"
    assert found.items[0].patient.birth_date_corrected is True
    assert [one.code for one in found.findings] == ["hl7v2.trigger.a08"]
    assert [one.where for one in found.unread] == ["ZFD-3"]


def test_moved_account_names_where_it_comes_from() -> None:
    item = adt("A44", EVN, PID, f"MRG|IPP-9^^^{CH}^PI||NDA-9^^^{CH}")
    assert [(one.value, one.type) for one in item.content.moved_from] == [("IPP-9", "PI"), ("NDA-9", "AN")]
    assert codes(reading(EVN, PID, kind="ADT^A44")) == ["hl7v2.mrg.missing"]


@pytest.mark.parametrize(("event", "name"), [("A28", "patient.created"), ("A31", "patient.updated")])
def test_identity_events(event: str, name: str) -> None:
    found = reading(EVN, PID, "PV1|1|N", "ZFD||||N|INSI|20260101", kind=f"ADT^{event}^ADT_A05")
    item = identity(found)
    assert (item.content.event, item.content.trigger) == (name, event)
    assert (item.content.obtained_by, item.content.obtained_on) == ("INSI", "2026-01-01")
    assert item.occurred_at == "2026-01-05T10:10:00+01:00"
    assert item.patient.status is IdentityStatus.QUALIFIED
    assert found.unread == ()


def test_merge_keeps_the_survivor_and_names_the_absorbed_pair_by_pair() -> None:
    other = PID.replace("IPP-1", "IPP-2")
    found = reading(
        EVN, PID, f"MRG|IPP-8^^^{CH}^PI~IPP-9^^^{CH}^PI", other, f"MRG|IPP-7^^^{CH}^PI", kind="ADT^A40^ADT_A39"
    )
    assert [[one.value for one in identity(found, at).content.absorbed] for at in (0, 1)] == [
        ["IPP-8", "IPP-9"],
        ["IPP-7"],
    ]
    assert [item.patient.identifiers[0].value for item in found.items] == ["IPP-1", "IPP-2"]
    assert found.items[1].source.where == "MSH-10=CTRL-1, PID[2]"
    assert codes(reading(EVN, PID, kind="ADT^A40")) == ["hl7v2.mrg.missing"]


def test_removed_ins_is_told() -> None:
    removed = PID.replace(INS, f'""^{INS.partition("^")[2]}').replace("VALI", "PROV")
    found = reading(EVN, removed, f"MRG|{INS}", kind="ADT^A47^ADT_A30")
    item = identity(found)
    assert (item.content.event, item.content.ins_removed) == ("patient.identifier_changed", True)
    assert item.content.absorbed[0].value == "199017599999948"
    assert (item.patient.ins, item.patient.status, item.patient.deleted) == (None, IdentityStatus.PROVISIONAL, ("ins",))


def test_replaced_ins_is_not_a_removal() -> None:
    found = reading(EVN, PID, f"MRG|{INS.replace('1990', '2990')}", kind="ADT^A47^ADT_A30")
    item = identity(found)
    assert item.content.ins_removed is False
    assert item.patient.ins == Ins(matricule="199017599999948", oid="1.2.250.1.213.1.4.10")


def test_removed_traits_are_listed() -> None:
    pid = 'PID|1||IPP-1^^^CH^PI||FICTIVE^ALEX^ALEX^^^^L~""^""^^^^^D||""|""|||""||""|||""|||||||""|||""|||""|""||VALI'
    patient = reading(EVN, pid, kind="ADT^A31").items[0].patient
    assert set(patient.deleted) == {
        "used_name",
        "used_given_name",
        "birth_date",
        "sex",
        "addresses",
        "telecoms",
        "marital_status",
        "birth_place_name",
        "citizenships",
        "deceased_at",
        "deceased",
    }
    assert (patient.used_name, patient.birth_date, patient.sex, patient.addresses) == (None, None, None, ())


def test_link_and_unlink_name_the_other_patient() -> None:
    other = f"PID|1||IPP-2^^^{CH}^PI||AUTRE^^^^^^L"
    for event, name in (("A24", "patient.linked"), ("A37", "patient.unlinked")):
        found = reading(EVN, PID, other, kind=f"ADT^{event}")
        assert len(found.items) == 1
        assert identity(found).content.event == name
        assert [one.value for one in identity(found).content.absorbed] == ["IPP-2"]
    assert codes(reading(EVN, PID, kind="ADT^A24")) == ["hl7v2.pid.missing"]


def test_message_without_patient_makes_no_item() -> None:
    found = reading(EVN, PV1, ZBE, kind="ADT^A01")
    assert (found.items, codes(found)) == ((), ["hl7v2.pid.missing"])


def test_trigger_may_stand_in_evn_alone() -> None:
    found = reading("EVN|A28|20260105", PID, kind="ADT")
    assert (found.message_type, identity(found).content.event) == ("ADT^A28", "patient.created")


def test_location_without_room_and_facility_by_name() -> None:
    assert adt("A01", EVN, PID, "PV1|1|I|UFNEPH", ZBE).content.location == Location(unit="UFNEPH")
    found = adt("A01", EVN, PID, "PV1|1|I|^^^CHU-X", ZBE).content.location
    assert found == Location(facility=Identifier(value="CHU-X"))
