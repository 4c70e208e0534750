"""TXA: what an MDM says of the document itself, with its codes for status and confidentiality."""

from __future__ import annotations

from mappings.hl7v2.documents import FINAL, LEVELS
from mappings.hl7v2.pen import Pen
from mappings.hl7v2.times import stamp
from mappings.hl7v2.written_types import xcn
from schemas.attachment import Attachment
from schemas.coding import Coding
from schemas.document import Document
from schemas.finding import Severity

_STATUSES = {"final": "AU", "preliminary": "PA"} | {code: code for code in (*FINAL, "DI", "DO", "IN", "IP", "PA")}
_LEVELS = {(label.system, label.code): code for code, label in LEVELS.items()}


def status_code(status: str) -> str | None:
    """Give the code of a status in TXA-17 (table 0271), None for one that it does not know."""
    return _STATUSES.get(status)


def is_level(label: Coding) -> bool:
    """Say whether TXA-18 (table 0272) has a code for a label."""
    return (label.system, label.code) in _LEVELS


def document_number(pen: Pen, number: str | None) -> str:
    """Write a document's id: its OID, or its extension with the OID of its root."""
    root, mark, extension = (number or "").partition("^")
    return pen.components((pen.text(extension), "", pen.text(root), "ISO")) if mark and extension else pen.text(number)


def write_txa(pen: Pen, document: Document, own: Document, first: Attachment | None, *, is_text: bool) -> None:
    """Write TXA; what the CDA says itself (`own`) is left to it."""
    pen.begin("TXA")
    if document.status is None:
        pen.note(Severity.INFO, "hl7v2.write.status", "nothing says whether the document is final; TXA-17 says AU")
    authors = () if own.author is not None else (document.author, *document.other_authors)
    levels = [] if own.confidentiality else [_LEVELS[key] for key in _keys(document) if key in _LEVELS]
    pen.segment(
        "TXA",
        {
            1: "1",
            2: pen.text(document.type.code) if document.type is not None else "",
            3: "TEXT" if is_text else "AP",
            4: stamp(document.created_at) if document.created_at and not own.created_at else "",
            9: "~".join(xcn(pen, one) for one in authors if one is not None),
            12: document_number(pen, document.document_id),
            13: document_number(pen, document.replaces_id),
            16: pen.text(first.filename) if first is not None else "",
            17: status_code(document.status or "final") or "",
            18: levels[0] if levels else "",
            22: xcn(pen, document.legal_authenticator) if own.legal_authenticator is None else "",
        },
    )


def _keys(document: Document) -> list[tuple[str | None, str]]:
    return [(label.system, label.code) for label in document.confidentiality]
