"""What the engine lends to connectors beside its clock: a memory of their own, and answers from the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, insert, select

from connectors.contracts import FollowedPatient, ReferenceKind
from router.engine.clock import micros
from router.identity.patients import load_patients
from router.journal import tables
from router.journal.operations import Change
from router.journal.receipts import REFERENCE_PLACE, reference_token
from router.journal.sealing import Sealer, loose
from router.journal.store import Store
from router.journal.unit import Unit
from router.journal.writer import Writer

MEMORY_PLACE = b"connector_memory.sealed_value"


class JournalMemory:
    """One connector's memory, sealed in the journal."""

    def __init__(self, owner: str, store: Store, writer: Writer, now: Callable[[], datetime]) -> None:
        self._owner = owner
        self._store = store
        self._writer = writer
        self._now = now

    async def recall(self, key: str) -> bytes | None:
        """Give the value kept under a key."""
        return await asyncio.to_thread(self._recall, key)

    def _recall(self, key: str) -> bytes | None:
        sealer, column = self._store.sealer.clone(), tables.connector_memory.c
        wanted = select(column.sealed_value).where(column.owner == self._owner, column.token == _token(sealer, key))
        with self._store.reading() as connection:
            sealed = connection.execute(wanted).scalar()
        return None if sealed is None else sealer.open(sealed, MEMORY_PLACE)

    async def keep(self, key: str, value: bytes | None) -> None:
        """Keep a value durably; None forgets it."""
        owner, now = self._owner, micros(self._now())

        def change(unit: Unit) -> None:
            column, token = tables.connector_memory.c, _token(unit.sealer, key)
            unit.connection.execute(delete(tables.connector_memory).where(column.owner == owner, column.token == token))
            if value is not None:
                sealed = unit.sealer.seal(value, MEMORY_PLACE)
                unit.connection.execute(
                    insert(tables.connector_memory).values(owner=owner, token=token, at=now, sealed_value=sealed)
                )

        await self._writer.submit(Change(change, note="memory of a connector"))


def forget(owner: str, key: str) -> Change[bool]:
    """Forget one thing that a connector remembers, from outside; gives whether there was something to forget."""

    def change(unit: Unit) -> bool:
        column = tables.connector_memory.c
        done = unit.connection.execute(
            delete(tables.connector_memory).where(column.owner == owner, column.token == _token(unit.sealer, key))
        )
        return done.rowcount > 0

    return Change(change, note="forget what a connector remembers")


def _token(sealer: Sealer, key: str) -> int:
    return sealer.token("memory", key)


class JournalRecords:
    """Answers to connectors from the journal; `destination` is the one that asks, if it is one."""

    def __init__(self, store: Store, destination: str = "") -> None:
        self._store = store
        self._destination = destination

    async def followed(self, after: int = 0, count: int = 200) -> Sequence[FollowedPatient]:
        """Give patients in coordination in the order of their numbers; the merged ones are not among them."""
        return await asyncio.to_thread(self._followed, after, count)

    def _followed(self, after: int, count: int) -> list[FollowedPatient]:
        column, sealer = tables.patient.c, self._store.sealer.clone()
        wanted = (
            select(column.id)
            .where(column.id > after, column.in_coordination.is_(True), column.merged_into.is_(None))
            .order_by(column.id)
            .limit(count)
        )
        with self._store.reading() as connection:
            numbers = list(connection.execute(wanted).scalars())
            patients = load_patients(connection, sealer, numbers)
        return [FollowedPatient(number, patients[number].identity) for number in numbers]

    async def known(self, kind: ReferenceKind, value: str) -> bool:
        """Say whether something was sent or received under this name; received documents have unique ids only."""
        return await asyncio.to_thread(self._known, kind, value)

    def _known(self, kind: ReferenceKind, value: str) -> bool:
        sealer, sent, read = self._store.sealer.clone(), tables.delivery_reference.c, tables.item_token.c
        named = exists().where(sent.token == reference_token(sealer, value), sent.kind == kind.value)
        with self._store.reading() as connection:
            if connection.execute(select(named)).scalar():
                return True
            if kind is not ReferenceKind.UNIQUE_ID:
                return False
            seen = exists().where(read.token == sealer.token("value", loose(value)))
            return bool(connection.execute(select(seen)).scalar())

    async def names_of(self, unique_id: str) -> Mapping[ReferenceKind, str]:
        """Give the newest names of each kind that this destination's partner has for what has this uniqueId."""
        return await asyncio.to_thread(self._names_of, unique_id)

    def _names_of(self, unique_id: str) -> dict[ReferenceKind, str]:
        sealer, name = self._store.sealer.clone(), tables.delivery_reference.c
        same = (
            select(name.delivery_id)
            .join(tables.delivery, tables.delivery.c.id == name.delivery_id)
            .where(
                name.token == reference_token(sealer, unique_id),
                name.kind == ReferenceKind.UNIQUE_ID.value,
                tables.delivery.c.destination == self._destination,
            )
        )
        wanted = select(name.kind, name.sealed_value).where(name.delivery_id.in_(same)).order_by(name.delivery_id)
        with self._store.reading() as connection:
            rows = connection.execute(wanted).all()
        return {ReferenceKind(row.kind): sealer.open(row.sealed_value, REFERENCE_PLACE).decode() for row in rows}
