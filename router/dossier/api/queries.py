"""From the parameters of a request to a `Query`: what is not understood is refused, never ignored.

A filter that is ignored gives more than was asked for: in a health record, an error is the safer answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from router.dossier.api.outcomes import Refused
from router.dossier.store.elements import span
from router.dossier.store.parameters import TYPES, Kind, Parameter, is_hidden, parameters
from router.dossier.store.searching import Compare, Criterion, Query, identifier_form
from router.journal.sealing import loose

MOST = 1000
"""Entries of a page at most; who asks for more gets pages."""

USUAL = 50
LONGEST_VALUE = 2000
MOST_VALUES = 100
DEEPEST_CHAIN = 3

_CONTROLS = frozenset({"_format", "_pretty", "_summary", "_elements", "_total", "_include", "_revinclude", "_cursor"})
_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.+)", re.DOTALL)
_COMMA = re.compile(r"(?<!\\),")
_BAR = re.compile(r"(?<!\\)\|")
_ESCAPED = re.compile(r"\\([\\,|$])")


@dataclass(frozen=True, slots=True)
class Include:
    """Something to bring along: `parameter` of resources of `type` (None: every reference)."""

    type: str
    parameter: Parameter | None
    target: str = ""
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a search, understood."""

    query: Query
    includes: tuple[Include, ...] = ()
    reverse: tuple[Include, ...] = ()
    elements: frozenset[str] = frozenset()
    counted: bool | None = None
    only_count: bool = False


def understood(kind: str, pairs: Sequence[tuple[str, str]], base: str = "") -> Asked:
    """Understand the parameters of a search in a type. Raises Refused."""
    if len(pairs) > MOST_VALUES:
        raise Refused(400, "A search has at most 100 parameters.")
    criteria: list[Criterion] = []
    ids: list[str] | None = None
    updated: list[tuple[Compare, int, int]] = []
    sort, descending, count = "", False, USUAL
    for name, value in pairs:
        if len(value) > LONGEST_VALUE:
            raise Refused(400, f"The value of {_shown(name)} is too long.")
        if not value:
            continue
        if name == "_id":
            these = [one for one in _values(value) if one]
            ids = these if ids is None else [one for one in ids if one in these]
        elif name in {"_lastUpdated", "_since"}:
            updated += [_dated(name, value, "ge" if name == "_since" else "eq")]
        elif name == "_sort":
            sort, descending = _sorted(kind, value)
        elif name == "_count":
            count = _counted(value)
        elif name.partition(":")[0] not in _CONTROLS:
            criteria.append(criterion(kind, name, value, base))
    query = Query(kind, tuple(criteria), None if ids is None else tuple(ids), tuple(updated), sort, descending, count)
    return _controlled(query, pairs)


def _controlled(query: Query, pairs: Sequence[tuple[str, str]]) -> Asked:
    includes: list[Include] = []
    reverse: list[Include] = []
    elements: frozenset[str] = frozenset()
    counted: bool | None = None
    only_count = query.count == 0
    for full, value in pairs:
        name, _, modifier = full.partition(":")
        if name in {"_include", "_revinclude"}:
            if modifier not in {"", "iterate", "recurse"}:
                raise Refused(400, f"{_shown(full)} is not supported.")
            found = _include(query.type, value, reverse=name == "_revinclude", iterate=bool(modifier))
            (reverse if name == "_revinclude" else includes).append(found)
        elif name == "_elements":
            elements |= {one.strip() for one in value.split(",") if one.strip()}
        elif name == "_total":
            if value not in {"none", "accurate", "estimate"}:
                raise Refused(400, "_total is none, estimate or accurate.")
            counted = value != "none"
        elif name == "_summary":
            if value not in {"false", "count"}:
                raise Refused(400, "_summary is false or count.")
            only_count = only_count or value == "count"
    return Asked(query, tuple(includes), tuple(reverse), elements, counted, only_count)


def criterion(kind: str, full: str, value: str, base: str = "", depth: int = 0) -> Criterion:
    """Understand one parameter of a type. Raises Refused."""
    known = parameters(kind)
    head, dot, rest = full.partition(".")
    name, _, modifier = head.partition(":")
    parameter = known.get(name)
    if parameter is None or is_hidden(parameter):
        raise Refused(400, f"{kind} has no search parameter {_shown(full)}; GET /fhir/metadata lists them.")
    if dot:
        return _chain(kind, parameter, modifier, rest, value, base, depth)
    if modifier == "not" and parameter.kind is Kind.TOKEN:
        return Criterion(parameter, _forms(parameter, "", value, base), negated=True)
    return Criterion(parameter, _forms(parameter, modifier, value, base))


