"""What a request wants to change, understood before anything is: one step, or the entries of a transaction Bundle."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import parse_qsl

from router.dossier.api.calls import Call, patch_of, resource_of
from router.dossier.api.capability import IN_TRANSACTIONS, WRITABLE
from router.dossier.api.checks import check
from router.dossier.api.files import is_file, put_in_place
from router.dossier.api.outcomes import Refused
from router.dossier.api.photos import clean_photos
from router.dossier.api.queries import understood
from router.dossier.store.elements import Json, Resource, child, children, said
from router.dossier.store.parameters import TYPES
from router.dossier.store.searching import Query

MOST_ENTRIES = 200
"""Entries of a transaction."""

SHARED = frozenset({"Practitioner", "PractitionerRole", "Organization", "Device"})
"""Types that many write about: what is there already under one of their numbers is used, and not written over."""

_URL = re.compile(r"([A-Z][A-Za-z]+)(?:/([A-Za-z0-9\-.]{1,64}))?(?:\?(.+))?", re.ASCII)
_VERSION = re.compile(r'(?:W/)?"(\d{1,9})"')


class Verb(StrEnum):
    """What is to be done."""

    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    FIND = "find"
    """A patient in a transaction: only looked for, never made."""
    FILE = "file"
    """A file in a transaction: it is kept with the document that points at it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `url` names the entry within its Bundle, `where` is its place there.

    `matching` is the search by which the resource is found (If-None-Exist, or in place of an id); `if_match` the
    version that it must have. `files` are those of a document that came as entries (`router.dossier.api.files`).
    """

    verb: Verb
    kind: str
    resource: Resource | None = None
    logical_id: str = ""
    matching: Query | None = None
    if_match: int | None = None
    patch: Json = None
    url: str = ""
    where: str = ""
    files: tuple[tuple[str, int], ...] = ()


def create_step(call: Call, kind: str) -> Step:
    """Understand `POST [type]`. Raises Refused."""
    resource = resource_of(call, kind)
    condition = call.headers.get("if-none-exist", "")
    return _checked(Step(Verb.CREATE, kind, resource, matching=_matching(kind, condition, call) if condition else None))


def update_step(call: Call, kind: str, logical_id: str = "") -> Step:
    """Understand `PUT [type]/[id]` or `PUT [type]?…`. Raises Refused."""
    resource = resource_of(call, kind)
    if logical_id and said(resource, "id") not in {"", logical_id}:
        raise Refused(400, "The id of the resource is not that of the URL.", where=(f"{kind}.id",))
    matching = None if logical_id else _condition(call, kind)
    return _checked(Step(Verb.UPDATE, kind, resource, logical_id, matching, _version(call.headers.get("if-match", ""))))


def patch_step(call: Call, kind: str, logical_id: str = "") -> Step:
    """Understand `PATCH [type]/[id]` or `PATCH [type]?…`. Raises Refused."""
    if kind != "DocumentReference":
        raise Refused(405, "Only documents are patched: their status, visibility and archiving.")
    matching = None if logical_id else _condition(call, kind)
    version = _version(call.headers.get("if-match", ""))
    return Step(Verb.PATCH, kind, None, logical_id, matching, version, patch_of(call))


def delete_step(call: Call, kind: str, logical_id: str = "") -> Step:
    """Understand `DELETE [type]/[id]` or `DELETE [type]?…`. Raises Refused."""
    if kind not in {"DocumentReference", "Subscription"}:
        raise Refused(405, f"A {kind} is not deleted; its status says what became of it.")
    matching = None if logical_id else _condition(call, kind)
    return Step(Verb.DELETE, kind, None, logical_id, matching, _version(call.headers.get("if-match", "")))


def transaction_steps(call: Call) -> list[Step]:
    """Understand a transaction Bundle: every entry is checked before any is written. Raises Refused."""
    bundle = resource_of(call, "Bundle")
    if said(bundle, "type") != "transaction":
        raise Refused(422, "Only Bundles of the type transaction are taken.", where=("Bundle.type",))
    entries = children(bundle, "entry")
    if not 0 < len(entries) <= MOST_ENTRIES:
        raise Refused(422, f"A transaction has 1 to {MOST_ENTRIES} entries.", where=("Bundle.entry",))
    files = put_in_place(entries)
    steps = [_entry(call, entry, f"Bundle.entry[{rank}]") for rank, entry in enumerate(entries)]
    return [replace(step, files=files[step.url]) if step.url in files else step for step in steps]


def _entry(call: Call, entry: Resource, where: str) -> Step:
    request = child(entry, "request") or {}
    method, found = said(request, "method"), _URL.fullmatch(said(request, "url"))
    resource = child(entry, "resource")
    if found is None or found[1] not in TYPES:
        raise Refused(422, "This entry does not say what is to be done.", where=(f"{where}.request.url",))
    kind, logical_id, query = found[1], found[2] or "", found[3] or ""
    url = said(entry, "fullUrl")
    if is_file(entry):
        return Step(Verb.FILE, kind, url=url, where=where)
    condition = said(request, "ifNoneExist") or query
    try:
        matching = _matching(kind, condition, call) if condition else None
        version = _version(said(request, "ifMatch"))
        match method:
            case "POST" | "PUT" if kind == "Patient":
                return Step(Verb.FIND, kind, resource, logical_id, matching, url=url, where=where)
            case "POST" if resource is not None and said(resource, "resourceType") == kind and not logical_id:
                return _checked(Step(Verb.CREATE, kind, resource, matching=matching, url=url, where=where), whole=True)
            case "PUT" if resource is not None and said(resource, "resourceType") == kind:
                step = Step(Verb.UPDATE, kind, resource, logical_id, matching, version, url=url, where=where)
                if not logical_id and matching is None:
                    raise Refused(422, "A PUT names what it updates.")
                return _checked(step)
            case "PATCH" if kind == "DocumentReference" and resource is not None and (logical_id or matching):
                return Step(Verb.PATCH, kind, None, logical_id, matching, version, resource, url, where)
            case "DELETE" if kind == "DocumentReference" and (logical_id or matching):
                return Step(Verb.DELETE, kind, None, logical_id, matching, version, url=url, where=where)
    except Refused as refused:
        places = tuple(f"{where}.resource.{place}" for place in refused.where) or (where,)
        raise Refused(refused.status, refused.sentence, where=places, code=refused.code) from None
    raise Refused(422, "This entry cannot be done in a transaction here.", where=(f"{where}.request",))


def _checked(step: Step, *, whole: bool = False) -> Step:
    if step.kind in IN_TRANSACTIONS and not whole:
        raise Refused(405, f"A {step.kind} comes in a transaction, with the documents that it submits (ITI-65).")
    if step.kind not in WRITABLE and step.kind not in IN_TRANSACTIONS:
        raise Refused(405, f"A {step.kind} is not written through this API; people decide about it in the dashboard.")
    if step.resource is not None:
        check(step.resource)
        clean_photos(step.resource)
    return step


def _matching(kind: str, condition: str, call: Call) -> Query:
    pairs = parse_qsl(condition.removeprefix("?"), keep_blank_values=True, max_num_fields=30)
    if not pairs:
        raise Refused(400, "The condition names no search parameter.")
    return understood(kind, pairs, call.base).query


def _condition(call: Call, kind: str) -> Query:
    pairs = [pair for pair in call.pairs if pair[0] != "_format"]
    if not pairs:
        raise Refused(405, "Name the resource by its id, or by a search that finds one.")
    return understood(kind, pairs, call.base).query


def _version(header: str) -> int | None:
    if not header:
        return None
    found = _VERSION.fullmatch(header.strip())
    if found is None:
        raise Refused(400, 'If-Match is W/"version".')
    return int(found[1])


Prepared = Callable[[Call], list[Step]]
"""Reads a call into its steps; CPU work, done in a thread."""
