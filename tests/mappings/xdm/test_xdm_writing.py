from __future__ import annotations

import base64
import io
import zipfile
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path

import pytest
from filled_items import DOCUMENT_ITEM, REPORT_ITEM, STAY_ITEM
from hypothesis import given, settings, strategies as st
from lxml import etree
from xdm_archives import FOLDER, PDF, archive, cda, entry, metadata, xdm

from mappings.contracts import FormatError, ReadContext, Rendition, WriteContext, WriteRefused
from mappings.notes import Notes
from mappings.same_person import SamePerson, same_person
from mappings.xdm import FORMAT
from mappings.xds import vocabulary
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.model import DocumentEntry, Submission
from mappings.xml_source import parse_xml
from schemas.attachment import Attachment
from schemas.document import DocumentOperation, Wishes
from schemas.identity import PatientIdentity
from schemas.item import DocumentItem, Item, LabReportItem
from schemas.lab import ResultStatus

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


def write(item: Item, **options: str) -> Rendition:
    return FORMAT.write(item, WriteContext(now=NOW, identity="LOT-1", options=options))


def opened(rendition: Rendition) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(rendition.content)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


def submission_of(rendition: Rendition) -> Submission:
    notes = Notes()
    found = read_submission(parse_xml(opened(rendition)[f"{FOLDER}METADATA.XML"], code="x"), notes)
    assert notes.findings == ()
    assert notes.unread == ()
    return found


def first(rendition: Rendition) -> DocumentEntry:
    return submission_of(rendition).entries[0]


def document(content: bytes | None = None, **changes: object) -> DocumentItem:
    """An Item that carries a CDA, as a reader gives it."""
    (item,) = FORMAT.read(xdm(document=content), ReadContext()).items
    assert isinstance(item, DocumentItem)
    return item.model_copy(update={"content": item.content.model_copy(update=changes)})


def test_the_layout_is_strict_and_the_bytes_the_same_each_time() -> None:
    rendition = write(document())
    assert list(opened(rendition)) == ["INDEX.HTM", "README.TXT", f"{FOLDER}METADATA.XML", f"{FOLDER}DOC00001.XML"]
    assert (rendition.media_type, rendition.filename) == ("application/zip", "LOT-1.zip")
    assert write(document()).content == rendition.content
    with zipfile.ZipFile(io.BytesIO(rendition.content)) as found:
        for info in found.infolist():
            assert (info.flag_bits, info.create_system, info.extract_version) == (0, 0, 20)
            assert (info.date_time, info.extra) == ((1980, 1, 1, 0, 0, 0), b"")
    stored = write(document(), compression="store")
    with zipfile.ZipFile(io.BytesIO(stored.content)) as found:
        assert {info.compress_type for info in found.infolist()} == {zipfile.ZIP_STORED}


def test_a_cda_travels_byte_for_byte_with_its_own_metadata() -> None:
    rendition = write(document(), source_id="1.2.250.1.999.67", issuer="HÔPITAL & FICTIF", issuer_phone="0199000000")
    files = opened(rendition)
    assert files[f"{FOLDER}DOC00001.XML"] == cda()
    assert rendition.findings == ()
    found = first(rendition)
    assert found.unique_id == "1.2.250.1.999.67.1"
    assert found.patient_id == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    assert found.source_patient_id == "IPP-TEST-1^^^&1.2.250.1.999.67.2&ISO^PI"
    assert found.source_patient_info == ("PID-5|FICTIVE-ROSE^MIREILLE^^^^^L", "PID-7|19790305", "PID-8|F")
    assert (found.hash, found.size, found.uri) == (sha1(cda()).hexdigest(), len(cda()), "DOC00001.XML")  # noqa: S324
    assert found.creation_time == "20260305083000"
    assert (found.service_start_time, found.service_stop_time) == ("20260302070000", "20260305083000")
    assert found.legal_authenticator == "899700000017^TESTEUR^HELENE^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    assert found.authors[0].institutions == ("HOPITAL FICTIF^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1990000017",)
    coded = (found.type_code, found.class_code, found.format_code, found.practice_setting_code)
    assert [(code.code, code.scheme) for code in coded if code] == [
        ("11490-0", "2.16.840.1.113883.6.1"),
        ("10", "1.2.250.1.213.1.1.4.1"),
        ("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3"),
        ("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9"),
    ]
    lot = submission_of(rendition).submission_set
    assert lot is not None
    assert lot.source_id == "1.2.250.1.999.67"
    assert lot.submission_time == "20260305090000"
    assert lot.content_type_code is not None
    assert lot.content_type_code.code == "03"
    assert "HÔPITAL &amp; FICTIF".encode() in files["INDEX.HTM"]
    assert b"HOPITAL & FICTIF" in files["README.TXT"]
    assert b"MIREILLE" not in files["INDEX.HTM"] + files["README.TXT"]
    etree.fromstring(files["INDEX.HTM"])


