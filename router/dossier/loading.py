"""Loading what a decision looks at, from a connection, as it is at one moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

from sqlalchemy import Connection

from router.dossier.circle import MemberLine, seat_keys, seats_of
from router.dossier.classifying import author_token
from router.dossier.consents import consents_of, emergencies_of
from router.dossier.context import Context, Granted, Reader, ReaderKind
from router.dossier.habilitations import habilitations
from router.dossier.keeping import DossierLine, dossier_of
from router.dossier.matrices import matrix_now
from router.dossier.matrix import Matrix
from router.dossier.restrictions import restrictions_of
from router.journal.sealing import Sealer
from schemas.circle import Member, party_keys


class AllHave(TypedDict):
    """What all dossiers have in common."""

    habilitations: tuple[Granted, ...]
    matrix: Matrix


def context_of(connection: Connection, sealer: Sealer, patient_id: int, *, now: int) -> Context:
    """Give the context of a patient's dossier; where there is none, everything is denied in it."""
    line = dossier_of(connection, sealer, patient_id)
    return Context(now, None) if line is None else context_for(connection, sealer, line, now=now)


def context_for(connection: Connection, sealer: Sealer, line: DossierLine, *, now: int) -> Context:
    """Give the context of a dossier that was loaded already."""
    shared = context_of_all(connection, sealer)
    return replace(own_context(connection, sealer, line.id), now=now, state=line.state, **shared)


def context_of_all(connection: Connection, sealer: Sealer) -> AllHave:
    """Give what the contexts of all dossiers have in common."""
    return {"habilitations": habilitations(connection, sealer), "matrix": matrix_now(connection)}


def own_context(connection: Connection, sealer: Sealer, dossier_id: int) -> Context:
    """Give what a dossier's history changes of its context; its state and the rest are as without a dossier."""
    return Context(
        now=0,
        state=None,
        seats=seats_of(connection, sealer, dossier_id),
        consents=consents_of(connection, sealer, dossier_id),
        restrictions=restrictions_of(connection, sealer, dossier_id),
        emergencies=emergencies_of(connection, sealer, dossier_id),
    )


def known(reader: Reader, sealer: Sealer) -> Reader:
    """Give a reader with the tokens by which what they wrote is recognised."""
    tokens = frozenset(author_token(sealer, key) for key in reader.keys)
    return Reader(reader.kind, reader.name, reader.keys, reader.structures, reader.tool, tokens)


def reader_of(number: int, member: Member, sealer: Sealer) -> Reader:
    """Give a member as the reader of what is told or sent to them."""
    keys = seat_keys(number, member)
    structures = party_keys(member.organization.identifiers) if member.organization is not None else frozenset[str]()
    if member.is_structure:
        return Reader(ReaderKind.STRUCTURE, member.label, frozenset({f"member|{number}"}), structures)
    kind = ReaderKind.RELATIVE if member.relative is not None else ReaderKind.PROFESSIONAL
    return known(Reader(kind, member.label, keys, structures), sealer)


def as_reader(line: MemberLine, sealer: Sealer) -> Reader:
    """Give a member as who reads: of a structure, somebody of its staff."""
    reader = reader_of(line.seat.id, line.seat.member, sealer)
    if reader.kind is ReaderKind.STRUCTURE:
        return replace(reader, kind=ReaderKind.PROFESSIONAL)
    return reader
