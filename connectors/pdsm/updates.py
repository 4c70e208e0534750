"""Changes of a document's state as patches: status, securityLabel, isArchived, isDeleted, and nothing else. No I/O.

JSON Patch (RFC 6902) names places by their index, which is read from the resource as it is now: the request goes with
If-Match, so that an index that has moved is refused by the server rather than applied elsewhere. FHIRPath Patch names
them by expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

from connectors.pdsm.resources import ARCHIVED, DELETED, Json, Resource, objects, text, version_of

KNOWN_LABELS = frozenset({"N", "R", "V", "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"})
"""JDV_J08: confidentiality and visibility, whose systems servers and guides name by OID, by URL, or misspelt."""


class PatchForm(StrEnum):
    """How a patch is written."""

    JSON = "json"
    FHIRPATH = "fhirpath"

    @property
    def media_type(self) -> str:
        """The media type of the request."""
        return "application/json-patch+json" if self is PatchForm.JSON else "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Change:
    """What should become of a document: None leaves a thing as it is."""

    status: str | None = None
    labels: Sequence[Resource] | None = None
    archived: bool | None = None
    deleted: bool | None = None


def patch(document: Resource, change: Change, form: PatchForm) -> bytes | None:
    """Write the patch that makes the change; None when the document is so already."""
    steps = _json_steps(document, change) if form is PatchForm.JSON else _fhirpath_steps(document, change)
    if not steps:
        return None
    if form is PatchForm.JSON:
        return orjson.dumps([*_guarding(document), *steps])
    return orjson.dumps({"resourceType": "Parameters", "parameter": steps})


def same_label(one: Json, other: Json) -> bool:
    """Say whether two labels have a code in common."""
    return bool(_codes(one) & _codes(other))


def _json_steps(document: Resource, change: Change) -> list[Resource]:
    steps: list[Resource] = []
    if change.status is not None and text(document, "status") != change.status:
        steps.append({"op": "replace", "path": "/status", "value": change.status})
    if change.labels is not None:
        steps += _json_labels(document, change.labels)
    for url, wanted in ((ARCHIVED, change.archived), (DELETED, change.deleted)):
        if wanted is not None:
            steps += _json_extension(document, url, wanted, added=any("/extension" in str(s["path"]) for s in steps))
    return steps


def _json_labels(document: Resource, wanted: Sequence[Resource]) -> list[Resource]:
    """Take out what is not wanted any more from the last to the first, so that indices stay true; then add."""
    present = document.get("securityLabel")
    if not isinstance(present, list) or not present:
        return [{"op": "add", "path": "/securityLabel", "value": list(wanted)}] if wanted else []
    steps: list[Resource] = [
        {"op": "remove", "path": f"/securityLabel/{index}"}
        for index in range(len(present) - 1, -1, -1)
        if not any(same_label(present[index], label) for label in wanted)
    ]
    steps += [
        {"op": "add", "path": "/securityLabel/-", "value": label}
        for label in wanted
        if not any(same_label(one, label) for one in present)
    ]
    return steps


def _json_extension(document: Resource, url: str, wanted: bool, *, added: bool) -> list[Resource]:
    present = document.get("extension")
    extensions = present if isinstance(present, list) else []
    for index, one in enumerate(extensions):
        if text(one, "url") == url and isinstance(one, dict):
            if one.get("valueBoolean") is wanted:
                return []
            return [{"op": "add", "path": f"/extension/{index}/valueBoolean", "value": wanted}]
    if not wanted:
        return []
    value: Resource = {"url": url, "valueBoolean": wanted}
    if isinstance(present, list) or added:
        return [{"op": "add", "path": "/extension/-", "value": value}]
    return [{"op": "add", "path": "/extension", "value": [value]}]


def _guarding(document: Resource) -> list[Resource]:
    """Where the server tells no version, test that the places that indices were read from have not moved."""
    if version_of(document):
        return []
    return [
        {"op": "test", "path": f"/{name}", "value": document[name]}
        for name in ("status", "securityLabel")
        if name in document
    ]


def _fhirpath_steps(document: Resource, change: Change) -> list[Resource]:
    steps: list[Resource] = []
    if change.status is not None and text(document, "status") != change.status:
        steps.append(_operation("replace", "DocumentReference.status", value={"valueCode": change.status}))
    if change.labels is not None:
        present = objects(document, "securityLabel")
        steps += [
            _operation("delete", f"DocumentReference.securityLabel[{index}]")
            for index in range(len(present) - 1, -1, -1)
            if not any(same_label(present[index], label) for label in change.labels)
        ]
        steps += [
            _operation("add", "DocumentReference", name="securityLabel", value={"valueCodeableConcept": dict(label)})
            for label in change.labels
            if not any(same_label(one, label) for one in present)
        ]
    for url, wanted in ((ARCHIVED, change.archived), (DELETED, change.deleted)):
        if wanted is not None:
            steps += _fhirpath_extension(document, url, wanted)
    return steps


def _fhirpath_extension(document: Resource, url: str, wanted: bool) -> list[Resource]:
    for one in objects(document, "extension"):
        if text(one, "url") == url:
            if one.get("valueBoolean") is wanted:
                return []
            path = f"DocumentReference.extension.where(url='{url}').value"
            return [_operation("replace", path, value={"valueBoolean": wanted})]
    if not wanted:
        return []
    parts: list[Json] = [{"name": "url", "valueUri": url}, {"name": "valueBoolean", "valueBoolean": True}]
    return [_operation("add", "DocumentReference", name="extension", value={"part": parts})]


def _operation(what: str, path: str, *, name: str = "", value: Resource | None = None) -> Resource:
    parts: list[Json] = [{"name": "type", "valueCode": what}, {"name": "path", "valueString": path}]
    if name:
        parts.append({"name": "name", "valueString": name})
    if value is not None:
        parts.append({"name": "value", **value})
    return {"name": "operation", "part": parts}


def _codes(label: Json) -> set[tuple[str, str]]:
    """List the codes of a label; those that France knows are the same under every name that their system is given."""
    return {
        ("" if text(one, "code") in KNOWN_LABELS else text(one, "system"), text(one, "code"))
        for one in objects(label, "coding")
    }
