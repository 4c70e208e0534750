"""The PDF that is made for a report without one: a whole file, readable, and honest about what it is."""

from __future__ import annotations

import re
import zlib

from mappings.cda.writing.pdf_a import pdf_a_part
from mappings.cda.writing.pdf_made import pdf_of

MADE_AT = "2026-03-05T10:00:00+01:00"


def objects_of(content: bytes) -> dict[int, bytes]:
    """Follow the table of the file as a reader does: from its end, by offsets."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", content)[1])
    table = content[start:]
    count = int(re.match(rb"xref\n0 (\d+)\n", table)[1])
    offsets = [int(one) for one in re.findall(rb"(\d{10}) 00000 n \n", table)]
    assert len(offsets) == count - 1
    found = {}
    for number, offset in enumerate(offsets, 1):
        assert content.startswith(b"%d 0 obj\n" % number, offset)
        found[number] = content[offset : content.index(b"\nendobj\n", offset)]
    return found


def text_of(content: bytes) -> str:
    lines = []
    for one in objects_of(content).values():
        if b"FlateDecode" in one:
            stream = one[one.index(b"stream\n") + 7 : one.rindex(b"\nendstream")]
            assert int(re.search(rb"/Length (\d+)", one)[1]) == len(stream)
            drawn = re.findall(rb"^\((.*)\) Tj T\*$", zlib.decompress(stream), re.MULTILINE)
            lines += [re.sub(rb"\\([\\()])", rb"\1", line).decode("cp1252") for line in drawn]
    return "\n".join(lines)


def test_the_text_can_be_read_again() -> None:
    content = pdf_of("Compte rendu", ["Glycémie (à jeun) \\ 6,10 mmol/L", "  C.R.P. ≤ 5 µg/L", ""], MADE_AT)
    assert content.startswith(b"%PDF-1.4\n")
    assert text_of(content) == "Glycémie (à jeun) \\ 6,10 mmol/L\n  C.R.P. <= 5 µg/L\n"


def test_long_lines_are_folded_and_long_reports_have_pages() -> None:
    content = pdf_of("Compte rendu", ["mot " * 60, *("ligne" for _ in range(200))], MADE_AT)
    text = text_of(content).split("\n")
    assert max(len(line) for line in text) <= 92
    assert " ".join(" ".join(text).split()).count("mot") == 60
    assert text.count("ligne") == 200
    pages = objects_of(content)[2]
    assert b"/Count 4/" in pages


def test_characters_outside_the_font_are_shown_as_missing() -> None:
    assert text_of(pdf_of("Compte rendu", ["Œuf ✓ \ud800"], MADE_AT)) == "Œuf ? ?"


def test_it_claims_nothing_that_it_is_not() -> None:
    content = pdf_of("Compte <rendu>", ["a"], MADE_AT)
    assert pdf_a_part(content) is None
    assert b"Compte &lt;rendu&gt;" in content
    assert MADE_AT.encode() in content
    assert content == pdf_of("Compte <rendu>", ["a"], MADE_AT)
