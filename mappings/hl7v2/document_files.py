"""The files of a document: encapsulated, typed in lines, or the mail that brought it (fact sheet §6)."""

from __future__ import annotations

import base64
from typing import NamedTuple

from mappings.hl7v2.attachments import attachment_of
from mappings.hl7v2.carried_cda import Carried, files_of, read_cda
from mappings.hl7v2.datatypes import coded
from mappings.hl7v2.document_wishes import read_mail
from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.groups import Result
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.values import value_of
from mappings.hl7v2.written_profile import LPS
from schemas.attachment import Attachment
from schemas.coding import Coding


class Files(NamedTuple):
    """The files, the first CDA among them with its OBX, and the code and label of the first OBX-3."""

    attachments: tuple[Attachment, ...]
    carried: tuple[Carried, Segment] | None
    named: tuple[Coding | None, str | None]


def take_mail(notes: Notebook, files: list[Result]) -> str | None:
    """Take out of the files the mail by which a document came (profile of the reverse flow, §6.3)."""
    if len(files) < 2 or LPS not in notes.message.header.raw(21):
        return None
    mail = files.pop(1)
    notes.leave_fields(mail.obx, 3)
    return read_mail(notes, mail)


def read_files(notes: Notebook, files: list[Result]) -> Files:
    """Read the files; the first CDA among them is what the metadata come from."""
    attachments: list[Attachment] = []
    carried: tuple[Carried, Segment] | None = None
    named: tuple[Coding | None, str | None] = (None, None)
    for result in files:
        obx = result.obx
        codes = coded(obx.raw(3), notes.syntax)
        found = attachment_of(notes, obx, codes.text)
        if found is None:
            notes.leave_fields(obx, 5)
            continue
        if not attachments:
            named = (codes.codes[0] if codes.codes else None, codes.text)
        cda = read_cda(notes, obx, found[1]) if found[0].media_type == "text/xml" else None
        if cda is None:
            attachments.append(found[0])
            continue
        attachments += files_of(cda, codes.text)
        carried = carried or (cda, obx)
    return Files(tuple(attachments), carried, named)


def with_name(attachments: tuple[Attachment, ...], txa: Segment | None) -> tuple[Attachment, ...]:
    """Give the first file the name that TXA-16 says."""
    name = txa.syntax.text(txa.raw(16)) if txa is not None and attachments else ""
    return (attachments[0].model_copy(update={"filename": name}), *attachments[1:]) if name else attachments


def typed_text(notes: Notebook, texts: list[Result]) -> Attachment:
    """Make a file of a document that was typed into OBX of type TX, FT or ST."""
    values = (value_of(notes, result.obx)[0] for result in texts)
    lines = [getattr(value, "text", None) or "" for value in values]
    content = "\n".join(lines).encode("utf-8")
    return Attachment(media_type="text/plain", size=len(content), data=base64.b64encode(content).decode("ascii"))
