"""Running stylesheets with SaxonC-HE, and reading what they found. The only module that imports `saxonche`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NewType

import saxonche  # type: ignore[import-not-found] # a compiled extension, without types
from lxml import etree

from router.validation.faults import PackageFault
from router.validation.verdict import REPORT
from schemas.finding import Finding, Severity

MESSAGE = 1000
"""Characters of a rule's text kept: some list all that was expected."""

_STATIC_ERROR = re.compile(r"^\s*([A-Z]{4}\d{4})\s+(.*)$", re.MULTILINE)
"""An error of a stylesheet as Saxon tells it: a code (XPST0003) and a sentence."""

Node = NewType("Node", object)
"""A document as Saxon holds it."""


class Saxon:
    """SaxonC in this process: one processor, as many compiled stylesheets as wanted. Not shared between threads."""

    def __init__(self) -> None:
        self._processor = saxonche.PySaxonProcessor(license=False)
        # Value sets are files of the package: nothing is ever fetched.
        self._processor.set_configuration_property("http://saxon.sf.net/feature/allowedProtocols", "file")
        self._compiler = self._processor.new_xslt30_processor()

    def compile(self, stylesheet: bytes, name: str) -> Compiled:
        """Compile what `write_stylesheet` made. Raises PackageFault when a rule's XPath is wrong."""
        try:
            executable = self._compiler.compile_stylesheet(stylesheet_text=stylesheet.decode())
        except saxonche.PySaxonApiError as problem:
            first = _STATIC_ERROR.search(str(problem))
            said = f": {first.group(1)} {first.group(2)}" if first else ""
            raise PackageFault(f"{name} has a rule that Saxon cannot compile{said}"[:300]) from None
        return Compiled(executable, name)

    def document(self, root: etree._Element) -> Node:
        """Give a document to Saxon, parsed already by the hardened parser: it has no entity left."""
        return Node(self._processor.parse_xml(xml_text=etree.tostring(root, encoding="unicode", with_tail=False)))


class Compiled:
    """A schematron ready to run."""

    def __init__(self, executable: saxonche.PyXsltExecutable, name: str) -> None:
        self._executable = executable
        self._name = name

    def check(self, document: Node, code: str) -> Iterator[Finding]:
        """Give what fails, in the order of the patterns. A rule that stops is an error: nothing was proved."""
        try:
            result = self._executable.transform_to_string(xdm_node=document)
        except saxonche.PySaxonApiError:
            yield Finding(severity=Severity.ERROR, code=code, where="", message=f"{self._name} stopped before it ended")
            return
        for one in etree.fromstring(result.encode(), etree.XMLParser(huge_tree=True)):
            yield _finding(one, code, self._name)


def _finding(one: etree._Element, code: str, name: str) -> Finding:
    where = one.get("at", "")
    if one.tag == "stopped":
        message = f"a rule of {name} (pattern {one.get('pattern')}) could not be evaluated: {one.get('code')}"
        return Finding(severity=Severity.ERROR, code=code, where=where, message=message)
    text = " ".join((one.text or "").split())
    if len(text) > MESSAGE:
        text = text[:MESSAGE] + "…"
    role = one.get("role", "").casefold()
    if one.tag == "reported":
        severity = Severity.ERROR if role in ("error", "fatal") else Severity.WARNING
        return Finding(severity=severity, code=code + REPORT, where=where, message=text)
    severity = Severity.WARNING if role in ("warning", "warn", "info", "information") else Severity.ERROR
    return Finding(severity=severity, code=code, where=where, message=text)
