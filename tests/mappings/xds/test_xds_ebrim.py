from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from lxml import etree
from xdm_archives import cda, entry, metadata, slot

from mappings.notes import Notes
from mappings.xds import vocabulary
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.ebrim_writing import metadata_xml, provide_and_register
from mappings.xds.model import Association, Author, Code, DocumentEntry, Submission, SubmissionSet
from mappings.xml_source import parse_xml

TEXT = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
MAYBE = st.none() | TEXT
TIME = st.none() | st.from_regex(r"20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9])([01][0-9][0-5][0-9]){0,1}", fullmatch=True)
CODE = st.builds(Code, code=TEXT, scheme=TEXT, label=MAYBE)
MAYBE_CODE = st.none() | CODE
MANY = st.lists(TEXT, max_size=3).map(tuple)
AUTHOR = st.builds(Author, person=MAYBE, institutions=MANY, roles=MANY, specialties=MANY, telecoms=MANY)
EXTRA = st.dictionaries(st.from_regex(r"urn:x:[a-z]{1,6}", fullmatch=True), MANY.filter(bool), max_size=2).map(
    lambda slots: tuple(slots.items())
)
ENTRY = st.builds(
    DocumentEntry,
    entry_uuid=TEXT,
    unique_id=MAYBE,
    mime_type=TEXT,
    patient_id=TEXT,
    type_code=MAYBE_CODE,
    class_code=MAYBE_CODE,
    format_code=MAYBE_CODE,
    practice_setting_code=MAYBE_CODE,
    healthcare_facility_type_code=MAYBE_CODE,
    confidentiality_codes=st.lists(CODE, max_size=3).map(tuple),
    event_codes=st.lists(CODE, max_size=3).map(tuple),
    title=MAYBE,
    comments=MAYBE,
    language_code=MAYBE,
    creation_time=TIME,
    service_start_time=TIME,
    service_stop_time=TIME,
    authors=st.lists(AUTHOR, max_size=2).map(tuple),
    legal_authenticator=MAYBE,
    source_patient_id=MAYBE,
    source_patient_info=MANY,
    reference_ids=MANY,
    hash=st.none() | st.from_regex(r"[0-9a-f]{40}", fullmatch=True),
    size=st.none() | st.integers(0, 10**12),
    uri=st.none() | st.from_regex(r"[A-Z0-9./]{1,300}", fullmatch=True),
    repository_unique_id=MAYBE,
    logical_id=MAYBE,
    version=MAYBE,
    availability_status=MAYBE,
    extra=EXTRA,
)
LOT = st.builds(
    SubmissionSet,
    entry_uuid=TEXT,
    unique_id=MAYBE,
    source_id=MAYBE,
    patient_id=TEXT,
    submission_time=TIME,
    content_type_code=MAYBE_CODE,
    title=MAYBE,
    comments=MAYBE,
    authors=st.lists(AUTHOR, max_size=2).map(tuple),
    intended_recipients=MANY,
    availability_status=MAYBE,
    extra=EXTRA,
)
LINK = st.builds(Association, id=TEXT, type=TEXT, source=TEXT, target=TEXT, slots=EXTRA)
SUBMISSION = st.builds(
    Submission,
    submission_set=LOT,
    entries=st.lists(ENTRY, max_size=2).map(tuple),
    associations=st.lists(LINK, max_size=2).map(tuple),
    extra=EXTRA,
)


def read(content: bytes) -> tuple[Submission, Notes]:
    notes = Notes()
    return read_submission(parse_xml(content, code="x"), notes, "M"), notes


@settings(max_examples=60, deadline=None)
@given(SUBMISSION)
def test_metadata_written_and_read_say_the_same(submission: Submission) -> None:
    found, notes = read(metadata_xml(submission))
    assert found == submission
    assert notes.findings == ()
    assert notes.unread == ()


def test_control_characters_do_not_break_the_xml() -> None:
    found, _ = read(metadata_xml(Submission(SubmissionSet("L", title="a\x00b\x0bc"))))
    assert found.submission_set is not None
    assert found.submission_set.title == "abc"


def test_iti_41_carries_the_documents_inline_or_by_reference() -> None:
    submission = Submission(SubmissionSet("L", patient_id="P"), (DocumentEntry("D1"), DocumentEntry("D2")))
    root = provide_and_register(submission, {"D1": b"<a/>", "D2": "cid:d2@fictif"})
    inline, referred = root.findall(f"{{{vocabulary.XDS_B}}}Document")
    assert (inline.get("id"), inline.text) == ("D1", "PGEvPg==")
    assert referred[0].get("href") == "cid:d2@fictif"
    notes = Notes()
    assert [one.entry_uuid for one in read_submission(root, notes).entries] == ["D1", "D2"]


def test_a_long_uri_is_cut_in_pieces_and_joined() -> None:
    uri = "A/" * 100 + "DOC.XML"
    written = metadata_xml(Submission(SubmissionSet("L"), (DocumentEntry("D", uri=uri),)))
    assert b">1|A/" in written
    assert read(written)[0].entries[0].uri == uri


