"""Patches of documents: status, visibility, archiving; by JSON Patch (RFC 6902) or FHIRPath Patch (PDSm, ITI-105)."""

from __future__ import annotations

from router.dossier.api.outcomes import Refused
from router.dossier.store.elements import Json, Resource, children, said
from router.dossier.store.parameters import ARCHIVED

STATUSES = frozenset({"current", "superseded", "entered-in-error"})


def patched(resource: Resource, patch: Json) -> Resource:
    """Give the patched document. Raises Refused (405 for an element that is not patched, 422 for a wrong value)."""
    operations = _parameters(patch) if isinstance(patch, dict) else _json_patch(patch)
    if not operations:
        raise Refused(422, "The patch holds no operation.")
    for element, value in operations:
        resource = _with(resource, element, value)
    return resource


def _with(resource: Resource, element: str, value: Json) -> Resource:
    if element == "status":
        if not isinstance(value, str) or value not in STATUSES:
            raise Refused(422, "The status of a document is current, superseded or entered-in-error.")
        return {**resource, "status": value}
    if element == "securityLabel":
        labels = value if isinstance(value, list) else []
        if value is not None and (not labels or not all(isinstance(one, dict) for one in labels)):
            raise Refused(422, "securityLabel is a list of labels.")
        rest = {name: kept for name, kept in resource.items() if name != "securityLabel"}
        return {**rest, "securityLabel": labels} if labels else rest
    if element == "isArchived" and isinstance(value, bool):
        others = [one for one in children(resource, "extension") if said(one, "url") != ARCHIVED]
        return {**resource, "extension": [*others, {"url": ARCHIVED, "valueBoolean": value}]}
    raise Refused(405, "Only status, securityLabel and isArchived of a document are patched.")


def _json_patch(patch: Json) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    for one in patch if isinstance(patch, list) else []:
        path, operation = said(one, "path"), said(one, "op")
        value = one.get("value") if isinstance(one, dict) else None
        if operation == "test":
            raise Refused(422, "Use If-Match in place of the operation test.")
        if operation not in {"add", "replace", "remove"}:
            raise Refused(422, "An operation is add, replace or remove.")
        if path in {"/status", "/securityLabel"} and (operation != "remove" or path != "/status"):
            found.append((path[1:], None if operation == "remove" else value))
        elif path.startswith("/extension") and said(value, "url") == ARCHIVED and isinstance(value, dict):
            found.append(("isArchived", value.get("valueBoolean")))
        elif path.startswith("/extension") and "isArchived" in path.replace("is-archived", "isArchived"):
            # As the guide's own examples write it: /extension[url:'…is-archived'], with or without valueBoolean.
            found.append(("isArchived", value.get("valueBoolean") if isinstance(value, dict) else value))
        else:
            found.append((path, value))
    return found


def _parameters(patch: Resource) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    for operation in children(patch, "parameter"):
        parts = {said(part, "name"): part for part in children(operation, "part")}
        kind = said(parts.get("type"), "valueCode") or said(parts.get("type"), "valueString")
        path = said(parts.get("path"), "valueString")
        if kind not in {"replace", "add"} or not path.startswith("DocumentReference."):
            raise Refused(422, "A FHIRPath Patch here replaces an element of the DocumentReference.")
        value: Json = next(
            (given for name, given in (parts.get("value") or {}).items() if name.startswith("value")), None
        )
        element = path.removeprefix("DocumentReference.")
        if "is-archived" in element or "isArchived" in element:
            element = "isArchived"
        if element == "securityLabel" and isinstance(value, dict):
            value = [value]
        found.append((element, value))
    return found
