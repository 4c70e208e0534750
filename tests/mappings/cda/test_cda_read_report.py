"""The structure of a CR-BIO: chapters, batteries, isolates, specimens, laboratory, validators, comments, files."""

from __future__ import annotations

import base64

from cda_documents import (
    CR_BIO,
    DOCTOR,
    LABORATORY,
    codes,
    cr_bio,
    document,
    observation,
    reading,
    relation,
    report_of,
    section,
    unread,
)

from schemas.coding import LOINC, Coding, Identifier
from schemas.item import DocumentItem, ItemKind, LabReportItem
from schemas.lab import ResultStatus

LOINC_OID = "2.16.840.1.113883.6.1"
PDF = base64.b64encode(b"%PDF-1.4 fictif").decode()
SPECIMEN = (
    '<procedure classCode="PROC" moodCode="EVN">'
    '<code code="9050" displayName="Ponction veineuse" codeSystem="1.2.250.1.213.2.7"/>'
    '<effectiveTime><high value="202503100830+0100"/></effectiveTime>'
    '<targetSiteCode code="76784001" displayName="bras" codeSystem="2.16.840.1.113883.6.96"/>'
    '<participant typeCode="PRD"><participantRole classCode="SPEC">'
    '<id root="1.2.3.55" extension="{tube}"/><playingEntity>'
    '<code code="SER" displayName="Sérum" codeSystem="2.16.840.1.113883.18.311"/>'
    "</playingEntity></participantRole></participant>"
    '<entryRelationship typeCode="COMP"><act classCode="ACT" moodCode="EVN">'
    '<code code="SPRECEIVE" codeSystem="1.3.5.1.4.1.19376.1.5.3.2"/>'
    '<effectiveTime value="202503100900+0100"/></act></entryRelationship></procedure>'
)


def tube(number: str) -> str:
    return relation(SPECIMEN.format(tube=number))


def battery(inside: str, code: str = "", kind: str = "BATTERY") -> str:
    parts = "".join(f"<component>{one}</component>" for one in inside.split("|"))
    return f'<organizer classCode="{kind}" moodCode="EVN">{code}<statusCode code="completed"/>{parts}</organizer>'


def comment_section(title: str, text: str) -> str:
    return (
        '<component><section><templateId root="1.2.250.1.213.1.1.2.73"/>'
        f'<code code="55112-7" codeSystem="{LOINC_OID}"/><title>{title}</title><text>{text}'
        "</text></section></component>"
    )


def test_a_cr_bio_gives_a_report_then_the_document() -> None:
    result = reading(cr_bio(section(relation(observation('<value xsi:type="PQ" value="6"/>')))))
    assert [item.kind for item in result.items] == [ItemKind.LAB_REPORT, ItemKind.DOCUMENT]
    first, second = result.items
    assert first.id != second.id
    assert first.patient == second.patient
    report = report_of(result)
    assert (report.report_id, report.report_authority) == ("SET-1", "urn:oid:1.2.3.8")
    assert (report.document_id, report.version) == ("1.2.3.9^DOC-1", 2)
    assert report.codes == (Coding(system=LOINC, code="11502-2", display="CR de biologie"),)
    assert result.control_id == "1.2.3.9^DOC-1"


def test_a_bare_root_is_the_reports_identity() -> None:
    content = cr_bio("", versions='<setId root="2.25.77"/>')
    assert (report_of(reading(content)).report_id, report_of(reading(content)).report_authority) == ("2.25.77", None)


def test_any_version_of_the_template_or_the_code_with_a_chapter_is_a_cr_bio() -> None:
    chapter = section(relation(observation("")))
    for templates in ('<templateId root="1.2.250.1.213.1.1.1.55" extension="2030.01"/>', ""):
        assert reading(cr_bio(chapter, templates=templates)).items[0].kind == "lab_report"
    letter = cr_bio(chapter, templates="", code=f'<code code="11490-0" codeSystem="{LOINC_OID}"/>')
    assert [item.kind for item in reading(letter).items] == [ItemKind.DOCUMENT]


def test_level_1_of_a_laboratory_report_is_a_document_only() -> None:
    body = (
        f'<component><nonXMLBody><text mediaType="application/pdf" representation="B64">{PDF}'
        "</text></nonXMLBody></component>"
    )
    assert [item.kind for item in reading(document(**{**CR_BIO, "component": body})).items] == [ItemKind.DOCUMENT]


def test_chapters_sub_chapters_and_batteries() -> None:
    panel = battery(
        observation("") + "|" + observation(""),
        f'<code code="58410-2" displayName="Hémogramme" codeSystem="{LOINC_OID}"/>',
    )
    inner = section(relation(panel) + relation(observation("")), title="Hémogramme").replace("1.2.70", "1.2.71")
    outer = (
        '<component><section><templateId root="1.2.250.1.213.1.1.2.70"/>'
        f'<code code="18723-7" codeSystem="{LOINC_OID}"/><title>HEMATOLOGIE</title>{inner}</section></component>'
    )
    (chapter,) = report_of(reading(cr_bio(outer))).chapters
    assert (chapter.title, [one.code for one in chapter.codes]) == ("HEMATOLOGIE", ["18723-7"])
    (sub,) = chapter.chapters
    assert (sub.title, len(sub.observations), sub.status) == ("Hémogramme", 1, None)
    (found,) = sub.chapters
    assert (found.title, [one.code for one in found.codes], len(found.observations)) == ("Hémogramme", ["58410-2"], 2)


