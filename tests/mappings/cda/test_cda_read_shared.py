"""The ANS's 20 examples and three of our own: what comes out is what XPath finds in the XML, not only what we say."""

from __future__ import annotations

import base64
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cda_documents import mutated, reading
from lxml import etree

from mappings.cda import FORMAT, is_cda, read_header
from mappings.contracts import FormatError, ReadContext, Reading
from mappings.lab_status import observations_of
from schemas.document import Document, DocumentOperation
from schemas.finding import Severity
from schemas.item import ITEM, DocumentItem, LabReportItem
from schemas.lab import LabChapter, LabReport, Observation, QuantityValue, RangeValue, TextValue

pytestmark = pytest.mark.shared_data

NS = {"h": "urn:hl7-org:v3", "lab": "urn:oid:1.3.6.1.4.1.19376.1.3.2"}
RESULT = "//h:observation[h:templateId/@root='1.2.250.1.213.1.1.3.80']"
ELECTROPHORESIS = "BIO-CR-BIO_2024.01_Electrophorese.xml"
MICROBIOLOGY = "BIO-CR-BIO_2024.01_Microbiologie_V1.xml"


def files(shared_data: Path) -> list[Path]:
    found = sorted((shared_data / "cda" / "examples").glob("*.xml"))
    found += sorted((shared_data / "cda" / "own-examples").glob("*.xml"))
    assert len(found) == 23
    return found


def tree(content: bytes) -> etree._Element:
    parser = etree.XMLParser(huge_tree=True, remove_comments=True)
    root = etree.fromstring(content, parser)
    (document,) = root.iter("{urn:hl7-org:v3}ClinicalDocument")
    return document


def texts(document: etree._Element, path: str) -> list[str]:
    found = document.xpath(path, namespaces=NS)
    assert isinstance(found, list)
    return [str(one) for one in found]


def text(document: etree._Element, path: str) -> str | None:
    return next(iter(texts(document, path)), None)


def read_file(shared_data: Path, name: str) -> tuple[Reading, etree._Element]:
    (path,) = [one for one in files(shared_data) if one.name == name]
    content = path.read_bytes()
    return reading(content), tree(content)


def metadata(result: Reading) -> Document:
    item = result.items[-1]
    assert isinstance(item, DocumentItem)
    return item.content


def report(result: Reading) -> LabReport:
    item = result.items[0]
    assert isinstance(item, LabReportItem)
    return item.content


def chapters(inside: tuple[LabChapter, ...]) -> Iterator[LabChapter]:
    for one in inside:
        yield one
        yield from chapters(one.chapters)


def test_every_example_is_read_shown_and_kept_byte_for_byte(shared_data: Path) -> None:
    for path in files(shared_data):
        content = path.read_bytes()
        assert is_cda(content), path.name
        assert FORMAT.sniff(content) > 0.9
        result = reading(content)
        found = metadata(result)
        whole = found.attachments[0]
        assert base64.b64decode(whole.data or "") == content, path.name
        assert not [one for one in result.findings if one.severity is Severity.ERROR], path.name
        for item in result.items:
            assert ITEM.validate_json(ITEM.dump_json(item)) == item
        shown = FORMAT.pieces(content)
        assert [one.name for one in shown[:2]] == ["Document", "Patient"], path.name
        spans = FORMAT.positions(content)
        assert len({one.where for one in spans}) == len(spans), path.name
        assert all(content[one.start : one.end].strip() for one in spans)
        light = read_header(content, ReadContext())
        assert light.patient == result.items[-1].patient
        assert light.document == found.model_copy(update={"attachments": ()})


