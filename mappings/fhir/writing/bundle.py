"""The transaction Bundle under construction: entries, references, identities and what could not be carried."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import orjson

from mappings.contracts import Environment, WriteContext
from mappings.fhir import systems
from mappings.uuids import uuid5_text
from schemas.finding import Finding, Severity

Resource = dict[str, object]
"""A FHIR resource or element as plain JSON; numbers that must keep their digits are `orjson.Fragment`s."""

_NAMESPACE = uuid5(NAMESPACE_URL, "https://passerelle.example/fhir").bytes
_TEST_TAG: Resource = {"system": systems.ACT_REASON, "code": "HTEST"}
_TOKEN_SPECIALS = re.compile(r"([\\,|$])")


def name_uuid(name: str) -> str:
    """Give the version 5 UUID of a name in Passerelle's namespace, as text."""
    return uuid5_text(_NAMESPACE, name)


def entry_url(name: str) -> str:
    """Give the `fullUrl` of the entry of this name."""
    return f"urn:uuid:{name_uuid(name)}"


def token(system: str, value: str) -> str:
    """Write a search criterion on an identifier, escaped for FHIR and then for a URL."""
    escaped = _TOKEN_SPECIALS.sub(r"\\\1", value)
    return f"identifier={_quoted_system(system)}|{quote(escaped, safe=':/')}"


@lru_cache(maxsize=256)
def _quoted_system(system: str) -> str:
    return quote(system, safe=":/")


