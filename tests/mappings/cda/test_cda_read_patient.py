"""recordTarget to the patient's identity: names, traits, and when an INS may be used."""

from __future__ import annotations

import pytest
from cda_documents import INS, IPP, NAME, PATIENT, TRAITS, codes, document, patient, reading

from mappings.contracts import Environment, FormatError, ReadContext
from schemas.actors import Address
from schemas.coding import Identifier
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex


def identity(inside: str, context: ReadContext | None = None) -> PatientIdentity:
    return reading(document(recordTarget=patient(inside)), context).items[0].patient


def test_all_traits_of_a_qualified_identity() -> None:
    found = identity(PATIENT)
    assert found.ins == Ins(matricule="199017599999948", oid="1.2.250.1.213.1.4.10")
    assert found.status is IdentityStatus.QUALIFIED
    assert found.identifiers == (Identifier(system="urn:oid:1.2.3.4.5", value="IPP-1", type="PI"),)
    assert (found.birth_name, found.birth_given_names, found.first_given_name) == (
        "TESTROSE",
        ("MARIE", "JEANNE"),
        "MARIE",
    )
    assert (found.used_name, found.used_given_name) == ("FICTIVE", "MARIANNE")
    assert (found.birth_date, found.sex, found.birth_place, found.birth_place_name) == (
        "1999-01-01",
        Sex.FEMALE,
        "99999",
        "VILLE-TEST",
    )


def test_the_order_of_identifiers_does_not_matter() -> None:
    assert identity(f"{IPP}{INS}<patient>{NAME}{TRAITS}</patient>").ins == identity(PATIENT).ins


def test_a_nir_comes_before_a_nia() -> None:
    nia = '<id root="1.2.250.1.213.1.4.9" extension="109076322083489"/>'
    nir = '<id root="1.2.250.1.213.1.4.8" extension="180017505600004"/>'
    result = reading(document(recordTarget=patient(f"{nia}{nir}<patient>{NAME}{TRAITS}</patient>")))
    found = result.items[0].patient
    assert found.ins == Ins(matricule="180017505600004", oid="1.2.250.1.213.1.4.8")
    assert [one.type for one in found.identifiers] == ["INS-NIA"]
    assert codes(result) == ["cda.ins.several"]


@pytest.mark.parametrize(
    ("inside", "context", "code"),
    [
        (PATIENT, ReadContext(environment=Environment.PRODUCTION), "cda.ins.environment"),
        (PATIENT.replace("1.4.10", "1.4.8"), ReadContext(environment=Environment.TEST), "cda.ins.environment"),
        (PATIENT.replace("199017599999948", "199017599999949"), None, "cda.ins.matricule"),
        (PATIENT.replace("199017599999948", "1990175999999"), None, "cda.ins.matricule"),
        (f"{INS}<patient>{TRAITS}</patient>", None, "cda.ins.traits"),
        (f"{INS}<patient>{NAME}</patient>", None, "cda.ins.traits"),
        (PATIENT.replace('code="F"', 'code="UN"'), None, "cda.ins.traits"),
    ],
)
def test_an_ins_that_may_not_be_used_stays_an_identifier(inside: str, context: ReadContext | None, code: str) -> None:
    result = reading(document(recordTarget=patient(inside)), context)
    found = result.items[0].patient
    assert found.ins is None
    assert found.status is None
    assert any((one.type or "").startswith("INS-NIR") for one in found.identifiers)
    assert code in codes(result)


@pytest.mark.parametrize(
    ("environment", "oid"),
    [(Environment.TEST, "1.2.250.1.213.1.4.10"), (Environment.PRODUCTION, "1.2.250.1.213.1.4.8")],
)
def test_an_ins_at_home_is_used(environment: Environment, oid: str) -> None:
    inside = PATIENT.replace("1.2.250.1.213.1.4.10", oid)
    found = identity(inside, ReadContext(environment=environment))
    assert found.ins is not None
    assert found.ins.oid == oid


