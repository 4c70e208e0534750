"""Files inside a document: the body of level 1, embedded images and PDF copies (cda-fr §4, §5.1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator

from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from schemas.attachment import Attachment

_BLANKS = str.maketrans("", "", "\r\n\t \0")
_SIGNATURES = ((b"%PDF-", "application/pdf"), (b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


def file_of(scribe: Scribe, node: Node, where: str, title: str | None = None) -> Attachment | None:
    """Read an ED that holds a file: base64 (blanks and padding repaired) or text. None, with a Finding, for nothing.

    A file that is only referred to is never fetched; one that is compressed stays so, and says it.
    """
    said = node.get("representation") or ""
    stated = (node.get("mediaType") or "").partition(";")[0].strip().lower()
    pointer = node.first("reference")
    raw = node.raw if node.has_text else ""
    if not raw.strip():
        if pointer is not None:
            scribe.notes.warning("cda.file.external", where, "a file that is only referred to is not fetched")
        else:
            scribe.notes.warning("cda.file.empty", where, "the file is empty")
        return None
    if said.upper() == "B64":
        content = _decoded(scribe, raw, where)
        if content is None:
            return None
    else:
        content = raw.encode("utf-8")
        stated = stated or "text/plain"
    data = base64.b64encode(content).decode("ascii")
    media_type = stated or next((kind for mark, kind in _SIGNATURES if content.startswith(mark)), "")
    if node.peek("compression"):
        scribe.notes.warning("cda.file.compressed", where, "the file is compressed; it is kept as it is")
    _check_digest(scribe, node, content, where)
    return Attachment(media_type=media_type or "application/octet-stream", title=title, size=len(content), data=data)


def _decoded(scribe: Scribe, raw: str, where: str) -> bytes | None:
    bare = raw.translate(_BLANKS)
    try:
        return binascii.a2b_base64(bare, strict_mode=True)
    except (binascii.Error, ValueError):
        bare = bare.rstrip("=")
    bare = bare[:-1] if len(bare) % 4 == 1 else bare
    try:
        content = binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        scribe.notes.error("cda.file.base64", where, "the file is not base64")
        return None
    scribe.notes.warning("cda.file.repaired", where, "the padding of the base64 had to be repaired")
    return content


def _check_digest(scribe: Scribe, node: Node, content: bytes, where: str) -> None:
    """Compare the file with its `integrityCheck` (SHA-1, or SHA-256 by its algorithm)."""
    expected = node.get("integrityCheck")
    if expected is None:
        return
    algorithm = hashlib.sha256 if (node.get("integrityCheckAlgorithm") or "").upper() == "SHA-256" else hashlib.sha1
    digest = algorithm(content, usedforsecurity=False)
    if expected not in (base64.b64encode(digest.digest()).decode(), digest.hexdigest()):
        scribe.notes.error("cda.file.digest", where, "the file is not the one that its digest was made of")


def _media(body: Node) -> Iterator[tuple[Node, str | None]]:
    """Walk through the embedded files, each with the title of the section that it stands in."""
    waiting: list[tuple[Node, str | None]] = [(body, None)]
    while waiting:
        node, title = waiting.pop()
        if node.name == "observationMedia":
            yield node, title
            continue
        heading = node.first("title") if node.name == "section" else None
        title = (heading.peek_text() if heading is not None else None) or title
        waiting.extend((child, title) for child in reversed(node.children))


def media_of(scribe: Scribe, body: Node) -> list[Attachment]:
    """Read every `observationMedia` of a body, in order; two with the same file are kept once."""
    found: list[Attachment] = []
    seen: set[tuple[str, str | None]] = set()
    for node, title in _media(body):
        value = node.first("value")
        name = node.get("ID")
        if value is None:
            continue
        attachment = file_of(scribe, value, f"observationMedia {(name or '')[:64]}".strip(), title)
        if attachment is None or (attachment.media_type, attachment.data) in seen:
            continue
        seen.add((attachment.media_type, attachment.data))
        found.append(attachment)
    return found
