"""Requests before there is a dossier (fact sheet S25, mission 1): a Task about somebody who has none here yet.

It belongs to no dossier and opens none. Who asks and who is to answer see it, and nobody else, until somebody who may
write in a dossier says that it is about its person.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, and_, exists, false

from router.dossier.context import Reader
from router.dossier.store.elements import Resource, child, children, said
from router.journal import tables
from router.journal.sealing import Sealer
from schemas.circle import party_keys
from schemas.coding import Identifier

KIND = "Task"
PARTIES = ("requester", "owner")

_R, _T = tables.resource.c, tables.resource_token.c
_DEEPEST = 2
"""A role names a person, who names nobody."""


def parties_of(task: Resource, names: Iterable[str] = PARTIES) -> frozenset[str]:
    """Give the keys of who asks and who answers, contained or named by number."""
    found: list[Identifier] = []
    for name in names:
        found += _numbers(child(task, name), task, _DEEPEST)
    return party_keys(found)


def party_tokens(sealer: Sealer, keys: Iterable[str]) -> list[int]:
    """Give the blind tokens under which a request is found by its parties."""
    return [sealer.token("fhir", KIND, "party", key) for key in sorted(keys)]


def apart(sealer: Sealer, reader: Reader) -> ColumnElement[bool]:
    """Give the condition of the requests without a dossier that a reader is a party to."""
    keys = reader.keys | reader.structures
    if not keys or not reader.name.strip():
        return false()
    tokens = party_tokens(sealer, keys)
    return and_(_R.patient_id.is_(None), exists().where(_T.resource_id == _R.id, _T.token.in_(tokens)))


def is_apart(task: Resource) -> bool:
    """Say whether a Task names its person by nothing of ours: not at all, contained, or by numbers alone."""
    about = child(task, "for")
    reference = said(about, "reference")
    return about is None or reference.startswith("#") or not reference


def _numbers(reference: Resource | None, task: Resource, left: int) -> Iterable[Identifier]:
    if reference is None or not left:
        return
    named = child(reference, "identifier")
    if named is not None and said(named, "value"):
        yield Identifier(system=said(named, "system") or None, value=said(named, "value"))
    for one in children(task, "contained"):
        if said(reference, "reference") == f"#{said(one, 'id')}":
            for number in children(one, "identifier"):
                if said(number, "value"):
                    yield Identifier(system=said(number, "system") or None, value=said(number, "value"))
            for name in ("practitioner", "organization"):
                yield from _numbers(child(one, name), task, left - 1)