def test_a_resend_is_the_same_submission_and_another_one_is_not() -> None:
    again = FORMAT.write(document(), WriteContext(now=datetime(2026, 3, 6, tzinfo=UTC), identity="LOT-1"))
    other = FORMAT.write(document(), WriteContext(now=NOW, identity="LOT-2"))
    ids = {lot.unique_id for lot in (submission_of(one).submission_set for one in (write(document()), again)) if lot}
    assert len(ids) == 1
    lot = submission_of(other).submission_set
    assert lot is not None
    assert lot.unique_id not in ids


def test_document_to_xdm_to_document_is_equal() -> None:
    item = document(wishes=Wishes(masked_to_professionals=True), comment="à lire")
    (back,) = FORMAT.read(write(item).content, ReadContext()).items
    assert back.content == item.content
    assert back.patient == item.patient
    assert back.sender == item.sender
    assert back.author == item.author


def test_every_other_document_and_report_is_written_as_cda_first() -> None:
    rendition = write(DOCUMENT_ITEM)
    (back,) = FORMAT.read(rendition.content, ReadContext()).items
    assert isinstance(back, DocumentItem)
    assert back.patient.ins == DOCUMENT_ITEM.patient.ins
    assert base64.b64decode(back.content.attachments[1].data or "") == b"%PDF-1.4\n"
    assert back.content.comment == DOCUMENT_ITEM.content.comment
    assert "content.comment" not in {one.where for one in rendition.findings}
    report, whole = FORMAT.read(write(REPORT_ITEM).content, ReadContext()).items
    assert isinstance(report, LabReportItem)
    assert report.content.chapters
    assert isinstance(whole, DocumentItem)
    assert whole.content.type is not None
    assert whole.content.type.code == "11502-2"


@pytest.mark.parametrize(
    ("operation", "letter"),
    [(DocumentOperation.CREATE, None), (DocumentOperation.REPLACE, "C"), (DocumentOperation.DELETE, "D")],
)
def test_replacement_and_deletion_are_said(operation: DocumentOperation, letter: str | None) -> None:
    replaces = None if operation is DocumentOperation.CREATE else "1.2.250.1.999.67.66"
    item = document(cda(replaces=replaces), operation=operation)
    rendition = write(item, action_slot="urn:x-fictif:action")
    assert first(rendition).action == letter
    assert first(rendition).extra == ((("urn:x-fictif:action", (letter,)),) if letter else ())
    (back,) = FORMAT.read(rendition.content, ReadContext()).items
    assert isinstance(back, DocumentItem)
    assert (back.content.operation, back.content.replaces_id) == (operation, replaces)


def test_a_document_that_is_no_cda_may_be_deleted_too() -> None:
    gone = DOCUMENT_ITEM.content.model_copy(update={"operation": DocumentOperation.DELETE, "replaces_id": None})
    rendition = write(DOCUMENT_ITEM.model_copy(update={"content": gone}))
    assert first(rendition).action == "D"
    (back,) = FORMAT.read(rendition.content, ReadContext()).items
    assert isinstance(back, DocumentItem)
    assert back.content.operation is DocumentOperation.DELETE


def test_the_results_of_a_deleted_report_no_longer_count() -> None:
    carried = FORMAT.read(write(REPORT_ITEM).content, ReadContext()).items[1]
    assert isinstance(carried, DocumentItem)
    gone = carried.content.model_copy(update={"operation": DocumentOperation.DELETE})
    report, whole = FORMAT.read(write(carried.model_copy(update={"content": gone})).content, ReadContext()).items
    assert isinstance(report, LabReportItem)
    assert isinstance(whole, DocumentItem)
    assert whole.content.operation is DocumentOperation.DELETE
    chapters = list(report.content.chapters)
    statuses = {report.content.status}
    while chapters:
        chapter = chapters.pop()
        chapters += chapter.chapters
        statuses |= {chapter.status, *(one.status for one in chapter.observations)}
    assert statuses == {ResultStatus.ENTERED_IN_ERROR}


def test_a_pdf_twin_on_request() -> None:
    rendition = write(document(), pdf="yes")
    assert opened(rendition)[f"{FOLDER}DOC00001.PDF"] == PDF
    written = submission_of(rendition)
    cda_entry, pdf_entry = written.entries
    assert (pdf_entry.mime_type, pdf_entry.size, pdf_entry.uri) == ("application/pdf", len(PDF), "DOC00001.PDF")
    assert pdf_entry.unique_id != cda_entry.unique_id
    kinds = [link.type for link in written.associations]
    assert kinds == [vocabulary.HAS_MEMBER, vocabulary.HAS_MEMBER, vocabulary.TRANSFORMS]
    (back,) = FORMAT.read(rendition.content, ReadContext()).items
    assert isinstance(back, DocumentItem)
    assert len(back.content.attachments) == 2


def test_what_the_archive_cannot_carry_is_said() -> None:
    other = Attachment(media_type="image/jpeg", data=base64.b64encode(b"\xff\xd8 other").decode())
    item = document(
        wishes=Wishes(dmp=True, hidden_from_patient=True),
        reply_to="x@fictif.mssante.invalid",
        replaces_id="1.2.250.1.999.67.66",
    )
    item = item.model_copy(
        update={"content": item.content.model_copy(update={"attachments": (*item.content.attachments, other)})}
    )
    assert {one.where for one in write(item).findings} == {
        "content.wishes",
        "content.reply_to",
        "content.replaces_id",
        "content.attachments[2]",
    }
    codes = {one.code for one in first(write(item)).confidentiality_codes}
    assert codes == {"N", "INVISIBLE_PATIENT"}


