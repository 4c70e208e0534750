"""Whom what is written mentions: people and structures of the directory, and the parties of a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from router.dossier.api.outcomes import Refused
from router.dossier.api.steps import SHARED
from router.dossier.context import Reader
from router.dossier.store.elements import Json, Resource, child, children, said
from router.dossier.store.requests import PARTIES, parties_of
from router.dossier.store.searching import Found, Search


def mentioned(search: Search, written: Sequence[Resource], base: str) -> list[Found]:
    """Give the people and structures of the directory that resources refer to: who reads them needs their numbers."""
    keys = {one.removeprefix(f"{base}/") for resource in written for one in _references(resource)}
    own = {f"{said(one, 'resourceType')}/{said(one, 'id')}" for one in written}
    return _directory(search, sorted(keys - own))


def name_parties(search: Search, task: Resource, base: str) -> None:
    """Write the number of who asks and who answers beside a reference into the directory: by it they see a request."""
    for name in PARTIES:
        reference = child(task, name)
        key = said(reference, "reference").removeprefix(f"{base}/")
        if reference is None or "identifier" in reference or not key or key.startswith("#"):
            continue
        found = {one.type: one.resource for one in _directory(search, [key])}
        numbers = children(found.get("Practitioner") or found.get("Organization"), "identifier")
        if numbers:
            reference["identifier"] = {k: v for k, v in numbers[0].items() if k in {"type", "system", "value"}}


def ask_party(reader: Reader, task: Resource) -> None:
    """Let who asks, or who is to answer, write a request that is about no dossier. Raises Refused."""
    if not parties_of(task, ("owner",)):
        sentence = "A request about somebody without a dossier says by number who is to answer it."
        raise Refused(422, sentence, where=("Task.owner",), code="required")
    if not reader.name.strip() or not (reader.keys | reader.structures) & parties_of(task):
        raise Refused(403, "A request is written by who asks or who answers: On-Behalf-Of names one of them.")


def _directory(search: Search, keys: Sequence[str]) -> list[Found]:
    """Give entries of the directory, and the person and structure of each role."""
    wanted = [key for key in keys if key.partition("/")[0] in SHARED]
    found = search.by_keys(wanted)
    names = ("practitioner", "organization")
    further = [said(child(one.resource, name), "reference") for one in found for name in names]
    return found + search.by_keys(key for key in further if key and key not in wanted)


def _references(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for one in node:
            yield from _references(one)
