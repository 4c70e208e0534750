"""Photos of notes lose what the camera says beside the picture, before anything of them is kept or sent on."""

from __future__ import annotations

import base64

from mappings.photos import without_traces
from router.dossier.store.categories import is_note
from router.dossier.store.elements import Resource, child, children, said

PHOTOS = frozenset({"image/jpeg", "image/png"})


def clean_photos(resource: Resource) -> None:
    """Clean the photos of a note that was checked; its size and hash become those of what is kept."""
    if not is_note(resource):
        return
    for content in children(resource, "content"):
        form = child(content, "attachment") or {}
        if said(form, "contentType") not in PHOTOS or not said(form, "data"):
            continue
        sent = base64.b64decode(said(form, "data"))
        kept = without_traces(sent)
        if kept != sent:
            form["data"] = base64.b64encode(kept).decode()
            form.pop("hash", None)
            form["size"] = len(kept)
