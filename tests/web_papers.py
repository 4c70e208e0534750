"""Documents and reports for the tests of pages and of the terminal: a letter with something of everything in it."""

from __future__ import annotations

import base64
from typing import Any

from web_journal import person

from schemas.actors import Organization, Professional, Recipient
from schemas.attachment import Attachment
from schemas.coding import LOINC, Coding, Identifier
from schemas.document import Document, DocumentOperation, Participant, Wishes
from schemas.item import DocumentItem, LabReportItem, Provenance
from schemas.lab import (
    CodedValue,
    LabChapter,
    LabReport,
    Observation,
    ObservationValue,
    ParentResult,
    PreviousResult,
    QuantityValue,
    Reference,
    ResultStatus,
    SecondResult,
    Specimen,
    TextValue,
    Unit,
)

PDF = b"%PDF-1.4\n%test\n"
PNG = b"\x89PNG\r\n\x1a\n-test-"

LETTER = """
<component><section>
  <code code="42349-1" codeSystem="2.16.840.1.113883.6.1" displayName="Motif"/>
  <title>Motif d'hospitalisation</title>
  <text>Chute &amp; plaie<footnote ID="n1">Vue aux urgences</footnote>
    <list listType="ordered"><item>Suture</item><item><content styleCode="Bold">Antalgique</content></item></list>
    <table><caption>Constantes</caption><thead><tr><th colspan="2">Tension</th></tr></thead>
      <tbody><tr><td>matin</td><td align="right">12/8</td></tr></tbody></table>
    <linkHtml href="https://sante.example/fiche">la fiche</linkHtml>
    <renderMultiMedia referencedObject="img"><caption>Tracé</caption></renderMultiMedia>
    <renderMultiMedia referencedObject="copy"/>
  </text>
  <entry><observationMedia ID="img"><value mediaType="image/png" representation="B64">{png}</value></observationMedia></entry>
  <entry><observationMedia ID="copy"><value mediaType="application/pdf" representation="B64">{pdf}</value></observationMedia></entry>
  <entry><observationMedia ID="page"><value mediaType="text/html" representation="B64">{html}</value></observationMedia></entry>
  <component><section><title>Sous-section</title><text/></section></component>
</section></component>
"""  # noqa: E501 - one element a line


def cda(sections: str) -> bytes:
    """Wrap sections into the least of a CDA."""
    return (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody>'
        f"{sections}</structuredBody></component></ClinicalDocument>"
    ).encode()


def letter() -> bytes:
    """A letter with lists, a table, a note, a picture, a PDF and a page that no browser may open."""
    page = base64.b64encode(b"<script>alert(1)</script>").decode()
    return cda(LETTER.format(png=base64.b64encode(PNG).decode(), pdf=base64.b64encode(PDF).decode(), html=page))


def file(content: bytes, media_type: str = "text/xml", **more: Any) -> Attachment:
    """A file that travels in the Item itself."""
    return Attachment(media_type=media_type, size=len(content), data=base64.b64encode(content).decode(), **more)


def document(*files: Attachment, **content: Any) -> DocumentItem:
    """A document's Item."""
    return DocumentItem(
        id="d" * 32,
        patient=person(0),
        source=Provenance(format="cda", where="ClinicalDocument"),
        content=Document(attachments=files, **content),
    )


GENERALIST = Coding(code="PCP", display="Médecin traitant")


def doctor(name: str, **more: Any) -> Professional:
    """A fictitious professional."""
    return Professional(family_name=name, civility="DR", **more)


