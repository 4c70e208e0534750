"""Conditions of routes, in CEL (the Common Expression Language)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import cel

from router.faults import Fault

_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"")
_MENTION = re.compile(r"(?<![.\w])(item|patient|source|message)\b(?:\s*\.\s*(\w+))?(\s*[.(\[])?")

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


@lru_cache(maxsize=1024)
def used_paths(source: str) -> tuple[tuple[str, ...], ...] | None:
    """List what a condition looks at (`("item", "kind")`), or None when that cannot be told for certain.

    For certain means: every mention of a variable is `variable.field`, none is the whole variable or goes deeper.
    """
    text = _STRINGS.sub("", source)
    found: set[tuple[str, ...]] = set()
    for match in _MENTION.finditer(text):
        root, field, further = match.groups()
        if root == "source":
            found.add(("source",))
        elif field is None or further:
            return None
        else:
            found.add((root, field))
    return tuple(sorted(found))


def holds(source: str, variables: Mapping[str, Any]) -> bool:
    """Evaluate a condition; raises ConditionFault when it fails on these values or gives no truth value."""
    paths = used_paths(source)
    if paths is None:
        return _execute(source, variables)
    values = tuple(_at(variables, path) for path in paths)
    if any(not isinstance(value, str | bool | None) for value in values):
        return _execute(source, variables)
    return _remembered(source, paths, values)


def _at(variables: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value = variables[path[0]]
    # A field that is not there must fail as it would on the whole: the whole is then evaluated.
    return value.get(path[1], ()) if len(path) > 1 else value


@lru_cache(maxsize=4096)
def _remembered(source: str, paths: tuple[tuple[str, ...], ...], values: tuple[str | bool | None, ...]) -> bool:
    # Most conditions look at a kind and a yes or no: a handful of combinations serves millions of items.
    small: dict[str, Any] = {}
    for path, value in zip(paths, values, strict=True):
        if len(path) == 1:
            small[path[0]] = value
        else:
            small.setdefault(path[0], {})[path[1]] = value
    return _execute(source, small)


def _execute(source: str, variables: Mapping[str, Any]) -> bool:
    program = compile_condition(source)
    try:
        result = program.execute(dict(variables))
    except Exception as problem:
        # The library's text may quote values of the Item: only its kind leaves.
        raise ConditionFault(f"the condition fails on this item ({type(problem).__name__})") from None
    if not isinstance(result, bool):
        raise ConditionFault("the condition gives neither true nor false")
    return result