def test_isolates_with_their_antibiogram() -> None:
    antibiogram = battery(
        observation('<value xsi:type="IVL_PQ"><low value="0.5" unit="ug/mL"/></value><interpretationCode code="R"/>'),
        f'<code code="18769-0" displayName="Antibiogramme" codeSystem="{LOINC_OID}"/>',
    )
    organism = (
        '<specimen typeCode="SPC"><specimenRole classCode="SPEC"><id root="1.2.3" extension="ISO-1"/>'
        '<specimenPlayingEntity classCode="MIC"><code code="112283007" displayName="Escherichia coli (organism)" '
        'codeSystem="2.16.840.1.113883.6.96"><originalText>E. coli</originalText>'
        '<translation code="562" codeSystem="2.16.840.1.113883.3.9471"/></code>'
        "</specimenPlayingEntity></specimenRole></specimen>"
    )
    isolate = battery(observation("") + "|" + antibiogram, kind="CLUSTER").replace(
        "<component>", organism + "<component>", 1
    )
    (chapter,) = report_of(reading(cr_bio(section(relation(observation("")) + relation(isolate))))).chapters
    (found,) = chapter.chapters
    assert found.parent is not None
    assert found.parent.code is not None
    assert (found.parent.code.code, found.parent.sub_id, found.parent.text) == ("112283007", "ISO-1", "E. coli")
    assert [one.code for one in found.parent.translations] == ["562"]
    assert len(found.observations) == 1
    (tested,) = found.chapters
    assert tested.title == "Antibiogramme"
    assert tested.observations[0].flags == ("R",)


def test_specimens_and_the_results_measured_in_them() -> None:
    one = section(tube("T1") + relation(observation("")))
    again = section(tube("T1") + relation(observation("")), title="ENCORE")
    two = section(tube("T2") + tube("T3") + relation(observation("")), title="DEUX")
    report = report_of(reading(cr_bio(one + again + two)))
    assert [specimen.id for specimen in report.specimens] == ["T1", "T2", "T3"]
    first = report.specimens[0]
    assert first.identifiers == (Identifier(system="urn:oid:1.2.3.55", value="T1", type="FILL"),)
    assert first.type is not None
    assert first.type.code == "SER"
    assert first.site is not None
    assert first.site.display == "bras"
    assert first.method is not None
    assert first.method.code == "9050"
    assert (first.collected_at, first.received_at) == ("2025-03-10T08:30+01:00", "2025-03-10T09:00+01:00")
    assert [chapter.observations[0].specimen for chapter in report.chapters] == ["T1", "T1", None]
    assert report.collected_at == "2025-03-10T08:30+01:00"


def test_a_result_may_name_its_specimen_or_say_that_it_is_unknown() -> None:
    names = '<specimen><specimenRole><id root="1.2.3.55" extension="T2"/></specimenRole></specimen>'
    unknown = '<specimen><specimenRole><id nullFlavor="UNK"/></specimenRole></specimen>'
    inside = tube("T1") + relation(observation(unknown)) + relation(observation(""))
    both = section(tube("T1") + tube("T2") + relation(observation(names)))
    report = report_of(reading(cr_bio(section(inside) + both)))
    assert [one.specimen for chapter in report.chapters for one in chapter.observations] == [None, "T1", "T2"]


def test_laboratory_and_validators_are_said_once_unless_they_differ() -> None:
    service = (
        '<documentationOf><serviceEvent><lab:statusCode code="completed"/><effectiveTime>'
        '<low value="20250310"/></effectiveTime>'
        f"<performer><assignedEntity>{DOCTOR}<representedOrganization>{LABORATORY}"
        "</representedOrganization></assignedEntity></performer>"
        "</serviceEvent></documentationOf>"
        f'<authenticator><signatureCode code="S"/><assignedEntity>{DOCTOR}</assignedEntity></authenticator>'
    )
    authen = (
        '<participant typeCode="AUTHEN"><time><high value="20250310"/></time><participantRole>{}'
        "<playingEntity><name><family>{}</family></name></playingEntity></participantRole></participant>"
    )
    same = authen.format('<id root="1.2.250.1.71.4.2.1" extension="899900000001"/>', "BIOLOGISTE-FICTIF")
    other = authen.format('<id root="1.2.250.1.71.4.2.1" extension="899900000009"/>', "AUTRE-FICTIF")
    subcontractor = (
        "<performer><assignedEntity><representedOrganization><name>SOUS-TRAITANT</name>"
        "</representedOrganization></assignedEntity></performer>"
    )
    content = cr_bio(
        section(same + relation(observation("")))
        + section(subcontractor + other + relation(observation("")), title="B"),
        others=service,
    )
    report = report_of(reading(content))
    assert report.laboratory is not None
    assert report.laboratory.name == "LBM FICTIF"
    assert report.validated_by is not None
    assert report.validated_by.family_name == "BIOLOGISTE-FICTIF"
    first, second = (chapter.observations[0] for chapter in report.chapters)
    assert (first.performer, first.validated_by, first.issued_at) == (None, None, "2025-03-10")
    assert second.performer is not None
    assert second.performer.name == "SOUS-TRAITANT"
    assert second.validated_by is not None
    assert second.validated_by.family_name == "AUTRE-FICTIF"


