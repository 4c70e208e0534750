"""The one XML parser of the project: no entities, no network, no DTD, bounded in size and depth.

Everything that reads XML from outside (CDA, XDM metadata, SOAP, FHIR XML, HPRIM XML) calls `parse_xml`, nothing else.
"""

from __future__ import annotations

from lxml import etree

from mappings.contracts import FormatError
from mappings.pieces_limit import check_elements

LIMIT = 256 * 1024 * 1024
"""Bytes of one XML content at most: a CDA with a large scan in base64 fits, a bomb does not."""

DEPTH = 200
"""Elements inside one another at most; the deepest real document has about forty."""


def parse_xml(content: bytes, *, code: str, where: str = "", limit: int = LIMIT, whole: bool = False) -> etree._Element:
    """Parse a content and give its root element.

    Comments and processing instructions are left out, never followed; `whole` keeps them (a canonical form that is
    signed has its comments). Raises FormatError(`code`.…) with suffix
    `.too_large`, `.too_many_elements`, `.doctype` (a document type declaration is refused: no French format has one),
    `.not_xml` or `.too_deep`; the sentence gives line and column, never a word of the content.
    """
    if len(content) > limit:
        raise FormatError(f"{code}.too_large", where, f"the XML is larger than {limit // 1024 // 1024} MB")
    check_elements(content, code, where)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        # libxml2's own limit on one text (10 MB) is below an ordinary scan; LIMIT bounds the whole instead.
        huge_tree=True,
        remove_comments=not whole,
        remove_pis=not whole,
        # `collect_ids` stays as it is: switched off, libxml2 opens the external DTD that a content names.
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        position = getattr(problem, "position", None)
        place = f"line {position[0]}, column {position[1]}" if position is not None else where
        raise FormatError(f"{code}.not_xml", place, "this is not well-formed XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise FormatError(f"{code}.doctype", where, "a document type declaration is not accepted")
    if _TOO_DEEP(root):
        raise FormatError(f"{code}.too_deep", where, f"more than {DEPTH} elements are inside one another")
    return root


_TOO_DEEP = etree.XPath(f"boolean({'/*' * (DEPTH + 1)})")
"""Looks for an element at the first forbidden depth: ten times quicker than walking."""
