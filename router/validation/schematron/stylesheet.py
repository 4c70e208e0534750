"""The XSLT that checks a document against an expanded schema, written for Saxon-HE (XSLT 3.0, which HE has whole).

Each pattern is a mode, each rule a template; an element is judged by the first rule of a pattern that matches it
(ISO/IEC 19757-3, 6.5). What fails is written as `failed` (an assertion) or `reported` (a report), with the XPath of the
element in `at`; an element for which a rule stops on an error is written as `stopped`, and the others go on.

The text of a rule is kept but for values that it would quote from the document: those are health data, and become `…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from router.validation.faults import PackageFault
from router.validation.schematron.expansion import Expanded, Pattern
from router.validation.schematron.sources import SCH, Folder

_XSL_NAMESPACE = "http://www.w3.org/1999/XSL/Transform"
XSL = f"{{{_XSL_NAMESPACE}}}"
HIDDEN = "…"
"""Stands in a rule's text for a value of the document."""

_OWN_NAMESPACE = "urn:passerelle:validation"
_HARMLESS = re.compile(
    r"""\s*(?: '[^']*' | "[^"]*" | \d+(?:\.\d+)?
    | (?:local-)?name\(\.?\) | string-length\([^()]*\) | count\([^()]*\) )\s*\Z""",
    re.VERBOSE,
)
"""Expressions that give a constant, a number, or the name of an element: never a value of the document."""

_VARIABLE = re.compile(r"\$([\w.-]+)")
_BOUND = re.compile(r"\$([\w.-]+)\s+in\b")
"""A variable of the expression's own (`for $n in`, `every $n in`)."""

_DOCUMENT_NAME = re.compile(r"""(['"])([^'"]+\.xml)\1""", re.IGNORECASE)

_LOCATION = """for $n in ancestor-or-self::node()[not(self::document-node())] return concat(
 '/', if ($n instance of attribute()) then concat('@', local-name($n)) else if ($n instance of element())
 then concat(local-name($n), if ($n/parent::*) then concat('[', 1 + count($n/preceding-sibling::*
 [node-name(.) = node-name($n)]), ']') else '') else 'text()')"""


def write_stylesheet(schema: Expanded, folder: Folder, base: Path, name: str) -> bytes:
    """Write the stylesheet. `base` is the folder of the schema: its value sets are named from there.

    Raises PackageFault when a rule extends one that is not there.
    """
    root = etree.Element(
        f"{XSL}stylesheet",
        nsmap={**_usable(schema.namespaces), "xsl": _XSL_NAMESPACE, "own": _OWN_NAMESPACE},
        attrib={"version": "3.0", "exclude-result-prefixes": "#all"},
    )
    root.set("{http://www.w3.org/XML/1998/namespace}base", (base / name).as_uri())
    _add(root, "output", method="xml", encoding="UTF-8", indent="no")
    for let in schema.lets:
        _add(root, "variable", name=let.name, select=_with_real_names(let.value, folder, base))
    _Writer(schema, folder, base, name, root).write()
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


