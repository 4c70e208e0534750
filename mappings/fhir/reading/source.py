"""The content under reading: its resources by reference, what was noticed, and what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mappings.contracts import FormatError, ReadContext
from mappings.fhir import systems
from mappings.fhir.reading.taking import Node, child, children, forget, said
from mappings.json_positions import JsonNode, leaves, load
from schemas.finding import Finding, Severity, Unread
from schemas.lab import Specimen

T = TypeVar("T")

_SILENT = ("resourceType", "id", "meta", "text", "language", "fullUrl", "request", "response", "search")
_SILENT_IN_BUNDLE = ("type", "total", "timestamp", "identifier", "link")


class Entry:
    """One resource, its full URL, where it stands in the content, and the resource that holds what it may refer to.

    `container` is the resource itself, or the one that it is contained in.
    """

    __slots__ = ("container", "kind", "method", "read", "resource", "url", "where")

    def __init__(self, resource: Node, url: str, where: str, method: str, container: Node | None = None) -> None:
        self.resource = resource
        self.container = resource if container is None else container
        self.kind = said(resource, "resourceType")
        self.url = url
        self.where = where
        self.method = method
        self.read = False


class Source:
    """Parses a content and resolves its references. Raises FormatError when it is not FHIR in JSON."""

    def __init__(self, content: bytes, context: ReadContext) -> None:
        self.content = content
        self.context = context
        self.local_codes = context.options.get("local_codes")
        self.findings: list[Finding] = []
        document = load(content)
        if not isinstance(document, dict) or not said(document, "resourceType").isalpha():
            raise FormatError("fhir.resource_type", "content", "this JSON does not say which FHIR resource it is")
        self.document: Node = document
        self.bundle = document if said(document, "resourceType") == "Bundle" else None
        self.entries = self._entries()
        self._by_reference: dict[str, Entry] = {}
        for entry in self.entries:
            _drop_own_identity(entry)
            for name in (entry.url, f"{entry.kind}/{said(entry.resource, 'id')}"):
                if name:
                    self._by_reference.setdefault(name, entry)
        self._made: dict[tuple[int, str], object] = {}
        self._contained: dict[int, Entry] = {}
        self.specimens: dict[str, Specimen] = {}

    def _entries(self) -> list[Entry]:
        if self.bundle is None:
            return [Entry(self.document, "", said(self.document, "resourceType"), "")]
        entries = []
        raw = self.bundle.get("entry")
        for index, one in enumerate(raw if isinstance(raw, list) else []):
            resource = child(one, "resource") if isinstance(one, dict) else None
            if resource is not None and isinstance(one, dict):
                method = said(child(one, "request") or {}, "method")
                entries.append(Entry(resource, said(one, "fullUrl"), f"Bundle.entry[{index}]", method))
        return entries

    def note(self, severity: Severity, code: str, where: str, message: str) -> None:
        """Add a Finding."""
        self.findings.append(Finding(severity=severity, code=code, where=where, message=message))

    def of_kind(self, kind: str) -> list[Entry]:
        """List the entries of one resource type."""
        return [entry for entry in self.entries if entry.kind == kind]

    def find(self, reference: Node | None, container: Node) -> Entry | None:
        """Find what a reference points at, inside its container or the content; None when it is elsewhere."""
        target = said(reference, "reference") if reference else ""
        if not target:
            return None
        if target.startswith("#"):
            return self._inside(target[1:], container)
        plain = target.partition("/_history/")[0]
        return self._by_reference.get(plain) or self._by_reference.get("/".join(plain.split("/")[-2:]))

    def resolve(self, reference: Node | None, container: Node) -> Entry | None:
        """Find what a reference points at, and take the reference: who resolves a resource reads it."""
        found = self.find(reference, container)
        if found is not None and reference is not None:
            forget(reference, "reference", "type", "display")
            found.read = True
        return found

    def _inside(self, name: str, container: Node) -> Entry | None:
        for one in children(container, "contained"):
            if said(one, "id") == name:
                return self._contained.setdefault(id(one), Entry(one, "", f"#{name}", "", container))
        return None

    def once(self, entry: Entry, purpose: str, make: Callable[[], T]) -> T:
        """Read a resource once: its values are taken, and a second mention gets the same result."""
        key = (id(entry.resource), purpose)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]  # the purpose fixes the type

    def unread(self) -> tuple[Unread, ...]:
        """List what no reader took, with its JSON path."""
        for entry in (*self.entries, *self._contained.values()):
            _hush(entry.resource)
        if self.bundle is not None:
            for key in (*_SILENT, *_SILENT_IN_BUNDLE):
                self.bundle.pop(key, None)
            for one in children(self.bundle, "entry"):
                for key in ("fullUrl", "request", "response", "search", "link"):
                    one.pop(key, None)
        return tuple(Unread(where=path, text=text) for path, text in leaves(self.document))


def _hush(resource: Node) -> None:
    """Drop what says nothing about the patient: technical metadata and the narrative, a rendering of the rest."""
    meta = child(resource, "meta")
    labels: list[JsonNode] = list(children(meta, "security")) if meta else []
    for key in _SILENT:
        resource.pop(key, None)
    if labels:
        resource["meta"] = {"security": labels}


def _drop_own_identity(entry: Entry) -> None:
    """Empty the identifier that Passerelle gave to a resource that had none: the URL of its own entry."""
    for identifier in children(entry.resource, "identifier") if entry.url else []:
        if said(identifier, "system") == systems.URI and said(identifier, "value") == entry.url:
            forget(identifier, "system", "value")
