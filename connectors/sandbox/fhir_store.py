"""What a small FHIR server keeps: resources by id, found again by their identifiers; transactions applied whole."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Resource: TypeAlias = "dict[str, Json]"


_BARE_BAR = re.compile(r"(?<!\\)\|")
_ESCAPED = re.compile(r"\\([\\,|$])")
_KEPT_VERSIONS = 20


class BadTransaction(Exception):
    """The Bundle is not a transaction that this server can apply; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class _Step:
    method: str
    kind: str
    identifier: str
    resource: Resource
    created: bool
    kept: bool


@dataclass(slots=True)
class FhirStore:
    """Resources by (type, id). `versions` counts the writes of each one, `history` holds the last of them."""

    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    history: dict[tuple[str, str], deque[Resource]] = field(default_factory=dict)
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    _by_identifier: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _number: int = 0

    def apply(self, bundle: Json) -> Resource:
        """Apply a transaction Bundle (FHIR R4 §3.1.0.11.2) and give the transaction-response.

        Handles POST (with ifNoneExist), PUT and DELETE, by id or by `?identifier=`, and references to `fullUrl`s of
        the Bundle or of the form `Type?identifier=`. Raises BadTransaction, with nothing kept, for anything else.
        """
        if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
            raise BadTransaction("the body is not a Bundle")
        if bundle.get("type") != "transaction":
            raise BadTransaction("the Bundle is not a transaction")
        entries = [entry for entry in _list(bundle.get("entry")) if isinstance(entry, dict)]
        known: dict[str, str] = {}
        steps = [self._plan(entry, known) for entry in entries]
        replies: list[Json] = []
        rewritten = [step.resource if step.kept else self._rewritten(step.resource, known) for step in steps]
        for step, resource in zip(steps, rewritten, strict=True):
            replies.append({"response": self._write(step, resource)})
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": replies}

    def read(self, kind: str, identifier: str) -> Resource | None:
        """Give one resource, or None."""
        return self.resources.get((kind, identifier))

    def known_by(self, kind: str, value: str) -> list[Resource]:
        """Give the kept versions, oldest first, of the resource of a type that has an identifier of this value."""
        found = self._by_identifier.get((kind, "", value), "")
        return list(self.history.get((kind, found), ()))

    def search(self, kind: str, parameters: Mapping[str, str]) -> list[Resource]:
        """Find resources of one type by `identifier`, `patient`, `subject` or `_id`.

        Raises BadTransaction for a parameter that is not one of these: an ignored filter would show too much.
        """
        found = [resource for (of_kind, _), resource in self.resources.items() if of_kind == kind]
        for name, wanted in parameters.items():
            if name == "identifier":
                found = [resource for resource in found if _matches(resource, wanted)]
            elif name in {"patient", "subject"}:
                reference = wanted if "/" in wanted else f"Patient/{wanted}"
                found = [resource for resource in found if reference in set(_references_at_top(resource))]
            elif name == "_id":
                found = [resource for resource in found if resource.get("id") == wanted]
            else:
                raise BadTransaction(f"this server does not search by {name}")
        return found

    def _plan(self, entry: Resource, known: dict[str, str]) -> _Step:
        request = entry.get("request")
        if not isinstance(request, dict):
            raise BadTransaction("an entry has no request")
        method, url = str(request.get("method", "")), str(request.get("url", ""))
        resource = entry.get("resource")
        if method == "DELETE":
            kind, identifier = self._target(url)
            return _Step(method, kind, identifier, {}, created=False, kept=True)
        if method not in {"POST", "PUT"} or not isinstance(resource, dict):
            raise BadTransaction("an entry is neither a POST, a PUT nor a DELETE with what it needs")
        kind = str(resource.get("resourceType", ""))
        condition = str(request.get("ifNoneExist", "")) if method == "POST" else ""
        target_kind, identifier = self._target(f"{kind}?{condition}" if condition else url)
        if not kind or target_kind != kind:
            raise BadTransaction("an entry's url does not name its resource's type")
        exists = (kind, identifier) in self.resources
        if not identifier:
            self._number += 1
            identifier = str(self._number)
        full_url = entry.get("fullUrl")
        if isinstance(full_url, str):
            known[full_url] = f"{kind}/{identifier}"
        return _Step(method, kind, identifier, resource, created=not exists, kept=bool(condition) and exists)

    def _target(self, url: str) -> tuple[str, str]:
        """Read `Type`, `Type/id` or `Type?identifier=system|value`: the type, and the id or an empty text."""
        path, _, query = url.partition("?")
        kind, _, identifier = path.strip("/").partition("/")
        if query:
            parameters = dict(parse_qsl(query, keep_blank_values=True))
            if set(parameters) != {"identifier"}:
                raise BadTransaction("this server knows only conditions on identifier")
            return kind, self._by_identifier.get((kind, *_token(parameters["identifier"])), "")
        return kind, identifier

    def _rewritten(self, resource: Resource, known: Mapping[str, str]) -> Resource:
        def walk(node: Json) -> Json:
            if isinstance(node, dict):
                return {
                    name: self._resolved(value, known)
                    if name == "reference" and isinstance(value, str)
                    else walk(value)
                    for name, value in node.items()
                }
            if isinstance(node, list):
                return [walk(value) for value in node]
            return node

        walked = walk(resource)
        return walked if isinstance(walked, dict) else resource

    def _resolved(self, reference: str, known: Mapping[str, str]) -> str:
        if reference in known:
            return known[reference]
        if reference.startswith("urn:uuid:"):
            raise BadTransaction("a reference names no entry of the Bundle")
        if "?" in reference:
            kind, identifier = self._target(reference)
            if not identifier:
                raise BadTransaction("a conditional reference matches nothing")
            return f"{kind}/{identifier}"
        return reference

    def _write(self, step: _Step, resource: Resource) -> Resource:
        key = (step.kind, step.identifier)
        if step.method == "DELETE":
            if self.resources.pop(key, None) is not None:
                self._by_identifier = {
                    name: found for name, found in self._by_identifier.items() if (name[0], found) != key
                }
            return {"status": "204 No Content"}
        if not step.kept:
            version = self.versions.get(key, 0) + 1
            self.versions[key] = version
            meta = resource.get("meta")
            stored: Resource = {**resource, "id": step.identifier}
            stored["meta"] = {**(meta if isinstance(meta, dict) else {}), "versionId": str(version)}
            self.resources[key] = stored
            self.history.setdefault(key, deque(maxlen=_KEPT_VERSIONS)).append(stored)
            for system, value in _identifiers(stored):
                self._by_identifier[(step.kind, system, value)] = step.identifier
                self._by_identifier.setdefault((step.kind, "", value), step.identifier)
        version = self.versions[key]
        return {
            "status": "201 Created" if step.created else "200 OK",
            "location": f"{step.kind}/{step.identifier}/_history/{version}",
            "etag": f'W/"{version}"',
        }


