"""What a document-sharing server checks of a submission, written from the guide and not from our writer.

PDSm adds to IHE MHD Comprehensive (4.0.1): a contained resource, a custodian, a date, an author, the size, SHA-1 and
title of the file, the start of the period; one label of confidentiality. Simplified publication (ITI-105) has its file
inside and no address.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from hashlib import sha1
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Resource: TypeAlias = "dict[str, Json]"

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LEVELS = frozenset({"N", "R", "V", "L", "M", "U"})
SUBMISSION_SET = "submissionset"
MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"

COMPREHENSIVE = (
    "masterIdentifier.value", "type.coding", "category", "subject.reference", "date", "author", "custodian",
    "securityLabel", "contained", "content", "context.period.start", "context.facilityType", "context.practiceSetting",
    "context.sourcePatientInfo",
)  # fmt: skip
OF_A_FILE = ("contentType", "size", "hash", "title", "url")
SIMPLIFIED = ("status", "subject.reference", "author", "custodian", "content")
OF_A_SET = ("status", "mode", "subject.reference", "date", "source", "contained", "entry")


class Refusal(Exception):
    """The request is refused: HTTP status, issue type, the element, one sentence."""

    def __init__(self, status: int, code: str, path: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.path = path
        self.sentence = sentence


def at(node: Json, path: str) -> Json:
    """Give what stands at a dotted path, None when nothing does."""
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def listed(node: Json) -> list[Resource]:
    """Give the objects of a list."""
    return [one for one in node if isinstance(one, dict)] if isinstance(node, list) else []


def check_bundle(bundle: Json) -> list[Resource]:
    """Check an ITI-65 transaction and give its entries. Raises Refusal at the first thing that is wrong."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
        raise Refusal(400, "structure", "Bundle", "the body is not a transaction Bundle")
    entries = listed(bundle.get("entry"))
    by_url = {entry.get("fullUrl"): at(entry, "resource") for entry in entries}
    if len(by_url) != len(entries):
        raise Refusal(422, "invariant", "Bundle.entry.fullUrl", "two entries have the same fullUrl, or none")
    kinds = [at(entry, "resource.resourceType") for entry in entries]
    if set(kinds) - {"List", "DocumentReference", "Binary", "Patient", "Parameters"}:
        raise Refusal(422, "not-supported", "Bundle.entry", "a submission holds no resource of this type")
    if kinds.count("List") != 1:
        raise Refusal(422, "required", "Bundle.entry", "a submission has exactly one submission set")
    if "DocumentReference" not in kinds:
        raise Refusal(422, "required", "Bundle.entry", "a submission has a document")
    for place, entry in enumerate(entries):
        resource = entry.get("resource")
        where = f"Bundle.entry[{place}].resource"
        if at(entry, "request.method") not in {"POST", "PATCH"} or not isinstance(resource, dict):
            raise Refusal(422, "not-supported", f"Bundle.entry[{place}].request", "entries are POST, or a PATCH")
        if resource["resourceType"] == "DocumentReference":
            _check_document(resource, where, by_url)
        elif resource["resourceType"] == "List":
            _check_set(resource, where, by_url)
    return entries


def check_simplified(document: Json) -> Resource:
    """Check an ITI-105 publication. Raises Refusal."""
    if not isinstance(document, dict) or document.get("resourceType") != "DocumentReference":
        raise Refusal(400, "structure", "DocumentReference", "the body is not a DocumentReference")
    _require(document, SIMPLIFIED, "DocumentReference")
    _check_references(document, "DocumentReference")
    contents = listed(document.get("content"))
    form = at(contents[0], "attachment") if contents else None
    if document.get("status") != "current" or not isinstance(form, dict) or len(contents) != 1:
        raise Refusal(422, "invariant", "DocumentReference", "one current document with one file is published")
    if "url" in form or not isinstance(form.get("data"), str):
        raise Refusal(422, "required", "DocumentReference.content.attachment.data", "the file is inside, not elsewhere")
    _check_file(form, bytes_of(form.get("data")), "DocumentReference.content.attachment")
    return document


def bytes_of(data: Json) -> bytes:
    """Decode base64. Raises Refusal."""
    try:
        return base64.b64decode(str(data), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(422, "value", "Binary.data", "this is not base64") from None


def _check_document(document: Resource, where: str, by_url: dict[Json, Json]) -> None:
    _require(document, COMPREHENSIVE, where)
    if document.get("status") != "current":
        raise Refusal(422, "value", f"{where}.status", "a document is submitted as current")
    _check_references(document, where)
    levels = [
        code.get("code")
        for label in listed(document.get("securityLabel"))
        for code in listed(label.get("coding"))
        if code.get("system") == CONFIDENTIALITY
    ]
    if len(levels) != 1 or levels[0] not in LEVELS:
        raise Refusal(422, "invariant", f"{where}.securityLabel", "there is one level of confidentiality")
    for content in listed(document.get("content")):
        form = content.get("attachment")
        path = f"{where}.content.attachment"
        if not isinstance(form, dict):
            raise Refusal(422, "required", path, "a content has an attachment")
        _require(form, OF_A_FILE, path)
        if "format" not in content:
            raise Refusal(422, "required", f"{where}.content.format", "the format is required")
        binary = by_url.get(form.get("url"))
        if at(binary, "resourceType") != "Binary":
            raise Refusal(422, "not-found", f"{path}.url", "the file is not in the transaction")
        _check_file(form, bytes_of(at(binary, "data")), path)


def _check_file(form: Resource, content: bytes, path: str) -> None:
    if "hash" in form:
        stated = bytes_of(form["hash"])
        if stated != sha1(content, usedforsecurity=False).digest():
            raise Refusal(422, "value", f"{path}.hash", "the hash is not the SHA-1 of the file")
    if "size" in form and form["size"] != len(content):
        raise Refusal(422, "value", f"{path}.size", "the size is not that of the file")


def _check_set(submission: Resource, where: str, by_url: dict[Json, Json]) -> None:
    _require(submission, OF_A_SET, where)
    _check_references(submission, where)
    if SUBMISSION_SET not in {one.get("code") for one in listed(at(submission, "code.coding"))}:
        raise Refusal(422, "value", f"{where}.code", "the list is a submission set")
    extensions = {one.get("url") for one in listed(submission.get("extension"))}
    if not {MHD + "ihe-sourceId", MHD + "ihe-designationType"} <= extensions:
        raise Refusal(422, "required", f"{where}.extension", "a submission set says its source and its kind of care")
    for member in listed(submission.get("entry")):
        if at(by_url.get(at(member, "item.reference")), "resourceType") != "DocumentReference":
            raise Refusal(422, "not-found", f"{where}.entry.item", "a member of the set is not in the transaction")


def _check_references(resource: Resource, where: str) -> None:
    inside = {one.get("id") for one in listed(resource.get("contained"))}
    for reference in references(resource):
        if reference.startswith("#") and reference[1:] not in inside:
            raise Refusal(422, "not-found", where, "a reference names nothing that is contained")


def references(node: Json) -> Iterator[str]:
    """List the references in a resource."""
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str):
            yield reference
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def _require(node: Resource, paths: tuple[str, ...], where: str) -> None:
    for path in paths:
        if at(node, path) in (None, "", [], {}):
            raise Refusal(422, "required", f"{where}.{path}", "a required element is missing")