def test_what_has_no_place_is_unread() -> None:
    folder = '<RegistryPackage id="F"/><Classification id="n2" classifiedObject="F" classificationNode="{}"/>'
    content = metadata(entry(cda()), associations=folder.format(vocabulary.FOLDER_NODE) + "<Person id='p'/>")
    found, notes = read(content)
    assert found.submission_set is not None
    assert found.submission_set.entry_uuid == "Lot01"
    assert {one.where for one in notes.unread} == {"M RegistryPackage", "M Person"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            lambda text: re.sub(r"58a6f841-87b3-4a3e-92fd-a8ffeff98427", "58a6f841-87b3-4a3e-92fd- a8ffeff98427", text),
            None,
        ),
        (lambda text: text.replace("58a6f841-87b3-4a3e-92fd-a8ffeff98427", "0" * 8), "xds.identifier.scheme"),
        (lambda text: text.replace("a54d6aa5-d40d-43f9-88c5-b4633d873bdd", ""), None),
        (
            lambda text: text.replace("f0306f51-975f-434e-a61c-c59651d33983", "").replace('"urn:uuid:"', '""'),
            "xds.classification.scheme",
        ),
        (lambda text: text.replace(">20260305083000<", ">20260305093000+0100<"), "xds.time.offset"),
        (lambda text: text.replace(">20260305083000<", ">20261305083000<"), "xds.time.invalid"),
        (lambda text: re.sub(r"(size.*?<Value>)\d+", r"\1beaucoup", text), "xds.size"),
        (lambda text: text.replace('name="hash"', 'name="Hash"').replace("<Value>", "<Value> \n"), None),
    ],
)
def test_deviations_are_read_and_told(change: object, code: str | None) -> None:
    assert callable(change)
    found, notes = read(change(metadata(entry(cda())).decode()).encode())
    assert {one.code for one in notes.findings} == ({code} if code else set())
    (document,) = found.entries
    assert document.patient_id == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    assert document.hash is not None
    assert document.type_code is not None
    assert document.type_code.code == "11490-0"


def test_the_patient_is_found_where_senders_put_it() -> None:
    in_slot = entry(cda(), patient="", slots=slot("PatientId", "P1^^^&amp;1.2.3&amp;ISO^NH"))
    nowhere = entry(cda(), patient="")
    for listed, expected in ((in_slot, "P1^^^&1.2.3&ISO^NH"), (nowhere, "IPP-TEST-1^^^&1.2.250.1.999.67.2&ISO^PI")):
        found, notes = read(metadata(listed))
        assert found.entries[0].patient_id == expected
        assert {one.code for one in notes.findings} == {"xds.patient_id.place"}


@pytest.mark.shared_data
def test_official_and_generic_metadata_are_read_and_written_by_the_schema(shared_data: Path) -> None:
    schema = etree.XMLSchema(etree.parse(shared_data / "dmp" / "schema" / "ebRS" / "lcm.xsd"))
    names = [
        "dmp/own-examples/iti41_new_document.xml",
        "dmp/own-examples/iti41_replace_document.xml",
        "dmp/own-examples/iti57_archive.xml",
        "dmp/own-examples/iti57_delete.xml",
        "dmp/messages/TD3.1_response_2entries.xml",
        "dmp/xds-ihe/SubmitObjectsRequest_ebrs30.xml",
        "dmp/xds-ihe/SubmitObjectsRequest_ebrs30_update.xml",
        "dmp/xds-ihe/SubmitObjectsRequest_ebrs30_update_nonstandard_association.xml",
        "mssante/xdm/METADATA-1-document.xml",
    ]
    for name in names:
        found, notes = read((shared_data / name).read_bytes())
        assert notes.findings == (), name
        assert found.entries or found.associations, name
        written = metadata_xml(found)
        schema.assertValid(etree.fromstring(written))
        assert read(written)[0] == found, name


@pytest.mark.shared_data
def test_an_iti_41_request_follows_the_schema(shared_data: Path) -> None:
    schema = etree.XMLSchema(etree.parse(shared_data / "dmp" / "schema" / "IHE" / "XDS.b_DocumentRepository.xsd"))
    found, _ = read((shared_data / "dmp" / "own-examples" / "iti41_replace_document.xml").read_bytes())
    schema.assertValid(provide_and_register(found, {one.entry_uuid: b"<a/>" for one in found.entries}))


@pytest.mark.shared_data
def test_the_values_of_a_dmp_answer(shared_data: Path) -> None:
    found, _ = read((shared_data / "dmp" / "messages" / "TD3.1_response_2entries.xml").read_bytes())
    first = found.entries[0]
    assert first.entry_uuid == "urn:uuid:7953af1a-ba1c-11eb-816f-0050569e422e"
    assert first.size == 2768
    assert first.version == "1"
    assert first.repository_unique_id == "1.2.250.1.213.4.1.1.1.2"
    assert [code.code for code in first.confidentiality_codes] == ["N", "INVISIBLE_PATIENT"]
    assert first.event_codes[0].code == "H33"
