from __future__ import annotations

import base64
import zipfile

import pytest
from xdm_archives import FOLDER, INS, PDF, archive, cda, classification, entry, identifier, metadata, slot, xdm

from mappings.contracts import Environment, FormatError, ReadContext, Reading
from mappings.xdm import FORMAT
from schemas.document import DocumentOperation
from schemas.finding import Severity
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

RPLC = (
    '<Association id="r" associationType="urn:ihe:iti:2007:AssociationType:RPLC" sourceObject="Document01" '
    'targetObject="{}"/>'
)
ALARMS = {"xdm.hash.mismatch", "document.other_patient"}


def read(content: bytes) -> Reading:
    return FORMAT.read(content, ReadContext(environment=Environment.TEST))


def codes(reading: Reading) -> set[str]:
    """Codes of what was noticed about the archive; the document's own are its format's business."""
    return {one.code for one in reading.findings if not one.code.startswith("cda.")}


def documents(reading: Reading) -> list[DocumentItem]:
    return [one for one in reading.items if isinstance(one, DocumentItem)]


def only(reading: Reading) -> DocumentItem:
    (found,) = documents(reading)
    return found


def test_a_plain_archive_is_its_document_and_nothing_to_say() -> None:
    reading = read(xdm())
    item = only(reading)
    document = item.content
    assert codes(reading) == set()
    assert reading.unread == ()
    assert reading.control_id == "1.2.250.1.999.67.900"
    assert item.source.where == f"{FOLDER}DOC00001.XML"
    assert item.patient.ins is not None
    assert item.patient.ins.matricule == INS
    assert base64.b64decode(document.attachments[0].data or "") == cda()
    assert base64.b64decode(document.attachments[1].data or "") == PDF
    assert document.category is not None
    assert document.category.code == "10"


def test_what_only_the_metadata_say_completes_the_document() -> None:
    content = cda()
    visible = classification(
        "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13"
    )
    to = slot(
        "intendedRecipient",
        "CABINET FICTIF^^^^^&amp;1.2.250.1.71.4.2.2&amp;ISO^IDNST^^^1990000025|^TESTEUR^Paul"
        "|^^Internet^p@fictif.mssante.fr",
    )
    listed = entry(content, inside=visible)
    files = {f"{FOLDER}METADATA.XML": metadata(listed, lot=to), f"{FOLDER}DOC00001.XML": content}
    reading = read(archive(files))
    item = only(reading)
    wishes = item.content.wishes
    assert wishes is not None
    assert wishes.hidden_from_patient is True
    assert wishes.masked_to_professionals is None
    assert [one.code for one in item.content.confidentiality] == ["N"]
    (recipient,) = item.recipients
    assert recipient.organization is not None
    assert recipient.organization.identifiers[0].value == "990000025"
    assert recipient.professional is not None
    assert recipient.professional.telecoms[0].kind == "mssante"
    assert codes(reading) == {"xdm.layout.leaflet"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda name: name.replace("/", "\\"), "xdm.layout.backslash"),
        (str.lower, "xdm.layout.case"),
        (lambda name: f"Export/{name}", "xdm.layout.wrapped"),
        (lambda name: name.replace("SUBSET01", "SS000001"), None),
        (lambda name: name.replace("IHE_XDM/", ""), "xdm.layout.place"),
    ],
)
def test_names_as_senders_write_them(change: object, code: str | None) -> None:
    assert callable(change)
    content = cda()
    names = {"INDEX.HTM": b"", "README.TXT": b"", f"{FOLDER}METADATA.XML": metadata(entry(content))}
    files = {change(name): value for name, value in (names | {f"{FOLDER}DOC00001.XML": content}).items()}
    reading = read(archive(files))
    assert only(reading).content.document_id == "1.2.250.1.999.67.1"
    assert codes(reading) - {"xdm.layout.leaflet"} == ({code} if code else set())
    assert all(one.severity is not Severity.ERROR for one in reading.findings)


def test_an_archive_in_an_archive_and_bytes_before_it() -> None:
    assert "xdm.layout.nested" in codes(read(archive({"IHE_XDM.ZIP": xdm()})))
    assert codes(read(b"MZ program" + xdm())) == set()


