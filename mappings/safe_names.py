"""File names that are safe by construction, from identities that may be anything."""

from __future__ import annotations

import base64
import hashlib
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,4})$")
_BY_MEDIA_TYPE = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/html": "htm",
    "text/rtf": "rtf",
    "application/rtf": "rtf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/tiff": "tif",
    "application/xml": "xml",
    "text/xml": "xml",
}


def safe_stem(identity: str, longest: int = 60) -> str:
    """Make a file stem of an identity: letters, digits, `-` and `_`; what had to change is told apart by a digest."""
    stem = _UNSAFE.sub("_", identity).strip("_")
    if stem == identity and 0 < len(stem) <= longest:
        return stem
    return f"{stem[: longest - 9]}-{short_digest(identity).lower()}".lstrip("-")


def short_digest(identity: str) -> str:
    """Give eight capitals and digits that name an identity, the same each time (an 8.3 file name's first part)."""
    return base64.b32encode(hashlib.blake2b(identity.encode(), digest_size=5).digest()).decode()


def extension_of(media_type: str, filename: str | None) -> str:
    """Give a file's extension without its dot: that of its media type, else of its name, else `bin`."""
    known = _BY_MEDIA_TYPE.get(media_type.partition(";")[0].strip().lower())
    named = _EXTENSION.search(filename or "")
    return known or (named[1].lower() if named else "bin")
