"""Conditions of routes, in CEL (the Common Expression Language)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import cel

from router.faults import Fault

VARIABLES = frozenset({"item", "patient", "source", "message"})
"""Names that a condition may use."""


class ConditionFault(Fault):
    """A condition that is not CEL, uses an unknown name, or does not give true or false."""


@lru_cache(maxsize=1024)
def compile_condition(source: str) -> Any:
    """Compile a condition; raises ConditionFault in one sentence."""
    try:
        program = cel.compile(source)
    except Exception as problem:
        raise ConditionFault(f"the condition is not valid CEL: {str(problem).splitlines()[0]}") from None
    unknown = sorted(set(program.variables()) - VARIABLES)
    # A macro's own variable (`x` of `list.exists(x, …)`) is reported as a variable too.
    unknown = [name for name in unknown if f"({name}," not in source.replace(" ", "")]
    if unknown:
        raise ConditionFault(f"the condition uses {', '.join(unknown)}; known names: {', '.join(sorted(VARIABLES))}")
    return program


def holds(source: str, variables: Mapping[str, object]) -> bool:
    """Evaluate a condition; raises ConditionFault when it fails on these values or gives no truth value."""
    program = compile_condition(source)
    try:
        result = program.execute(dict(variables))
    except Exception as problem:
        # The library's text may quote values of the Item: only its kind leaves.
        raise ConditionFault(f"the condition fails on this item ({type(problem).__name__})") from None
    if not isinstance(result, bool):
        raise ConditionFault("the condition gives neither true nor false")
    return result
