"""Files: inline in an Attachment, or apart in a Binary that the Attachment points at."""

from __future__ import annotations

import base64
from hashlib import sha1

from mappings.fhir.writing.bundle import BundleBuilder, Resource
from mappings.fhir.writing.datatypes import extend, extension
from schemas.attachment import Attachment
from schemas.finding import Severity


def attachment(builder: BundleBuilder, file: Attachment, where: str, *, hashed: bool = False) -> Resource:
    """Write a file inline; `hashed` adds the SHA-1 that document sharing asks for."""
    out: Resource = {"contentType": file.media_type}
    if file.data is not None:
        out["data"] = file.data
        if hashed:
            try:
                digest = sha1(base64.b64decode(file.data, validate=True), usedforsecurity=False).digest()
                out["hash"] = base64.b64encode(digest).decode()
            except ValueError:
                builder.note(
                    Severity.WARNING, "fhir.attachment.base64", where, "the content of a file is not valid base64"
                )
    else:
        builder.note(
            Severity.ERROR,
            "fhir.attachment.no_data",
            where,
            "the content of a file was not given to the writer: only its description was sent",
        )
    if file.size is not None:
        out["size"] = file.size
    if file.title:
        out["title"] = file.title
    if file.filename:
        if file.filename == file.title:
            out["_title"] = {"id": "filename"}
        elif file.title:
            extend(out, extension("filename", "valueString", file.filename))
        else:
            out["title"] = file.filename
            out["_title"] = {"id": "filename-only"}
    return out


def measure(form: Resource, file: Attachment) -> None:
    """Add the number of bytes, which document sharing asks for, when the sender did not count them."""
    if "size" not in form and file.data is not None:
        form["size"] = len(file.data) // 4 * 3 - file.data[-2:].count("=")


def detach(builder: BundleBuilder, form: Resource, name: str) -> None:
    """Move the bytes of an Attachment into a Binary of their own, in the same transaction."""
    data = form.pop("data", None)
    if data is not None:
        binary: Resource = {"resourceType": "Binary", "contentType": form["contentType"], "data": data}
        form["url"] = builder.post(binary, f"binary|{name}")["reference"]
