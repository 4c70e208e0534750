"""Whose is it: the national test cases, and what each policy does with what real feeds send."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from router.identity.candidates import FoundBy, candidates_of
from router.identity.decisions import Policy, rule_of
from router.identity.matching import Decision, HoldReason, Matcher
from router.identity.patients import look_up, patient_tokens, register, remember_former
from router.journal import tables
from router.journal.operations import IDENTITY_PLACE
from router.journal.store import Store
from router.journal.unit import Unit
from schemas.coding import Identifier
from schemas.identifiers import InsEnvironment
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex

NUMBERS = {"M1": "180017505600004", "M2": "280012A00400019", "H1": "185107505600097"}
STATUS = {"QUAL": IdentityStatus.QUALIFIED, "VALI": IdentityStatus.VALIDATED, "RECUP": IdentityStatus.RETRIEVED}
IPP = Identifier(system="urn:x-authority:FICTIVE", value="IPP-1", type="PI")
ROSE = PatientIdentity(
    birth_name="TEST-ROSE",
    birth_given_names=("MARIE", "JEANNE"),
    first_given_name="MARIE",
    birth_date="1980-01-15",
    sex=Sex.FEMALE,
    birth_place="75056",
)
TRAITS: dict[str, dict[str, dict[str, object]]] = {
    "birth_name": {"Q": {"birth_name": "Test Rose"}, "D": {"birth_name": "TESTFACTICE"}},
    "first_given": {"D": {"first_given_name": "PAULE", "birth_given_names": ("PAULE",)}},
    "birthdate": {"D": {"birth_date": "1980-01-16"}},
    "sex": {"D": {"sex": Sex.MALE}},
    "cog": {"MISSING": {"birth_place": None}, "D": {"birth_place": "13055"}},
}


def ins(matricule: str = "M1", suffix: str = ".8") -> Ins:
    return Ins(matricule=NUMBERS[matricule], oid=f"1.2.250.1.213.1.4{suffix}")


def qualified(identity: PatientIdentity = ROSE, matricule: str = "M1", suffix: str = ".8") -> PatientIdentity:
    return identity.model_copy(update={"ins": ins(matricule, suffix), "status": IdentityStatus.QUALIFIED})


@pytest.fixture
def know(store: Store) -> Callable[[PatientIdentity], int]:
    """Put a patient into the register, whoever else has the same numbers."""

    def put(identity: PatientIdentity) -> int:
        sealed = store.sealer.seal(identity.model_dump_json().encode(), IDENTITY_PLACE)
        row = {"created_at": 1, "updated_at": 1, "in_coordination": True, "sealed_identity": sealed}
        with store.writing() as connection:
            number: int = connection.execute(
                insert(tables.patient).values(row).returning(tables.patient.c.id)
            ).scalar_one()
            tokens = patient_tokens(store.sealer, identity)
            rows = [{"token": token, "patient_id": number, "kind": kind} for token, kind in tokens.items()]
            connection.execute(insert(tables.patient_token), rows)
        return number

    return put


def decide(
    store: Store,
    identity: PatientIdentity,
    policy: Policy = Policy.RNIV,
    environment: InsEnvironment = InsEnvironment.PRODUCTION,
) -> Decision:
    with store.reading() as connection:
        matcher = Matcher(store.sealer, policy=policy, environment=environment)
        (decision,) = matcher.decide(connection, [(identity, "")])
    return decision


def why(decision: Decision) -> tuple[str, str]:
    return decision.row, decision.reason.value if decision.reason is not None else "attached"


@pytest.mark.shared_data
def test_every_national_case_is_decided_as_expected(
    store: Store, know: Callable[[PatientIdentity], int], shared_data: Path
) -> None:
    text = (shared_data / "ins" / "testcases" / "matching.csv").read_text(encoding="utf-8")
    cases = list(csv.DictReader(text.splitlines(), delimiter=";"))
    assert len(cases) == 20
    for case in cases:
        with store.writing() as connection:
            connection.execute(tables.patient_token.delete())
            connection.execute(tables.patient.delete())
        known = [know(local) for local in _local(case)]
        if "H1_in_local_history" in case["context"]:
            with store.writing() as connection:
                remember_former(known[0], [NUMBERS["H1"], NUMBERS["M1"]]).apply(Unit(connection, store.sealer))
        decision = decide(store, _incoming(case), environment=InsEnvironment(_PLATFORMS[case["platform"]]))
        rule = rule_of(decision.row)
        assert rule is not None
        assert rule.action == case["expected"], case["id"]
        assert (decision.patient is not None) == (case["expected"] == "ATTACH"), case["id"]
        assert (decision.reason is None) == (case["expected"] == "ATTACH"), case["id"]
        if decision.patient is not None:
            assert decision.patient.id == known[0], case["id"]


_PLATFORMS = {"prod": "production", "test": "test"}


def _local(case: dict[str, str]) -> list[PatientIdentity]:
    status = case["local_status"]
    if status == "none":
        return []
    count, status = (2, status.removeprefix("2x")) if status.startswith("2x") else (1, status)
    context = case["context"]
    changes: dict[str, object] = {"status": STATUS[status]}
    if case["local_matricule"]:
        suffix = context.removeprefix("local_oid=") if "local_oid" in context else case["incoming_oid_suffix"] or ".8"
        changes["ins"] = ins(case["local_matricule"], suffix)
    if "douteux" in context:
        changes["attributes"] = (IdentityAttribute.DOUBTFUL,)
    if "ipp_known" in context:
        changes["identifiers"] = (IPP,)
    return [ROSE.model_copy(update=changes)] * count


def _incoming(case: dict[str, str]) -> PatientIdentity:
    changes: dict[str, object] = {"status": STATUS.get(case["incoming_status"])}
    for trait, ways in TRAITS.items():
        if case[trait] not in {"E", ""}:
            changes |= ways[case[trait]]
    if case["incoming_matricule"] and case["incoming_oid_suffix"]:
        changes["ins"] = ins(case["incoming_matricule"], case["incoming_oid_suffix"])
    elif case["incoming_matricule"]:
        changes["identifiers"] = (Identifier(value=NUMBERS[case["incoming_matricule"]], type="INS"),)
    if "ipp_known" in case["context"]:
        changes["identifiers"] = (IPP,)
    return ROSE.model_copy(update=changes)


BARE = ROSE.model_copy(update={"identifiers": (IPP, Identifier(value=NUMBERS["M1"]))})
CLAIMED = Identifier(system="urn:oid:1.2.250.1.213.1.4.8", value=NUMBERS["M1"], type="INS")
BILLING = Identifier(system="urn:oid:1.2.250.1.213.1.4.8", value=NUMBERS["M1"], type="NH")
KNOWN = ROSE.model_copy(update={"identifiers": (IPP,), "status": IdentityStatus.VALIDATED})
NAMELESS = ROSE.model_copy(update={"identifiers": (IPP,), "first_given_name": None, "birth_given_names": ()})
USED = ROSE.model_copy(update={"identifiers": (IPP,), "birth_name": None, "family_name": "TESTEPOUX"})


FEEDS = [
    (BARE, ("2", "matricule_without_oid"), ("R9", "attached")),
    (KNOWN.model_copy(update={"identifiers": (IPP, CLAIMED)}), ("3", "ins_not_qualified"), ("R9", "attached")),
    (KNOWN.model_copy(update={"identifiers": (IPP, BILLING)}), ("15", "attached"), ("R9", "attached")),
    (NAMELESS, ("16a", "trait_missing"), ("R9", "attached")),
    (USED, ("16a", "trait_missing"), ("R9", "attached")),
    (qualified(KNOWN), ("12", "insi_to_call"), ("R9", "attached")),
    (qualified(USED), ("10b", "trait_missing"), ("R9", "attached")),
    (qualified(), ("12", "insi_to_call"), ("R14", "insi_to_call")),
    (ROSE, ("17", "traits_only"), ("R16", "traits_only")),
    (ROSE.model_copy(update={"birth_date": "1981"}), ("18", "no_match"), ("R17", "no_match")),
    (qualified(ROSE, suffix=".10"), ("1", "ins_of_other_environment"), ("R1", "ins_of_other_environment")),
]
"""What is sent about the patient whom `KNOWN` registered, and what each policy does with it."""


def test_what_real_feeds_send_about_a_known_identifier(store: Store, know: Callable[[PatientIdentity], int]) -> None:
    number = know(KNOWN.model_copy(update={"used_name": "TESTEPOUX"}))
    for sent, national, lenient in FEEDS:
        assert why(decide(store, sent)) == national
        decision = decide(store, sent, Policy.REGISTER)
        assert why(decision) == lenient
        assert decision.patient is None or decision.patient.id == number


@pytest.mark.parametrize("policy", list(Policy))
def test_an_identifier_and_an_ins_of_two_people_are_held_with_both(
    store: Store, know: Callable[[PatientIdentity], int], policy: Policy
) -> None:
    one, other = know(KNOWN), know(qualified())
    decision = decide(store, qualified(KNOWN), policy)
    assert decision.reason is HoldReason.DISAGREE
    assert decision.candidates == (one, other)


@pytest.mark.parametrize("policy", list(Policy))
def test_a_former_matricule_of_somebody_else_is_not_overlooked_for_a_known_identifier(
    store: Store, know: Callable[[PatientIdentity], int], policy: Policy
) -> None:
    one, other = know(KNOWN), know(ROSE.model_copy(update={"birth_name": "TESTJADIS"}))
    with store.writing() as connection:
        remember_former(other, [NUMBERS["H1"]]).apply(Unit(connection, store.sealer))
    decision = decide(store, qualified(KNOWN, "H1"), policy)
    assert (decision.reason, decision.candidates) == (HoldReason.DISAGREE, (one, other))


@pytest.mark.parametrize("policy", list(Policy))
def test_homonyms_are_told_and_never_chosen_between(
    store: Store, know: Callable[[PatientIdentity], int], policy: Policy
) -> None:
    both = (know(ROSE), know(ROSE.model_copy(update={"identifiers": (IPP,)})))
    decision = decide(store, ROSE, policy)
    assert (decision.reason, decision.candidates) == (HoldReason.HOMONYMS, both)


@pytest.mark.parametrize("policy", list(Policy))
def test_nobody_is_attached_to_a_doubtful_dossier(
    store: Store, know: Callable[[PatientIdentity], int], policy: Policy
) -> None:
    know(KNOWN.model_copy(update={"attributes": (IdentityAttribute.DOUBTFUL,)}))
    assert decide(store, KNOWN, policy).reason is HoldReason.ATTRIBUTE


def test_a_matricule_that_an_update_replaces_becomes_a_former_one(store: Store) -> None:
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        first = register(qualified(KNOWN, "M2"), in_coordination=True, now=1).apply(unit)
        again = register(qualified(KNOWN, "M1"), in_coordination=True, now=2).apply(unit)
    assert (first.patient_id, again.created) == (again.patient_id, False)
    assert why(decide(store, qualified(matricule="M2"))) == ("10", "historic_matricule")
    assert why(decide(store, qualified(matricule="M1"))) == ("8", "attached")
    with store.writing() as connection:
        register(qualified(KNOWN, "M2"), in_coordination=True, now=3).apply(Unit(connection, store.sealer))
    assert why(decide(store, qualified(matricule="M2"))) == ("8", "attached")
    assert why(decide(store, qualified(matricule="M1"))) == ("10", "historic_matricule")


def test_candidates_are_everybody_that_something_points_to(
    store: Store, know: Callable[[PatientIdentity], int]
) -> None:
    by_ins = know(qualified(ROSE.model_copy(update={"birth_name": "TESTAUTRE", "birth_date": "1950-02-03"})))
    by_number = know(ROSE.model_copy(update={"identifiers": (IPP,)} | TRAITS["first_given"]["D"]))
    former = know(ROSE.model_copy(update={"birth_name": "TESTJADIS", "sex": Sex.MALE}))
    alike = know(ROSE)
    mistyped_name = know(ROSE.model_copy(update={"birth_name": "TESTROZE"}))
    mistyped_date = know(ROSE.model_copy(update={"birth_date": "1980-10-15"}))
    know(ROSE.model_copy(update={"birth_name": "TESTLOIN", "birth_date": "1931-07-07"}))
    with store.writing() as connection:
        remember_former(former, [NUMBERS["H1"]]).apply(Unit(connection, store.sealer))
    with store.reading() as connection:
        sent = qualified(ROSE.model_copy(update={"identifiers": (IPP,)}))
        found = candidates_of(connection, store.sealer, sent)
        historic = candidates_of(connection, store.sealer, qualified(matricule="H1"))
    assert [(one.patient_id, one.by) for one in found] == [
        (by_ins, FoundBy.INS),
        (by_number, FoundBy.IDENTIFIER),
        (alike, FoundBy.TRAITS),
        (mistyped_name, FoundBy.NEAR),
        (mistyped_date, FoundBy.NEAR),
    ]
    assert (historic[0].patient_id, historic[0].by) == (former, FoundBy.FORMER_INS)
    marks = {one.patient_id: [getattr(one.traits, name).value for name in one.traits.__slots__] for one in found}
    assert marks[by_ins] == ["D", "E", "D", "E", "E"]
    assert marks[by_number] == ["E", "D", "E", "E", "E"]
    assert marks[mistyped_name] == ["D", "E", "E", "E", "E"]


def test_a_person_left_without_traits_or_numbers_has_no_candidate(store: Store) -> None:
    with store.reading() as connection:
        assert candidates_of(connection, store.sealer, PatientIdentity(birth_name="TESTROSE")) == []
        assert look_up(connection, []).active == {}