def test_header_metadata_is_what_the_xml_says(shared_data: Path) -> None:
    for path in files(shared_data):
        content = path.read_bytes()
        document, found = tree(content), metadata(reading(content))
        root, extension = text(document, "h:id/@root"), text(document, "h:id/@extension")
        assert found.document_id == (f"{root}^{extension}" if extension else root), path.name
        assert found.set_id == text(document, "h:setId/@root")
        assert str(found.version) == text(document, "h:versionNumber/@value")
        assert found.title == " ".join((text(document, "h:title/text()") or "").split())
        assert found.type is not None
        assert found.type.code == text(document, "h:code/@code")
        assert found.confidentiality[0].code == text(document, "h:confidentialityCode/@code")
        assert found.language == "fr-FR"
        digits = (found.created_at or "").replace("-", "").replace(":", "").replace("T", "")
        assert digits.startswith((text(document, "h:effectiveTime/@value") or "?")[:12])
        assert found.format is not None, path.name
        assert len(found.other_authors) + 1 == len(texts(document, "h:author/h:assignedAuthor/h:id/@root"))
        assert found.author is not None
        family = text(document, "h:author[1]//h:assignedPerson/h:name/h:family/text()")
        assert found.author.family_name == family
        assert found.custodian is not None
        assert found.custodian.name == text(document, "h:custodian//h:name/text()")
        assert found.legal_authenticator is not None
        assert found.legal_authenticator.family_name == text(document, "h:legalAuthenticator//h:family/text()")
        assert len(found.recipients) == len(document.findall("h:informationRecipient/h:intendedRecipient", NS))
        kinds = Counter(one.kind for one in found.participants)
        stated = Counter(texts(document, "h:participant/@typeCode"))
        assert {kind: kinds[kind] for kind in stated} == stated, path.name
        assert kinds["authenticator"] == len(document.findall("h:authenticator", NS))
        assert kinds["informant"] == len(document.findall("h:informant", NS))
        setting = text(document, "h:documentationOf//h:performer//h:standardIndustryClassCode/@code")
        assert (found.practice_setting.code if found.practice_setting else None) == setting
        assert found.facility_type is not None
        assert found.facility_type.code == text(document, "h:componentOf//h:healthCareFacility/h:code/@code")
        replaced = text(document, "h:relatedDocument[@typeCode='RPLC']/h:parentDocument/h:id/@root")
        assert found.replaces_id == replaced
        assert found.operation is (DocumentOperation.REPLACE if replaced else DocumentOperation.CREATE)


def test_identities_are_what_the_xml_says(shared_data: Path) -> None:
    without_ins = set()
    for path in files(shared_data):
        content = path.read_bytes()
        document, found = tree(content), reading(content).items[-1].patient
        role = "h:recordTarget/h:patientRole"
        assert found.birth_name == text(document, f"{role}//h:name/h:family[@qualifier='BR']/text()")
        given = text(document, f"{role}/h:patient/h:name/h:given[not(@qualifier)]/text()")
        assert " ".join(found.birth_given_names) == given
        assert found.first_given_name == text(document, f"{role}//h:name/h:given[@qualifier='BR']/text()")
        assert found.birth_place == text(document, f"{role}//h:birthplace//h:county/text()")
        assert (found.birth_date or "").replace("-", "") == text(document, f"{role}//h:birthTime/@value")
        assert len(found.telecoms) == len(texts(document, f"{role}/h:telecom/@value"))
        numbers = {one.value for one in found.identifiers} | ({found.ins.matricule} if found.ins else set())
        assert numbers == set(texts(document, f"{role}/h:id/@extension"))
        if found.ins is None:
            without_ins.add(path.name)
    # The matricules of these do not carry their key: they are made up.
    assert without_ins == {
        "CSE-MDE_2023.01.xml",
        "own-cr-bio-minimal.xml",
        "own-cr-bio-replaces-v1.xml",
        "own-n1-pdf-minimal.xml",
    }


def test_files_of_level_1_and_embedded_ones_are_attached(shared_data: Path) -> None:
    for path in files(shared_data):
        content = path.read_bytes()
        document = tree(content)
        stated = texts(document, "//h:nonXMLBody/h:text/text() | //h:observationMedia/h:value/text()")
        expected = {base64.b64decode("".join(one.split())) for one in stated}
        attached = metadata(reading(content)).attachments[1:]
        assert {base64.b64decode(one.data or "") for one in attached} == expected, path.name
        for one in attached:
            data = base64.b64decode(one.data or "")
            assert data.startswith(b"%PDF-") == (one.media_type == "application/pdf"), path.name


