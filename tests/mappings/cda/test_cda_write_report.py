"""A laboratory report as CR-BIO: sections, entries, values, narrative, by XPath into what was written."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from filled_items import REPORT_ITEM
from lxml import etree

from mappings.cda import FORMAT
from mappings.cda.writing import write_item
from mappings.contracts import Environment, ReadContext, Rendition, WriteContext
from schemas.actors import Organization, Professional
from schemas.attachment import Attachment
from schemas.coding import LOCAL, LOINC, SNOMED_CT, Coding, Identifier
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.identity import PatientIdentity, Sex
from schemas.item import LabReportItem, Provenance
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    LabChapter,
    LabReport,
    Observation,
    ObservationValue,
    ParentResult,
    PreviousResult,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    ResultStatus,
    SecondResult,
    Specimen,
    TextValue,
    Unit,
)

NS = {"h": "urn:hl7-org:v3", "lab": "urn:oid:1.3.6.1.4.1.19376.1.3.2"}
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="CR-1", environment=Environment.TEST)
PATIENT = PatientIdentity(
    identifiers=(Identifier(system="urn:x-authority:LABFIC", value="P 1", type="PI"),),
    birth_name="TESTROSE",
    first_given_name="MARIE",
    birth_date="1979-03-05",
    sex=Sex.FEMALE,
)
LABORATORY = Organization(
    name="LABO FICTIF", identifiers=(Identifier(system=STRUCTURES, value="990000009", type="FINEG"),)
)
BIOLOGIST = Professional(
    identifiers=(Identifier(system=PROFESSIONALS, value="99700000025", type="RPPS"),), family_name="BIOLOGISTE-FICTIF"
)
GLUCOSE = Observation(
    label="Glycémie à jeun",
    codes=(Coding(system=LOCAL, code="GLY 1"), Coding(system=LOINC, code="40193-5", display="Glucose")),
    value=QuantityValue(number="6.10", text="6,10"),
    unit=Unit(raw="mmol/l", ucum="mmol/L"),
    reference=Reference(low="3.90", high="5.50", text="3,90 à 5,50"),
    flags=("H",),
    status=ResultStatus.FINAL,
)
PDF = Attachment(media_type="application/pdf", data=base64.b64encode(b"%PDF-1.4 pdfaid:part='1'").decode())


def report(*chapters: LabChapter, **values: object) -> LabReportItem:
    content = LabReport(
        report_id="LAB1",
        status=ResultStatus.FINAL,
        issued_at="2026-03-05T08:10:00+01:00",
        laboratory=LABORATORY,
        chapters=chapters,
        attachments=(PDF,),
    )
    return LabReportItem(
        id="1" * 32,
        patient=PATIENT,
        sender=LABORATORY,
        content=content.model_copy(update=values),
        source=Provenance(format="hl7v2", where="MSH"),
    )


def one_result(**values: object) -> LabReportItem:
    return report(LabChapter(title="BIOCHIMIE", observations=(GLUCOSE.model_copy(update=values),)))


def parsed(rendition: Rendition) -> etree._Element:
    return etree.fromstring(rendition.content)


def found(root: etree._Element, path: str) -> list[str]:
    return [str(one) for one in root.xpath(path, namespaces=NS)]


def result(item: LabReportItem) -> etree._Element:
    (node,) = parsed(write_item(item, CONTEXT)).iterfind(".//h:act/h:entryRelationship/h:observation", NS)
    return node


def findings(item: LabReportItem) -> set[tuple[str, str]]:
    return {(one.code, one.where) for one in write_item(item, CONTEXT).findings}


def read_back(item: LabReportItem) -> LabReport:
    reading = FORMAT.read(write_item(item, CONTEXT).content, ReadContext())
    return next(one.content for one in reading.items if isinstance(one, LabReportItem))


def pointed(root: etree._Element, node: etree._Element) -> str:
    """The text of the narrative that a reference points to."""
    name = str(node.xpath("string(h:reference/@value)", namespaces=NS)).removeprefix("#")
    (target,) = root.xpath("//*[@ID=$name]", name=name)
    return "".join(target.itertext())


def test_a_result_has_its_codes_value_range_and_narrative() -> None:
    root = parsed(write_item(one_result(), CONTEXT))
    (node,) = root.iterfind(".//h:entryRelationship/h:observation", NS)
    assert found(node, "h:code/@code | h:code/@codeSystem") == ["40193-5", "2.16.840.1.113883.6.1"]
    assert found(node, "h:code/h:translation/@displayName") == ["Glycémie à jeun"]
    assert pointed(root, node.find("h:code/h:originalText", NS)) == "Glycémie à jeun"
    value = node.find("h:value", NS)
    assert (value.get(XSI_TYPE), value.get("value"), value.get("unit")) == ("PQ", "6.10", "mmol/L")
    assert found(node, "h:interpretationCode/@code") == ["H"]
    assert found(node, "h:referenceRange//h:low/@value | h:referenceRange//h:high/@value") == ["3.90", "5.50"]
    assert pointed(root, node.find("h:referenceRange/h:observationRange/h:text", NS)) == "3,90 à 5,50"
    assert found(root, "//h:section/h:text//h:td[2]/text()") == ["6,10 mmol/l"]
    assert found(root, "h:documentationOf/h:serviceEvent/lab:statusCode/@code") == ["completed"]


def test_a_result_without_loinc_has_no_code_at_all() -> None:
    code = result(one_result(codes=(Coding(system=LOCAL, code="GLY"),))).find("h:code", NS)
    assert dict(code.attrib) == {}
    assert found(code, "h:translation/@code") == ["GLY"]


@pytest.mark.parametrize(
    ("sign", "bound", "inclusive"),
    [("<", "high", "false"), ("<=", "high", "true"), (">", "low", "false"), (">=", "low", "true")],
)
def test_a_comparison_is_an_interval_with_one_bound(sign: str, bound: str, inclusive: str) -> None:
    item = one_result(value=QuantityValue(number="0.12", comparator=sign))
    value = result(item).find("h:value", NS)
    assert value.get(XSI_TYPE) == "IVL_PQ"
    (only,) = [one for one in value if one.tag.endswith(("low", "high"))]
    assert (only.tag.rpartition("}")[2], only.get("inclusive"), only.get("value")) == (bound, inclusive, "0.12")
    assert read_back(item).chapters[0].observations[0].unit == GLUCOSE.unit


@pytest.mark.parametrize(
    "value",
    [
        TextValue(text="Présence\n  de rares\n\ncellules"),
        CodedValue(
            codes=(
                Coding(system=SNOMED_CT, code="112283007", display="Escherichia coli"),
                Coding(system="urn:x-code-system:LABO", code="E COLI", display="E. coli"),
            ),
            text="Escherichia coli",
        ),
        RatioValue(numerator="1", denominator="80"),
        RangeValue(low="3", high="5"),
        DateTimeValue(at="2026-03-05"),
        DateTimeValue(at="2026-03-05T08:10:00+01:00"),
    ],
    ids=lambda value: value.type,
)
def test_values_of_every_type_come_back(value: ObservationValue) -> None:
    again = read_back(one_result(value=value, unit=None, reference=None)).chapters[0].observations[0].value
    assert again is not None
    ignored = {"text"} if value.type in {"ratio", "range", "datetime"} else set()
    assert again.model_dump(exclude=ignored) == value.model_dump(exclude=ignored)


def test_a_time_of_day_is_a_text_and_said() -> None:
    item = one_result(value=DateTimeValue(at="08:10"))
    assert ("cda.write.value_as_text", "observation.value") in findings(item)
    assert read_back(item).chapters[0].observations[0].value == TextValue(text="08:10")


@pytest.mark.parametrize(
    "second",
    [
        SecondResult(
            value=QuantityValue(number="1.10", text="1.10"),
            unit=Unit(raw="g/l", ucum="g/L"),
            reference=Reference(low="0.70", high="0.99"),
        ),
        SecondResult(value=QuantityValue(number="1.10", comparator="<"), unit=Unit(raw="unités")),
        SecondResult(value=TextValue(text="élevé")),
    ],
)
def test_a_second_unit_comes_back(second: SecondResult) -> None:
    assert read_back(one_result(second=second)).chapters[0].observations[0].second == second


def test_what_of_a_second_unit_is_lost_is_said() -> None:
    second = SecondResult(value=QuantityValue(number="1.1"), reference=Reference(text="bas"), flags=("H",))
    lost = {where for code, where in findings(one_result(second=second)) if code == "cda.write.not_carried"}
    assert lost == {"observation.second.flags", "observation.second.reference"}


def test_a_unit_that_is_not_ucum_is_an_annotation() -> None:
    item = one_result(unit=Unit(raw="UI maison/mL à 37°"))
    unit = result(item).find("h:value", NS).get("unit")
    assert unit == "{UI_maison/mL_a_37}"
    assert read_back(item).chapters[0].observations[0].unit == Unit(raw="UI maison/mL à 37°")


def test_flags_that_the_value_set_does_not_have_stand_in_the_narrative() -> None:
    item = one_result(flags=("H", "MS"))
    root = parsed(write_item(item, CONTEXT))
    assert found(root, "//h:interpretationCode[../h:value/@value]/@code") == ["H"]
    assert "MS (modérément sensible)" in found(root, "//h:td[4]/text()")[0]
    assert ("cda.write.flag", "observation.flags") in findings(item)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (ResultStatus.FINAL, "completed", None),
        (ResultStatus.CORRECTED, "completed", "(résultat corrigé)"),
        (ResultStatus.PRELIMINARY, "completed", "(résultat provisoire)"),
        (ResultStatus.REGISTERED, "aborted", "(en cours)"),
        (ResultStatus.CANCELLED, "aborted", "(annulé)"),
    ],
)
def test_statuses_that_cda_lacks_are_said_to_people(status: ResultStatus, code: str, said: str | None) -> None:
    item = one_result(status=status, value=None if code == "aborted" else GLUCOSE.value)
    root = parsed(write_item(item, CONTEXT))
    assert found(root, "//h:observation[h:templateId/@root='1.3.6.1.4.1.19376.1.3.1.6']/h:statusCode/@code") == [code]
    under_way = status in {ResultStatus.PRELIMINARY, ResultStatus.REGISTERED}
    assert found(root, "//h:entry/h:act/h:statusCode/@code") == ["active" if under_way else "completed"]
    cell = "".join(root.xpath("//h:section/h:text//h:td[2]", namespaces=NS)[0].itertext())
    assert said is None or cell.endswith(said)
    lossless = status in {ResultStatus.FINAL, ResultStatus.CANCELLED}
    assert any(found_code == "cda.write.status" for found_code, _ in findings(item)) is not lossless


def test_an_earlier_result_without_a_date_says_so() -> None:
    earlier = PreviousResult(value=QuantityValue(number="5.4"), unit=GLUCOSE.unit)
    item = one_result(previous=(earlier,))
    node = result(item).find("h:entryRelationship[@typeCode='REFR']/h:observation", NS)
    assert found(node, "h:effectiveTime/@nullFlavor") == ["UNK"]
    assert found(node, "h:statusCode/@code") == ["completed"]
    (again,) = read_back(item).chapters[0].observations[0].previous
    assert again.effective_at is None


def test_chapters_nest_as_sections_and_batteries() -> None:
    inner = LabChapter(title="Numération", observations=(GLUCOSE,))
    deep = LabChapter(title="Formule", observations=(GLUCOSE,), chapters=(inner,))
    grouping = LabChapter(title="HÉMATOLOGIE", chapters=(inner, deep))
    root = parsed(write_item(report(grouping), CONTEXT))
    chapter = "//h:structuredBody/h:component/h:section"
    assert found(root, f"{chapter}/h:title/text()") == ["HÉMATOLOGIE", "Copie du document"]
    assert found(root, f"{chapter}/h:component/h:section/h:title/text()") == ["Numération", "Formule"]
    assert len(root.findall(".//h:organizer[@classCode='BATTERY']", NS)) == 1
    assert [one.title for one in read_back(report(grouping)).chapters[0].chapters] == ["Numération", "Formule"]


@pytest.mark.parametrize("top", [True, False])
def test_an_isolate_has_its_organism_and_antibiogram(top: bool) -> None:
    organism = Coding(system=SNOMED_CT, code="112283007", display="Escherichia coli")
    isolate = LabChapter(
        title="Antibiogramme" if top else None,
        parent=ParentResult(code=organism, sub_id="1", text="Escherichia coli"),
        observations=(GLUCOSE,),
        chapters=(LabChapter(title="CMI", observations=(GLUCOSE.model_copy(update={"flags": ("S",)}),)),),
    )
    item = report(isolate if top else LabChapter(title="ECBU", observations=(GLUCOSE,), chapters=(isolate,)))
    root = parsed(write_item(item, CONTEXT))
    (cluster,) = root.iterfind(".//h:organizer[@classCode='CLUSTER'][h:specimen]", NS)
    role = cluster.find("h:specimen/h:specimenRole", NS)
    assert found(role, "h:id/@extension") == ["1"]
    assert found(role, "h:specimenPlayingEntity/h:code/@code") == ["112283007"]
    again = read_back(item).chapters[0]
    again = again if top else again.chapters[0]
    assert again.parent is not None
    assert (again.parent.code, again.parent.sub_id, again.parent.text) == (organism, "1", "Escherichia coli")
    assert again.title == isolate.title
    assert [len(again.observations), [one.title for one in again.chapters]] == [1, ["CMI"]]


def test_a_code_that_is_no_organism_is_not_written_as_one() -> None:
    parent = ParentResult(code=Coding(system=LOINC, code="634-6"), sub_id="1", text="Escherichia coli")
    item = report(LabChapter(title="ANTIBIOGRAMME", parent=parent, observations=(GLUCOSE,)))
    root = parsed(write_item(item, CONTEXT))
    assert found(root, "//h:specimenPlayingEntity/h:code/@code") == []
    assert ("cda.write.not_carried", "chapter.parent.code") in findings(item)


def test_results_name_their_specimens() -> None:
    blood = Specimen(
        id="S1",
        type=Coding(system="urn:oid:2.16.840.1.113883.18.311", code="BLD", display="Sang"),
        collected_at="2026-03-05T07:00:00+01:00",
        received_at="2026-03-05T07:30:00+01:00",
    )
    urine = Specimen(id="S2", type=Coding(system=LOCAL, code="UR", display="Urines"))
    unnamed = Specimen(id="S3", text="Écouvillon")
    chapters = (
        LabChapter(
            title="A", observations=tuple(GLUCOSE.model_copy(update={"specimen": one}) for one in ("S1", "S2", None))
        ),
        LabChapter(title="B", observations=(GLUCOSE.model_copy(update={"specimen": "S1"}),)),
        LabChapter(title="C", observations=(GLUCOSE,)),
    )
    item = report(*chapters, specimens=(blood, urine, unnamed))
    root = parsed(write_item(item, CONTEXT))
    assert len(root.findall(".//h:procedure", NS)) == 4
    assert found(root, "(//h:procedure)[1]/h:effectiveTime/h:high/@value") == ["20260305070000+0100"]
    assert found(root, "(//h:procedure)[1]//h:act/h:effectiveTime/@value") == ["20260305073000+0100"]
    again = read_back(item)
    kinds = {one.id: one.type and one.type.display for one in again.specimens}
    assert [[kinds.get(one.specimen or "") for one in chapter.observations] for chapter in again.chapters] == [
        ["Sang", "Urines", None],
        ["Sang"],
        [None],
    ]
    assert len(again.specimens) == 3


def test_who_validated_is_said_once_for_a_chapter() -> None:
    results = tuple(
        GLUCOSE.model_copy(update={"validated_by": BIOLOGIST, "issued_at": "2026-03-05T08:00:00+01:00"})
        for _ in range(3)
    )
    item = report(LabChapter(title="A", observations=results), validated_by=BIOLOGIST)
    root = parsed(write_item(item, CONTEXT))
    assert len(root.findall(".//h:participant[@typeCode='AUTHEN']", NS)) == 1
    assert found(root, "h:authenticator/h:time/@value") == ["20260305080000+0100"]
    assert found(root, "h:authenticator//h:id/@extension") == ["899700000025"]
    assert {one.issued_at for one in read_back(item).chapters[0].observations} == {"2026-03-05T08:00:00+01:00"}


def test_texts_of_the_report_have_sections_of_their_own() -> None:
    texts = {
        "conclusion": "Bilan normal.",
        "comment": "À jeun.",
        "clinical_information": "Fatigue",
        "text": "COMPTE RENDU\n\n  Glycémie   6,10",
    }
    again = read_back(report(LabChapter(title="A", observations=(GLUCOSE,)), **texts))
    assert {name: getattr(again, name) for name in texts} == texts


def test_the_copy_is_the_senders_own_pdf_and_images_stay_with_the_results() -> None:
    image = Attachment(media_type="image/png", data="iVBORw0KGgo=")
    item = report(LabChapter(title="A", observations=(GLUCOSE,)), attachments=(image, PDF))
    root = parsed(write_item(item, CONTEXT))
    copy = "//h:section[h:templateId/@root='1.2.250.1.213.1.1.2.243']"
    assert found(root, f"{copy}//h:observationMedia/h:value/text()") == [PDF.data]
    assert found(root, "//h:act//h:observationMedia/h:value/@mediaType") == ["image/png"]
    media = found(root, f"{copy}//h:observationMedia/@ID")
    assert found(root, f"{copy}//h:renderMultiMedia/@referencedObject") == media


def test_every_reference_leads_into_the_narrative() -> None:
    root = parsed(write_item(REPORT_ITEM, CONTEXT))
    names = found(root, "//@ID")
    assert len(names) == len(set(names))
    references = {one.removeprefix("#") for one in found(root, "//h:reference/@value")}
    assert references
    assert references <= set(names)


def test_a_report_without_results_has_an_empty_chapter() -> None:
    item = report()
    assert ("cda.write.no_chapter", "chapters") in findings(item)
    assert len(read_back(item).chapters) == 1


def test_a_new_version_replaces_the_one_before() -> None:
    chapter = LabChapter(title="A", observations=(GLUCOSE,))
    first = parsed(write_item(report(chapter), CONTEXT))
    (number,) = found(first, "h:id/@root")
    later = WriteContext(now=CONTEXT.now, identity="CR-2", environment=Environment.TEST)
    second = parsed(write_item(report(chapter, replaces_document_id=number, version=2), later))
    assert found(second, "h:relatedDocument[@typeCode='RPLC']/h:parentDocument/h:id/@root") == [number]
    assert (
        found(second, "h:setId/@extension") == found(first, "h:setId/@extension") == ["urn:x-authority:990000009^LAB1"]
    )
    assert found(second, "h:versionNumber/@value") == ["2"]
    assert found(second, "h:id/@root") != [number]
