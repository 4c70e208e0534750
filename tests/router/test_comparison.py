"""Traits compared: what is equal, nearly so, different, or says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from router.identity.comparison import TRAITS, Agreement, compare, contradicts
from schemas.identity import PatientIdentity, Sex

ROSE = PatientIdentity(
    birth_name="TESTROSE",
    used_name="TESTEPOUX",
    birth_given_names=("MARIE", "JEANNE"),
    first_given_name="MARIE",
    birth_date="1931-03-05",
    sex=Sex.FEMALE,
    birth_place="2A004",
)
NAMES = st.sampled_from([None, "TESTROSE", "Testrosé", "TEST-ROSE", "TEST ROSE", "TESTEPOUX", "D'ESSAI", "D ESSAI"])
GIVEN = st.sampled_from([(), ("MARIE",), ("MARIE", "JEANNE"), ("MARIE-JEANNE",), ("PAUL",), ("Anne",)])
PEOPLE = st.builds(
    PatientIdentity,
    birth_name=NAMES,
    used_name=NAMES,
    family_name=NAMES,
    birth_given_names=GIVEN,
    first_given_name=st.sampled_from([None, "MARIE", "Marie", "PAUL"]),
    birth_date=st.sampled_from([None, "1931", "1931-03", "1931-03-05", "1931-03-06"]),
    sex=st.sampled_from([None, *Sex]),
    birth_place=st.sampled_from([None, "2A004", "20004", "2b004", "99999", "75056"]),
)


@pytest.mark.parametrize(
    ("trait", "changes", "expected"),
    [
        ("birth_name", {"birth_name": "Testrosé"}, "E"),
        ("birth_name", {"birth_name": "TESTEPOUX"}, "D"),
        ("birth_name", {"birth_name": None, "used_name": "TESTEPOUX"}, "M"),
        ("birth_name", {"birth_name": None, "family_name": "TESTROSE"}, "E"),
        ("birth_name", {"birth_name": None, "family_name": "TESTEPOUX"}, "M"),
        ("birth_name", {"birth_name": None, "family_name": "TESTAUTRE"}, "D"),
        ("first_given_name", {"first_given_name": None}, "E"),
        ("first_given_name", {"first_given_name": "MARIE JEANNE"}, "Q"),
        ("first_given_name", {"first_given_name": "JEANNE", "birth_given_names": ("JEANNE", "MARIE")}, "D"),
        ("first_given_name", {"first_given_name": None, "birth_given_names": ()}, "M"),
        ("birth_date", {"birth_date": "1931"}, "M"),
        ("birth_date", {"birth_date": "1931-03-06"}, "D"),
        ("sex", {"sex": Sex.UNKNOWN}, "M"),
        ("sex", {"sex": Sex.MALE}, "D"),
        ("birth_place", {"birth_place": "2a004"}, "E"),
        ("birth_place", {"birth_place": "20004"}, "Q"),
        ("birth_place", {"birth_place": "99999"}, "M"),
        ("birth_place", {"birth_place": "2B004"}, "D"),
    ],
)
def test_each_trait_agrees_as_the_documentation_says(trait: str, changes: dict[str, object], expected: str) -> None:
    found = compare(ROSE.model_copy(update=changes), ROSE)
    assert {name: getattr(found, name).value for name in TRAITS} == dict.fromkeys(TRAITS, "E") | {trait: expected}
    assert found.differs == (expected == "D")
    assert found.same == (expected in "EQ" or (trait, expected) == ("birth_place", "M"))
    assert found.agreeing == (5 if expected in "EQ" else 4)


@settings(max_examples=60)
@given(one=PEOPLE, other=PEOPLE)
def test_comparing_is_the_same_both_ways(one: PatientIdentity, other: PatientIdentity) -> None:
    assert compare(one, other) == compare(other, one)
    assert contradicts(one, other) == contradicts(other, one)


@settings(max_examples=60)
@given(one=PEOPLE)
def test_nobody_differs_from_themselves(one: PatientIdentity) -> None:
    assert Agreement.DIFFERENT not in {getattr(compare(one, one), name) for name in TRAITS}
    assert not contradicts(one, one)


@settings(max_examples=60)
@given(one=PEOPLE, other=PEOPLE)
def test_the_lenient_comparison_contradicts_nobody_with_the_same_five_traits(
    one: PatientIdentity, other: PatientIdentity
) -> None:
    found = compare(one, other)
    assert not (found.same and found.differs)
    assert not (found.same and contradicts(one, other))


def test_the_lenient_comparison_takes_any_name_and_any_given_name() -> None:
    sent = PatientIdentity(family_name="TESTEPOUX", given_name="JEANNE", birth_date="1931")
    assert not contradicts(sent, ROSE)
    assert contradicts(sent.model_copy(update={"given_name": "PAULE"}), ROSE)
    assert contradicts(sent.model_copy(update={"birth_date": "1932"}), ROSE)
    assert not contradicts(ROSE.model_copy(update={"first_given_name": "MARIE JEANNE", "birth_given_names": ()}), ROSE)
