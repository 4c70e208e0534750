"""The decision table: facts about a message and the register in, one row out. Pure, and the same for the same facts.

The table is `decision_table.csv`: one line a row, the first that holds decides. An empty condition holds always, `a|b`
holds for either. Its rows without a letter are those of the national rules for received identities (RNIV, INS guide);
a letter marks one that we added where those say nothing. Two policies share it:

`rniv`      the national table, in full: an INS is used between qualified identities, and every strict trait must agree
`register`  the register is the authority: a known identifier attaches unless a trait contradicts it
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

ATTACH = "ATTACH"


class Policy(StrEnum):
    """Which rows of the table apply."""

    RNIV = "rniv"
    REGISTER = "register"


class Facts(NamedTuple):
    """What is known when deciding; `VALUES` lists what each may be, and what that means."""

    ins: str = "none"
    sender: str = "sure"
    dossier: str = "none"
    identifier: str = "none"
    matricule: str = "none"
    oid: str = "none"
    traits: str = "none"
    status: str = "none"
    twins: str = "none"


VALUES: dict[str, dict[str, str]] = {
    "ins": {
        "none": "the message has no INS",
        "foreign": "the OID of its INS belongs to another environment",
        "bare": "it has a number like a matricule, without the OID of an INS authority",
        "unqualified": "it has an INS, with an identity that is not qualified",
        "qualified": "it has an INS, with a qualified identity",
    },
    "sender": {
        "sure": "the sender does not doubt the identity",
        "unsure": "the sender marks the identity doubtful or fictitious",
    },
    "dossier": {
        "none": "nobody is recognised",
        "sound": "whoever is recognised is neither doubtful nor fictitious here",
        "unsure": "one who is recognised is marked doubtful or fictitious here",
    },
    "identifier": {
        "none": "no (authority, identifier) of the message is known",
        "one": "its identifiers are one patient's, whom the matricule does not contradict",
        "several": "its identifiers are several patients'",
        "other": "its identifiers are one patient's, and its matricule is or was another's",
    },
    "matricule": {
        "none": "no usable matricule, or nobody has it",
        "one": "one patient has it",
        "several": "several patients have it",
        "former": "nobody has it now, somebody had it",
    },
    "oid": {
        "none": "the matricule recognises nobody, or alone",
        "equal": "the matricule is known under the same authority",
        "differs": "the matricule is known under another authority",
    },
    "traits": {
        "none": "no number recognises one patient",
        "same": "the strict traits of the recognised patient agree (E or Q); the birth place may be missing",
        "missing": "none differs, and one is missing",
        "differ": "one differs (D)",
    },
    "status": {
        "none": "no number recognises one patient",
        "qualified": "the patient recognised by a number is qualified here",
        "other": "the patient recognised by a number has another status here, or none",
    },
    "twins": {
        "none": "nobody has the same five traits, or it was not asked",
        "with_ins": "one patient has the same five traits, and a matricule",
        "without_ins": "one patient has the same five traits, and no matricule",
        "several": "several patients have the same five traits",
    },
}
"""The facts, what each may be, and what that means. Under `register`, `traits` compares only what both sides state, and
takes a name in use for a birth name."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A row: its conditions by fact (the accepted values), what is done, and why, in both languages.

    `action` is the national code; `reason` the code under which the Item is held, empty when it is attached.
    """

    policy: Policy
    row: str
    conditions: tuple[tuple[str, frozenset[str]], ...]
    action: str
    reason: str
    english: str
    french: str

    @property
    def attaches(self) -> bool:
        """Whether the Item is attached; everything else waits for the identity desk."""
        return self.action == ATTACH

    def holds(self, facts: Facts) -> bool:
        """Say whether every condition holds."""
        return all(getattr(facts, name) in accepted for name, accepted in self.conditions)


@cache
def rules(policy: Policy) -> tuple[Rule, ...]:
    """Give the rows of a policy, in order. Raises ValueError when the table names a fact or value that is none."""
    text = files("router.identity").joinpath("decision_table.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    return tuple(_rule(line) for line in lines if Policy(line["policy"]) is policy)


def _rule(line: dict[str, str]) -> Rule:
    conditions = []
    for name, meanings in VALUES.items():
        accepted = frozenset(line[name].split("|")) if line[name] else frozenset()
        if accepted - meanings.keys():
            raise ValueError(f"row {line['row']} of the decision table: {name} is never {sorted(accepted)}")
        if accepted:
            conditions.append((name, accepted))
    told = (line["action"], line["reason"], line["english"], line["french"])
    return Rule(Policy(line["policy"]), line["row"], tuple(conditions), *told)


@lru_cache(maxsize=4096)
def decided(policy: Policy, facts: Facts) -> Rule:
    """Give the first row that holds; the last one of each policy always does."""
    return next(rule for rule in rules(policy) if rule.holds(facts))


def rule_of(row: str) -> Rule | None:
    """Find a row by its number, as it is kept with an Item."""
    return next((rule for policy in Policy for rule in rules(policy) if rule.row == row), None)