def test_several_submission_sets_and_several_documents() -> None:
    one, two, three = (cda(f"1.2.250.1.999.67.{number}") for number in (1, 2, 3))
    second = entry(two, symbol="Document02", uri="DOC00002.XML", unique_id="1.2.250.1.999.67.2")
    other = entry(three, unique_id="1.2.250.1.999.67.3")
    files = {
        "INDEX.HTM": b"",
        "README.TXT": b"",
        "IHE_XDM/SUBSET02/METADATA.XML": metadata(other, lot_id="1.2.250.1.999.67.901"),
        "IHE_XDM/SUBSET02/DOC00001.XML": three,
        f"{FOLDER}METADATA.XML": metadata(entry(one), second),
        f"{FOLDER}DOC00002.XML": two,
        f"{FOLDER}DOC00001.XML": one,
    }
    reading = read(archive(files))
    assert [one.content.document_id for one in documents(reading)] == [f"1.2.250.1.999.67.{n}" for n in (1, 2, 3)]
    assert len({one.id for one in reading.items}) == 3
    assert reading.control_id == "1.2.250.1.999.67.900"
    assert codes(reading) == set()


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        (entry(cda(), hashed="0" * 40), "xdm.hash.mismatch"),
        (entry(cda(), hashed=""), "xdm.hash.mismatch"),
        (entry(cda(), size=7), "xdm.hash.mismatch"),
        (entry(cda(), size=-1), "xdm.size.missing"),
        (entry(cda(), name="AUTRE"), "document.other_patient"),
        (entry(cda(), patient="179035121518923^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH"), "document.other_patient"),
        (entry(cda(), unique_id="1.2.250.1.999.67.77"), "xdm.unique_id.differs"),
        (entry(cda(), uri=None), "xdm.uri.missing"),
        (entry(cda(), uri="./doc00001.xml"), None),
        (entry(cda(), uri="SUBSET01/DOC00001.XML"), "xdm.uri.path"),
        (entry(cda(), uri="IHE_XDM\\SUBSET01\\DOC00001.XML"), "xdm.uri.path"),
        (entry(cda(), uri="DOC%300001.XML"), None),
    ],
)
def test_what_does_not_agree_is_told(listed: str, code: str | None) -> None:
    reading = read(xdm(listed=listed))
    assert only(reading).content.document_id == "1.2.250.1.999.67.1"
    assert codes(reading) == ({code} if code else set())
    alarming = [one for one in reading.findings if one.code in ALARMS]
    assert all(one.severity is Severity.ERROR for one in alarming)


def test_documents_of_two_people_in_one_archive() -> None:
    other = cda("1.2.250.1.999.67.2", name="AUTRE", ins=None)
    second = entry(
        other, symbol="Document02", uri="DOC00002.XML", unique_id="1.2.250.1.999.67.2", name="AUTRE", patient=""
    )
    files = {
        f"{FOLDER}METADATA.XML": metadata(entry(cda()), second),
        f"{FOLDER}DOC00001.XML": cda(),
        f"{FOLDER}DOC00002.XML": other,
    }
    found = [one for one in read(archive(files)).findings if one.code == "document.other_patient"]
    assert any("several people" in one.message for one in found)


@pytest.mark.parametrize("uri", ["../../secret.xml", "/etc/passwd", "C:/x.xml", "%2e%2e/x"])
def test_a_uri_that_leads_out_is_not_followed(uri: str) -> None:
    reading = read(xdm(listed=entry(cda(), uri=uri)))
    assert {"xdm.uri.outside", "xdm.document.missing", "xdm.document.unlisted"} <= codes(reading)
    assert only(reading).content.document_id == "1.2.250.1.999.67.1"


def test_names_that_lead_outside_or_come_twice() -> None:
    content = cda()
    good = {f"{FOLDER}METADATA.XML": metadata(entry(content)), f"{FOLDER}DOC00001.XML": content}
    reading = read(
        archive({"../../evil.xml": content, f"{FOLDER.lower()}metadata.xml": b"<x/>"} | dict(reversed(good.items())))
    )
    assert {"xdm.name.outside", "xdm.name.duplicate"} <= codes(reading)
    assert "../../evil.xml" in {one.text for one in reading.unread}