def _list(node: Json) -> list[Json]:
    return node if isinstance(node, list) else []


def _identifiers(resource: Resource) -> Iterator[tuple[str, str]]:
    """List what the search parameter `identifier` looks at: for a DocumentReference, the master identifier too."""
    listed = resource.get("identifier")
    for identifier in [*(listed if isinstance(listed, list) else [listed]), resource.get("masterIdentifier")]:
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            system = identifier.get("system")
            yield system if isinstance(system, str) else "", str(identifier["value"])


def _token(criterion: str) -> tuple[str, str]:
    """Read `system|value` or `value` (FHIR R4 §3.1.1.4.10): the delimiters inside are escaped with a backslash."""
    *systems, value = _BARE_BAR.split(criterion)
    return "|".join(_ESCAPED.sub(r"\1", system) for system in systems), _ESCAPED.sub(r"\1", value)


def _matches(resource: Resource, wanted: str) -> bool:
    system, value = _token(wanted)
    return any(value == its_value and system in {"", its_system} for its_system, its_value in _identifiers(resource))


def _references_at_top(resource: Resource) -> Iterator[str]:
    for name in ("patient", "subject"):
        node = resource.get(name)
        if isinstance(node, dict) and isinstance(node.get("reference"), str):
            yield str(node["reference"])
