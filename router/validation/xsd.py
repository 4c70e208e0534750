"""The XML schema: what libxml2 says of a document, without the values that it quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, cast

from lxml import etree

from router.validation.faults import PackageFault
from router.validation.place import xpath_of
from schemas.finding import Finding, Severity

CODE = "xsd.invalid"

_NAMESPACE = re.compile(r"\{[^{}]*\}")
_SUBJECT = re.compile(r"Element '(?P<element>[^']+)'(?:, attribute '(?P<attribute>[^']+)')?: (?P<rest>.*)", re.DOTALL)
_FACET = re.compile(r"\[facet '(?P<facet>[A-Za-z]+)'\]")
_TYPE = re.compile(r"is not a valid value of the (?P<variety>[a-z ]+) type '(?P<type>[^']+)'\.\Z")
_WITHOUT_VALUES = (
    re.compile(r"This element is not expected\.( Expected is .*)?\Z"),
    re.compile(r"Missing child element\(s\)\. Expected is .*\Z"),
    re.compile(r"The attribute '[^']+' is (not allowed|required but missing)\.\Z"),
    re.compile(r"(Character|Element) content .*is not allowed.*\Z"),
    re.compile(r"No matching global (element )?declaration available.*\Z"),
)
"""Sentences of libxml2 that name elements and types only."""


class _Logged(Protocol):
    """One entry of lxml's error log, which its types do not know."""

    message: str
    path: str | None
    filename: str | None
    line: int


def _errors(log: object) -> list[_Logged]:
    return list(cast("Iterable[_Logged]", log))


class XmlSchema:
    """The schema of a package, loaded."""

    def __init__(self, path: Path) -> None:
        """Load it. Raises PackageFault with the file that is wrong."""
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        try:
            self._schema = etree.XMLSchema(etree.parse(str(path), parser))
        except (etree.XMLSchemaParseError, etree.XMLSyntaxError, OSError) as problem:
            errors = _errors(problem.error_log) if isinstance(problem, etree.LxmlError) else []
            place = f" ({Path(errors[-1].filename or path).name}, line {errors[-1].line})" if errors else ""
            raise PackageFault(f"{path.name} cannot be used as an XML schema{place}") from None

    def check(self, document: etree._Element) -> Iterator[Finding]:
        """Give what is invalid; a ClinicalDocument must be the root of its tree."""
        if self._schema.validate(document):
            return
        tree = document.getroottree()
        prefixes = {prefix: uri for one in document.iter() for prefix, uri in one.nsmap.items() if prefix}
        for error in _errors(self._schema.error_log):
            found = tree.xpath(error.path, namespaces=prefixes) if error.path else []
            element = found[0] if isinstance(found, list) and found else None
            where = xpath_of(element) if isinstance(element, etree._Element) else ""
            yield Finding(severity=Severity.ERROR, code=CODE, where=where, message=sentence(error.message))


def sentence(message: str) -> str:
    """Give libxml2's sentence without the value that it quotes, which may be health data."""
    subject = _SUBJECT.match(message)
    if subject is None:
        return "this is not valid"
    named = f"element {_local(subject['element'])}"
    if subject["attribute"]:
        named += f", attribute {_local(subject['attribute'])}"
    return f"{named}: {_complaint(subject['rest'])}"


def _complaint(rest: str) -> str:
    if any(known.match(rest) for known in _WITHOUT_VALUES):
        return _local(rest).rstrip(".")
    if facet := _FACET.match(rest):
        return f"the value does not respect the facet {facet['facet']}"
    if wanted := _TYPE.search(rest):
        return f"the value is not of the {wanted['variety']} type {_local(wanted['type'])}"
    return "the value is not allowed here"


def _local(text: str) -> str:
    return _NAMESPACE.sub("", text)
