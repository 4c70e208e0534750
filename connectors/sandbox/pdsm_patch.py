"""Patches as a document-sharing server takes them: status, securityLabel, isArchived, isDeleted; 405 for the rest."""

from __future__ import annotations

import copy
import re

import orjson

from connectors.sandbox.pdsm_rules import Json, Refusal, Resource, at, listed

PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
ARCHIVED = PDSM + "pdsm-ext-is-archived"
DELETED = PDSM + "pdsm-ext-is-deleted"
OPEN = frozenset({"status", "securityLabel", "extension"})
STATUSES = frozenset({"current", "superseded", "entered-in-error"})

_LABEL = re.compile(r"DocumentReference\.securityLabel\[(\d+)\]")
_EXTENSION = re.compile(r"DocumentReference\.extension\.where\(url='([^']+)'\)\.value")


def patched(document: Resource, media_type: str, body: bytes) -> Resource:
    """Apply a patch and give what the document becomes. Raises Refusal, with the document left as it was."""
    try:
        given: Json = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "structure", "", "the patch is not JSON") from None
    changed = copy.deepcopy(document)
    if media_type == "application/json-patch+json":
        if not isinstance(given, list):
            raise Refusal(400, "structure", "", "a JSON Patch is a list of operations")
        for operation in given:
            changed = _json_step(changed, operation)
    elif at(given, "resourceType") == "Parameters":
        for parameter in listed(at(given, "parameter")):
            _fhirpath_step(changed, parameter)
    else:
        raise Refusal(415, "not-supported", "", "a patch is a JSON Patch or Parameters")
    _check(document, changed)
    return changed


def _check(before: Resource, after: Resource) -> None:
    touched = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    if touched - OPEN:
        raise Refusal(405, "not-supported", f"DocumentReference.{min(touched - OPEN)}", "this element is not updated")
    others = [
        [one for one in listed(side.get("extension")) if one.get("url") not in {ARCHIVED, DELETED}]
        for side in (before, after)
    ]
    if others[0] != others[1]:
        raise Refusal(405, "not-supported", "DocumentReference.extension", "only isArchived and isDeleted are updated")
    if after.get("status") not in STATUSES or not listed(after.get("securityLabel")):
        raise Refusal(422, "value", "DocumentReference.status", "a document has a status and a confidentiality")
    if before.get("status") == "entered-in-error" or flagged(before, DELETED):
        raise Refusal(422, "business-rule", "DocumentReference.status", "a deleted document stays as it is")
    if flagged(after, DELETED) and after.get("status") != "superseded":
        raise Refusal(422, "business-rule", "DocumentReference.status", "a deleted document is superseded")


def flagged(document: Resource, url: str) -> bool:
    """Say whether an extension of this URL is true."""
    return any(one.get("url") == url and one.get("valueBoolean") is True for one in listed(document.get("extension")))


def _json_step(document: Resource, operation: Json) -> Resource:
    path = at(operation, "path")
    what = at(operation, "op")
    if not isinstance(path, str) or not path.startswith("/") or not isinstance(operation, dict):
        raise Refusal(422, "invalid", "", "an operation has a JSON Pointer (RFC 6901)")
    keys = [key.replace("~1", "/").replace("~0", "~") for key in path[1:].split("/")]
    parent: Json = document
    for key in keys[:-1]:
        parent = _inside(parent, key)
    last = keys[-1]
    if what == "test":
        if _inside(parent, last) != operation.get("value"):
            raise Refusal(422, "business-rule", "", "a test of the patch does not hold")
    elif what in {"replace", "remove"}:
        _inside(parent, last)
        if isinstance(parent, list):
            parent[int(last) : int(last) + 1] = [operation["value"]] if what == "replace" else []
        elif isinstance(parent, dict):
            del parent[last]
            if what == "replace":
                parent[last] = operation["value"]
    elif what == "add":
        _add(parent, last, operation["value"])
    else:
        raise Refusal(422, "not-supported", "", "this operation is not taken")
    return document


def _inside(node: Json, key: str) -> Json:
    if isinstance(node, dict) and key in node:
        return node[key]
    if isinstance(node, list) and key.isdigit() and int(key) < len(node):
        return node[int(key)]
    raise Refusal(422, "not-found", "", "the path of an operation leads nowhere")


def _add(parent: Json, key: str, value: Json) -> None:
    if isinstance(parent, dict):
        parent[key] = value
    elif isinstance(parent, list) and key == "-":
        parent.append(value)
    elif isinstance(parent, list) and key.isdigit() and int(key) <= len(parent):
        parent.insert(int(key), value)
    else:
        raise Refusal(422, "not-found", "", "the path of an operation leads nowhere")


def _fhirpath_step(document: Resource, parameter: Resource) -> None:
    parts = {str(one.get("name")): one for one in listed(parameter.get("part"))}
    what = at(parts.get("type"), "valueCode")
    path = str(at(parts.get("path"), "valueString"))
    value = parts.get("value", {})
    label, extension = _LABEL.fullmatch(path), _EXTENSION.fullmatch(path)
    if what == "replace" and path == "DocumentReference.status" and "status" in document:
        document["status"] = value.get("valueCode")
    elif what == "delete" and label is not None:
        labels = document.get("securityLabel")
        if not isinstance(labels, list) or int(label[1]) >= len(labels):
            raise Refusal(422, "not-found", path, "the path of an operation leads nowhere")
        del labels[int(label[1])]
    elif what == "replace" and extension is not None:
        found = [one for one in listed(document.get("extension")) if one.get("url") == extension[1]]
        if not found:
            raise Refusal(422, "not-found", path, "the path of an operation leads nowhere")
        found[0]["valueBoolean"] = value.get("valueBoolean")
    elif what == "add" and path == "DocumentReference":
        _fhirpath_add(document, str(at(parts.get("name"), "valueString")), value)
    else:
        raise Refusal(405, "not-supported", path, "this element is not updated")


def _fhirpath_add(document: Resource, name: str, value: Resource) -> None:
    if name == "securityLabel":
        made = value.get("valueCodeableConcept")
    elif name == "extension":
        made = {
            str(one.get("name")): next((inner for key, inner in one.items() if key.startswith("value")), None)
            for one in listed(value.get("part"))
        }
    else:
        raise Refusal(405, "not-supported", f"DocumentReference.{name}", "this element is not updated")
    present = document.setdefault(name, [])
    if isinstance(present, list):
        present.append(made)