def test_status_of_the_report() -> None:
    service = (
        '<documentationOf><serviceEvent><lab:statusCode code="{}"/><effectiveTime/></serviceEvent></documentationOf>'
    )
    done = section(relation(observation("")))
    waiting = done.replace(
        'moodCode="EVN"><code code="14749-6" codeSystem="2.16.840.1.113883.6.1"/><statusCode code="completed"',
        'moodCode="EVN"><code code="14749-6" codeSystem="2.16.840.1.113883.6.1"/><statusCode code="active"',
    )
    assert waiting != done
    assert report_of(reading(cr_bio(done, others=service.format("completed")))).status is ResultStatus.FINAL
    assert report_of(reading(cr_bio(done))).status is ResultStatus.FINAL
    assert report_of(reading(cr_bio(done, others=service.format("active")))).status is ResultStatus.PARTIAL
    assert report_of(reading(cr_bio(waiting, others=service.format("completed")))).status is ResultStatus.PARTIAL
    assert report_of(reading(cr_bio(""))).status is ResultStatus.UNKNOWN
    (chapter,) = report_of(reading(cr_bio(waiting, others=service.format("completed")))).chapters
    assert chapter.status is ResultStatus.FINAL


def test_comments_conclusion_and_reason() -> None:
    reason = (
        '<component><section><code code="42349-1"/><title>Contexte</title><text>Bilan fictif'
        "</text></section></component>"
    )
    content = cr_bio(
        reason
        + comment_section("Non conformité", "<paragraph>Tube hémolysé.</paragraph>")
        + comment_section("Commentaire", "À revoir.")
        + comment_section("Conclusion", "Rien à signaler.")
        + section(relation(observation("")))
    )
    result = reading(content)
    report = report_of(result)
    assert report.clinical_information == "Bilan fictif"
    assert report.comment == "Non conformité\nTube hémolysé.\nÀ revoir."
    assert report.conclusion == "Rien à signaler."
    assert unread(result) == {}


def test_a_chapter_that_is_only_a_text_keeps_it() -> None:
    only = section("", "<paragraph>Résultat rendu en texte.</paragraph>").replace(
        '<entry typeCode="DRIV"><act classCode="ACT" moodCode="EVN"><statusCode code="completed"/></act></entry>', ""
    )
    (chapter,) = report_of(reading(cr_bio(only))).chapters
    assert chapter.comment == "Résultat rendu en texte."


def test_files_are_attachments_of_both() -> None:
    copy = (
        '<component><section><templateId root="1.2.250.1.213.1.1.2.243"/><code code="55108-5"/>'
        "<title>Copie du document</title>"
        '<text><renderMultiMedia referencedObject="doc-1"/></text><entry><organizer><component>'
        '<observationMedia ID="doc-1">'
        f'<value mediaType="application/pdf" representation="B64">{PDF[:8]}\n  {PDF[8:]}</value>'
        "</observationMedia></component>"
        "</organizer></entry></section></component>"
    )
    result = reading(cr_bio(section(relation(observation(""))) + copy))
    (file,) = report_of(result).attachments
    assert (file.media_type, file.title, file.data) == ("application/pdf", "Copie du document", PDF)
    document_item = result.items[1]
    assert isinstance(document_item, DocumentItem)
    assert document_item.content.attachments[1:] == (file,)
    assert codes(result) == []
    assert unread(result) == {}


def test_a_section_of_another_kind_is_left_unread() -> None:
    other = (
        f'<component><section><code code="11369-6" codeSystem="{LOINC_OID}"/><title>Vaccinations'
        "</title><text>Vaccin fictif</text></section></component>"
    )
    result = reading(cr_bio(section(relation(observation(""))) + other))
    (text,) = unread(result).values()
    assert text == f"11369-6 {LOINC_OID} Vaccinations Vaccin fictif"


def test_a_replacing_report_names_what_it_replaces() -> None:
    parent = (
        '<relatedDocument typeCode="RPLC"><parentDocument><id root="1.2.3.9" extension="DOC-0"/>'
        "</parentDocument></relatedDocument>"
    )
    item = reading(cr_bio("", others=parent)).items[0]
    assert isinstance(item, LabReportItem)
    assert item.content.replaces_document_id == "1.2.3.9^DOC-0"
    assert item.replaces == "SET-1"
