"""The decision table itself: complete, well formed, explained, and the same for the same facts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st

from router.cli.people import command_patients
from router.identity.decisions import VALUES, Facts, Policy, decided, rule_of, rules
from router.identity.explaining import as_markdown, conditions_of
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


def test_the_table_in_the_docs_is_the_present_one() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "identity.md").read_text(encoding="utf-8")
    begin, end = "<!-- generated: passerelle patients rules --markdown -->\n", "<!-- end of the generated part -->"
    printed = text.partition(begin)[2].partition(end)[0]
    assert printed == as_markdown(), "run: passerelle patients rules --markdown"


def test_the_table_in_the_terminal_shows_every_row() -> None:
    shown = CliRunner().invoke(command_patients, ["rules"], env={"COLUMNS": "400"}, standalone_mode=False).stdout
    for policy in Policy:
        assert f"policy {policy.value}" in shown
        for rule in rules(policy):
            assert conditions_of(rule) in shown, rule.row
            assert rule.english in shown, rule.row
