"""What a document-sharing server keeps: patients, submission sets, documents and their files; transactions whole."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, unquote

import orjson

from connectors.sandbox.pdsm_patch import DELETED, flagged, patched
from connectors.sandbox.pdsm_rules import Json, Refusal, Resource, at, bytes_of, check_bundle, check_simplified, listed

_BARE_BAR = re.compile(r"(?<!\\)\|")
_ESCAPED = re.compile(r"\\([\\,|$])")
_DOCUMENT_CRITERIA = frozenset(
    {"patient", "patient.identifier", "status", "identifier", "_id", "_lastUpdated", "date", "period-start", "type"}
)
_LIST_CRITERIA = frozenset({"patient", "patient.identifier", "status", "code", "identifier", "_id", "date"})
_PREFIX = re.compile(r"(eq|ge|gt|le|lt)?(.*)")


class DocumentStore:
    """Resources by type and id. `supersedes_itself`: the server marks a replaced document without being asked.

    `any_patient`: patients that a submission names are made on the way; else they must be known beforehand.
    """

    def __init__(self, now: Callable[[], datetime], *, any_patient: bool = True) -> None:
        self.resources: dict[tuple[str, str], Resource] = {}
        self.any_patient = any_patient
        self.supersedes_itself = False
        self._now = now
        self._number = 0
        self._last: datetime | None = None

    def of_kind(self, kind: str) -> list[Resource]:
        """List the resources of a type, in the order of their making."""
        return [resource for (of_kind, _), resource in self.resources.items() if of_kind == kind]

    def add_patient(self, system: str, value: str) -> str:
        """Know a patient by his number; gives his id."""
        known = self._patient(self.resources, f"{system}|{value}")
        if known:
            return known
        patient: Resource = {"resourceType": "Patient", "identifier": [{"system": system, "value": value}]}
        return self._store(self.resources, patient)

    def put(self, resource: Resource) -> str:
        """Keep a resource as it is, unchecked: for what a test or a demonstration wants to be there. Gives its id."""
        identifier = str(resource.get("id") or self._next())
        self.resources[(str(resource["resourceType"]), identifier)] = {**resource, "id": identifier}
        return identifier

    def transact(self, bundle: Json) -> Resource:
        """Apply an ITI-65 submission, whole or not at all (FHIR R4 §3.1.0.11.2), and give the transaction-response."""
        entries = check_bundle(bundle)
        draft = dict(self.resources)
        known: dict[str, str] = {}
        kept: set[str] = set()
        for entry in entries:
            self._name(entry, draft, known, kept)
        replies: list[Json] = [
            {"response": self._applied(entry, draft, known, kept)} for entry in self._in_order(entries)
        ]
        self.resources = draft
        ordered = sorted(zip(self._in_order(entries), replies, strict=True), key=lambda pair: entries.index(pair[0]))
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": [reply for _, reply in ordered]}

    def publish(self, document: Json, condition: str) -> tuple[Resource, bool]:
        """Apply an ITI-105 publication; gives the document and whether it was made now."""
        checked = copy.deepcopy(check_simplified(document))
        known = self._known(self.resources, "DocumentReference", condition) if condition else ""
        if known:
            return self.resources[("DocumentReference", known)], False
        draft = dict(self.resources)
        self._refuse_duplicate(draft, checked)
        form = at(listed(checked["content"])[0], "attachment")
        if isinstance(form, dict):
            data = form.pop("data")
            binary: Resource = {"resourceType": "Binary", "contentType": form.get("contentType"), "data": data}
            form["url"] = f"Binary/{self._store(draft, binary)}"
        self._resolve(checked, draft, {})
        self._replace(checked, draft)
        identifier = self._store(draft, checked)
        self.resources = draft
        return self.resources[("DocumentReference", identifier)], True

    def update(self, identifier: str, media_type: str, body: bytes, if_match: str) -> Resource:
        """Patch a document (flux 03). Raises Refusal: 404, 412 for another version, 405 for another element."""
        document = self.visible(identifier)
        if if_match and if_match != f'W/"{at(document, "meta.versionId")}"':
            raise Refusal(412, "conflict", "", "the document has another version by now")
        self.resources[("DocumentReference", identifier)] = self._next_version(patched(document, media_type, body))
        return self.resources[("DocumentReference", identifier)]

    def visible(self, identifier: str) -> Resource:
        """Give a document that is not deleted. Raises Refusal 404."""
        document = self.resources.get(("DocumentReference", identifier))
        if document is None or flagged(document, DELETED):
            raise Refusal(404, "not-found", "", "there is no such document")
        return document

    def find(self, kind: str, criteria: Mapping[str, str]) -> list[Resource]:
        """Search documents (ITI-67) or submission sets (ITI-66); both ask for a patient and a status at least."""
        allowed = _DOCUMENT_CRITERIA if kind == "DocumentReference" else _LIST_CRITERIA
        unknown = set(criteria) - allowed
        if unknown:
            raise Refusal(400, "not-supported", "", f"this server does not search by {min(unknown)}")
        needed = ["status"] if kind == "DocumentReference" else ["status", "code"]
        if not {"patient", "patient.identifier"} & set(criteria) or any(one not in criteria for one in needed):
            raise Refusal(400, "required", "", f"a search names a patient and {', '.join(needed)}")
        return [one for one in self.of_kind(kind) if not flagged(one, DELETED) and self._matches(one, criteria)]

    def _matches(self, resource: Resource, criteria: Mapping[str, str]) -> bool:
        for name, wanted in criteria.items():
            match name:
                case "status":
                    held = resource.get("status") in wanted.split(",")
                case "_id":
                    held = resource.get("id") in wanted.split(",")
                case "patient":
                    held = at(resource, "subject.reference") == f"Patient/{wanted.removeprefix('Patient/')}"
                case "patient.identifier":
                    held = at(resource, "subject.reference") == f"Patient/{self._patient(self.resources, wanted)}"
                case "identifier":
                    held = _identified(resource, wanted)
                case "code" | "type":
                    system, code = _token(wanted)
                    held = any(
                        one.get("code") == code and system in ("", one.get("system"))
                        for one in listed(at(resource, f"{name}.coding"))
                    )
                case "period-start":
                    held = _in_range(at(resource, "context.period.start"), wanted)
                case "date":
                    held = _in_range(resource.get("date"), wanted)
                case _:
                    held = _in_range(at(resource, "meta.lastUpdated"), wanted)
            if not held:
                return False
        return True

    def _name(
        self, entry: Resource, draft: dict[tuple[str, str], Resource], known: dict[str, str], kept: set[str]
    ) -> None:
        """Give each entry its id: that of what is there already when it is conditional, else a new one."""
        if at(entry, "request.method") == "PATCH":
            return
        resource = entry["resource"]
        kind = str(at(resource, "resourceType"))
        condition = at(entry, "request.ifNoneExist")
        found = self._known(draft, kind, condition) if isinstance(condition, str) else ""
        if found:
            kept.add(str(entry["fullUrl"]))
        elif kind == "DocumentReference" and isinstance(resource, dict):
            self._refuse_duplicate(draft, resource)
        known[str(entry["fullUrl"])] = f"{kind}/{found or self._next()}"

    def _in_order(self, entries: list[Resource]) -> list[Resource]:
        return sorted(entries, key=lambda entry: at(entry, "request.method") == "PATCH")

    def _applied(
        self, entry: Resource, draft: dict[tuple[str, str], Resource], known: dict[str, str], kept: set[str]
    ) -> Resource:
        if at(entry, "request.method") == "PATCH":
            return self._applied_patch(entry, draft)
        url = str(entry["fullUrl"])
        kind, _, identifier = known[url].partition("/")
        if url in kept:
            return _response("200 OK", draft[(kind, identifier)])
        resource = copy.deepcopy(entry["resource"])
        if not isinstance(resource, dict):
            raise Refusal(422, "structure", "Bundle.entry", "an entry has no resource")
        self._resolve(resource, draft, known)
        if kind == "DocumentReference":
            self._replace(resource, draft)
        self._store(draft, resource, identifier)
        return _response("201 Created", draft[(kind, identifier)])

    def _applied_patch(self, entry: Resource, draft: dict[tuple[str, str], Resource]) -> Resource:
        path, _, condition = str(at(entry, "request.url")).partition("?")
        kind, _, identifier = path.partition("/")
        identifier = identifier or self._known(draft, kind, condition)
        document = draft.get((kind, identifier))
        if kind != "DocumentReference" or document is None:
            raise Refusal(404, "not-found", "Bundle.entry.request", "the document to be patched is not here")
        changed = patched(document, "application/fhir+json", orjson.dumps(entry["resource"]))
        draft[(kind, identifier)] = self._next_version(changed)
        return _response("200 OK", draft[(kind, identifier)])

    def _replace(self, document: Resource, draft: dict[tuple[str, str], Resource]) -> None:
        """Check that what is replaced is there, current and about the same patient; mark it where that is our rule."""
        for relation in listed(document.get("relatesTo")):
            if relation.get("code") != "replaces":
                continue
            _, _, identifier = str(at(relation, "target.reference")).rpartition("DocumentReference/")
            former = draft.get(("DocumentReference", identifier))
            if former is None:
                raise Refusal(422, "not-found", "DocumentReference.relatesTo", "the replaced document is not here")
            if former.get("status") != "current" or at(former, "subject") != at(document, "subject"):
                raise Refusal(
                    422, "business-rule", "DocumentReference.relatesTo", "the replaced document is not current"
                )
            if self.supersedes_itself:
                draft[("DocumentReference", identifier)] = self._next_version({**former, "status": "superseded"})

    def _refuse_duplicate(self, draft: Mapping[tuple[str, str], Resource], document: Resource) -> None:
        master = document.get("masterIdentifier")
        if isinstance(master, dict) and self._known(
            draft, "DocumentReference", f"identifier={master.get('system')}|{master.get('value')}"
        ):
            raise Refusal(422, "duplicate", "DocumentReference.masterIdentifier", "this unique id is taken")

    def _resolve(self, node: Json, draft: dict[tuple[str, str], Resource], known: Mapping[str, str]) -> None:
        """Put ids in the place of the transaction's own names and of searches."""
        if isinstance(node, dict):
            for name, value in node.items():
                if name in {"reference", "url"} and isinstance(value, str):
                    node[name] = self._resolved(value, draft, known)
                else:
                    self._resolve(value, draft, known)
        elif isinstance(node, list):
            for value in node:
                self._resolve(value, draft, known)

    def _resolved(self, reference: str, draft: dict[tuple[str, str], Resource], known: Mapping[str, str]) -> str:
        if reference in known:
            return known[reference]
        if reference.startswith("urn:uuid:"):
            raise Refusal(422, "not-found", "Bundle.entry", "a reference names no entry of the transaction")
        if reference.startswith("Patient?"):
            criterion = unquote(reference.removeprefix("Patient?identifier="))
            patient = self._patient(draft, criterion)
            if not patient and self.any_patient:
                system, value = _token(criterion)
                made: Resource = {"resourceType": "Patient", "identifier": [{"system": system, "value": value}]}
                patient = self._store(draft, made)
            if not patient:
                raise Refusal(422, "not-found", "DocumentReference.subject", "this patient is not known here")
            return f"Patient/{patient}"
        return reference

    def _patient(self, draft: Mapping[tuple[str, str], Resource], criterion: str) -> str:
        found = (one for (kind, _), one in draft.items() if kind == "Patient" and _identified(one, criterion))
        return str(next(found, {}).get("id", ""))

    def _known(self, draft: Mapping[tuple[str, str], Resource], kind: str, condition: str) -> str:
        """Find by `identifier=system|value`; "" when nothing matches. Raises Refusal 412 for several."""
        criteria = dict(parse_qsl(condition))
        if set(criteria) != {"identifier"}:
            raise Refusal(400, "not-supported", "Bundle.entry.request", "conditions are on the identifier")
        found = [
            name
            for (of_kind, name), one in draft.items()
            if of_kind == kind and _identified(one, criteria["identifier"])
        ]
        if len(found) > 1:
            raise Refusal(412, "multiple-matches", "Bundle.entry.request", "a condition matches several")
        return found[0] if found else ""

    def _store(self, draft: dict[tuple[str, str], Resource], resource: Resource, identifier: str = "") -> str:
        identifier = identifier or self._next()
        if resource["resourceType"] == "Binary":
            bytes_of(resource.get("data"))
        draft[(str(resource["resourceType"]), identifier)] = self._next_version({**resource, "id": identifier})
        return identifier

    def _next_version(self, resource: Resource) -> Resource:
        version = at(resource, "meta.versionId")
        number = int(version) + 1 if isinstance(version, str) and version.isdigit() else 1
        meta = resource.get("meta")
        moment = self._now()
        if self._last is not None and moment <= self._last:
            moment = self._last + timedelta(milliseconds=1)
        self._last = moment
        said: Resource = {"versionId": str(number), "lastUpdated": moment.isoformat(timespec="milliseconds")}
        return {**resource, "meta": {**(meta if isinstance(meta, dict) else {}), **said}}

    def _next(self) -> str:
        self._number += 1
        return str(self._number)


