"""From a schema as it is written to the patterns that are checked: abstract patterns, the default phase, lets.

ISO/IEC 19757-3, 5.4: abstract patterns (`is-a`), phases, variables.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from router.validation.faults import PackageFault
from router.validation.schematron.sources import SCH, Schema

ALL = "#ALL"


@dataclass(frozen=True, slots=True)
class Let:
    """A variable: its name and its XPath."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is checked: its rules in order."""

    id: str
    rules: tuple[etree._Element, ...]


@dataclass(frozen=True, slots=True)
class Expanded:
    """A schema whose default phase is chosen and whose abstract patterns are instantiated."""

    namespaces: Mapping[str, str]
    lets: tuple[Let, ...]
    patterns: tuple[Pattern, ...]
    abstract_rules: Mapping[str, etree._Element]
    """What `extends` refers to, wherever in the schema it is written."""


def expand(schema: Schema, name: str) -> Expanded:
    """Expand a schema; `name` is its file's, for PackageFault."""
    abstract = {one.get("id", ""): one for one in schema.iter(f"{SCH}pattern") if _is_abstract(one)}
    active = _active(schema, name)
    patterns: list[Pattern] = []
    lets = [*_lets(schema)]
    phase = _phase(schema)
    if phase is not None:
        lets += _lets(phase)
    for number, written in enumerate(schema.iterchildren(f"{SCH}pattern")):
        if _is_abstract(written) or (active is not None and written.get("id") not in active):
            continue
        pattern = _instance(written, abstract, name)
        lets += _lets(pattern)
        rules = tuple(rule for rule in pattern.iterchildren(f"{SCH}rule") if not _is_abstract(rule))
        patterns.append(Pattern(pattern.get("id") or f"pattern-{number + 1}", rules))
    abstract_rules = {one.get("id", ""): one for one in schema.iter(f"{SCH}rule") if _is_abstract(one)}
    namespaces = {ns.get("prefix", ""): ns.get("uri", "") for ns in schema.iterchildren(f"{SCH}ns")}
    return Expanded(namespaces, tuple(_once(lets, name)), tuple(patterns), abstract_rules)


def _phase(schema: Schema) -> etree._Element | None:
    default = schema.get("defaultPhase")
    phases = (one for one in schema.iterchildren(f"{SCH}phase") if one.get("id") == default)
    return next(phases, None)


def _active(schema: Schema, name: str) -> frozenset[str] | None:
    """Give the patterns of the default phase, None for all."""
    default = schema.get("defaultPhase")
    if default is None or default == ALL:
        return None
    phase = _phase(schema)
    if phase is None:
        raise PackageFault(f"{name}: its default phase {default} is not in it")
    return frozenset(one.get("pattern", "") for one in phase.iterchildren(f"{SCH}active"))


def _instance(written: etree._Element, abstract: Mapping[str, etree._Element], name: str) -> etree._Element:
    """Give the pattern itself, or what `is-a` makes of its abstract pattern and parameters."""
    kind = written.get("is-a")
    if kind is None:
        return written
    if kind not in abstract:
        raise PackageFault(f"{name}: the abstract pattern {kind} is not in it")
    instance = copy.deepcopy(abstract[kind])
    del instance.attrib["abstract"]
    instance.set("id", written.get("id") or kind)
    values = {one.get("name", ""): one.get("value", "") for one in written.iterchildren(f"{SCH}param")}
    if not values:
        return instance
    _name_parameters(instance, values)
    # The longest name first: $path must not take the beginning of $path_jdv.
    names = "|".join(re.escape(one) for one in sorted(values, key=len, reverse=True))
    parameter = re.compile(rf"\$({names})")
    for element in instance.iter():
        for key, value in element.attrib.items():
            text = str(value)
            if "$" in text:
                element.set(key, parameter.sub(lambda found: values[found.group(1)], text))
    return instance


def _name_parameters(instance: etree._Element, values: Mapping[str, str]) -> None:
    """Put into the texts of rules the paths that the package gives as parameters, as they are written.

    Evaluated, `value-of` would quote what the document has there.
    """
    for one in list(instance.iter(f"{SCH}value-of")):
        value = values.get(one.get("select", "").strip().removeprefix("$"), "$")
        if "$" not in value:
            named = etree.Element(f"{SCH}span")
            named.text, named.tail = value.strip("'\""), one.tail
            parent = one.getparent()
            if parent is not None:
                parent.replace(one, named)


def _lets(element: etree._Element) -> Iterator[Let]:
    for one in element.iterchildren(f"{SCH}let"):
        yield Let(one.get("name", ""), one.get("value", ""))


def _once(lets: Sequence[Let], name: str) -> Iterator[Let]:
    """Drop a variable that is declared again with the same value; another value would be ambiguous."""
    known: dict[str, str] = {}
    for one in lets:
        if known.setdefault(one.name, one.value) != one.value:
            raise PackageFault(f"{name}: the variable {one.name} has two values")
    for let_name, value in known.items():
        yield Let(let_name, value)


def _is_abstract(element: etree._Element) -> bool:
    return element.get("abstract") == "true"
