"""The decision table in words: for the documentation, and for `passerelle patients rules`."""

from __future__ import annotations

from collections.abc import Iterator

from router.identity.decisions import VALUES, Policy, Rule, rules

_SUBJECTS = {
    "ins": "INS",
    "sender": "sender",
    "dossier": "patient known here",
    "identifier": "identifier",
    "matricule": "matricule",
    "oid": "authority of the matricule",
    "traits": "strict traits",
    "status": "status here",
    "twins": "same five traits",
}
"""How each fact is named in a condition."""


def conditions_of(rule: Rule) -> str:
    """Write a row's conditions on one line; a row without any takes what is left."""
    told = [
        f"{_SUBJECTS[name]}: {' or '.join(value.replace('_', ' ') for value in VALUES[name] if value in accepted)}"
        for name, accepted in rule.conditions
    ]
    return "; ".join(told) or "anything else"


def as_markdown() -> str:
    """Write what the facts may be, then the table of each policy."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield "### The facts"
    yield ""
    yield "| fact | value | meaning |"
    yield "|---|---|---|"
    for name, meanings in VALUES.items():
        for value, meaning in meanings.items():
            yield f"| {_SUBJECTS[name]} | `{value}` | {meaning} |"
    for policy in Policy:
        yield ""
        yield f"### The rows of `{policy}`"
        yield ""
        yield "| row | when | then | held as | why |"
        yield "|---|---|---|---|---|"
        for rule in rules(policy):
            held = f"`{rule.reason}`" if rule.reason else ""
            yield f"| {rule.row} | {conditions_of(rule)} | `{rule.action}` | {held} | {rule.english} |"
