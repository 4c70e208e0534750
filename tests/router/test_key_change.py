"""The master key changed under a router that goes on receiving, reading and sending."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from router.journal import tables
from router.journal.sealing import key_number, read_key_file
from router.journal.store import Store, open_store
from router.keeping.resealing import find_rotation, sealed_columns
from router.keeping.rotation import begin, retire

Rig = Any


def numbers(store: Store) -> set[int]:
    with store.reading() as connection:
        return {
            key_number(bytes(sealed))
            for table, columns in sealed_columns()
            for column in columns
            for sealed in connection.execute(select(column).where(column.is_not(None))).scalars()
        }


async def test_traffic_goes_on_and_resends_are_recognised(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.engine.resealing.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("router.journal.keyring.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("router.keeping.resealing.SETTLED_MICROS", 0)
    place = rig.engine.store.place
    former = read_key_file(place.key_file)
    await rig.know("ROSE")
    first = await rig.submit(0, "ROSE")
    for number in range(1, 10):
        await rig.submit(number, "ROSE")
    await rig.until(lambda: len(rig.sent) == 10)
    typed = open_store(place)  # as the command line does, beside the router
    try:
        begin(typed, actor="claire", now=1)
        for number in range(10, 20):
            await rig.submit(number, "ROSE")
        assert (await rig.submit(0, "ROSE")).message_id == first.message_id

        def state() -> str | None:
            with typed.reading() as connection:
                found = find_rotation(connection)
            return None if found is None else found.state

        await rig.until(lambda: state() == "resealed")
        await rig.until(lambda: len(rig.sent) == 20)
        retire(typed, actor="claire", now=2)
    finally:
        typed.close()
    for number in range(20, 25):
        await rig.submit(number, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 25})
    assert numbers(rig.engine.store) == {1}
    assert rig.states(tables.message) == {"processed": 25}
    # A worker process that is started now is handed the key that the router was started with.
    open_store(place, master=former, migrate=False).close()