class BundleBuilder:
    """Collects entries; every identity in it derives from content, so that the same Item gives the same bytes.

    `sender` scopes what only the sender understands (`mappings.fhir.systems`). With `self_contained`, people and
    organisations are put inside what mentions them instead of being entries (PDSm).
    """

    __slots__ = (
        "_contained",
        "_inside",
        "_known",
        "_references",
        "context",
        "entries",
        "findings",
        "local_codes",
        "named",
        "self_contained",
        "sender",
        "tags",
        "zone",
    )

    def __init__(self, context: WriteContext, sender: str) -> None:
        self.context = context
        self.sender = sender
        self.zone = context.timezone
        self.local_codes = context.options.get("local_codes")
        self.entries: list[Resource | bytes] = []
        self.findings: list[Finding] = []
        self.tags: list[Resource] = []
        self._known: dict[str, tuple[Resource, Resource]] = {}
        self._references: dict[int, tuple[object, Resource]] = {}
        self.named: dict[str, Resource] = {}
        self.self_contained = False
        self._contained = 0
        self._inside: dict[tuple[int, bytes], tuple[Resource, Resource]] = {}

    def note(self, severity: Severity, code: str, where: str, message: str) -> None:
        """Add a Finding."""
        self.findings.append(Finding(severity=severity, code=code, where=where, message=message))

    def not_carried(self, where: str, message: str) -> None:
        """Say that FHIR has no place for a field of the Item."""
        self.note(Severity.INFO, "fhir.not_carried", where, message)

    def put(self, resource: Resource, name: str, criteria: str | None = None) -> Resource:
        """Add a resource that this message owns: created, or updated when the receiver has it; gives its reference.

        Without `criteria`, the name's UUID is the identity, and becomes an identifier of the resource.
        """
        return self._add(resource, name, criteria, update=True)

    def post_once(self, resource: Resource, name: str, criteria: str | None = None) -> Resource:
        """Add a resource that others may own: created only when the receiver does not have it; gives its reference."""
        return self._add(resource, name, criteria, update=False)

    def post(self, resource: Resource, name: str) -> Resource:
        """Add a resource that no search could find again (Binary); gives its reference."""
        url = entry_url(name)
        self.entries.append(
            {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
        )
        return {"reference": url}

    def supersede(self, criteria: str) -> None:
        """Ask the receiver to set the status of a DocumentReference to superseded (FHIRPath Patch)."""
        parts = [
            {"name": "type", "valueCode": "replace"},
            {"name": "path", "valueString": "DocumentReference.status"},
            {"name": "value", "valueCode": "superseded"},
        ]
        patch: Resource = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        request = {"method": "PATCH", "url": f"DocumentReference?{criteria}"}
        self.entries.append({"fullUrl": entry_url(f"patch|{criteria}"), "resource": patch, "request": request})

    def _add(self, resource: Resource, name: str, criteria: str | None, *, update: bool) -> Resource:
        kind = resource["resourceType"]
        url = entry_url(name)
        if criteria is None:
            identity = {"system": systems.URI, "value": url}
            identifiers = resource.get("identifier")
            if isinstance(identifiers, list):
                identifiers.append(identity)
            else:
                resource["identifier"] = [identity]
            criteria = f"identifier={systems.URI}|{url}"
        request: Resource = (
            {"method": "PUT", "url": f"{kind}?{criteria}"}
            if update
            else {"method": "POST", "url": kind, "ifNoneExist": criteria}
        )
        self.entries.append({"fullUrl": url, "resource": resource, "request": request})
        return {"reference": url}

    def put_written(self, url: str, entry: bytes) -> Resource:
        """Add an entry that is JSON already, with nothing empty in it; gives the reference to it."""
        self.entries.append(entry)
        return {"reference": url}

    def written_entry(self, place: int) -> bytes:
        """Turn the entry at a place into the JSON that it will be, and give it."""
        entry = self.entries[place]
        if not isinstance(entry, bytes):
            entry = self.entries[place] = _written(entry)
        return entry

    def shared(self, resource: Resource, criteria: str) -> Resource:
        """Add an actor once a Bundle: a second mention completes the first, and both have one reference."""
        key = f"{resource['resourceType']}?{criteria}"
        known = self._known.get(key)
        if known is None:
            reference = self.post_once(resource, key, criteria)
            self._known[key] = (reference, resource)
            return reference
        reference, first = known
        for field, value in resource.items():
            first.setdefault(field, value)
        return reference

    def remember(self, given: object, reference: Resource) -> None:
        """Keep the reference to what was written for a part of the Item; the part is kept alive with it.

        A part that were forgotten could lend its place in memory to another one, which would get its reference.
        """
        self._references[id(given)] = (given, reference)

    def reference_of(self, given: object) -> Resource | None:
        """Give the reference that was remembered for this very part of the Item."""
        known = self._references.get(id(given))
        return None if known is None else known[1]

    def contain(self, container: Resource, resource: Resource) -> Resource:
        """Put a resource without identity of its own inside the one that mentions it; gives its reference."""
        key = (id(container), orjson.dumps(resource)) if self.self_contained else None
        if key is not None and key in self._inside:
            return self._inside[key][1]
        self._contained += 1
        resource["id"] = f"c{self._contained}"
        inside = container.setdefault("contained", [])
        if isinstance(inside, list):
            inside.append(resource)
        reference: Resource = {"reference": f"#{resource['id']}"}
        if key is not None:
            # The container is kept with it: its place in memory, which names it, must not become another's.
            self._inside[key] = (container, reference)
        return reference

    def finish_alone(self) -> bytes:
        """Give the only resource as JSON in UTF-8, without a Bundle around it."""
        (entry,) = self.entries
        if isinstance(entry, bytes):
            raise TypeError("a resource that is sent alone is not remembered as an entry")
        resource = entry["resource"]
        if self.context.environment is Environment.TEST and isinstance(resource, dict):
            resource = {**resource, "meta": {**resource.get("meta", {}), "tag": [_TEST_TAG]}}
        return orjson.dumps(_pruned(resource))

    def finish(self, profile: str | None = None) -> bytes:
        """Give the Bundle as JSON in UTF-8, with the profile that it claims."""
        tags = self.tags
        if self.context.environment is Environment.TEST:
            tags = [*tags, _TEST_TAG]
        bundle: Resource = {"resourceType": "Bundle"}
        if profile:
            bundle["meta"] = {"profile": [profile]}
        if tags:
            bundle["meta"] = {**({"profile": [profile]} if profile else {}), "tag": tags}
        bundle["identifier"] = {"system": systems.BUNDLE_IDS, "value": self.context.identity}
        bundle["type"] = "transaction"
        bundle["timestamp"] = self.context.now.astimezone(self.zone).isoformat(timespec="milliseconds")
        entries = b",".join([entry if isinstance(entry, bytes) else _written(entry) for entry in self.entries])
        return b'%b,"entry":[%b]}' % (orjson.dumps(bundle)[:-1], entries)


def _written(entry: Resource) -> bytes:
    content = orjson.dumps(entry)
    if b'""' in content or b"{}" in content or b"[]" in content:
        content = orjson.dumps(_pruned(entry))
    return content


def _pruned(node: object) -> object:
    """Leave out what is empty, which FHIR forbids, down to extensions that are left with their URL alone."""
    if isinstance(node, dict):
        kept = {key: inner for key, value in node.items() if not _empty(inner := _pruned(value))}
        return {} if kept.keys() == {"url"} else kept
    if isinstance(node, list):
        return [inner for value in node if not _empty(inner := _pruned(value))]
    return node


def _empty(node: object) -> bool:
    return isinstance(node, (str, dict, list)) and not node
