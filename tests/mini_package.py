"""A validation package of a few lines, ours: a schema that takes any ClinicalDocument, and a header of some rules."""

from __future__ import annotations

import base64
from pathlib import Path

from schemas.attachment import Attachment
from schemas.coding import Identifier
from schemas.document import Document
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, ItemSet, Provenance

XSD = """\
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:hl7-org:v3" xmlns="urn:hl7-org:v3"
    elementFormDefault="qualified">
  <xs:element name="ClinicalDocument"><xs:complexType><xs:sequence>
    <xs:any minOccurs="0" maxOccurs="unbounded" processContents="lax"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="versionNumber"><xs:complexType>
    <xs:attribute name="value" type="xs:positiveInteger"/>
  </xs:complexType></xs:element>
</xs:schema>
"""

SCHEMA = """\
<schema xmlns="http://purl.oclc.org/dsdl/schematron" queryBinding="xslt2">
  <ns prefix="cda" uri="urn:hl7-org:v3"/>
  {}
</schema>
"""

HEADER = """\
<pattern id="header">
  <rule context="cda:ClinicalDocument">
    <assert test="cda:title">the title is missing</assert>
    <assert role="warning" test="cda:versionNumber">the version is missing</assert>
  </rule>
  <rule context="cda:slow">
    <assert test="every $a in 1 to 900000, $b in 1 to 900000 satisfies $a + $b gt 0">slow</assert>
  </rule>
</pattern>
"""


def write_package(folder: Path, header: str = HEADER, **more: str) -> Path:
    """Write a package; `more` are further files of its `schematrons` folder, `_` for `.` in their names' end."""
    place = folder / "schematrons" / "profils" / "structurationMinimale"
    place.mkdir(parents=True)
    (folder / "infrastructure").mkdir()
    (folder / "infrastructure" / "CDA_extended.xsd").write_text(XSD, encoding="utf-8")
    (place / "ASIP-STRUCT-MIN-StrucMin.sch").write_text(SCHEMA.format(header), encoding="utf-8")
    for name, content in more.items():
        stem, _, ending = name.rpartition("_")
        (place / f"{stem}.{ending}").write_text(content, encoding="utf-8")
    return folder


def document(*elements: str, level: int = 1) -> bytes:
    """Write a ClinicalDocument; level 1 is checked by the header only."""
    template = '<templateId root="1.3.6.1.4.1.19376.1.2.20"/>' if level == 1 else ""
    return f'<ClinicalDocument xmlns="urn:hl7-org:v3">{template}{"".join(elements)}</ClinicalDocument>'.encode()


TITLE = "<title>TESTROSE</title>"
VERSION = '<versionNumber value="1"/>'
GOOD = document(TITLE, VERSION)


def carrying(content: bytes, media_type: str = "text/xml", who: str = "ROSE") -> bytes:
    """Write a canonical message that carries a file about the patient `who`."""
    identifier = Identifier(system="urn:x-authority:FICTIVE", value=f"IPP-{who}", type="PI")
    item = DocumentItem(
        id="document",
        patient=PatientIdentity(identifiers=(identifier,), birth_name=f"TEST{who}", birth_date="1979-03-05"),
        source=Provenance(format="canonical", where="test"),
        content=Document(
            document_id="2.999.1",
            attachments=(Attachment(media_type=media_type, data=base64.b64encode(content).decode()),),
        ),
    )
    return ItemSet(items=(item,)).model_dump_json().encode()
