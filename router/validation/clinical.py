"""The document inside a content, and what decides which schematrons apply to it."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

CDA = "{urn:hl7-org:v3}"
UNSTRUCTURED = "1.3.6.1.4.1.19376.1.2.20"
"""templateId of a level 1 document (IHE XDS-SD)."""

PDF_COPY = "1.2.250.1.213.1.1.2.243"
"""templateId of the section that holds a PDF copy of the document."""


@dataclass(frozen=True, slots=True)
class Clinical:
    """A ClinicalDocument that is the root of its own tree, with its templateIds (root, extension or empty)."""

    root: etree._Element
    templates: tuple[tuple[str, str], ...]

    @property
    def structured(self) -> bool:
        """Whether its body is structured: a level 1 document is checked by its header only."""
        return all(root != UNSTRUCTURED for root, _ in self.templates)

    @property
    def has_pdf_copy(self) -> bool:
        """Whether it has a section with a PDF copy of itself."""
        return any(one.get("root") == PDF_COPY for one in self.root.iter(f"{CDA}templateId"))


def clinical_document(content: bytes) -> Clinical:
    """Find the ClinicalDocument; a self-displaying document has it inside a stylesheet, which is not run.

    Raises FormatError when the content is not XML or holds none.
    """
    root = parse_xml(content, code="cda")
    found = next(root.iter(f"{CDA}ClinicalDocument"), None)
    if found is None:
        raise FormatError("cda.no_document", "", "there is no ClinicalDocument (urn:hl7-org:v3) in this XML")
    if found is not root:
        # A tree of its own, with the namespaces that its xsi:type may name.
        found = etree.fromstring(etree.tostring(found, with_tail=False), etree.XMLParser(huge_tree=True))
    templates = tuple((one.get("root", ""), one.get("extension", "")) for one in found.findall(f"{CDA}templateId"))
    return Clinical(found, templates)
