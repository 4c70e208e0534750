"""The files of a transaction (ITI-65): Binary entries, each put into the document that points at it.

A file has no rights of its own: it is seen by who may see its document. So it is kept as that document's, whichever way
it came, and its entry is answered with the Binary that the document then has.
"""

from __future__ import annotations

from collections.abc import Sequence

from router.dossier.api.outcomes import Refused
from router.dossier.store.elements import Resource, child, children, said

URN = "urn:uuid:"


def is_file(entry: Resource) -> bool:
    """Say whether an entry of a transaction brings a file."""
    request, resource = child(entry, "request") or {}, child(entry, "resource") or {}
    return said(request, "method") == "POST" and said(request, "url") == said(resource, "resourceType") == "Binary"


def put_in_place(entries: Sequence[Resource]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Put files into the documents of a transaction, and give which has which: by the document's `fullUrl`.

    Each is (`fullUrl` of the file, rank of its content in the document). Raises Refused for a file that no document
    points at, and for a document that points at none.
    """
    files: dict[str, Resource] = {}
    for rank, entry in enumerate(entries):
        if is_file(entry):
            resource, url = child(entry, "resource") or {}, said(entry, "fullUrl")
            if not url or not said(resource, "data") or url in files:
                where = (f"Bundle.entry[{rank}].resource.data",)
                raise Refused(422, "A file comes with its bytes, under a fullUrl of its own.", where=where)
            files[url] = resource
    placed: dict[str, tuple[tuple[str, int], ...]] = {}
    used: set[str] = set()
    for rank, entry in enumerate(entries):
        resource = child(entry, "resource") or {}
        if said(resource, "resourceType") != "DocumentReference":
            continue
        mine: list[tuple[str, int]] = []
        for place, content in enumerate(children(resource, "content")):
            form = child(content, "attachment") or {}
            url = said(form, "url")
            if url in files:
                form.pop("url")
                form["data"] = said(files[url], "data")
                form.setdefault("contentType", said(files[url], "contentType"))
                mine.append((url, place))
                used.add(url)
            elif url.startswith(URN):
                where = (f"Bundle.entry[{rank}].resource.DocumentReference.content[{place}].attachment.url",)
                raise Refused(422, "The file that this points at is not in the Bundle.", where=where)
        if mine:
            placed[said(entry, "fullUrl")] = tuple(mine)
    if left := files.keys() - used:
        rank = next(rank for rank, entry in enumerate(entries) if said(entry, "fullUrl") in left)
        raise Refused(422, "No document of the Bundle points at this file.", where=(f"Bundle.entry[{rank}]",))
    return placed


def kept_as(document: Resource, place: int) -> str:
    """Give the reference of the Binary that a kept document has there, empty for a short text that stayed inside."""
    content = children(document, "content")
    url = said(child(content[place], "attachment") or {}, "url") if place < len(content) else ""
    return url if url.startswith("Binary/") else ""
