"""The multipart reader: any cut of the stream gives the same parts, and what only looks like a delimiter is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from connectors.sandbox.dmp.mime import MalformedMultipart, MultipartReader, PartBegins, PartData, PartEnds

BOUNDARY = "b0"
NASTY = st.lists(
    st.sampled_from(
        [b"\r\n", b"--b0", b"\r\n--b0x", b"--", b"\r", b"\n", b"a", b"\x00\xff", b"\r\n--b0 x", b"\r\n--b0-"]
    ),
    max_size=12,
).map(b"".join)


def read(pieces: list[bytes]) -> list[tuple[dict[str, str], bytes]]:
    reader, parts = MultipartReader(BOUNDARY), []
    for piece in pieces:
        for event in reader.feed(piece):
            if isinstance(event, PartBegins):
                headers, content = event.headers, bytearray()
            elif isinstance(event, PartData):
                content += event.content
            elif isinstance(event, PartEnds):
                parts.append((headers, bytes(content)))
    reader.finish()
    return parts


def is_content(content: bytes) -> bool:
    """Whether a content may stand between delimiters at all: none of its lines is one."""
    lines = (b"\r\n" + content + b"\r\n").split(b"\r\n--b0")[1:]
    return not any(line.startswith(b"--") or not line.split(b"\r\n")[0].strip(b" \t") for line in lines)


@settings(deadline=None)
@given(st.lists(NASTY.filter(is_content), min_size=1, max_size=4), st.data())
def test_any_cut_gives_the_parts_that_were_packed(contents: list[bytes], data: st.DataObject) -> None:
    body = b"preamble"
    for number, content in enumerate(contents):
        body += b"\r\n--b0\r\nContent-ID: <%d>\r\n\r\n" % number + content
    body += b"\r\n--b0--epilogue\r\n--b0\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    expected = [({"content-id": f"<{number}>"}, content) for number, content in enumerate(contents)]
    assert read(pieces) == expected
    assert read([body[at : at + 1] for at in range(len(body))]) == expected


def test_folded_headers_and_blanks_after_the_delimiter_are_read() -> None:
    body = b'--b0 \t\r\nContent-Type: text/xml;\r\n charset="x"\r\nX: \r\n\r\nA\r\n--b0\r\n\r\n\r\n--b0--'
    assert read([body]) == [({"content-type": 'text/xml; charset="x"', "x": ""}, b"A"), ({}, b"")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b0\r\n\r\nA",
        b"--b0\r\n\r\nA\r\n--b0",
        b"--b0\r\nno colon\r\n\r\nA\r\n--b0--",
        b"--b0\r\nX: " + b"a" * 20_000,
        b"--b0\r\n\r\n" * 300,
    ],
)
def test_what_is_cut_or_endless_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMultipart):
        read([body])


def test_a_boundary_has_a_length() -> None:
    with pytest.raises(MalformedMultipart):
        MultipartReader("")


def test_nothing_but_a_delimiter_s_length_is_held() -> None:
    reader = MultipartReader(BOUNDARY)
    list(reader.feed(b"--b0\r\n\r\n"))
    given_back = sum(len(e.content) for e in reader.feed(b"x" * 1_000_000) if isinstance(e, PartData))
    assert given_back > 999_980