def test_a_document_about_somebody_else_is_not_written() -> None:
    item = document().model_copy(
        update={"patient": PatientIdentity(birth_name="AUTRE", first_given_name="PAUL", birth_date="1950-01-01")}
    )
    with pytest.raises(FormatError) as problem:
        write(item)
    assert problem.value.code == "document.other_patient"
    with pytest.raises(WriteRefused):
        write(STAY_ITEM)


def test_the_same_metadata_say_whose_it_is_when_the_document_has_no_ins() -> None:
    item = document()
    bare = cda(ins=None)
    whole = Attachment(media_type="text/xml", data=base64.b64encode(bare).decode())
    item = item.model_copy(update={"content": item.content.model_copy(update={"attachments": (whole,)})})
    assert first(write(item)).patient_id == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    unknown = item.model_copy(update={"patient": item.patient.model_copy(update={"ins": None})})
    rendition = write(unknown)
    assert first(rendition).patient_id == "IPP-TEST-1^^^&1.2.250.1.999.67.2&ISO^PI"
    assert {one.code for one in rendition.findings} == {"xds.patient_id.local"}


def test_what_metadata_lack_is_named() -> None:
    poor = cda().replace(b"standardIndustryClassCode", b"noClassCode").replace(b"legalAuthenticator", b"nobody")
    item = document(poor, practice_setting=None, legal_authenticator=None)
    missing = {one.where for one in write(item).findings if one.code == "xds.missing"}
    assert missing == {"Document01 practiceSettingCode", "Document01 legalAuthenticator"}


def test_showing_an_archive() -> None:
    content = write(document(), pdf="yes").content
    spans = FORMAT.positions(content)
    assert len({one.where for one in spans}) == len(spans) == 10
    assert {content[one.start : one.end] for one in spans if one.where.endswith(" name")} >= {b"INDEX.HTM"}
    (subset,) = FORMAT.pieces(content)
    listed, letter, twin = subset.children
    shown = {piece.where: piece for lot in listed.children for piece in lot.children}
    assert shown["Document01.typeCode"].text.startswith("11490-0")
    assert shown["Document01.typeCode"].name == "Type de document"
    assert shown["Document01.sourcePatientInfo[1]"].text == "PID-7|19790305"
    assert letter.children
    assert twin.where == "DOC00001.PDF"
    broken = archive({f"{FOLDER}METADATA.XML": b"<x", f"{FOLDER}DOC00001.XML": cda()})
    assert FORMAT.pieces(broken)[0].children[0].text == "xdm.metadata.not_xml"


@pytest.mark.shared_data
def test_metadata_follow_the_schema(shared_data: Path) -> None:
    schema = etree.XMLSchema(etree.parse(shared_data / "dmp" / "schema" / "ebRS" / "lcm.xsd"))
    replaced = document(cda(replaces="1.2.250.1.999.67.66"), operation=DocumentOperation.REPLACE)
    for item in (DOCUMENT_ITEM, REPORT_ITEM, document(), replaced):
        found = opened(write(item, pdf="yes"))[f"{FOLDER}METADATA.XML"]
        schema.assertValid(etree.fromstring(found))


@pytest.mark.shared_data
def test_every_ans_example_goes_through_an_archive(shared_data: Path) -> None:
    from mappings.cda import FORMAT as CDA

    for path in sorted((shared_data / "cda" / "examples").glob("*.xml")):
        items = CDA.read(path.read_bytes(), ReadContext()).items
        item = next(one for one in items if isinstance(one, DocumentItem))
        reading = FORMAT.read(write(item).content, ReadContext())
        back = next(one for one in reading.items if isinstance(one, DocumentItem))
        assert [one.code for one in reading.findings if not one.code.startswith("cda.")] == [], path.name
        assert [one.kind for one in reading.items] == [one.kind for one in items]
        assert same_person(back.patient, item.patient) is not SamePerson.NO
        assert base64.b64decode(back.content.attachments[0].data or "") == path.read_bytes()
        changed = {"attachments": item.content.attachments, "category": item.content.category}
        assert back.content.model_copy(update=changed) == item.content, path.name


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_archives_raise_nothing_else(data: st.DataObject) -> None:
    files = {f"{FOLDER}METADATA.XML": metadata(entry(cda())), f"{FOLDER}DOC00001.XML": cda()}
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] = data.draw(st.integers(0, 255))
        else:
            del content[at : at + data.draw(st.integers(1, 200))]
    code = ""
    try:
        reading = FORMAT.read(archive(files | {name: bytes(content)}), ReadContext())
        assert reading.items
    except FormatError as problem:
        code = problem.code
    assert code == "" or code.split(".")[0] in {"archive", "xdm", "cda"}
