"""What PDSm says of a document, looked at in plain JSON: its names, its state, its files. No I/O."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from hashlib import sha1
from typing import TypeAlias

import orjson

from mappings.fhir import systems

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Resource: TypeAlias = "dict[str, Json]"

ARCHIVED = systems.PDSM + "pdsm-ext-is-archived"
DELETED = systems.PDSM + "pdsm-ext-is-deleted"
SHA1_BYTES = 20
SHA1_DIGITS = 40


def parsed(content: bytes) -> Resource | None:
    """Parse a FHIR resource; None when it is not one."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("resourceType"), str) else None


def text(node: Json, *path: str) -> str:
    """Give the text at a path of keys, "" when there is none."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, str) else ""


def objects(node: Json, *path: str) -> list[Resource]:
    """Give the objects of the list at a path of keys."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return [one for one in node if isinstance(one, dict)] if isinstance(node, list) else []


def kind(resource: Json) -> str:
    """Give the resource type."""
    return text(resource, "resourceType")


def master_identifier(document: Resource) -> tuple[str, str] | None:
    """Give system and value of the document's unique id: masterIdentifier, else its first identifier."""
    master = document.get("masterIdentifier")
    for one in [*([master] if isinstance(master, dict) else []), *objects(document, "identifier")]:
        value = text(one, "value")
        if value:
            return text(one, "system"), value
    return None


def unique_id(document: Resource) -> str:
    """Give the document's unique id as XDS writes it (`root` or `root^extension`), "" when it has none."""
    found = master_identifier(document)
    return systems.document_number_in(found[0] or None, found[1]) if found is not None else ""


def version_of(resource: Resource) -> str:
    """Give the version as an entity tag for If-Match (`W/"3"`), "" when the resource does not say it."""
    version = text(resource, "meta", "versionId")
    return f'W/"{version}"' if version and '"' not in version else ""


def flagged(document: Resource, url: str) -> bool:
    """Say whether an extension of this URL is true."""
    return any(text(one, "url") == url and one.get("valueBoolean") is True for one in objects(document, "extension"))


def attachments(document: Resource) -> Iterator[Resource]:
    """List the Attachments."""
    for content in objects(document, "content"):
        form = content.get("attachment")
        if isinstance(form, dict):
            yield form


def replaced_by(document: Resource) -> Iterator[Resource]:
    """List the targets that this document says to replace."""
    for relation in objects(document, "relatesTo"):
        target = relation.get("target")
        if text(relation, "code") == "replaces" and isinstance(target, dict):
            yield target


def decoded(data: str) -> bytes | None:
    """Decode base64 strictly; None when it is not."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def stated_hash(form: Resource) -> bytes | None:
    """Read the SHA-1 that an Attachment states: base64 as FHIR has it, or the hexadecimal digits of XDS."""
    stated = text(form, "hash")
    if len(stated) == SHA1_DIGITS:
        try:
            return bytes.fromhex(stated)
        except ValueError:
            return None
    digest = decoded(stated)
    return digest if digest is not None and len(digest) == SHA1_BYTES else None


def mismatch(form: Resource, content: bytes) -> str | None:
    """Say what of the bytes is not what the Attachment states: `hash`, `size`, or None."""
    stated = stated_hash(form)
    if stated is not None and sha1(content, usedforsecurity=False).digest() != stated:
        return "hash"
    if text(form, "hash") and stated is None:
        return "hash"
    size = form.get("size")
    if isinstance(size, int) and not isinstance(size, bool) and size != len(content):
        return "size"
    return None