def _response(status: str, resource: Resource) -> Resource:
    version = at(resource, "meta.versionId")
    return {
        "status": status,
        "location": f"{resource['resourceType']}/{resource['id']}/_history/{version}",
        "etag": f'W/"{version}"',
        "lastModified": at(resource, "meta.lastUpdated"),
    }


def _identified(resource: Resource, criterion: str) -> bool:
    system, value = _token(criterion)
    candidates: Iterable[Json] = [*listed(resource.get("identifier")), resource.get("masterIdentifier")]
    return any(
        isinstance(one, dict) and one.get("value") == value and system in ("", one.get("system")) for one in candidates
    )


def _token(criterion: str) -> tuple[str, str]:
    *systems, value = _BARE_BAR.split(criterion)
    return "|".join(_ESCAPED.sub(r"\1", one) for one in systems), _ESCAPED.sub(r"\1", value)


def _in_range(value: Json, wanted: str) -> bool:
    prefix, limit = _PREFIX.fullmatch(wanted).groups()  # type: ignore[union-attr]  # it matches every text
    try:
        moment, bound = datetime.fromisoformat(str(value)), datetime.fromisoformat(limit)
        if bound.tzinfo is None:
            bound = bound.replace(tzinfo=moment.tzinfo)
        match prefix:
            case "ge":
                return moment >= bound
            case "gt":
                return moment > bound
            case "le":
                return moment <= bound
            case "lt":
                return moment < bound
        return moment == bound
    except (ValueError, TypeError):
        return False
