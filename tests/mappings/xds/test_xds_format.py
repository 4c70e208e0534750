"""The format `xds`: a document with its metadata beside it, guards, changes, and the official samples."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from filled_items import REPORT_ITEM, STAY_ITEM
from lxml import etree
from xdm_archives import PDF, cda

from mappings.cda import FORMAT as CDA
from mappings.contracts import Environment, FormatError, ReadContext, Rendition, WriteContext, WriteRefused
from mappings.notes import Notes
from mappings.registry import detect, format_named
from mappings.xds import guards, vocabulary
from mappings.xds.ebrim_reading import read_submission
from mappings.xds.format import FORMAT
from mappings.xds.model import Submission
from mappings.xds.signature import SIGNATURE, is_signature
from mappings.xds.writing import METADATA, OPERATION
from mappings.xml_source import parse_xml
from schemas.document import DocumentOperation, Wishes
from schemas.identity import IdentityAttribute, IdentityStatus
from schemas.item import DocumentItem, Item

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


def document(content: bytes | None = None, *, patient: dict[str, Any] | None = None, **changes: Any) -> DocumentItem:
    """An Item about a qualified patient that carries a CDA."""
    (item,) = CDA.read(content or cda(), ReadContext()).items
    assert isinstance(item, DocumentItem)
    person = item.patient.model_copy(update={"status": IdentityStatus.QUALIFIED, **(patient or {})})
    return item.model_copy(update={"patient": person, "content": item.content.model_copy(update=changes)})


def write(item: Item, **options: str) -> Rendition:
    context = WriteContext(now=NOW, identity="LOT-1", environment=Environment.TEST, options=options)
    return FORMAT.write(item, context)


def submission(content: bytes) -> Submission:
    return read_submission(parse_xml(content, code="x"), Notes())


def codes(rendition: Rendition) -> list[str]:
    return [one.code.removeprefix(guards.PREFIX) for one in rendition.findings if one.code.startswith(guards.PREFIX)]


def test_the_document_is_the_content_and_its_metadata_lie_beside() -> None:
    rendition = write(document(), source_id="1.2.250.1.999.67")
    assert rendition.content == cda()
    assert (rendition.media_type, rendition.filename, list(rendition.attachments)) == (
        "text/xml",
        "LOT-1.xml",
        [METADATA],
    )
    assert rendition.findings == ()
    assert write(document(), source_id="1.2.250.1.999.67") == rendition
    found = submission(rendition.attachments[METADATA])
    entry, signature = found.entries
    assert entry.unique_id == "1.2.250.1.999.67.1"
    assert (entry.hash, entry.size) == (sha1(cda()).hexdigest(), len(cda()))  # noqa: S324 - XDS wants SHA-1
    assert entry.creation_time == "20260305083000"
    assert is_signature(signature)
    assert (signature.hash, signature.size, signature.language_code) == (None, None, "art")
    assert {code.code for code in signature.confidentiality_codes} == {"N", "MASQUE_PS", "INVISIBLE_PATIENT"}
    assert found.submission_set is not None
    identities = {entry.unique_id, signature.unique_id, found.submission_set.unique_id}
    assert len(identities) == 3
    assert [(one.type.rpartition(":")[2], one.source, one.target) for one in found.associations] == [
        ("HasMember", "SubmissionSet01", "Document01"),
        ("HasMember", "SubmissionSet01", SIGNATURE),
        ("signs", SIGNATURE, "SubmissionSet01"),
    ]
    assert found.extra == ((OPERATION, ("submit",)),)


@pytest.mark.shared_data
@pytest.mark.parametrize("how", ["new", "replace", "delete", "visibility"])
def test_metadata_are_valid_by_the_schemas(how: str, shared_data: Path) -> None:
    schema = etree.XMLSchema(etree.parse(shared_data / "dmp" / "schema" / "ebRS" / "lcm.xsd"))
    item = {
        "new": document(),
        "replace": document(cda(replaces="1.2.250.1.999.67.0")),
        "delete": document(operation=DocumentOperation.DELETE),
        "visibility": document(wishes=Wishes(update_visibility=True, masked_to_professionals=True)),
    }[how]
    rendition = write(item)
    schema.assertValid(etree.fromstring(rendition.attachments.get(METADATA, rendition.content)))


def test_what_is_written_is_read_as_the_same_document() -> None:
    sent = document(wishes=Wishes(masked_to_professionals=True, hidden_from_representatives=True))
    rendition = write(sent)
    reading = FORMAT.read(rendition.content, ReadContext(siblings=rendition.attachments))
    (item,) = reading.items
    assert isinstance(item, DocumentItem)
    said = {name: value for name, value in sent.content.model_dump().items() if value not in (None, ())}
    assert {name: value for name, value in item.content.model_dump().items() if name in said} == said
    assert item.content.wishes == sent.content.wishes
    assert item.source.format == "xds"
    assert [finding.code for finding in reading.findings] == ["xds.signature"] or reading.findings == ()


def test_a_replacement_names_the_former_by_its_unique_id() -> None:
    found = submission(write(document(cda(replaces="1.2.250.1.999.67.0"))).attachments[METADATA])
    assert ("urn:oid:1.2.250.1.999.67.0", "Document01") in [
        (one.target, one.source) for one in found.associations if one.type == vocabulary.REPLACES
    ]
    assert dict(found.extra)[OPERATION] == ("replace",)
    by_item = write(document(replaces_id="1.2.250.1.999.67.9"))
    assert "xds.write.replaces" in [one.code for one in by_item.findings]


def test_a_deletion_is_metadata_alone() -> None:
    rendition = write(document(operation=DocumentOperation.DELETE))
    assert (rendition.media_type, rendition.attachments) == ("application/xml", {})
    assert submission(rendition.content).associations[0].target == "urn:oid:1.2.250.1.999.67.1"
    (item,) = FORMAT.read(rendition.content, ReadContext()).items
    assert isinstance(item, DocumentItem)
    assert (item.content.operation, item.content.document_id) == (DocumentOperation.DELETE, "1.2.250.1.999.67.1")
    with pytest.raises(FormatError, match="names the document"):
        write(document(operation=DocumentOperation.DELETE, document_id=None))


def test_a_report_becomes_a_document_and_a_stay_does_not() -> None:
    rendition = write(REPORT_ITEM)
    assert rendition.content.startswith(b"<?xml")
    with pytest.raises(WriteRefused):
        write(STAY_ITEM)


EMPTY = cda().replace(base64.b64encode(PDF), b"")
SOMEBODY = {"birth_date": "2015-01-01"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (document(), []),
        (document(patient={"status": IdentityStatus.VALIDATED}), ["identity"]),
        (document(patient={"status": None}), ["identity"]),
        (document(patient={"ins": None}), ["identity"]),
        (document(patient={"attributes": (IdentityAttribute.DOUBTFUL,)}), ["identity"]),
        (document(wishes=Wishes(dmp=False)), ["opposed"]),
        (document(wishes=Wishes(dmp=True)), []),
        (document(wishes=Wishes(secret_connection=True)), ["secret"]),
        (document(cda().replace(b'code="11490-0"', b'code="99999-9"')), ["type", "metadata"]),
        (document(wishes=Wishes(hidden_from_representatives=True)), ["representatives"]),
        (document(EMPTY), ["empty"]),
        (document(cda().replace(b'"SA01"', b'"SAXX"')), ["metadata"]),
        (document(cda().replace(b"ETABLISSEMENT", b"AILLEURS")), ["metadata"]),
        (document(operation=DocumentOperation.DELETE, wishes=Wishes(dmp=False)), ["opposed"]),
    ],
)
def test_guards(item: DocumentItem, expected: list[str]) -> None:
    rendition = write(item)
    assert codes(rendition) == expected
    inside = submission(rendition.attachments.get(METADATA, rendition.content))
    assert [one.code for one in guards.read_guards(inside.extra)] == [guards.PREFIX + one for one in expected]


def test_an_ins_of_production_is_not_sent_by_a_test_installation() -> None:
    item = document(cda().replace(b"1.2.250.1.213.1.4.10", b"1.2.250.1.213.1.4.8"))
    assert codes(write(item)) == ["identity"]


def test_a_document_about_somebody_else_is_not_written() -> None:
    with pytest.raises(FormatError, match="another person"):
        write(document(patient={"birth_name": "AUTRE", "first_given_name": "PAULE", "birth_given_names": ("PAULE",)}))


@pytest.mark.parametrize("content", [b"", b"<a/>", b"not xml", b"<!DOCTYPE a><a/>"])
def test_garbage_is_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(FormatError):
        FORMAT.read(content, ReadContext())


def test_a_wrong_hash_is_told() -> None:
    rendition = write(document())
    beside = {METADATA: rendition.attachments[METADATA].replace(b"<rim:Value>200", b"<rim:Value>201", 1)}
    wrong = {METADATA: rendition.attachments[METADATA].replace(sha1(cda()).hexdigest().encode(), b"0" * 40)}  # noqa: S324
    assert beside[METADATA]
    reading = FORMAT.read(rendition.content, ReadContext(siblings=wrong))
    assert "xds.integrity" in [one.code for one in reading.findings]


def test_positions_and_pieces_of_metadata() -> None:
    content = write(document(operation=DocumentOperation.DELETE)).content
    assert FORMAT.positions(content)
    (piece,) = FORMAT.pieces(content)
    assert [child.name for child in piece.children] == ["Lot", "Association"]


@pytest.mark.shared_data
def test_the_official_answer_reads_as_its_two_documents(shared_data: Path) -> None:
    content = (shared_data / "dmp" / "messages" / "TD3.1_response_2entries.xml").read_bytes()
    assert detect(content).name == "xds"
    reading = FORMAT.read(content, ReadContext())
    assert len(reading.items) == 2
    for item in reading.items:
        assert isinstance(item, DocumentItem)
        assert item.content.wishes == Wishes(hidden_from_patient=True)
        assert item.content.type is not None
        assert item.content.type.code == "27899-4"


@pytest.mark.shared_data
def test_our_own_examples_read_with_their_documents(shared_data: Path) -> None:
    for name in ("iti41_new_document.xml", "iti41_replace_document.xml"):
        reading = format_named("xds").read((shared_data / "dmp" / "own-examples" / name).read_bytes(), ReadContext())
        documents = [one for one in reading.items if isinstance(one, DocumentItem)]
        assert len(documents) == 1, name
        assert "xds.integrity" not in [one.code for one in reading.findings]
