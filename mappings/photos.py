"""Photos without what a camera says beside the picture: where and when it was taken, by which device, with which notes.

Only containers are taken apart (JPEG, ISO/IEC 10918-1 annex B; PNG, ISO/IEC 15948 §5), the picture is not touched.
How a JPEG is to be turned (Exif 2.3 tag 0x0112) is kept: without it a photo would be shown lying on its side.
"""

from __future__ import annotations

import struct

_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"
_SCAN, _END, _APP0, _APP1, _APP2, _APP14, _APP15, _COMMENT = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_SHOWN = frozenset({_APP0, _APP2, _APP14})
"""Application segments that a viewer needs: JFIF, colour profile, Adobe's transform."""

_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SAID = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_EXIF = b"Exif\x00\x00"
_ORIENTATION = 0x0112
_UPRIGHT = 1


def without_traces(content: bytes) -> bytes:
    """Give a JPEG or PNG without its metadata; anything else, and what cannot be taken apart, as it is.

    Giving the same bytes again changes nothing.
    """
    if content.startswith(_JPEG):
        return _jpeg(content)
    return _png(content) if content.startswith(_PNG) else content


def _jpeg(content: bytes) -> bytes:
    kept = [_JPEG]
    at, turned = 2, _UPRIGHT
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return content
        marker = content[at + 1]
        if marker == 0xFF:  # fill bytes may come before a marker
            at += 1
            continue
        if marker in _ALONE:
            kept.append(content[at : at + 2])
            at += 2
            continue
        if marker in {_SCAN, _END}:
            break
        (length,) = struct.unpack(">H", content[at + 2 : at + 4])
        end = at + 2 + length
        if length < 2 or end > len(content):
            return content
        segment = content[at:end]
        if marker == _APP1 and segment[4:10] == _EXIF:
            turned = _orientation(segment[10:])
        elif not (_APP0 <= marker <= _APP15 or marker == _COMMENT) or marker in _SHOWN:
            kept.append(segment)
        at = end
    else:
        return content
    if turned != _UPRIGHT:
        kept.insert(1, _turned(turned))
    # Further pictures after the end (thumbnails of phones) have their own metadata: the first picture is the photo.
    last = content.find(b"\xff\xd9", at)
    return b"".join(kept) + (content[at:] if last < 0 else content[at : last + 2])


def _orientation(tiff: bytes) -> int:
    """Read how a picture is to be turned, from its Exif; 1, as it is, where that is not said or not sound."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return _UPRIGHT
    (start,) = struct.unpack(order + "I", tiff[4:8])
    if start + 2 > len(tiff):
        return _UPRIGHT
    (count,) = struct.unpack(order + "H", tiff[start : start + 2])
    for rank in range(min(count, 200)):
        entry = tiff[start + 2 + 12 * rank : start + 14 + 12 * rank]
        if len(entry) < 12:
            return _UPRIGHT
        tag, _kind, _number, value = struct.unpack(order + "HHIH", entry[:10])
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else _UPRIGHT
    return _UPRIGHT


def _turned(orientation: int) -> bytes:
    """Make an Exif segment that says this and nothing else."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    tiff = b"MM\x00\x2a" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    body = _EXIF + tiff
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _png(content: bytes) -> bytes:
    kept = [_PNG]
    at = len(_PNG)
    while at + 12 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        end = at + 12 + length
        if end > len(content):
            return content
        name = content[at + 4 : at + 8]
        if name not in _SAID:
            kept.append(content[at:end])
        at = end
        if name == b"IEND":
            return b"".join(kept)
    return content
