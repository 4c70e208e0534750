"""A one-page PDF made by hand, so that documents have something to show; not PDF/A, as many that travel are not."""

from __future__ import annotations

from collections.abc import Sequence

_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R>>"
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"


def pdf(title: str, lines: Sequence[str]) -> bytes:
    """Write a title and up to fifty lines on an A4 page; signs outside Windows-1252 become question marks."""
    shown = b"\n".join(b"(%b) Tj T*" % _string(line) for line in lines[:50])
    text = b"BT /F1 16 Tf 56 780 Td (%b) Tj ET\nBT /F1 10 Tf 14 TL 56 748 Td\n%b\nET" % (_string(title), shown)
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        _PAGE,
        b"<</Length %d>>stream\n%b\nendstream" % (len(text), text),
        _FONT,
    )
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table
    return bytes(out)


def _string(text: str) -> bytes:
    raw = text.encode("cp1252", "replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
