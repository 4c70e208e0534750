"""A small PDF of a report's text, for a report that comes without one (CR-BIO wants a copy as PDF).

It has standard metadata in XMP and no script, form or outside reference. It is not PDF/A: that would need the font
inside the file, and the fourteen standard fonts of PDF may not be copied; so it claims no part of PDF/A.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 595, 842
"""A4, in points."""
_MARGIN, _SIZE, _LEADING = 48, 9, 12
_COLUMNS = int((_WIDTH - 2 * _MARGIN) / (_SIZE * 0.6))
"""Characters of a line of Courier."""
_LINES = (_HEIGHT - 2 * _MARGIN) // _LEADING
_SPECIAL = re.compile(rb"[\\()]")
_REPLACED = str.maketrans(
    {"µ": "µ", "μ": "µ", "≤": "<=", "≥": ">=", "−": "-", "\u202f": " ", "\u2009": " ", "\t": "  "}
)


def pdf_of(title: str, text: Sequence[str], made_at: str) -> bytes:
    """Make a PDF of some lines of text; `made_at` is ISO 8601 with its offset. The same input gives the same bytes.

    Characters that Windows-1252 does not have are shown as `?`.
    """
    lines = [part for line in text for part in _folded(line.translate(_REPLACED).rstrip())]
    pages = [lines[at : at + _LINES] for at in range(0, len(lines), _LINES)] or [[]]
    first_page = 6
    kids = " ".join(f"{first_page + 2 * rank} 0 R" for rank in range(len(pages)))
    metadata = _metadata(title, made_at)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/Metadata 4 0 R/Lang(fr-FR)/ViewerPreferences<</DisplayDocTitle true>>>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>",
        b"<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream" % (len(metadata), metadata),
        b"<</Title(%s)/Producer(Passerelle)>>" % _literal(title),
    ]
    for rank, page in enumerate(pages):
        content = zlib.compress(_drawn(page))
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {_WIDTH} {_HEIGHT}]/Contents {first_page + 2 * rank + 1} 0 R"
            "/Resources<</Font<</F1 3 0 R>>>>>>".encode()
        )
        objects.append(b"<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(content), content))
    return _file(objects)


def _folded(line: str) -> Iterator[str]:
    """Cut a long line at blanks; what follows is indented."""
    while len(line) > _COLUMNS:
        cut = line.rfind(" ", 4, _COLUMNS + 1)
        cut = cut if cut > 4 else _COLUMNS
        yield line[:cut]
        line = "    " + line[cut:].lstrip()
    yield line


def _literal(text: str) -> bytes:
    return _SPECIAL.sub(rb"\\\g<0>", text.encode("cp1252", "replace"))


def _drawn(lines: Sequence[str]) -> bytes:
    start = b"BT /F1 %d Tf %d TL %d %d Td\n" % (_SIZE, _LEADING, _MARGIN, _HEIGHT - _MARGIN - _SIZE)
    return start + b"".join(b"(%s) Tj T*\n" % _literal(line) for line in lines) + b"ET"


def _metadata(title: str, made_at: str) -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">'
        f'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt></dc:title>'
        f"<xmp:CreateDate>{made_at}</xmp:CreateDate><xmp:CreatorTool>Passerelle</xmp:CreatorTool>"
        "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def _file(objects: Sequence[bytes]) -> bytes:
    """Put the objects one after another, and after them the table that says where each begins."""
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    starts = []
    for number, content in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % start for start in starts)
    out += b"trailer\n<</Size %d/Root 1 0 R/Info 5 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)
