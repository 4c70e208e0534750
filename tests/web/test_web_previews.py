"""Bytes made readable, whatever they are: bounded, harmless, never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from mappings.contracts import Piece
from router.web import previews
from router.web.previews import HEX_BYTES, MOST_PIECES, MOST_TEXT, preview, visible


def test_json_is_indented_and_coloured() -> None:
    shown = preview(b'{"a":["<b>&\\"x",-1.5e3,true,null],"":1}')
    assert shown.kind == "json"
    assert '<span class="k">&#34;a&#34;</span>:' in shown.text
    assert '<span class="s">&#34;&lt;b&gt;&amp;\\&#34;x&#34;</span>' in shown.text
    assert '<span class="n">-1500.0</span>' in shown.text
    assert "<b>" not in shown.text


def test_fields_are_named_segment_by_segment() -> None:
    shown = preview(b"MSH|^~\\&|A|B|C|D|20261122||ORU^R01|1|T|2.5\rPID|1||IPP1\r", "hl7v2")
    assert (shown.kind, shown.format) == ("pieces", "hl7v2")
    assert [block.head.where for block in shown.blocks if block.head] == ["MSH", "PID"]
    assert [field.text for field in shown.blocks[1].fields] == ["1", "IPP1"]
    assert preview(b"MSH|^~\\&|A|B|C|D|20261122||ORU^R01|1|T|2.5\rPID|1||IPP1\r").format == "hl7v2", "or recognised"


def test_text_keeps_its_lines_and_shows_what_cannot_be_seen() -> None:
    shown = preview(b"one\r\ntwo\rthree\x0b\x1c", form="raw")
    assert (shown.kind, shown.text) == ("text", "one\ntwo\nthree␋␜")
    assert preview("é".encode("latin-1") + b" fini", form="raw").text == "é fini"
    assert visible("a\u202eb") == "a\ufffdb", "a name cannot turn the direction of writing"


def test_bytes_are_shown_in_hexadecimal() -> None:
    shown = preview(b"\x00\x01PDF" + bytes(5000))
    assert shown.kind == "hex"
    assert shown.text.startswith("00000000  00 01 50 44 46 00 00 00  ")
    assert "··PDF" in shown.text
    assert shown.cut
    assert shown.text.count("\n") == HEX_BYTES // 16 - 1


def test_what_is_long_is_cut_and_says_so() -> None:
    shown = preview(b"x" * (MOST_TEXT * 5), form="raw")
    assert shown.cut
    assert len(shown.text) == MOST_TEXT
    assert preview(b"").kind == "empty"


class Stub:
    name = "stub"

    def __init__(self, pieces: list[Piece] | Exception) -> None:
        self._pieces = pieces

    def pieces(self, content: bytes) -> list[Piece]:
        if isinstance(self._pieces, Exception):
            raise self._pieces
        return self._pieces


def test_a_format_that_fails_does_not_hide_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "format_named", lambda name: Stub(KeyError("TESTROSE")))
    shown = preview(b"what came", "stub")
    assert (shown.kind, shown.text, shown.defect) == ("text", "what came", "KeyError")


def test_containers_are_gone_into_and_pieces_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Piece("RES[1]", "Result", "NA 140", children=(Piece("RES-2", "Label", "x" * 9000, "text"),))
    whole = Piece("line 1", "Report", "", children=(Piece("line 1", "Code", "P1", "text"), result, result))
    monkeypatch.setattr(previews, "format_named", lambda name: Stub([whole]))
    shown = preview(b"content", "stub")
    assert [block.head.where if block.head else None for block in shown.blocks] == [None, "RES[1]", "RES[1]"]
    assert shown.blocks[1].lines[0].long == 9000
    monkeypatch.setattr(previews, "format_named", lambda name: Stub([whole] * MOST_PIECES))
    assert preview(b"content", "stub").cut


@settings(max_examples=150)
@given(st.binary(max_size=400), st.sampled_from(["", "hl7v2", "hprim-medecin", "fhir", "gone"]), st.booleans())
def test_anything_can_be_shown(content: bytes, name: str, raw: bool) -> None:
    shown = preview(content, name, form="raw" if raw else "")
    assert shown.defect == ""
    if isinstance(shown.text, str):
        assert not any(ord(char) < 32 and char not in "\t\n" for char in shown.text)
