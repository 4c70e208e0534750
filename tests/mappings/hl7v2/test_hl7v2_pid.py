"""The patient of PID: an INS only where it may be used, names, dates, addresses, authorities."""

from __future__ import annotations

import pytest
from hl7v2_messages import INS, OBX, PID, codes, reading

from mappings.contracts import Environment, ReadContext
from schemas.coding import Identifier
from schemas.identity import IdentityAttribute, IdentityStatus, Ins


@pytest.mark.parametrize(
    ("identifier", "reliability", "environment", "ins", "status", "finding"),
    [
        (INS, "VALI", None, True, IdentityStatus.QUALIFIED, None),
        (INS, "VALI", Environment.TEST, True, IdentityStatus.QUALIFIED, None),
        (INS, "VALI", Environment.PRODUCTION, False, IdentityStatus.VALIDATED, "environment"),
        (INS.replace(".10&", ".8&"), "VALI", Environment.TEST, False, IdentityStatus.VALIDATED, "environment"),
        (INS.replace(".10&", ".8&"), "VALI", Environment.PRODUCTION, True, IdentityStatus.QUALIFIED, None),
        (INS, "PROV", None, False, IdentityStatus.PROVISIONAL, "not_validated"),
        (INS, "", None, False, None, "not_validated"),
        (INS, "VALI~DOUT", None, False, IdentityStatus.VALIDATED, "attribute"),
        (INS, "VALI~HOMA", None, True, IdentityStatus.QUALIFIED, None),
        (INS.replace("48^", "49^"), "VALI", None, False, IdentityStatus.VALIDATED, "matricule"),
        (INS.replace("999948", "9999"), "VALI", None, False, IdentityStatus.VALIDATED, "matricule"),
        (INS.replace("1.2.250.1.213.1.4.10", "1.2.3"), "VALI", None, False, IdentityStatus.VALIDATED, "authority"),
    ],
)
def test_ins_is_used_only_when_it_may_be(
    identifier: str,
    reliability: str,
    environment: Environment | None,
    ins: bool,
    status: IdentityStatus | None,
    finding: str | None,
) -> None:
    pid = PID.replace(INS, identifier).replace("VALI", reliability)
    found = reading(pid, "OBR|1||F-1|A^A^L", OBX, context=ReadContext(environment=environment))
    patient = found.items[0].patient
    assert (patient.ins is not None) is ins
    assert patient.status is status
    said = [code for code in codes(found) if not code.startswith("hl7v2.header")]
    assert said == ([f"hl7v2.ins.{finding}"] if finding else [])
    if not ins:
        assert "INS" in [one.type for one in patient.identifiers]


def test_billing_number_shares_the_oid_and_is_no_ins() -> None:
    found = reading(PID.replace("ISO^INS", "ISO^NH"), "OBR|1||F-1|A^A^L", OBX)
    patient = found.items[0].patient
    assert patient.ins is None
    assert patient.status is IdentityStatus.VALIDATED
    assert [one.type for one in patient.identifiers] == ["PI", "NH"]


def test_nir_counts_before_nia_whatever_the_order() -> None:
    nia = INS.replace("INS-NIR&1.2.250.1.213.1.4.10", "INS-NIA&1.2.250.1.213.1.4.9")
    nir = INS.replace(".10&", ".8&")
    found = reading(PID.replace(INS, f"{nia}~{nir}"), "OBR|1||F-1|A^A^L", OBX)
    assert found.items[0].patient.ins == Ins(matricule="199017599999948", oid="1.2.250.1.213.1.4.8")
    assert codes(found) == ["hl7v2.ins.several"]


def test_names_dates_and_addresses_of_the_patient() -> None:
    pid = (
        "PID|1||IPP-1^^^CH^PI||NÉE^MARIE^MARIE JEANNE^^Mme^^L~USUELLE^MANON^^^^^D||19582015|O|||"
        r"1 RUE A^BAT B\S\ESC C^VILLE^^99999^FRA^H~^^LIEU^^^^BDL^^35238||0199000001~^NET^Internet^m@exemple.invalid|"
        "^WPN^CP^^^^^^^^^0699000001||M^Marié^HL70002||NDA-1^^^CH^AN||||||||FRA~BEL|||20260101|Y||VALI~FICT"
    )
    patient = reading(pid, "OBR|1||F-1|A^A^L", OBX).items[0].patient
    assert (patient.birth_name, patient.birth_given_names, patient.first_given_name) == (
        "NÉE",
        ("MARIE", "JEANNE"),
        "MARIE",
    )
    assert (patient.used_name, patient.used_given_name, patient.civility) == ("USUELLE", "MANON", "Mme")
    assert (patient.birth_date, patient.sex) == ("1958-20-15", "U")
    assert (patient.birth_place, patient.birth_place_name) == ("35238", "LIEU")
    assert patient.addresses[0].lines == ("1 RUE A", "BAT B", "ESC C")
    assert [(one.kind, one.value) for one in patient.telecoms] == [
        ("phone", "0199000001"),
        ("email", "m@exemple.invalid"),
        ("mobile", "0699000001"),
    ]
    assert patient.citizenships == ("FRA", "BEL")
    assert (patient.deceased, patient.deceased_at) == (True, "2026-01-01")
    assert patient.attributes == (IdentityAttribute.FICTITIOUS,)


@pytest.mark.parametrize(
    ("name", "birth_given_names", "family_name"),
    [
        ("NOM^ALEX^ALEX ANDREA^^^^L", ("ALEX", "ANDREA"), None),
        ("NOM^JEAN-PAUL^JEAN PAUL MARIE^^^^L", ("JEAN", "PAUL", "MARIE"), None),
        ("NOM^ADAM^A^^^^L", ("ADAM", "A"), None),
        ("NOM^ALEX^^^^M.^^L", (), None),
        ("NOM^ALEX^^^^^U", (), "NOM"),
        ("NOM^ALEX", (), "NOM"),
    ],
)
def test_name_types(name: str, birth_given_names: tuple[str, ...], family_name: str | None) -> None:
    patient = reading(PID.replace("FICTIVE^ALEX^ALEX^^^^L", name), "OBR|1||F-1|A^A^L", OBX).items[0].patient
    assert patient.birth_given_names == birth_given_names
    assert patient.family_name == family_name
    assert (patient.birth_name is None) is (family_name is not None)


@pytest.mark.parametrize(
    ("authority", "system", "name"),
    [
        ("CH&990000001&M", "urn:x-finess:990000001", "CH"),
        ("CH&1990000001&N", "urn:x-finess:990000001", "CH"),
        ("CH&1.2.3&ISO", "urn:oid:1.2.3", "CH"),
        ("1.2.250.1.213.1.4.10", "urn:oid:1.2.250.1.213.1.4.10", None),
        ("CH Fictif/é", "urn:x-authority:CH%20Fictif%2F%C3%A9", "CH Fictif/é"),
        ("CH&SVC&L", "urn:x-authority:CH/SVC", "CH"),
        ("CH&0A&UUID", "urn:uuid:0a", "CH"),
        ("", None, None),
    ],
)
def test_authorities_of_identifiers(authority: str, system: str | None, name: str | None) -> None:
    pid = f"PID|1||X-1^^^{authority}^PI||FICTIVE^^^^^^L"
    (identifier,) = reading(pid, "OBR|1||F-1|A^A^L", OBX).items[0].patient.identifiers
    assert identifier == Identifier(system=system, value="X-1", type="PI", assigner=name)
