"""What the compiler makes of a schema, run by Saxon on documents of a few lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mini_package import GOOD, SCHEMA, TITLE, VERSION, document, write_package

from router.validation import Package, PackageFault, conforms, open_package
from router.validation.xsd import sentence
from schemas.finding import Finding, Severity

SCH = 'xmlns="http://purl.oclc.org/dsdl/schematron"'


def package(folder: Path, header: str, **more: str) -> Package:
    return open_package(write_package(folder / "package", header, **more), folder / "cache")


def said(findings: list[Finding]) -> list[str]:
    return [one.message for one in findings]


def test_the_first_rule_of_a_pattern_that_matches_judges_alone(tmp_path: Path) -> None:
    header = """
    <pattern>
      <rule context="cda:title[. = 'A']"><assert test="false()">first</assert></rule>
      <rule context="cda:title"><assert test="false()">second</assert></rule>
    </pattern>
    <pattern><rule context="cda:title"><assert test="false()">other pattern</assert></rule></pattern>"""
    checked = package(tmp_path, header)
    assert said(checked.validate(document("<title>A</title>"))) == ["first", "other pattern"]
    assert said(checked.validate(document("<title>B</title>"))) == ["second", "other pattern"]


def test_rules_are_inherited_in_order_whether_called_or_written_in_place(tmp_path: Path) -> None:
    header = """
    <pattern>
      <rule abstract="true" id="ANY"><assert test="not(@nullFlavor)">ANY</assert></rule>
      <rule abstract="true" id="TS"><extends rule="ANY"/><let name="long" value="string-length(@value)"/>
        <assert test="$long ge 8">TS</assert></rule>
      <rule context="cda:one"><extends rule="TS"/><assert test="false()">after</assert></rule>
      <rule context="cda:two"><extends rule="TS"/><assert test="$long lt 2">uses $long</assert></rule>
    </pattern>"""
    checked = package(tmp_path, header)
    findings = checked.validate(document('<one nullFlavor="NI"/>', '<two value="1979"/>'))
    assert said(findings) == ["ANY", "TS", "after", "TS", "uses $long"]
    assert [one.where for one in findings[2:4]] == ["/ClinicalDocument/one[1]", "/ClinicalDocument/two[1]"]


def test_an_abstract_pattern_takes_its_parameters_the_longest_name_first(tmp_path: Path) -> None:
    header = """
    <pattern abstract="true" id="set"><rule context="$elt"><let name="code" value="@code"/>
      <assert test="$code = $elt_codes">[<value-of select="$elt_view"/>:<value-of select="$code"/>] not of
        <value-of select="$elt_codes"/></assert></rule></pattern>
    <pattern is-a="set" id="titles"><param name="elt" value="cda:title"/><param name="elt_codes" value="('A', 'B')"/>
      <param name="elt_view" value="ClinicalDocument/title"/></pattern>"""
    checked = package(tmp_path, header)
    assert checked.validate(document('<other code="C"/>')) == []
    assert said(checked.validate(document("<title>TESTROSE</title>"))) == [
        "[ClinicalDocument/title:…] not of ('A', 'B')"
    ]


def test_only_the_default_phase_is_checked(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package")
    schema = SCHEMA.format("""
    <phase id="short"><active pattern="kept"/></phase>
    <let name="wanted" value="'Z'"/>
    <pattern id="kept"><rule context="cda:title"><assert test=". = $wanted">kept</assert></rule></pattern>
    <pattern id="left"><rule context="cda:title"><assert test="false()">left</assert></rule></pattern>""")
    path = next(folder.rglob("*.sch"))
    path.write_text(schema.replace("<schema ", '<schema defaultPhase="short" '), encoding="utf-8")
    assert said(open_package(folder, tmp_path / "cache").validate(document(TITLE))) == ["kept"]


def test_files_are_found_whatever_the_case_of_their_names(tmp_path: Path) -> None:
    header = """
    <include href="PARTS\\Rule.SCH"/>
    <let name="set" value="'CODES.xml'"/>"""
    rule = f"""<pattern {SCH} id="r"><rule context="cda:title">
      <assert test="document($set)//code[@v = current()]">not in <value-of select="$set"/></assert>
      <assert test="doc('Codes.XML')//code[@v = current()]">not there</assert></rule></pattern>"""
    folder = write_package(tmp_path / "package", header, codes_xml='<set><code v="A"/></set>')
    place = next(folder.rglob("*.sch")).parent
    (place / "parts").mkdir()
    (place / "parts" / "rule.sch").write_text(rule, encoding="utf-8")
    checked = open_package(folder, tmp_path / "cache")
    assert checked.validate(document("<title>A</title>")) == []
    assert said(checked.validate(document("<title>B</title>"))) == ["not in CODES.xml", "not there"]


def test_attributes_and_texts_can_be_judged(tmp_path: Path) -> None:
    header = """
    <pattern><rule context="@code[. != 'A']"><assert test="false()">attribute</assert></rule></pattern>
    <pattern><rule context="cda:title/text()"><assert test="false()">text</assert></rule></pattern>
    <pattern><rule context="/"><assert test="false()">document</assert></rule></pattern>"""
    findings = package(tmp_path, header).validate(document(TITLE, '<a code="B"/>', '<a code="A"/>'))
    assert [(one.message, one.where) for one in findings] == [
        ("attribute", "/ClinicalDocument/a[1]/@code"),
        ("text", "/ClinicalDocument/title[1]/text()"),
        ("document", ""),
    ]


def test_the_text_of_a_rule_keeps_names_and_hides_values(tmp_path: Path) -> None:
    header = """
    <pattern><rule context="cda:title"><let name="name" value="local-name()"/><let name="value" value="string(.)"/>
      <assert test="false()">the <name/> (<value-of select="$name"/>) is <!-- never mind -->"<value-of select="."/>",
        <value-of select="$value"/>, <value-of select="concat('x', .)"/> of <value-of select="string-length(.)"/>
        characters { not a template }</assert></rule></pattern>"""
    (finding,) = package(tmp_path, header).validate(document(TITLE))
    assert finding.message == 'the title (title) is "…", …, … of 8 characters { not a template }'


def test_roles_give_severities(tmp_path: Path) -> None:
    header = """<pattern><rule context="cda:title">
      <assert test="false()">plain</assert><assert role="warning" test="false()">warned</assert>
      <report test="true()">remarked</report><report role="error" test="true()">reported</report></rule></pattern>"""
    findings = package(tmp_path, header).validate(document(TITLE))
    assert [(one.message, one.severity.value, one.code) for one in findings] == [
        ("plain", "error", "schematron.min"),
        ("warned", "warning", "schematron.min"),
        ("remarked", "warning", "schematron.min.report"),
        ("reported", "error", "schematron.min.report"),
    ]
    assert [conforms([one]) for one in findings] == [False, False, True, False]


def test_a_rule_that_stops_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    header = """
    <pattern id="twice"><rule context="cda:a"><assert test="string-length(cda:b) = 1">b is not one long</assert></rule>
    </pattern>
    <pattern><rule context="cda:title"><assert test="doc('gone.xml')/a">no file</assert></rule></pattern>
    <pattern><rule context="cda:title"><assert test="false()">goes on</assert></rule></pattern>"""
    checked = package(tmp_path, header)
    findings = checked.validate(document(TITLE, "<a><b>12</b></a>", "<a><b>1</b><b>2</b></a>", "<a><b/></a>"))
    assert [(one.where, one.message.partition(" of ")[0]) for one in findings] == [
        ("/ClinicalDocument/a[1]", "b is not one long"),
        ("/ClinicalDocument/a[2]", "a rule"),
        ("/ClinicalDocument/a[3]", "b is not one long"),
        ("/ClinicalDocument/title[1]", "a rule"),
        ("/ClinicalDocument/title[1]", "goes on"),
    ]
    assert "XPTY0004" in findings[1].message
    assert "pattern twice" in findings[1].message
    assert not conforms(findings[1:2])


def test_a_self_displaying_document_is_checked_and_its_stylesheet_never_run(tmp_path: Path) -> None:
    wrapped = (
        b'<?xml-stylesheet type="text/xsl" href="#s"?><xsl:stylesheet version="1.0" id="s" '
        b'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><xsl:message terminate="yes">ran'
        b"</xsl:message></xsl:template>" + document(VERSION) + b"</xsl:stylesheet>"
    )
    checked = open_package(write_package(tmp_path / "package"), tmp_path / "cache")
    assert said(checked.validate(wrapped)) == ["the title is missing"]


BAD_INPUT = {
    "not XML": b"MSH|^~\\&|",
    "no document": b"<other/>",
    "an entity bomb": b'<!DOCTYPE a [<!ENTITY x "xx">]><ClinicalDocument xmlns="urn:hl7-org:v3">&x;</ClinicalDocument>',
    "truncated": GOOD[:-20],
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_what_is_not_a_document_is_a_finding(tmp_path: Path, name: str) -> None:
    findings = open_package(write_package(tmp_path / "package"), tmp_path / "cache").validate(BAD_INPUT[name])
    assert [one.severity for one in findings] == [Severity.ERROR]
    assert findings[0].code.startswith("cda.")


XSD_SENTENCES = {
    "Element '{urn:hl7-org:v3}birthTime', attribute 'value': [facet 'pattern'] The value 'TESTROSE' is not accepted by "
    "the pattern '[0-9]+'.": "element birthTime, attribute value: the value does not respect the facet pattern",
    "Element '{urn:hl7-org:v3}a', attribute 'b': 'TEST' is not a valid value of the atomic type 'xs:ROSE'. is not a "
    "valid value of the atomic type '{urn:hl7-org:v3}ts'.": "element a, attribute b: the value is not of the atomic "
    "type ts",
    "Element 'a': This element is not expected. Expected is ( {urn:hl7-org:v3}b ).": "element a: This element is not "
    "expected. Expected is ( b )",
    "Element 'a', attribute 'b': The attribute 'b' is not allowed.": "element a, attribute b: The attribute 'b' is not "
    "allowed",
    "Element 'a': The element content 'TESTROSE' does not match": "element a: the value is not allowed here",
    "TESTROSE": "this is not valid",
}


@pytest.mark.parametrize("said_by_libxml2", XSD_SENTENCES)
def test_a_sentence_of_the_schema_loses_the_value_that_it_quotes(said_by_libxml2: str) -> None:
    assert sentence(said_by_libxml2) == XSD_SENTENCES[said_by_libxml2]


def test_an_invalid_value_is_said_where_it_is_and_not_quoted(tmp_path: Path) -> None:
    checked = open_package(write_package(tmp_path / "package"), tmp_path / "cache")
    findings = checked.validate(document(TITLE, '<versionNumber value="TESTROSE"/>'))
    assert [(one.code, one.where, one.message) for one in findings] == [
        (
            "xsd.invalid",
            "/ClinicalDocument/versionNumber[1]",
            "element versionNumber, attribute value: the value is not of the atomic type xs:positiveInteger",
        )
    ]


def test_findings_are_bounded_and_the_rest_is_said(tmp_path: Path) -> None:
    header = '<pattern><rule context="cda:a"><assert test="false()">a</assert></rule></pattern>'
    findings = package(tmp_path, header).validate(document("<a/>" * 3000))
    assert len(findings) == 501
    assert findings[-1].code == "validation.more"


BROKEN = {
    "missing include": ('<include href="gone.sch"/>', "the included file gone.sch is not in the package"),
    "include from outside": ('<include href="../../../../../secret.sch"/>', "is not in the package"),
    "wrong XPath": (
        '<pattern><rule context="cda:a"><assert test="(((">x</assert></rule></pattern>',
        "XPST0003",
    ),
    "unknown abstract rule": ('<pattern><rule context="cda:a"><extends rule="GONE"/></rule></pattern>', "GONE"),
    "unknown abstract pattern": ('<pattern is-a="GONE" id="p"/>', "GONE"),
    "a rule that extends itself": (
        """<pattern><rule abstract="true" id="A"><extends rule="B"/></rule><rule abstract="true" id="B">
        <extends rule="A"/></rule><rule context="cda:a"><extends rule="A"/></rule></pattern>""",
        "extends itself",
    ),
    "a schema that includes itself": ('<include href="ASIP-STRUCT-MIN-StrucMin.sch"/>', "deep"),
    "a variable of two values": ('<let name="v" value="1"/><let name="v" value="2"/>', "two values"),
    "not XML": ("<pattern>", "not well-formed"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_schematron_is_one_sentence(tmp_path: Path, name: str) -> None:
    header, sentence = BROKEN[name]
    (tmp_path / "secret.sch").write_text(f"<pattern {SCH}/>", encoding="utf-8")
    checked = package(tmp_path, header)
    with pytest.raises(PackageFault, match=sentence) as caught:
        checked.validate(GOOD)
    assert "ASIP-STRUCT-MIN-StrucMin.sch" in str(caught.value) or "structurationMinimale" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_package_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PackageFault, match="is not a folder"):
        open_package(tmp_path / "gone")
    with pytest.raises(PackageFault, match=r"there is no CDA_extended\.xsd"):
        open_package(tmp_path)
    folder = write_package(tmp_path / "package")
    xsd = folder / "infrastructure" / "CDA_extended.xsd"
    xsd.write_text("<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:elem/></xs:schema>", encoding="utf-8")
    with pytest.raises(PackageFault, match=r"CDA_extended\.xsd cannot be used as an XML schema"):
        open_package(folder)
    next(folder.rglob("*.sch")).unlink()
    with pytest.raises(PackageFault, match="the schematron of the header is not in it"):
        open_package(folder)


def test_what_a_package_lacks_for_a_structured_document_is_said(tmp_path: Path) -> None:
    checked = open_package(write_package(tmp_path / "package"), tmp_path / "cache")
    findings = checked.validate(document(TITLE, VERSION, level=3))
    assert {one.code for one in findings} == {"validation.not_checked"}
    assert len(findings) == 4
    assert conforms(findings)


def test_stylesheets_are_kept_and_made_anew_when_a_file_changes(tmp_path: Path) -> None:
    folder, cache = write_package(tmp_path / "package"), tmp_path / "cache"
    open_package(folder, cache).validate(GOOD)
    (kept,) = cache.iterdir()
    content = kept.read_bytes()
    assert b"the title is missing" in content
    kept.write_bytes(content.replace(b"the title is missing", b"from the cache"))
    assert said(open_package(folder, cache).validate(document(VERSION))) == ["from the cache"]
    path = next(folder.rglob("*.sch"))
    path.write_text(path.read_text(encoding="utf-8").replace("the title", "THE TITLE"), encoding="utf-8")
    assert said(open_package(folder, cache).validate(document(VERSION))) == ["THE TITLE is missing"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_a_cache_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    folder, cache = write_package(tmp_path / "package"), tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    assert open_package(folder, cache).validate(GOOD) == []
    assert list(cache.iterdir()) == []
