"""A photo keeps its picture and how it is turned, and nothing else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st

from mappings.photos import without_traces

PICTURE = b"\xff\xdb\x00\x04AB\xff\xda\x00\x02pixels\xff\xd9"
GPS = b"48.5839N"


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def exif(order: str = "<", turned: int | None = None) -> bytes:
    entries = [(0x0112, 3, 1, turned)] if turned is not None else []
    body = struct.pack(order + "H", len(entries))
    body += b"".join(struct.pack(order + "HHIHH", tag, kind, count, value, 0) for tag, kind, count, value in entries)
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", 8)
    return segment(0xE1, b"Exif\x00\x00" + head + body + b"\x00" * 4 + GPS)


def test_a_jpeg_loses_exif_xmp_and_comments_and_keeps_its_picture() -> None:
    jfif, colours = segment(0xE0, b"JFIF\x00"), segment(0xE2, b"ICC_PROFILE\x00")
    told = exif() + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + GPS) + segment(0xFE, GPS) + segment(0xED, GPS)
    assert without_traces(b"\xff\xd8" + jfif + told + colours + PICTURE) == b"\xff\xd8" + jfif + colours + PICTURE


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_photo_that_lies_on_its_side_is_still_turned(order: str) -> None:
    cleaned = without_traces(b"\xff\xd8" + exif(order, 6) + PICTURE)
    assert GPS not in cleaned
    assert cleaned.endswith(PICTURE)
    assert struct.pack(">HHIH", 0x0112, 3, 1, 6) in cleaned
    assert without_traces(cleaned) == cleaned


def test_what_follows_the_picture_goes() -> None:
    second = b"\xff\xd8" + exif() + PICTURE
    assert without_traces(b"\xff\xd8" + PICTURE + second) == b"\xff\xd8" + PICTURE


def test_a_png_loses_its_words() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + b"CRC4"

    head, end = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"x"), chunk(b"IDAT", b"pixels") + chunk(b"IEND", b"")
    said = chunk(b"eXIf", GPS) + chunk(b"tEXt", b"Comment\x00" + GPS) + chunk(b"iTXt", GPS) + chunk(b"tIME", b"t")
    assert without_traces(head + said + end + GPS) == head + end


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n"]))
def test_anything_else_is_given_back_or_cleaned_once(content: bytes, head: bytes) -> None:
    cleaned = without_traces(head + content)
    assert without_traces(cleaned) == cleaned
    if not head and not content.startswith((b"\xff\xd8", b"\x89PNG")):
        assert cleaned == content
