"""What the coordination dossier says of whom an Item may be sent to: members of the circle, and oppositions.

`DossierCircles` asks `router.dossier.may`, the one function that decides every push; a test stands for it with any
other `Circles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from router.dossier.classifying import entry_of
from router.dossier.context import Context, Thing
from router.dossier.loading import context_of, reader_of
from router.dossier.may import may, opposed
from router.engine.clock import micros
from router.journal.sealing import Sealer
from router.journal.store import Store
from schemas.circle import MemberState, RoleFamily, party_keys
from schemas.consent import ConsentKind
from schemas.habilitation import Action
from schemas.item import Item


@dataclass(frozen=True, slots=True)
class CircleMember:
    """A member whom the Item may be sent to: numbers (`finess`: where they act), and the mailbox if it is known."""

    name: str
    rpps: str = ""
    finess: str = ""
    mailbox: str = ""


@dataclass(frozen=True, slots=True)
class Circle:
    """A patient's circle as far as one Item goes.

    `opposed` are keys (`schemas.circle.party_keys`) of members whom the person opposes. `no_professionals` is that the
    person opposes any sharing, or that anything about them be mailed to professionals; `no_patient` that they wish no
    mail themself.
    """

    members: tuple[CircleMember, ...] = ()
    opposed: frozenset[str] = frozenset()
    no_professionals: bool = False
    no_patient: bool = False


NO_CIRCLE = Circle()


class Circles(Protocol):
    """Where circles are asked for."""

    def of(self, patient_id: int, item: Item, now: datetime) -> Circle:
        """Give the circle of a patient for this Item at a moment; empty where there is no dossier."""


class DossierCircles:
    """The circles of the dossiers in the journal."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    def of(self, patient_id: int, item: Item, now: datetime) -> Circle:
        """Give the members to whom the matrix, the consents and the visibility of the Item let it be pushed."""
        with self._store.reading() as connection:
            context = context_of(connection, self._sealer, patient_id, now=micros(now))
        entry = entry_of(item, self._sealer)
        members: list[CircleMember] = []
        if entry is not None:
            thing = Thing(entry.category, entry.marks, entry.at, entry.author, entry.thing)
            members = list(self._members(context, thing))
        none = context.agreed(ConsentKind.OPPOSITION_TOTAL) or context.agreed(ConsentKind.OPPOSITION_PROFESSIONAL_MAIL)
        no_patient = context.agreed(ConsentKind.OPPOSITION_PATIENT_MAIL)
        return Circle(tuple(members), opposed(context), bool(none), bool(no_patient))

    def _members(self, context: Context, thing: Thing) -> list[CircleMember]:
        found = []
        for seat in context.seats:
            member = seat.member
            standing = seat.start <= context.now and (seat.end is None or seat.end > context.now)
            if not standing or member.state is not MemberState.ACTIVE or member.family is RoleFamily.RELATIVE:
                continue
            if may(reader_of(seat.id, member, self._sealer), Action.PUSH, thing, context).allowed:
                place = party_keys(member.organization.identifiers) if member.organization is not None else ()
                finess = next((key.partition("|")[2] for key in sorted(place) if key.startswith("finess|")), "")
                found.append(CircleMember(member.label, member.rpps or "", finess, member.mailbox or ""))
        return found
