"""Where an element stands, as an XPath of local names: `/ClinicalDocument/recordTarget[1]/patientRole[1]`."""

from __future__ import annotations

from lxml import etree


def xpath_of(element: etree._Element) -> str:
    """Give the path from the root; each step but the first has its rank among elements of its name."""
    steps: list[str] = []
    node: etree._Element | None = element
    while node is not None:
        parent = node.getparent()
        name = etree.QName(node).localname
        if parent is None:
            steps.append(name)
        else:
            steps.append(f"{name}[{1 + sum(1 for _ in node.itersiblings(node.tag, preceding=True))}]")
        node = parent
    return "/" + "/".join(reversed(steps))