def test_every_result_of_every_cr_bio_is_there_with_its_value(shared_data: Path) -> None:
    total = 0
    for path in files(shared_data):
        content = path.read_bytes()
        result = reading(content)
        document = tree(content)
        stated = document.xpath(RESULT, namespaces=NS)
        assert isinstance(stated, list)
        if "BIO-CR" not in path.name or "Niveau-1" in path.name:
            continue
        found = list(observations_of(report(result).chapters))
        by_code = Counter(_of_xml(one) for one in stated if isinstance(one, etree._Element))
        assert Counter(_of_model(one) for one in found) == by_code, path.name
        total += len(found)
    assert total > 60


def _of_xml(one: etree._Element) -> tuple[object, ...]:
    bounds = "h:value/h:low/@value | h:value/h:high/@value"
    return (
        text(one, "h:code/@code") or text(one, "h:code/h:translation/@code"),
        text(one, "h:value/@value") or tuple(texts(one, bounds)) or text(one, "h:value/@code"),
        text(one, "h:value/@unit") or text(one, "h:value/*/@unit"),
        tuple(texts(one, "h:interpretationCode/@code")),
        text(one, "h:referenceRange//h:low/@value"),
        text(one, "h:referenceRange//h:high/@value"),
        len(one.findall("h:entryRelationship[@typeCode='REFR']", NS)),
    )


def _of_model(one: Observation) -> tuple[object, ...]:
    value: object = None
    match one.value:
        case QuantityValue(number=number, comparator=comparator):
            value = (number,) if comparator else number
        case RangeValue(low=low, high=high):
            value = (low, high)
        case other if other is not None and not isinstance(other, TextValue):
            value = other.codes[0].code if other.type == "coded" else None
    return (
        one.codes[0].code,
        value,
        one.unit.ucum if one.unit else None,
        one.flags,
        one.reference.low if one.reference else None,
        one.reference.high if one.reference else None,
        len(one.previous),
    )


def test_isolates_and_antibiograms_of_the_microbiology(shared_data: Path) -> None:
    result, document = read_file(shared_data, MICROBIOLOGY)
    isolates = [one for one in chapters(report(result).chapters) if one.parent is not None]
    organisms = [one.parent.code.code for one in isolates if one.parent and one.parent.code]
    assert organisms == texts(document, "//h:specimenPlayingEntity/h:code/@code")
    ncbi = [code.code for one in isolates if one.parent for code in one.parent.translations]
    assert ncbi == texts(document, "//h:specimenPlayingEntity/h:code/h:translation/@code")
    first = isolates[0]
    assert [one.label for one in first.observations] == ["Dénombrement de germes"]
    (antibiogram,) = first.chapters
    assert [(one.label, one.flags) for one in antibiogram.observations] == [
        ("Amoxicilline", ("R",)),
        ("Ampicilline", ("I",)),
        ("Gentamicine", ("S",)),
    ]
    signs = [one.value.comparator for one in antibiogram.observations if isinstance(one.value, QuantityValue)]
    assert signs == [">=", "<", "<"]


def test_texts_come_out_of_the_narrative(shared_data: Path) -> None:
    result, document = read_file(shared_data, MICROBIOLOGY)
    (colour,) = [one for one in observations_of(report(result).chapters) if one.codes[0].code == "5778-6"]
    assert colour.value == TextValue(text=text(document, "//*[@ID='CBU-couleur-resultat']/text()") or "")
    assert colour.label == "Couleur"
    (chapter,) = report(result).chapters
    assert chapter.comment == text(document, "//*[@ID='C_ECBU']/text()")


