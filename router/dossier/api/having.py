"""What a reader has by an answer: things of the dossier, which "vu par" and corrections go by.

A tool that fetches for somebody has them; that the person read one is said apart (`router.dossier.api.receipts`).
"""

from __future__ import annotations

from collections.abc import Iterable

from router.dossier.store.access import Access
from router.dossier.store.searching import Found
from schemas.habilitation import Action

THINGS = frozenset(
    {"DocumentReference", "DiagnosticReport", "Observation", "Encounter", "Binary", "Communication", "CarePlan"}
    | {"QuestionnaireResponse"}
)
"""Types of which it is kept who has them, and who read them."""


def is_thing(found: Found) -> bool:
    """Say whether a resource is a thing of the dossier itself, and not what tells of one."""
    return found.type in THINGS


def fetched_by(access: Access, found: Iterable[Found]) -> list[tuple[int, int]]:
    """Give the things among resources that are about to be shown, each with the member who has it by this."""
    members: dict[tuple[int, str], int | None] = {}
    things: dict[tuple[int, int], None] = {}
    for one in found:
        if one.patient is None or one.thing is None or one.thing.thing is None or not is_thing(one):
            continue
        key = one.patient, one.thing.category.value
        if key not in members:
            members[key] = access.may(Action.READ, one.patient, one.thing).member
        member = members[key]
        if member is not None:
            things[one.thing.thing, member] = None
    return list(things)