def _chain(kind: str, parameter: Parameter, modifier: str, rest: str, value: str, base: str, depth: int) -> Criterion:
    if parameter.kind is not Kind.REFERENCE or depth >= DEEPEST_CHAIN:
        raise Refused(400, f"A search of {kind} cannot go on from {parameter.name} in this way.")
    targets = (modifier,) if modifier else tuple(one for one in parameter.targets if one in TYPES)
    chain: list[tuple[str, Criterion]] = []
    for target in targets:
        if target not in TYPES:
            raise Refused(400, f"{parameter.name} does not point at {_shown(target)}.")
        try:
            chain.append((target, criterion(target, rest, value, base, depth + 1)))
        except Refused:
            if modifier:
                raise
    if not chain:
        raise Refused(400, f"{parameter.name} has no search parameter {_shown(rest)} behind it.")
    return Criterion(parameter, chain=tuple(chain))


def _forms(parameter: Parameter, modifier: str, value: str, base: str) -> tuple[tuple[Any, ...], ...]:
    allowed = {Kind.STRING: {"exact"}, Kind.REFERENCE: {"identifier", *TYPES, "Device"}}.get(parameter.kind, set())
    if modifier and modifier not in allowed:
        raise Refused(400, f"{parameter.name}:{_shown(modifier)} is not supported.")
    forms: list[tuple[Any, ...]] = []
    for one in _values(value):
        match parameter.kind:
            case Kind.TOKEN:
                forms.append(_token(parameter, one))
            case Kind.REFERENCE if modifier == "identifier":
                forms.append(_token(parameter, one))
            case Kind.REFERENCE:
                forms += _references(parameter, modifier, _unescaped(one), base)
            case Kind.STRING:
                forms.append(("x", _unescaped(one)) if modifier == "exact" else _text(parameter, _unescaped(one)))
            case Kind.DATE:
                forms.append(_dated(parameter.name, one, "eq"))
            case Kind.BIRTH:
                forms.append(_birth(parameter, one))
    return tuple(forms)


def _token(parameter: Parameter, value: str) -> tuple[str, ...]:
    parts = [_unescaped(one) for one in _BAR.split(value)]
    if len(parts) > 2 or not parts[-1]:
        raise Refused(400, f"{parameter.name} is a code, or system|code.")
    return identifier_form(parts[0] if len(parts) == 2 else "", parts[-1])


def _references(parameter: Parameter, modifier: str, value: str, base: str) -> list[tuple[str, ...]]:
    if base and value.startswith(base):
        value = value[len(base) :].lstrip("/")
    if "|" in value:
        return [_token(parameter, value)]  # the identifier of what is pointed at, as published examples write it
    _, slash, _ = value.partition("/")
    if slash:
        return [("r", value)]
    kinds = (modifier,) if modifier else parameter.targets
    return [("r", f"{kind}/{value}") for kind in kinds]


def _text(parameter: Parameter, value: str) -> tuple[str, ...]:
    folded = loose(value)
    if len(folded) < 2:
        raise Refused(400, f"{parameter.name} needs two letters at least.")
    return ("p", folded[:12])


def _birth(parameter: Parameter, value: str) -> tuple[str, ...]:
    bare = value.removeprefix("eq")
    if not re.fullmatch(r"\d{4}(-\d{2}){0,2}", bare):
        raise Refused(400, f"{parameter.name} is a day, a month or a year, without comparison.")
    return ("d", bare)


def _dated(name: str, value: str, usual: str) -> tuple[Compare, int, int]:
    found = _PREFIX.fullmatch(value)
    if found is not None:
        days = span(found[2])
        if days is not None:
            return Compare(found[1] or usual), days[0], days[1]
    raise Refused(400, f"{name} is a date (2026-03-05, 2026-03-05T09:41:00Z), after eq, ne, gt, lt, ge, le, sa or eb.")


def _sorted(kind: str, value: str) -> tuple[str, bool]:
    descending = value.startswith("-")
    name = value.removeprefix("-")
    if name == "_lastUpdated":
        return "", descending
    parameter = parameters(kind).get(name)
    if parameter is None or parameter.kind is not Kind.DATE:
        raise Refused(400, "_sort is _lastUpdated or one date parameter, with - before it for the newest first.")
    return name, descending


def _counted(value: str) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise Refused(400, "_count is a number.")
    return min(int(value), MOST)


def _include(kind: str, value: str, *, reverse: bool, iterate: bool) -> Include:
    if value == "*" and not reverse:
        return Include(kind, None, iterate=iterate)
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    if source not in TYPES:
        raise Refused(400, f"{_shown(value)} names no resource type of this server.")
    if name == "*":
        return Include(source, None, target, iterate)
    parameter = parameters(source).get(name)
    if parameter is None or parameter.kind is not Kind.REFERENCE:
        raise Refused(400, f"{_shown(value)} names no reference of {source}.")
    return Include(source, parameter, target, iterate)


def _values(value: str) -> Iterable[str]:
    values = [one for one in _COMMA.split(value) if one]
    if len(values) > MOST_VALUES:
        raise Refused(400, "A parameter has at most 100 values.")
    return values


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(r"\1", value)


def _shown(name: str) -> str:
    """Give a name that was sent, when it can be a name and not data."""
    return name if re.fullmatch(r"[A-Za-z_][\w:.\-]{0,60}", name, re.ASCII) else "of that name"