def test_without_metadata_documents_are_read_alone() -> None:
    for files in (
        {f"{FOLDER}DOC00001.XML": cda(), f"{FOLDER}CDA.XSL": b"<xsl/>"},
        {"letter.xml": cda()},
        {f"{FOLDER}METADATA.XML": b"<not closed", f"{FOLDER}DOC00001.XML": cda()},
    ):
        reading = read(archive(files))
        assert only(reading).content.document_id == "1.2.250.1.999.67.1"
        assert {"xdm.metadata.missing", "xdm.metadata.not_xml"} & codes(reading)


def test_what_is_listed_and_absent_and_what_is_there_and_unlisted() -> None:
    content = cda()
    missing = entry(b"", symbol="Document09", uri="DOC00009.XML")
    files = {
        f"{FOLDER}METADATA.XML": metadata(missing),
        f"{FOLDER}DOC00001.XML": content,
        f"{FOLDER}STYLE.XSL": b"<xsl:stylesheet/>",
        "AUTORUN.INF": b"[autorun]",
    }
    reading = read(archive(files))
    assert {"xdm.document.missing", "xdm.document.unlisted"} <= codes(reading)
    assert {f"{FOLDER}STYLE.XSL", "AUTORUN.INF"} <= {one.where for one in reading.unread}
    assert only(reading).content.document_id == "1.2.250.1.999.67.1"


def test_a_pdf_twin_is_the_same_document() -> None:
    same = read(xdm(DOC00001_PDF=PDF))
    assert len(only(same).content.attachments) == 2
    assert codes(same) == set()
    other = b"%PDF-1.7 another rendering"
    twin = entry(other, symbol="Document02", uri="DOC00001.PDF", unique_id="1.2.250.1.999.67.5", mime="application/pdf")
    listed = only(read(xdm(listed=entry(cda()) + twin, DOC00001_PDF=other)))
    assert base64.b64decode(listed.content.attachments[2].data or "") == other
    assert listed.content.attachments[2].filename == "DOC00001.PDF"


def test_a_document_that_says_nothing_of_itself_is_read_from_its_metadata() -> None:
    listed = entry(PDF, uri="LETTRE.PDF", mime="application/pdf", unique_id="1.2.250.1.999.67.5")
    files = {f"{FOLDER}METADATA.XML": metadata(listed), f"{FOLDER}LETTRE.PDF": PDF}
    item = only(read(archive(files)))
    document = item.content
    assert item.patient.ins is not None
    assert item.patient.status is IdentityStatus.QUALIFIED
    assert item.patient.birth_name == "FICTIVE-ROSE"
    assert item.patient.birth_date == "1979-03-05"
    assert [one.value for one in item.patient.identifiers] == ["IPP-TEST-1"]
    assert document.document_id == "1.2.250.1.999.67.5"
    assert document.title == "Lettre de liaison à la sortie"
    assert document.created_at == "2026-03-05T08:30:00Z"
    assert document.legal_authenticator is not None
    assert document.legal_authenticator.identifiers[0].value == "99700000017"
    assert base64.b64decode(document.attachments[0].data or "") == PDF


def test_an_ins_without_its_traits_or_of_another_environment_is_a_mere_number() -> None:
    listed = entry(PDF, uri="LETTRE.PDF", mime="application/pdf")
    bare = listed.replace("<Value>PID-7|19790305</Value>", "")
    for metadata_of, environment, code in (
        (bare, Environment.TEST, "xds.ins.traits"),
        (listed, Environment.PRODUCTION, "xds.ins.environment"),
        (listed.replace(INS, INS[:-1] + "0"), Environment.TEST, "xds.ins.matricule"),
    ):
        files = {f"{FOLDER}METADATA.XML": metadata(metadata_of), f"{FOLDER}LETTRE.PDF": PDF}
        reading = FORMAT.read(archive(files), ReadContext(environment=environment))
        assert only(reading).patient.ins is None
        assert code in codes(reading)
        assert {one.type for one in only(reading).patient.identifiers} == {"INS-NIR-TEST", "PI"}


@pytest.mark.parametrize(
    ("slots", "lot", "operation"),
    [
        (slot("urn:x-ans:action", "D"), "", DocumentOperation.DELETE),
        (slot("Action", " d "), "", DocumentOperation.DELETE),
        ("", slot("action", "C"), DocumentOperation.REPLACE),
    ],
)
def test_the_extra_metadata_action(slots: str, lot: str, operation: DocumentOperation) -> None:
    content = cda(replaces="1.2.250.1.999.67.66")
    files = {
        f"{FOLDER}METADATA.XML": metadata(entry(content, slots=slots), lot=lot),
        f"{FOLDER}DOC00001.XML": content,
    }
    item = only(read(archive(files)))
    assert item.content.operation is operation
    assert item.content.replaces_id == item.replaces == "1.2.250.1.999.67.66"


