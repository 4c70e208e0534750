"""The format as the registry knows it: recognition, positions, explanation, human reading, OIDs."""

from __future__ import annotations

import pytest
from cda_documents import PATIENT, cr_bio, document, observation, patient, relation, section

from mappings.cda import FORMAT, is_cda
from mappings.cda.oids import (
    LOCAL_IDS_OID,
    SUB_ID_OID,
    code_system_of_oid,
    identifier_of,
    oid_of_code_system,
    root_and_extension,
    system_of_root,
)
from mappings.cda.writing.codes import named_oid
from mappings.contracts import Piece, ReadContext
from mappings.explain import explain
from mappings.registry import formats
from schemas.coding import LOCAL, LOINC, Identifier

UUID = "8D5E778C-E155-4685-95C6-5FF65A362964"


def test_the_registry_has_it() -> None:
    assert formats()["cda"] is FORMAT


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (document(), True),
        (b"\xef\xbb\xbf" + document(), True),
        (b"\n <?xml version='1.0'?><!-- x -->" + document(), True),
        (document().decode().replace("ClinicalDocument", "cda:ClinicalDocument").encode(), True),
        (document().decode().encode("utf-16"), True),
        (b"<ClinicalDocument/>", False),
        (b'<Bundle xmlns="http://hl7.org/fhir"/>', False),
        (b"MSH|^~\\&|urn:hl7-org:v3 <ClinicalDocument ", False),
        (b'{"a": "<ClinicalDocument xmlns=urn:hl7-org:v3 "}', False),
        (b"", False),
    ],
)
def test_recognition(content: bytes, expected: bool) -> None:  # a table's column
    assert is_cda(content) is expected
    assert (FORMAT.sniff(content) > 0.5) is expected


def test_a_document_far_inside_a_wrapper_is_recognised() -> None:
    style = b"<xsl:template>" + b" " * 100_000 + b"</xsl:template>"
    start = b'<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    assert is_cda(start + style + document() + b"</xsl:stylesheet>")
    assert not is_cda(start + style + b"</xsl:stylesheet>")


def test_positions_are_paths_with_their_bytes() -> None:
    content = document(title="<title> <![CDATA[Lettre]]>  é fictive</title><!-- <a b='c'/> --><?p q?>")
    found = {one.where: content[one.start : one.end].decode() for one in FORMAT.positions(content)}
    assert found["id/@extension"] == "DOC-1"
    assert found["recordTarget/patientRole/id[2]/@extension"] == "IPP-1"
    assert found["recordTarget/patientRole/patient/name/family"] == "TESTROSE"
    assert found["title"] == "Lettre"
    assert found["title/text()[2]"] == "é fictive"
    assert not [where for where in found if "xmlns" in where]
    assert "a/@b" not in found


@pytest.mark.parametrize("content", [b"<a" * 50_000, b"<!--" * 50_000, b"<![CDATA[" * 20_000, b"<a b='" * 30_000])
def test_positions_of_long_garbage_come_to_an_end(content: bytes) -> None:
    assert FORMAT.positions(b"<ClinicalDocument>" + content) == []


def test_explain_finds_where_values_come_from() -> None:
    value = '<value xsi:type="PQ" value="6.1" unit="mmol/L"/><interpretationCode code="H"/>'
    content = cr_bio(section(relation(observation(value))))
    found = explain(content, FORMAT, ReadContext(), [])
    sources = {one.path: {source.where for source in one.sources} for one in found.values}
    place = "component/structuredBody/component/section/entry/act/entryRelationship/observation"
    result = "items[0].content.chapters[0].observations[0]"
    assert sources[f"{result}.value.number"] == {f"{place}/value/@value"}
    assert sources[f"{result}.flags[0]"] == {f"{place}/interpretationCode/@code"}
    assert f"{place}/code/@code" in sources[f"{result}.codes[0].code"]
    assert "recordTarget/patientRole/patient/birthTime/@value" in sources["items[0].patient.birth_date"]


def flat(pieces: tuple[Piece, ...]) -> dict[str, str]:
    return {one.name: one.text for piece in pieces for one in (piece, *piece.children) if one.name}


def test_a_human_reading_has_a_card_of_the_header_and_the_sections() -> None:
    text = (
        "<table><thead><tr><th>Examen</th><th>Résultat</th></tr></thead>"
        "<tbody><tr><td>Glucose</td><td>6,1</td></tr></tbody></table>"
    )
    content = cr_bio(section(relation(observation("")), text), recordTarget=patient(PATIENT))
    shown = FORMAT.pieces(content)
    said = flat(tuple(shown))
    assert said["Document"] == "Lettre fictive"
    assert said["Patient"] == "TESTROSE MARIE JEANNE"
    assert said["Name in use"] == "MARIANNE FICTIVE"
    assert said["Author"] == "MME DR TEST BIOLOGISTE-FICTIF"
    assert said["Type"] == "CR de biologie (11502-2)"
    chapter = shown[-1]
    assert (chapter.name, chapter.text, chapter.type) == ("Section", "BIOCHIMIE", "18719-5")
    assert [line.text for line in chapter.children] == ["Examen | Résultat", "Glucose | 6,1"]


def test_code_systems_both_ways() -> None:
    for system in (LOINC, "http://snomed.info/sct", "urn:oid:1.2.3.833", LOCAL):
        assert code_system_of_oid(oid_of_code_system(system)) == system
    assert code_system_of_oid(None) is None


@pytest.mark.parametrize(
    "identifier",
    [
        Identifier(system="urn:oid:1.2.3", value="A-1"),
        Identifier(system=f"urn:uuid:{UUID.lower()}", value="A-1"),
        Identifier(system="urn:ietf:rfc:3986", value="urn:oid:1.2.3"),
        Identifier(system="urn:x-finess:990000001", value="A^1"),
        Identifier(system="urn:x-authority:LABO%20FICTIF", value="7"),
        Identifier(system=None, value="7"),
    ],
)
def test_identifiers_both_ways(identifier: Identifier) -> None:
    assert identifier_of(*root_and_extension(identifier)) == identifier


def test_roots() -> None:
    assert system_of_root(UUID) == f"urn:uuid:{UUID.lower()}"
    assert root_and_extension(Identifier(value="7")) == (LOCAL_IDS_OID, "^7")
    assert named_oid("sub-id") == SUB_ID_OID
