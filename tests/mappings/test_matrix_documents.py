"""Every document through every pair of formats: its file byte for byte, and what is needed to find and trust it.

A cell reads a document in the format of its row, writes it in the format of its column, and reads that. The file stays
what it was, byte for byte; so do the fields of `KEPT`. Any other field is the same too, or a Finding of the writer
names the loss, or it is one of those that the column's own form makes (`BY_NATURE`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from document_strategies import changed, document_items, document_view
from hypothesis import HealthCheck, assume, given, settings

from mappings.cda import is_cda
from mappings.contracts import Environment, FormatError, ReadContext, Rendition, WriteContext
from mappings.registry import detect, format_named, formats
from router.cli.matrix import cells
from schemas.document import DocumentOperation
from schemas.item import DocumentItem, ItemKind

NAMES = ("canonical", "cda", "fhir", "hl7v2", "xdm")
CONTEXT = WriteContext(
    now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC),
    identity="MATRIX02",
    environment=Environment.TEST,
    options={"from": "bal@fictif.mssante.invalid", "to": "dr.fictif@test.mssante.invalid"},  # a mail has an address
)
REPORTS = {"canonical", "cda", "fhir", "hl7v2", "hprim-medecin", "hprim-sante", "mail"}
KEPT = ("patient", "type", "title", "created_at", "author")


def read(name: str, rendition: Rendition) -> DocumentItem:
    found = format_named(name).read(rendition.content, ReadContext(siblings=rendition.attachments))
    (item,) = (one for one in found.items if isinstance(one, DocumentItem))
    return item


def files(item: DocumentItem) -> list[bytes]:
    return [base64.b64decode(one.data or "") for one in item.content.attachments]


def through(row: str, column: str, sent: DocumentItem) -> tuple[DocumentItem, DocumentItem, Rendition]:
    """Carry out one cell; gives what the row said, what the column says, and what was written."""
    said = read(row, format_named(row).write(sent, CONTEXT))
    rendition = format_named(column).write(said, CONTEXT)
    assert detect(rendition.content).name == column
    return said, read(column, rendition), rendition


def same_file(said: DocumentItem, again: DocumentItem) -> bool:
    """The file is there, byte for byte: alone, or inside the CDA that was put around it."""
    return files(said)[0] in files(again)


@pytest.mark.parametrize("row", NAMES)
@given(sent=document_items(without=("operation", "special")))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_arrives_whole(row: str, sent: DocumentItem) -> None:
    for column in NAMES:
        said, again, _ = through(row, column, sent)
        before, after = document_view(said), document_view(again)
        assert same_file(said, again), (row, column)
        assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}, (row, column)


@given(sent=document_items(without=("operation", "special")))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_arrives_whole_by_mail(sent: DocumentItem) -> None:
    """A mail carries the archive, whose other cells are above."""
    for row, column in (("canonical", "mail"), ("mail", "mail"), ("mail", "fhir")):
        said, again, _ = through(row, column, sent)
        before, after = document_view(said), document_view(again)
        assert same_file(said, again), (row, column)
        assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}, (row, column)


@pytest.mark.parametrize("row", NAMES)
@given(sent=document_items(extras=("files",)))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_canonical_and_fhir_lose_nothing_at_all(row: str, sent: DocumentItem) -> None:
    # A CDA cannot ask for a deletion, nor be made of two files.
    assume(row != "cda" or sent.content.operation is not DocumentOperation.DELETE)
    for column in ("canonical", "fhir"):
        said, again, rendition = through(row, column, sent)
        assert rendition.findings == () or column == "fhir"
        assert changed(said, again) == {}, (row, column)


def documents(shared_data: Path) -> Iterator[tuple[str, DocumentItem]]:
    for path in sorted((shared_data / "cda").glob("*examples/*.xml")):
        content = path.read_bytes()
        (item,) = (one for one in detect(content).read(content, ReadContext()).items if one.kind == "document")
        assert isinstance(item, DocumentItem)
        yield path.name, item


@pytest.mark.shared_data
@pytest.mark.parametrize("column", [*NAMES, "mail"])
def test_a_signed_document_is_given_through_byte_for_byte(column: str, shared_data: Path) -> None:
    """Whatever carries it: what an author signed is what arrives."""
    seen = 0
    for name, item in documents(shared_data):
        try:
            rendition = format_named(column).write(item, CONTEXT)
        except FormatError as refused:
            pytest.fail(f"{name}: {refused}")
        again = read(column, rendition)
        assert is_cda(files(again)[0]), name
        assert files(again)[0] == files(item)[0], name
        assert not any(one.code == "document.other_patient" for one in rendition.findings), name
        seen += 1
    assert seen >= 20


@pytest.mark.parametrize("kind", [ItemKind.LAB_REPORT, ItemKind.DOCUMENT])
def test_the_matrix_that_is_printed_is_the_one_that_is_tested(kind: ItemKind) -> None:
    tested = {*NAMES, "mail"} if kind is ItemKind.DOCUMENT else REPORTS
    printed = cells(formats(), kind)
    assert tested <= set(printed)
    for row in tested:
        assert tested <= set(printed[row])
