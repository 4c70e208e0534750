"""The decision table itself: complete, well formed, explained, and the same for the same facts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.identity.decisions import VALUES, Facts, Policy, decided, rule_of, rules
from router.identity.matching import HoldReason

FACTS = st.builds(Facts, **{name: st.sampled_from(sorted(values)) for name, values in VALUES.items()})


@pytest.mark.parametrize("policy", list(Policy))
def test_every_row_says_what_it_does_and_why_in_both_languages(policy: Policy) -> None:
    for rule in rules(policy):
        assert all((rule.english, rule.french, rule.action)), rule.row
        assert rule.attaches != bool(rule.reason), rule.row
        assert rule.reason in {"", *(reason.value for reason in HoldReason)}, rule.row
        assert rule_of(rule.row) is rule, "a row's number names it alone"


@pytest.mark.parametrize("policy", list(Policy))
def test_the_last_row_takes_what_no_other_does(policy: Policy) -> None:
    assert decided(policy, Facts()).reason == "no_match"
    assert rules(policy)[-1].reason == "no_match"


@settings(max_examples=60)
@given(policy=st.sampled_from(list(Policy)), facts=FACTS)
def test_the_first_row_that_holds_decides(policy: Policy, facts: Facts) -> None:
    chosen = decided(policy, facts)
    before = rules(policy)[: rules(policy).index(chosen)]
    assert chosen.holds(facts)
    assert not any(rule.holds(facts) for rule in before)


@settings(max_examples=60)
@given(policy=st.sampled_from(list(Policy)), facts=FACTS)
def test_nothing_attaches_to_nobody_to_several_or_against_a_trait(policy: Policy, facts: Facts) -> None:
    if not decided(policy, facts).attaches:
        return
    assert "one" in {facts.identifier, facts.matricule}, "traits alone attach nothing"
    assert "several" not in {facts.identifier, facts.matricule}
    assert facts.identifier != "other"
    assert facts.traits != "differ"
    assert facts.dossier != "unsure"
    assert facts.ins != "foreign"


@settings(max_examples=60)
@given(facts=FACTS)
def test_the_national_table_uses_an_ins_between_qualified_identities_only(facts: Facts) -> None:
    if facts.ins == "none" or not decided(Policy.RNIV, facts).attaches:
        return
    assert (facts.ins, facts.status, facts.traits, facts.oid) in {
        ("qualified", "qualified", "same", oid) for oid in ("none", "equal")
    }


def test_a_table_that_names_what_is_no_fact_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VALUES, "matricule", {"none": "nobody has it"})
    rules.cache_clear()
    with pytest.raises(ValueError, match="row 5 of the decision table"):
        rules(Policy.RNIV)
    monkeypatch.undo()
    rules.cache_clear()
