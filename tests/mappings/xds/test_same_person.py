from __future__ import annotations

import pytest

from mappings.same_person import OTHER_PATIENT, SamePerson, other_patient, same_person
from schemas.coding import Identifier
from schemas.finding import Severity
from schemas.identity import Ins, PatientIdentity, Sex

NIR = Ins(matricule="279035121518989", oid="1.2.250.1.213.1.4.10")
ROSE = PatientIdentity(
    ins=NIR,
    birth_name="TESTROSE",
    birth_given_names=("MARIE", "JEANNE"),
    first_given_name="MARIE",
    birth_date="1979-03-05",
    sex=Sex.FEMALE,
)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, SamePerson.YES),
        ({"ins": Ins(matricule="2790351215189", oid="1.2.250.1.213.1.4.8")}, SamePerson.YES),
        ({"ins": Ins(matricule="179035121518923", oid=NIR.oid)}, SamePerson.NO),
        ({"ins": Ins(matricule="279035121518920", oid="1.2.250.1.213.1.4.9")}, SamePerson.YES),
        ({"ins": None}, SamePerson.YES),
        ({"birth_name": "Testrosé"}, SamePerson.YES),
        ({"birth_name": "AUTRE"}, SamePerson.NO),
        ({"birth_name": "AUTRE", "used_name": "TESTROSE"}, SamePerson.YES),
        ({"first_given_name": "Marie Jeanne", "birth_given_names": ()}, SamePerson.YES),
        ({"first_given_name": "PAUL", "birth_given_names": ()}, SamePerson.NO),
        ({"birth_date": "1979"}, SamePerson.YES),
        ({"birth_date": "1980-03-05"}, SamePerson.NO),
        ({"sex": Sex.MALE}, SamePerson.NO),
        ({"sex": Sex.UNKNOWN}, SamePerson.YES),
    ],
)
def test_the_ins_and_the_strict_traits_decide(change: dict[str, object], verdict: SamePerson) -> None:
    other = ROSE.model_copy(update=change)
    assert same_person(ROSE, other) is verdict
    assert same_person(other, ROSE) is verdict


def test_too_little_to_tell() -> None:
    assert same_person(ROSE, PatientIdentity()) is SamePerson.UNKNOWN
    assert same_person(ROSE, PatientIdentity(birth_name="TESTROSE")) is SamePerson.UNKNOWN
    assert same_person(ROSE.model_copy(update={"ins": None}), ROSE.model_copy(update={"birth_date": "1979"})) is (
        SamePerson.UNKNOWN
    )


def test_an_ins_that_may_not_be_used_still_tells_two_people_apart() -> None:
    other = Identifier(system="urn:oid:1.2.250.1.213.1.4.10", value="179035121518923", type="INS-NIR-TEST")
    billing = other.model_copy(update={"type": "NH"})
    assert same_person(ROSE, PatientIdentity(identifiers=(other,))) is SamePerson.NO
    assert same_person(ROSE, PatientIdentity(identifiers=(billing,))) is SamePerson.UNKNOWN


def test_the_alarm() -> None:
    assert other_patient("OBX-5").code == OTHER_PATIENT
    assert other_patient("OBX-5").severity is Severity.ERROR
