"""Every note through every pair of formats: what is said, in which thread and with which files, arrives."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from filled_items import NOTE_ITEM, PATIENT
from hypothesis import given, settings, strategies as st

from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.registry import detect, format_named, formats
from router.cli.matrix import cells
from schemas.attachment import Attachment
from schemas.item import ItemKind, NoteItem
from schemas.note import LiaisonNote

NAMES = ("canonical", "fhir", "mail")
CONTEXT = WriteContext(
    now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC),
    identity="MATRIX03",
    environment=Environment.TEST,
    options={"from": "bal@fictif.mssante.invalid", "to": "dr.fictif@test.mssante.invalid", "note_patient": "no"},
)
LINES = st.sampled_from(["Bonjour,", "", "la patiente fictive a chuté hier.", "  en retrait", "œdème ≤ 2", "a|b^c <d>"])
IDS = st.none() | st.sampled_from(["n1@fictif.mssante.invalid", "n2@fictif.mssante.invalid", "n3@x.invalid"])


@st.composite
def note_items(draw: st.DrawFn) -> NoteItem:
    content = b"%PDF-1.4 " + draw(st.sampled_from([b"a", b"b"]))
    file = Attachment(media_type="application/pdf", filename="a é.pdf", data=base64.b64encode(content).decode())
    parent = draw(IDS)
    note = LiaisonNote(
        note_id=draw(IDS),
        thread=parent and draw(IDS),
        in_reply_to=parent,
        subject=draw(st.sampled_from(["Retour à domicile", "Re: chute", "a" * 150])),
        text="\n".join(["Voici :", *draw(st.lists(LINES, min_size=1, max_size=5))]).rstrip("\n "),
        urgent=draw(st.sampled_from([True, None])),
        attachments=draw(st.sampled_from([(), (file,)])),
    )
    return NoteItem(id="1", patient=PATIENT, source=NOTE_ITEM.source, content=note)


def read(name: str, content: bytes) -> tuple[NoteItem, set[bytes]]:
    """The note, and the files that came with it: a mail's are documents."""
    items = format_named(name).read(content, ReadContext()).items
    (note,) = (one for one in items if isinstance(one, NoteItem))
    found = (file for one in items if one.kind in ("note", "document") for file in one.content.attachments)
    return note, {base64.b64decode(file.data or "") for file in found}


@pytest.mark.parametrize("row", NAMES)
@settings(max_examples=15, deadline=None)
@given(sent=note_items())
def test_a_note_keeps_its_meaning(row: str, sent: NoteItem) -> None:
    for column in NAMES:
        said, _ = read(row, format_named(row).write(sent, CONTEXT).content)
        rendition = format_named(column).write(said, CONTEXT)
        assert detect(rendition.content).name == column
        again, files = read(column, rendition.content)
        for name in ("subject", "text", "in_reply_to", "urgent"):
            assert getattr(again.content, name) == getattr(said.content, name), (row, column, name)
        if column != "mail":
            assert again.content == said.content
        elif said.content.thread not in (None, said.content.note_id):
            assert again.content.thread == said.content.thread
        assert {base64.b64decode(one.data or "") for one in said.content.attachments} <= files


def test_the_matrix_that_is_printed_is_the_one_that_is_tested() -> None:
    printed = cells(formats(), ItemKind.NOTE)
    # `pdsm` reads what `fhir` reads, and writes documents alone.
    assert set(printed) == {*NAMES, "pdsm"}
    assert all(set(row) == set(NAMES) for row in printed.values())
