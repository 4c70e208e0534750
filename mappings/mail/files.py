"""The files of a mail, each read as what it is: XDM archives, CDA, HPRIM; anything else is a document as it stands.

A file that cannot be read as what it says to be is kept as a document all the same, with the error: a person decides.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mappings.archive import is_archive
from mappings.cda import FORMAT as CDA, is_cda
from mappings.contracts import Format, FormatError, ReadContext, Reading
from mappings.hprim_medecin import FORMAT as HPRIM_MEDECIN
from mappings.hprim_sante import FORMAT as HPRIM_SANTE
from mappings.mail.mime import Part
from mappings.mail.tnef import TYPES as TNEF_TYPES, is_tnef
from mappings.xdm import FORMAT as XDM
from schemas.attachment import Attachment

_HPRIM_NAME = re.compile(r"\.(?:hpr|hpm[1-3]?|hprim|hps)$", re.IGNORECASE)
_HPRIM_TYPE = re.compile(r"^application/(?:hpm|x-hprim.*|edi-hprim)$")
_XDM_NAME = re.compile(r"^ihe[_-]?xdm\b.*\.zip$", re.IGNORECASE)
_OFFICE = (b"[Content_Types].xml", b"mimetypeapplication/vnd.oasis")
_LOOKED_AT = 4096
_HPRIM_BY_CONTENT = 0.5
_HPRIM_BY_NAME = 0.2
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"{\\rtf", "application/rtf"),
)
_BY_EXTENSION = {
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "heic": "image/heic",
    "txt": "text/plain",
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "xml": "application/xml",
    "zip": "application/zip",
}
_VAGUE = frozenset({"application/octet-stream", "application/binary", "application/unknown", "application/download"})
_NOT_DOCUMENTS = frozenset(
    {
        "text/vcard",
        "text/x-vcard",
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    }
)
_TYPE = re.compile(r"^[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,120}$")


class FileKind(StrEnum):
    """How a file is read; `document` is kept as it stands, `aside` is no document (a visiting card, a signature)."""

    XDM = "xdm"
    CDA = "cda"
    HPRIM = "hprim"
    TNEF = "tnef"
    APICRYPT = "apicrypt"
    DOCUMENT = "document"
    ASIDE = "aside"


@dataclass(slots=True, eq=False)
class MailFile:
    """One file of a mail: its part, its bytes, and what it was found to be."""

    part: Part
    content: bytes
    kind: FileKind

    @property
    def where(self) -> str:
        """Its place in the mail."""
        return self.part.where

    @property
    def is_pdf(self) -> bool:
        """Whether it is a PDF by its own bytes."""
        return self.content.startswith(b"%PDF-")

    def attachment(self, title: str | None = None) -> Attachment:
        """Give the file as an Attachment, with the media type of its bytes where they tell."""
        name = self.part.filename
        return Attachment(
            media_type=media_type_of(self.content, self.part.media_type, name),
            title=title,
            filename=name,
            size=len(self.content),
            data=base64.b64encode(self.content).decode("ascii"),
        )


def file_of(part: Part, content: bytes) -> MailFile:
    """Recognise a file: by its bytes first, by its name and type where the bytes do not tell."""
    return MailFile(part, content, _kind(part, content))


def _kind(part: Part, content: bytes) -> FileKind:
    name = part.filename or ""
    if is_tnef(content) or part.media_type in TNEF_TYPES:
        return FileKind.TNEF
    if name.lower().endswith(".apz") or b"$APICRYPT" in content[:_LOOKED_AT]:
        return FileKind.APICRYPT
    if is_archive(content) or _XDM_NAME.match(name):
        return FileKind.XDM if may_be_xdm(content, name) else FileKind.DOCUMENT
    if is_cda(content):
        return FileKind.CDA
    if part.media_type in _NOT_DOCUMENTS or name.lower().endswith((".vcf", ".p7s")):
        return FileKind.ASIDE
    told = _HPRIM_NAME.search(name) or _HPRIM_TYPE.match(part.media_type)
    if hprim_format(content, _HPRIM_BY_NAME if told else _HPRIM_BY_CONTENT) is not None:
        return FileKind.HPRIM
    return FileKind.DOCUMENT


def may_be_xdm(content: bytes, name: str) -> bool:
    """Say whether a ZIP is to be opened as XDM: by its name or its entries; an office file is a ZIP too."""
    if _XDM_NAME.match(name) or XDM.sniff(content) > 0.5:
        return True
    return not any(mark in content[:_LOOKED_AT] for mark in _OFFICE) and b".XML" in content[-65536:].upper()


def hprim_format(content: bytes, least: float) -> Format | None:
    """Give the HPRIM format that a content is, Santé or Médecin, None when neither is sure enough."""
    scores = [(one.sniff(content), one) for one in (HPRIM_SANTE, HPRIM_MEDECIN)]
    score, best = max(scores, key=lambda entry: entry[0])
    return best if score >= least else None


def read_file(file: MailFile, context: ReadContext, siblings: Mapping[str, bytes]) -> Reading | None:
    """Read a file by its own format, None for a document as it stands. Raises FormatError as that format does."""
    context = dataclasses.replace(context, charset=None, filename=file.part.filename, siblings=siblings)
    match file.kind:
        case FileKind.XDM:
            return XDM.read(file.content, context)
        case FileKind.CDA:
            return CDA.read(file.content, context)
        case FileKind.HPRIM:
            return read_hprim(file.content, context)
        case _:
            return None


def read_hprim(content: bytes, context: ReadContext) -> Reading:
    """Read a content as whichever HPRIM it is. Raises FormatError as its reader does."""
    found = hprim_format(content, _HPRIM_BY_NAME)
    if found is None:
        raise FormatError("mail.hprim", "", "this is said to be HPRIM and does not look like it")
    return found.read(content, context)


def media_type_of(content: bytes, declared: str, name: str | None) -> str:
    """Give the media type of a file: what its bytes say, else what was declared, else what its name says."""
    for magic, media_type in _MAGIC:
        if content.startswith(magic):
            return media_type
    extension = (name or "").rpartition(".")[2].lower()
    if declared in _VAGUE or not _TYPE.match(declared):
        return _BY_EXTENSION.get(extension, "application/octet-stream")
    return declared