def test_previous_results_comments_and_subcontractor_of_the_electrophoresis(shared_data: Path) -> None:
    result, document = read_file(shared_data, ELECTROPHORESIS)
    found = {one.codes[0].code: one for one in observations_of(report(result).chapters)}
    urea = found["22664-7"]
    path = f"{RESULT}[h:code/@code='22664-7']/h:entryRelationship[@typeCode='REFR']/h:observation"
    numbers = [one.value.number for one in urea.previous if isinstance(one.value, QuantityValue)]
    assert numbers == texts(document, f"{path}/h:value/@value")
    days = [(one.effective_at or "").replace("-", "")[:8] for one in urea.previous]
    assert days == [one[:8] for one in texts(document, f"{path}/h:effectiveTime/@value")]
    comments = {one.comment for one in chapters(report(result).chapters)}
    assert {"Bisalbuminémie", "Interprétation : Anisocytose"} <= comments
    performer = found["2885-2"].performer
    assert performer is not None
    assert performer.name == text(document, "//h:act/h:performer//h:representedOrganization/h:name/text()")
    assert (report(result).comment or "").startswith("Non conformité\n")
    assert {one.media_type for one in report(result).attachments} == {"image/png", "application/pdf"}


def test_report_header_of_a_cr_bio(shared_data: Path) -> None:
    result, document = read_file(shared_data, MICROBIOLOGY)
    found = report(result)
    assert found.report_id == text(document, "h:setId/@root")
    assert found.order_id == text(document, "h:inFulfillmentOf/h:order/h:id/@extension")
    assert found.prescriber is not None
    assert found.prescriber.family_name == text(document, "h:participant[@typeCode='REF']//h:family/text()")
    assert found.validated_by is not None
    assert found.validated_by.family_name == text(document, "h:authenticator//h:family/text()")
    assert found.laboratory is not None
    performer = "h:documentationOf[1]//h:performer//h:representedOrganization/h:name/text()"
    assert found.laboratory.name == text(document, performer)
    (specimen,) = found.specimens
    assert specimen.type is not None
    assert specimen.type.code == text(document, "//h:participant[@typeCode='PRD']//h:playingEntity/h:code/@code")
    received = "//h:act[h:code/@code='SPRECEIVE']/h:effectiveTime/@value"
    assert (specimen.received_at or "").replace("-", "").replace(":", "").replace("T", "") == text(document, received)
    assert found.status == "final"


def test_the_second_version_replaces_the_first(shared_data: Path) -> None:
    first, _ = read_file(shared_data, "own-cr-bio-minimal.xml")
    second, _ = read_file(shared_data, "own-cr-bio-replaces-v1.xml")
    assert report(first).report_id == report(second).report_id == second.items[0].replaces
    assert report(second).replaces_document_id == report(first).document_id
    assert (report(first).version, report(second).version) == (1, 2)


def test_what_is_left_unread_is_really_in_the_xml_and_nothing_else_is_large(shared_data: Path) -> None:
    for path in files(shared_data):
        content = path.read_bytes()
        result = reading(content)
        places = [one.where for one in result.unread]
        assert len(places) == len(set(places)), path.name
        for one in result.unread:
            if "{" in one.where or ":" in one.where:
                continue
            steps = "/".join(f"h:{step}" for step in one.where.split("/"))
            assert tree(content).xpath(steps, namespaces=NS), (path.name, one.where)
        structured = [one for one in places if one.startswith("component/structuredBody")]
        assert len(structured) <= 12, path.name


def test_mutated_examples_raise_nothing_but_format_errors(shared_data: Path) -> None:
    chance = random.Random(20260305)
    refused = 0
    for path in files(shared_data):
        content = path.read_bytes()
        # A long base64 only dilutes the changes: it is cut to its beginning.
        small = re.sub(rb"([A-Za-z0-9+/\s]{400})[A-Za-z0-9+/=\s]{4000,}", rb"\1", content)
        for _ in range(12):
            changed = mutated(small, chance)
            try:
                result = reading(changed)
                FORMAT.pieces(changed)
            except FormatError:
                refused += 1
                continue
            for item in result.items:
                assert ITEM.validate_json(ITEM.dump_json(item)) == item
    assert 0 < refused < 12 * 23
