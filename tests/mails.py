"""Mails by hand, not with the writer under test; the people in them do not exist."""

from __future__ import annotations

import base64

from mappings.contracts import Environment, ReadContext, Reading
from mappings.mail import FORMAT
from schemas.item import DocumentItem, NoteItem, ReceiptItem

SENDER = "resultats@labo-fictif.mssante.invalid"
DOCTOR = "dr.fictif@test.mssante.invalid"
MATRICULE = "279035121518989"
PATIENT_ADDRESS = f"{MATRICULE}@patient.mssante.invalid"
ALARMS = {
    "document.other_patient",
    "xdm.hash.mismatch",
    "mail.encoding.damaged",
    "mail.patients.several",
    "mail.signature.invalid",
    "mail.decryption.failed",
    "mail.parts.left",
}

PLAIN = {
    "From": f"Laboratoire fictif <{SENDER}>",
    "To": f"Dr Fictif <{DOCTOR}>",
    "Subject": "Documents",
    "Date": "Thu, 5 Mar 2026 09:36:00 +0100",
    "Message-ID": "<m1@labo-fictif.mssante.invalid>",
}


def header(**changes: str | None) -> bytes:
    """A header; `_` stands for `-` in names, None leaves a field out."""
    fields = PLAIN | {name.replace("_", "-"): value for name, value in changes.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None).encode()


def text(content: str = "Bonjour, la patiente fictive va mieux.", kind: str = "plain", charset: str = "utf-8") -> bytes:
    return f"Content-Type: text/{kind}; charset={charset}\r\n\r\n".encode() + content.encode(charset)


def attached(content: bytes, name: str | None = "fichier", media_type: str = "application/octet-stream") -> bytes:
    """A part in base64."""
    disposition = f'Content-Disposition: attachment; filename="{name}"\r\n' if name else ""
    fields = f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n{disposition}\r\n"
    return fields.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "limite", parameters: str = "") -> bytes:
    """A multipart, from its Content-Type on."""
    inside = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    fields = f'Content-Type: multipart/{kind};{parameters} boundary="{boundary}"\r\n\r\n'
    return fields.encode() + inside + f"--{boundary}--\r\n".encode()


def mail(*parts: bytes, **changes: str | None) -> bytes:
    """A whole mail: one part as it is, several in a multipart."""
    body = parts[0] if len(parts) == 1 else multipart(*parts)
    return header(**changes) + b"MIME-Version: 1.0\r\n" + body


def forwarded(content: bytes) -> bytes:
    """A mail as a part of another, with boundaries of its own."""
    return b"Content-Type: message/rfc822\r\n\r\n" + content.replace(b"limite", b"interne")


def read(content: bytes, keys: dict[str, bytes] | None = None, **more: object) -> Reading:
    context = ReadContext(environment=Environment.TEST, keys=keys or {}, **more)  # type: ignore[arg-type]  # as said
    return FORMAT.read(content, context)


def codes(reading: Reading) -> set[str]:
    """Codes of what was noticed about the mail; a document's own are its format's business."""
    return {one.code for one in reading.findings if not one.code.startswith(("cda.", "hprim."))}


def documents(reading: Reading) -> list[DocumentItem]:
    return [one for one in reading.items if isinstance(one, DocumentItem)]


def notes(reading: Reading) -> list[NoteItem]:
    return [one for one in reading.items if isinstance(one, NoteItem)]


def receipts(reading: Reading) -> list[ReceiptItem]:
    return [one for one in reading.items if isinstance(one, ReceiptItem)]


def files(item: DocumentItem | NoteItem) -> list[bytes]:
    return [base64.b64decode(one.data or "") for one in item.content.attachments]
