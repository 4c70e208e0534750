"""Our own script, style and icons, held in memory: no path of a request ever reaches the file system."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from router.web.faults import NotThere

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Asset:
    """A file and what names its version."""

    content: bytes
    media_type: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """Load every file that is served, by its path under `/static/`."""
    found: dict[str, Asset] = {}
    for path in sorted(STATIC.rglob("*")):
        if path.suffix in {".css", ".js", ".svg"}:
            content = path.read_bytes()
            media_type = mimetypes.types_map.get(path.suffix, "text/plain")
            version = hashlib.sha256(content).hexdigest()[:12]
            found[path.relative_to(STATIC).as_posix()] = Asset(content, media_type, version)
    return found


def asset(name: str) -> str:
    """Give the address of a file; it changes with the file's content, so that it can be kept for ever."""
    return f"/static/{name}?v={assets()[name].version}"


@router.get("/static/{name:path}")
async def static(name: str, request: Request) -> Response:
    """Give a file."""
    found = assets().get(name)
    if found is None:
        raise NotThere
    kept = FOR_EVER if request.query_params.get("v") == found.version else "no-cache"
    kind = f"{found.media_type}; charset=utf-8"
    return Response(found.content, headers={"Content-Type": kind, "Cache-Control": kept})