def full_document() -> Document:
    """A document with all that a header says."""
    author = doctor("TESTAUTEUR", specialty=Coding(code="SM03", display="Biologie médicale"))
    signer = doctor("TESTSIGNE")
    return Document(
        document_id="1.2.3^4",
        set_id="1.2.3",
        version=2,
        replaces_id="1.2.3^3",
        operation=DocumentOperation.REPLACE,
        type=Coding(code="11490-0", display="Lettre de liaison"),
        created_at="2026-03-05T10:00:00+01:00",
        period_start="2026-03-01",
        period_end="2026-03-04",
        author=author,
        author_organization=Organization(name="CH FICTIF"),
        author_role=Coding(code="ATTPHYS", display="Médecin du service"),
        other_authors=(doctor("TESTSECOND"),),
        legal_authenticator=signer,
        custodian=Organization(name="GH FICTIF"),
        confidentiality=(Coding(code="R", display="Restreint"),),
        recipients=(
            Recipient(professional=doctor("TESTVILLE"), organization=Organization(name="CABINET FICTIF")),
        ),
        facility_type=Coding(code="SA01", display="Hôpital public"),
        practice_setting=Coding(code="ETABLISSEMENT", display="Établissement"),
        participants=(
            Participant(kind="author", professional=author, at="2026-03-05"),
            Participant(kind="legalAuthenticator", professional=signer, at="2026-03-06"),
            Participant(kind="INF", function=GENERALIST, professional=doctor("TESTGP")),
            Participant(kind="INF", function=GENERALIST, professional=doctor("TESTGP")),
            Participant(kind="ZZZ", organization=Organization(name="AUTRE")),
        ),
        wishes=Wishes(dmp=True, mssante_patient=False),
    )  # fmt: skip


def number(text: str, comparator: str | None = None) -> QuantityValue:
    """A number as a program writes it."""
    return QuantityValue(number=text, comparator=comparator)


def result(label: str, value: ObservationValue | None, **more: Any) -> Observation:
    """A final result."""
    return Observation(label=label, value=value, **{"status": ResultStatus.FINAL, **more})


def culture() -> LabReport:
    """A report with all that hangs on results: ranges, earlier values, a second unit, isolates, two specimens."""
    potassium = result(
        "Potassium",
        number("6.2"),
        unit=Unit(raw="mmol/L", ucum="mmol/L"),
        reference=Reference(low="3.500000", high="5.000000"),
        flags=("HH",),
        effective_at="2026-03-05T08:10:00+01:00",
        specimen="s1",
        method=Coding(code="P", display="Potentiométrie"),
        second=SecondResult(value=number("242"), unit=Unit(raw="mg/L")),
        previous=(
            PreviousResult(value=number("4.1"), effective_at="2026-02-01T08:00:00+01:00"),
            PreviousResult(value=number("5.3"), effective_at="2026-03-01"),
            PreviousResult(value=number("160"), unit=Unit(raw="mg/L"), effective_at="2026-01-01"),
        ),
    )
    antibiogram = LabChapter(
        title="Antibiogramme",
        observations=tuple(
            result(name, number(value, "<="), unit=Unit(raw="mg/L"), flags=(letter,))
            for name, value, letter in (
                ("Amoxicilline", "32", "R"),
                ("Céfixime", "1", "I"),
                ("Gentamicine", "0.5", "S"),
            )
        ),
    )
    isolate = LabChapter(
        title="Isolat 1",
        parent=ParentResult(code=Coding(code="112283007", display="Escherichia coli")),
        observations=(result("Numération", number("100000"), unit=Unit(raw="UFC/mL")),),
        chapters=(antibiogram,),
    )
    urine = LabChapter(
        title="ECBU",
        codes=(Coding(system=LOINC, code="630-4"),),
        status=ResultStatus.PRELIMINARY,
        comment="Examen direct",
        observations=(
            result("Aspect", CodedValue(codes=(Coding(code="T", display="trouble"),)), specimen="s2"),
            result(
                "Commentaire", TextValue(text="Flore mixte, à recontrôler sur un nouveau prélèvement."), flags=("A",)
            ),
            result("Nitrites", None, status=ResultStatus.CANCELLED),
        ),
        chapters=(isolate,),
    )
    return LabReport(
        report_id="LAB7",
        status=ResultStatus.FINAL,
        collected_at="2026-03-05T08:10:00+01:00",
        chapters=(LabChapter(title="IONOGRAMME", observations=(potassium,)), urine),
        conclusion="Hyperkaliémie.",
        specimens=(
            Specimen(id="s1", type=Coding(code="SER", display="Sérum"), identifiers=(Identifier(value="T-001"),)),
            Specimen(id="s2", text="Urine", collected_at="2026-03-05", condition="trouble"),
        ),
    )


def lab_item(report: LabReport | None = None) -> LabReportItem:
    """A report's Item."""
    return LabReportItem(
        id="c" * 32,
        patient=person(0),
        source=Provenance(format="hl7v2", where="OBR[1]"),
        content=report or culture(),
    )
