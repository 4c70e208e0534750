"""What the HTTP connector puts in bodies, and how it reads credentials. No I/O."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import orjson

from connectors.contracts import Parcel

BEARER = "bearer "


def multipart(parcel: Parcel) -> tuple[bytes, str]:
    """Lay out a Parcel and its attachments as multipart/form-data (RFC 7578); return the body and its Content-Type.

    The boundary comes from the contents: the same Parcel gives the same bytes at every attempt.
    """
    digest = hashlib.sha256(parcel.content)
    for name, content in parcel.attachments.items():
        digest.update(name.encode())
        digest.update(content)
    boundary = f"passerelle-{digest.hexdigest()[:40]}"
    body = bytearray(_part(boundary, "message", parcel.filename, parcel.media_type, parcel.content))
    for name, content in parcel.attachments.items():
        body += _part(boundary, "attachment", name, "application/octet-stream", content)
    body += f"--{boundary}--\r\n".encode()
    return bytes(body), f"multipart/form-data; boundary={boundary}"


def problem(status: int, title: str, detail: str, **more: str | int) -> bytes:
    """Write a problem detail (RFC 9457)."""
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **more})


def key_digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    """Digest keys, so that comparing takes the same time whatever their length."""
    return tuple(hashlib.sha256(key.encode()).digest() for key in keys)


def shown_key(authorization: str | None, api_key: str | None) -> str | None:
    """Take the key out of the Authorization (Bearer) or X-API-Key header; None when neither holds one."""
    if api_key is not None:
        return api_key.strip()
    if authorization is not None and authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip()
    return None


def is_known(key: str, digests: Iterable[bytes]) -> bool:
    """Compare with every known key, in constant time."""
    shown = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    known = False
    for digest in digests:
        known |= hmac.compare_digest(shown, digest)
    return known


def _part(boundary: str, field: str, filename: str, media_type: str, content: bytes) -> bytes:
    quoted = filename.replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{quoted}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"