def test_a_missing_birth_place_is_only_a_warning() -> None:
    inside = f'{INS}<patient>{NAME}<administrativeGenderCode code="F"/><birthTime value="19990101"/></patient>'
    result = reading(document(recordTarget=patient(inside)))
    assert result.items[0].patient.ins is not None
    assert codes(result) == ["cda.ins.birth_place"]


def test_the_computed_ins_of_before_is_no_ins() -> None:
    inside = f'<id root="1.2.250.1.213.1.4.2" extension="0123456789012345678901"/><patient>{NAME}</patient>'
    found = identity(inside)
    assert found.ins is None
    assert found.identifiers[0].type == "INS-C"


def test_sp_is_read_as_the_name_in_use() -> None:
    result = reading(
        document(recordTarget=patient(PATIENT.replace('qualifier="CL">FICTIVE', 'qualifier="SP">FICTIVE')))
    )
    assert result.items[0].patient.used_name == "FICTIVE"
    assert "cda.name.qualifier" in [one.code for one in result.findings]


def test_a_name_without_qualifiers_is_of_no_stated_kind() -> None:
    inside = f"{IPP}<patient><name><family>TESTROSE</family><given>MARIE</given></name></patient>"
    result = reading(document(recordTarget=patient(inside)))
    found = result.items[0].patient
    assert (found.family_name, found.given_name) == ("TESTROSE", "MARIE")
    assert found.birth_name is None
    assert found.birth_given_names == ()
    assert codes(result) == ["cda.name.qualifier"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1979", "1979"), ("197903", "1979-03"), ("19580230", "1958-02-30"), ("19792015", "1979-20-15")],
)
def test_birth_dates_of_any_precision(value: str, expected: str) -> None:
    assert identity(PATIENT.replace("19990101", value)).birth_date == expected


def test_addresses_and_telecoms() -> None:
    inside = (
        f'{IPP}<addr use="H"><houseNumber>1</houseNumber><streetName>Rue Fictive</streetName>'
        "<unitID>Escalier A</unitID>"
        "<postalCode>00000</postalCode><city>VILLE-TEST</city><country>FRANCE</country></addr>"
        "<addr><streetAddressLine>2 rue Fictive</streetAddressLine>"
        "<streetAddressLine>00000 VILLE</streetAddressLine></addr>"
        '<addr nullFlavor="UNK"/><telecom value="tel:0100000000" use="H"/>'
        '<telecom value="mailto:a@patient.mssante.fr"/>'
        f'<telecom nullFlavor="UNK"/><patient>{NAME}</patient>'
    )
    found = identity(inside)
    assert found.addresses == (
        Address(
            lines=("1 Rue Fictive", "Escalier A"), city="VILLE-TEST", postal_code="00000", country="FRANCE", use="H"
        ),
        Address(lines=("2 rue Fictive", "00000 VILLE")),
    )
    assert [(one.kind, one.value, one.use) for one in found.telecoms] == [
        ("phone", "0100000000", "H"),
        ("mssante", "a@patient.mssante.fr", None),
    ]


def test_deceased() -> None:
    inside = PATIENT.replace(
        "<birthplace>", '<sdtc:deceasedInd value="true"/><sdtc:deceasedTime value="20250102"/><birthplace>'
    )
    found = identity(inside)
    assert (found.deceased, found.deceased_at) == (True, "2025-01-02")


def test_several_patients_are_an_error() -> None:
    result = reading(document(recordTarget=patient(PATIENT) * 2))
    assert "cda.patient.several" in codes(result)


@pytest.mark.parametrize("inside", ["", patient(""), patient("<patient/>"), patient(f"<patient>{TRAITS}</patient>")])
def test_nobody_is_refused(inside: str) -> None:
    with pytest.raises(FormatError) as refused:
        reading(document(recordTarget=inside))
    assert refused.value.code == "cda.patient.missing"