@dataclass(slots=True)
class _Writer:
    schema: Expanded
    folder: Folder
    base: Path
    name: str
    root: etree._Element
    global_names: frozenset[str] = field(init=False)
    value_sets: dict[str, str] = field(init=False)
    """Variables (with their `$`) that name a file of the package, and that file's name."""
    called: dict[str, str] = field(default_factory=dict)
    """Abstract rules that became named templates: rule id to template name."""

    def __post_init__(self) -> None:
        self.global_names = frozenset(let.name for let in self.schema.lets)
        files = ((let.name, _DOCUMENT_NAME.fullmatch(let.value.strip())) for let in self.schema.lets)
        self.value_sets = {f"${name}": file.group(2).rpartition("/")[2] for name, file in files if file is not None}

    def write(self) -> None:
        at = _add(self.root, "function", name="own:at", visibility="private")
        _add(at, "param", name="node")
        _add(at, "value-of", select="string-join($node ! (" + _LOCATION + "), '')")
        start = _add(self.root, "template", match="/", name="check")
        findings = etree.SubElement(start, "findings")
        for number, pattern in enumerate(self.schema.patterns):
            visited = self._visited(pattern)
            attempt = _add(findings, "try")
            _add(attempt, "apply-templates", mode=f"p{number}", select=visited)
            # An error undoes what the pattern found: it is run again, each element on its own.
            again = _add(_add(_add(attempt, "catch", errors="*"), "for-each", select=visited), "try")
            _add(again, "apply-templates", mode=f"p{number}", select=".")
            stopped = etree.SubElement(_add(again, "catch", errors="*"), "stopped")
            stopped.set("pattern", pattern.id)
            stopped.set("at", "{own:at(.)}")
            stopped.set("code", "{local-name-from-QName($err:code)}")
        for number, pattern in enumerate(self.schema.patterns):
            # The elements to visit are listed above: a template judges its own and goes no further. (`deep-skip` alone
            # would still go down from the document node.)
            _add(self.root, "mode", name=f"p{number}", **{"on-no-match": "deep-skip"})
            _add(self.root, "template", match="document-node()", mode=f"p{number}", priority="0")
            for rank, rule in enumerate(pattern.rules):
                self._rule(rule, f"p{number}", len(pattern.rules) - rank)
        self._named_templates()

    def _visited(self, pattern: Pattern) -> str:
        contexts = [re.sub(r"\[[^\[\]]*\]", "", rule.get("context", "")) for rule in pattern.rules]
        visited = "/ | //*"
        if any(re.search(r"(?:@|attribute::)[^/|]*(?:\||$)", context) for context in contexts):
            visited += " | //@*"
        if any("text()" in context for context in contexts):
            visited += " | //text()"
        return visited

    def _rule(self, rule: etree._Element, mode: str, priority: int) -> None:
        template = _add(self.root, "template", match=rule.get("context", ""), mode=mode, priority=str(priority))
        self._body(rule, template, self._needed(rule))

    def _body(self, rule: etree._Element, template: etree._Element, needed: frozenset[str]) -> None:
        """Write what a rule says: variables, assertions, and what it inherits, in their order."""
        constants = self._constants(rule)
        for one in rule.iterchildren():
            if one.tag == f"{SCH}let":
                _add(template, "variable", name=one.get("name", ""), select=self._real(one.get("value", "")))
            elif one.tag == f"{SCH}extends":
                self._extends(one.get("rule", ""), template, needed)
            elif one.tag in (f"{SCH}assert", f"{SCH}report"):
                self._assertion(one, template, constants)

    def _extends(self, wanted: str, template: etree._Element, needed: frozenset[str]) -> None:
        """Inherit an abstract rule: by a call, or in place when the rule uses its variables.

        Called, it is compiled once instead of once a heir: the header's schema then loads many times faster.
        """
        inherited = self._abstract(wanted)
        declared = self._declared(inherited)
        if needed & declared or self._needed(inherited) - declared:
            self._body(inherited, template, needed)
            return
        _add(template, "call-template", name=self.called.setdefault(wanted, f"rule{len(self.called)}"))

    def _named_templates(self) -> None:
        written: set[str] = set()
        while pending := [one for one in self.called if one not in written]:
            for wanted in pending:
                written.add(wanted)
                inherited = self._abstract(wanted)
                self._body(inherited, _add(self.root, "template", name=self.called[wanted]), self._needed(inherited))

    def _assertion(self, assertion: etree._Element, template: etree._Element, constants: frozenset[str]) -> None:
        is_assert = assertion.tag == f"{SCH}assert"
        test = self._real(assertion.get("test", ""))
        found = _add(template, "if", test=f"not({test})" if is_assert else test)
        output = etree.SubElement(found, "failed" if is_assert else "reported")
        if role := assertion.get("role"):
            output.set("role", role.replace("{", "{{").replace("}", "}}"))
        output.set("at", "{own:at(.)}")
        _text(output, assertion.text)
        for inner in assertion.iterchildren():
            if inner.tag == f"{SCH}name" and inner.get("path") is None:
                _add(output, "value-of", select="name()")
            elif inner.tag == f"{SCH}value-of":
                self._quoted(inner.get("select", ""), output, constants)
            elif inner.tag == f"{SCH}name":
                _text(output, HIDDEN)
            else:
                _text(output, "".join(str(piece) for piece in inner.itertext()))
            _text(output, inner.tail)

    def _quoted(self, expression: str, output: etree._Element, constants: frozenset[str]) -> None:
        """Write what a `value-of` of a rule's text gives, or that it is hidden."""
        value_set = self.value_sets.get(expression.strip())
        if value_set is not None:
            _text(output, value_set)
        elif _harmless(expression, constants):
            _add(output, "value-of", select=expression)
        else:
            _text(output, HIDDEN)

    def _real(self, expression: str) -> str:
        return _with_real_names(expression, self.folder, self.base)

    def _abstract(self, wanted: str) -> etree._Element:
        if wanted not in self.schema.abstract_rules:
            raise PackageFault(f"{self.name}: the abstract rule {wanted} is not in it")
        return self.schema.abstract_rules[wanted]

    def _lineage(self, rule: etree._Element, seen: frozenset[str] = frozenset()) -> Iterator[etree._Element]:
        """Give the rule and all that it inherits from."""
        yield rule
        for one in rule.iterchildren(f"{SCH}extends"):
            wanted = one.get("rule", "")
            if wanted in seen:
                raise PackageFault(f"{self.name}: the abstract rule {wanted} extends itself")
            yield from self._lineage(self._abstract(wanted), seen | {wanted})

    def _declared(self, rule: etree._Element) -> frozenset[str]:
        return frozenset(let.get("name", "") for one in self._lineage(rule) for let in one.iterchildren(f"{SCH}let"))

    def _needed(self, rule: etree._Element) -> frozenset[str]:
        """Give the variables that the rule uses and declares nowhere: they come from what it extends."""
        expressions = [one.get(key, "") for one in rule.iter() for key in ("test", "value", "select", "path")]
        used = {name for one in expressions for name in set(_VARIABLE.findall(one)) - set(_BOUND.findall(one))}
        own = {let.get("name", "") for let in rule.iterchildren(f"{SCH}let")}
        return frozenset(used - own - self.global_names)

    def _constants(self, rule: etree._Element) -> frozenset[str]:
        """Give the variables of a rule that hold the name of an element or a constant."""
        values: dict[str, set[str]] = {}
        for one in self._lineage(rule):
            for let in one.iterchildren(f"{SCH}let"):
                values.setdefault(let.get("name", ""), set()).add(let.get("value", ""))
        return frozenset(name for name, all_of in values.items() if all(_HARMLESS.match(one) for one in all_of))


def _harmless(expression: str, constants: frozenset[str]) -> bool:
    variable = _VARIABLE.fullmatch(expression.strip())
    return variable.group(1) in constants if variable else _HARMLESS.match(expression) is not None


def _with_real_names(expression: str, folder: Folder, base: Path) -> str:
    """Name the value sets of an expression as the file system does: `doc()` would mind the case."""

    def real(found: re.Match[str]) -> str:
        path = folder.find(base, found.group(2))
        if path is None:
            return found.group(0)
        return f"{found.group(1)}{path.as_uri()}{found.group(1)}"

    return _DOCUMENT_NAME.sub(real, expression) if ".xml" in expression.lower() else expression


def _usable(namespaces: Mapping[str, str]) -> dict[str, str]:
    return {
        "err": "http://www.w3.org/2005/xqt-errors",
        "xs": "http://www.w3.org/2001/XMLSchema",
        **{prefix: uri for prefix, uri in namespaces.items() if prefix not in ("", "xml", "xsl")},
    }


def _add(parent: etree._Element, instruction: str, /, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{XSL}{instruction}", attributes)


def _text(output: etree._Element, text: str | None) -> None:
    if text and text.strip():
        _add(output, "text").text = text
    elif text:
        _add(output, "text").text = " "
