"""The archive itself, strictly: ISO 9660 names, no data descriptors, no zip64, and the same bytes each time.

Old receivers refuse what a stream writer makes (flag bit 3, version 45): the archive is made in memory, with a date, a
system and a version that never change.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from mappings.contracts import FormatError
from mappings.xdm.layout import METADATA, ROOT
from mappings.xdm.leaflets import Issuer, index_htm, readme_txt
from mappings.xds.ebrim_writing import metadata_xml
from mappings.xds.model import Submission

_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEVEL = 6
LARGEST = 0x7FFFFFFF
"""Bytes of an archive at most: beyond, ZIP needs its 64-bit form, which XDM forbids."""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file of the submission set: its name there (`DOC00001.XML`), what INDEX.HTM calls it, and its bytes."""

    name: str
    title: str
    content: bytes


def document_name(rank: int, extension: str = "XML") -> str:
    """Name the document of a rank from 1: `DOC00001.XML`."""
    return f"DOC{rank:05d}.{extension}"


def pack(submission: Submission, files: Sequence[PackedFile], issuer: Issuer, *, deflate: bool = True) -> bytes:
    """Make the archive of one submission set. Raises FormatError `xdm.write.too_large`."""
    folder = f"{ROOT}/SUBSET01/"
    entries = [(f"{folder}{METADATA}", metadata_xml(submission)), *((folder + one.name, one.content) for one in files)]
    names = ["INDEX.HTM", "README.TXT", *(name for name, _ in entries)]
    index = index_htm(issuer, [(folder + one.name, one.title) for one in files])
    everything = [("INDEX.HTM", index), ("README.TXT", readme_txt(issuer, names)), *entries]
    if sum(len(content) for _, content in everything) > LARGEST:
        raise FormatError("xdm.write.too_large", "", "the documents are too large for an archive without zip64")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", allowZip64=False) as archive:
        for name, content in everything:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 0
            info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            archive.writestr(info, content, compresslevel=_LEVEL)
    return buffer.getvalue()