def test_a_replacement_that_only_an_association_tells() -> None:
    def with_link(target: str) -> Reading:
        files = {
            f"{FOLDER}METADATA.XML": metadata(entry(cda()), associations=RPLC.format(target)),
            f"{FOLDER}DOC00001.XML": cda(),
        }
        return read(archive(files))

    named = only(with_link("1.2.250.1.999.67.66"))
    assert named.content.operation is DocumentOperation.REPLACE
    assert named.content.replaces_id == "1.2.250.1.999.67.66"
    registry = with_link("urn:uuid:00000000-0000-4000-8000-000000000001")
    assert only(registry).content.operation is DocumentOperation.REPLACE
    assert only(registry).content.replaces_id is None
    assert "xdm.replace.no_target" in codes(registry)


def test_metadata_without_a_place_are_unread() -> None:
    listed = entry(
        cda(), slots=slot("urn:ihe:iti:xds:2013:referenceIdList", "A1^^^&amp;1.2.3&amp;ISO") + slot("urn:x:y", "z")
    )
    lot = slot("note", "à lire")
    files = {f"{FOLDER}METADATA.XML": metadata(listed, lot=lot), f"{FOLDER}DOC00001.XML": cda()}
    assert {"z", "A1^^^&1.2.3&ISO", "à lire"} <= {one.text for one in read(archive(files)).unread}


def test_a_damaged_document_keeps_its_bytes_and_says_so() -> None:
    broken = cda().replace(b"</ClinicalDocument>", b"")
    reading = read(xdm(document=broken))
    assert only(reading).content.title == "Lettre de liaison à la sortie"
    assert base64.b64decode(only(reading).content.attachments[0].data or "") == broken
    assert any(one.code == "cda.not_xml" and one.severity is Severity.ERROR for one in reading.findings)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (archive({"INDEX.HTM": b"", f"{FOLDER}METADATA.XML": metadata()}), "xdm.no_document"),
        (archive({"photo.jpg": b"\xff\xd8"}), "xdm.no_document"),
        (archive({f"{FOLDER}DOC00001.XML": b"<ClinicalDocument xmlns='urn:hl7-org:v3'>"}), "cda.not_xml"),
        (b"PK\x03\x04 nothing more", "archive.truncated"),
        (archive({"A.ZIP": archive({"B.ZIP": archive({"C": b""})})}), "xdm.no_document"),
    ],
)
def test_what_cannot_be_read_at_all(content: bytes, code: str) -> None:
    with pytest.raises(FormatError) as problem:
        read(content)
    assert problem.value.code == code


def test_metadata_with_a_doctype_are_not_parsed() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + metadata(entry(cda())).partition(b"?>\n")[2]
    reading = read(archive({f"{FOLDER}METADATA.XML": bomb, f"{FOLDER}DOC00001.XML": cda()}))
    assert "xdm.metadata.doctype" in codes(reading)


def test_the_stylesheet_that_many_copied() -> None:
    wrong = identifier(
        "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab",
        f" {INS}^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH ",
        "XDSDocumentEntry.patientId",
    )
    listed = entry(cda(), patient="", inside=wrong)
    listed = listed.replace("<Classification ", "<classification ").replace("</Classification>", "</classification>")
    listed = listed.replace(
        'classificationScheme="urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"', 'classificationScheme=""'
    )
    listed = listed.replace("20260305083000", " 20260305093000+0100 ")
    reading = read(xdm(listed=listed))
    assert codes(reading) == {
        "xds.identifier.scheme",
        "xds.element.spelling",
        "xds.classification.scheme",
        "xds.time.offset",
    }
    category = only(reading).content.category
    assert category is not None
    assert category.code == "10"


def test_sniffing() -> None:
    assert FORMAT.sniff(xdm()) > 0.9
    assert 0.2 < FORMAT.sniff(archive({"letter.xml": cda()})) < 0.5
    assert FORMAT.sniff(archive({"photo.jpg": b""}, zipfile.ZIP_STORED)) < 0.2
    assert FORMAT.sniff(cda()) == 0.0
