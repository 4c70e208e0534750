"""The ANS's own examples and ours against the ANS's package; faults planted into ours are found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from router.validation import Package, conforms
from schemas.finding import Finding, Severity

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

GENUINE_FAILURE = "CANCER-FRCP_2022.01_Appareil.xml"
"""Published with a specialty code that is not in the published value set; the ISO chain says the same."""


def _documents(shared_data: Path) -> list[Path]:
    cda = shared_data / "cda"
    return sorted([*(cda / "examples").glob("*.xml"), *(cda / "own-examples").glob("*.xml")])


def test_every_example_is_valid_but_the_one_that_is_known(ans_package: Package, shared_data: Path) -> None:
    documents = _documents(shared_data)
    assert len(documents) == 23
    failing = {path.name: ans_package.validate(path.read_bytes()) for path in documents}
    failing = {name: findings for name, findings in failing.items() if findings}
    assert list(failing) == [GENUINE_FAILURE]
    (finding,) = failing[GENUINE_FAILURE]
    assert finding.code == "schematron.mod"
    assert finding.severity is Severity.ERROR
    assert finding.where.startswith(
        "/ClinicalDocument/component[1]/structuredBody[1]/component[10]/section[1]/entry[1]"
    )
    assert finding.where.endswith("/author[1]/assignedAuthor[1]/code[1]")
    assert "JDV_J01_XdsAuthorSpecialty_CISIS.xml" in finding.message
    assert not conforms([finding])


@pytest.fixture(scope="module")
def laboratory_report(shared_data: Path) -> str:
    return (shared_data / "cda" / "own-examples" / "own-cr-bio-minimal.xml").read_text(encoding="utf-8")


def _planted(report: str, pattern: str, replacement: str, count: int = 1) -> bytes:
    changed, times = re.subn(pattern, replacement, report, count=count, flags=re.DOTALL)
    assert times, "the fault was not planted"
    return changed.encode()


def _failed(findings: list[Finding], code: str) -> list[Finding]:
    return [finding for finding in findings if finding.code == code and finding.severity is Severity.ERROR]


PLANTED = {
    "wrong title": (
        r"<title>Compte rendu d'examens biologiques</title>",
        "<title>Autre chose</title>",
        "schematron.bio-cr-bio_2024.01",
        "title est obligatoire",
        "/ClinicalDocument",
    ),
    "unknown interpretation code": (
        r'<interpretationCode code="\w+"',
        '<interpretationCode code="ZZZ"',
        "schematron.bio-cr-bio_2024.01",
        "JDV_HL7_ObservationInterpretation_CISIS.xml",
        "/interpretationCode[1]",
    ),
    "no county at birth": (
        r"<county>.*?</county>",
        "",
        "schematron.min",
        "les traits de l'INS",
        "/ClinicalDocument",
    ),
    "no legalAuthenticator": (
        r"<legalAuthenticator>.*?</legalAuthenticator>",
        "",
        "schematron.min",
        "hl7:legalAuthenticator[hl7:signatureCode[@code = 'S']] is required",
        "/ClinicalDocument",
    ),
    "statusCode active": (
        r'(<observation[^>]*>(?:(?!</observation>).)*?)<statusCode code="completed"',
        r'\1<statusCode code="active"',
        "schematron.bio-cr-bio_2024.01",
        "Un résultat doit avoir un statusCode@code",
        "/observation[1]",
    ),
    "no PDF section": (
        r'<component>\s*<section[^>]*>\s*<templateId root="1.2.250.1.213.1.1.2.243".*?</section>\s*</component>',
        "",
        "schematron.bio-cr-bio_2024.01",
        "FR-Document-PDF-copie",
        "/structuredBody[1]",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found_where_it_is(ans_package: Package, laboratory_report: str, fault: str) -> None:
    pattern, replacement, code, text, end = PLANTED[fault]
    findings = ans_package.validate(_planted(laboratory_report, pattern, replacement))
    assert not conforms(findings)
    found = [one for one in _failed(findings, code) if text in one.message]
    assert found, findings
    assert all(one.where.startswith("/ClinicalDocument") and one.where.endswith(end) for one in found)


def test_an_element_out_of_place_is_said_by_the_schema(ans_package: Package, laboratory_report: str) -> None:
    content = _planted(laboratory_report, r"(<setId [^>]*/>)(\s*<versionNumber [^>]*/>)", r"\2\1")
    (finding,) = _failed(ans_package.validate(content), "xsd.invalid")
    assert finding.where == "/ClinicalDocument/setId[1]"
    assert finding.message.startswith("element setId: This element is not expected")


def test_no_value_of_the_document_is_quoted(ans_package: Package, laboratory_report: str) -> None:
    secret = "ZORGLUBTESTROSE"
    content = laboratory_report
    for pattern in (r'code="[^"]*"', r'value="[^"]*"', r'displayName="[^"]*"', r'extension="[^"]*"', r'use="[^"]*"'):
        content = re.sub(pattern, lambda found: found.group(0).split("=")[0] + f'="{secret}"', content)
    content = re.sub(r">[^<>\s][^<>]*<", f">{secret}<", content)
    findings = ans_package.validate(content.encode())
    assert len(findings) > 50
    assert {one.code.split(".")[0] for one in findings} >= {"xsd", "schematron"}
    assert not [one for one in findings if secret in one.message or secret in one.where]


def test_the_header_alone_judges_a_level_1_document(ans_package: Package, shared_data: Path) -> None:
    content = (shared_data / "cda" / "own-examples" / "own-n1-pdf-minimal.xml").read_text(encoding="utf-8")
    broken = _planted(content, r"<realmCode [^>]*/>", "")
    assert {one.code for one in ans_package.validate(broken)} == {"schematron.min"}
