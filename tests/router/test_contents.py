"""The bytes of Deliveries: what is kept, what is read with what was asked for, what is asked for again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import update
from web_journal import Journal, open_journal, person, stay

from router.engine import contents as contents_module
from router.engine.contents import Contents
from router.engine.lanes import Entry
from router.journal import tables
from router.journal.operations import PARCEL_DETAIL_PLACE, PARCEL_PLACE

NOW = 1_800_000_000_000_000


def entry(number: int) -> Entry:
    return Entry(number, 1, "", "application/fhir+json", "bundle.json", None, NOW)


class Told:
    """Contents over a journal with five Deliveries, the last with a file beside it; counts its questions."""

    def __init__(self, journal: Journal, **options: Any) -> None:
        made = journal.item(stay(person(), "stay-1"), line="stay", to=("tool",) * 5)
        sealer = journal.store.sealer
        beside = {"attachments": {"a.pdf": base64.b64encode(b"%PDF").decode()}}
        deliveries = [
            replace(one, sealed_content=sealer.seal(b"%d" % rank, PARCEL_PLACE))
            for rank, one in enumerate(made.deliveries, start=1)
        ]
        sealed = sealer.seal(orjson.dumps(beside), PARCEL_DETAIL_PLACE)
        deliveries[-1] = replace(deliveries[-1], sealed_detail=sealed)
        self.numbers = journal.read(journal.message(NOW), NOW, [replace(made, deliveries=tuple(deliveries))])
        self.journal = journal
        self.clock = 0.0
        self.asked: list[Sequence[int]] = []
        self.contents = Contents(
            journal.store, ahead=lambda count: map(entry, self.numbers[:count]), clock=lambda: self.clock, **options
        )
        read = self.contents._read

        def counted(entries: list[Entry], ahead: list[int]) -> Any:
            self.asked.append([*(one.id for one in entries), *ahead])
            return read(entries, ahead)

        self.contents._read = counted  # type: ignore[method-assign]  # it counts, and does what it did

    async def of(self, number: int) -> bytes | None:
        loaded = await self.contents.of(entry(number))
        return None if loaded is None else loaded.content

    def cancel(self, number: int) -> None:
        column = tables.delivery.c
        with self.journal.store.writing() as connection:
            connection.execute(update(tables.delivery).where(column.id == number).values(state="cancelled"))


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    made = open_journal(tmp_path / "data")
    yield made
    made.store.close()


async def test_what_comes_next_is_read_with_what_is_asked_for(journal: Journal) -> None:
    told = Told(journal)
    assert [await told.of(number) for number in told.numbers[:4]] == [b"1", b"2", b"3", b"4"]
    assert len(told.asked) == 1
    last = await told.contents.of(entry(told.numbers[4]))
    assert last is not None
    assert dict(last.attachments) == {"a.pdf": b"%PDF"}, "one with files beside it is read whole, in its turn"
    assert len(told.asked) == 2


async def test_where_others_write_it_is_asked_again_whether_it_waits(journal: Journal) -> None:
    told = Told(journal, open_only=True)
    first, second, third, *_ = told.numbers
    assert await told.of(first) == b"1"
    told.cancel(second)
    assert await told.of(second) == b"2", "it was read a moment ago"
    told.clock += contents_module.FRESH_SECONDS * 2
    assert await told.of(second) is None
    told.cancel(third)
    told.clock += contents_module.FRESH_SECONDS * 2
    journal.store.others_write = False
    assert await told.of(third) == b"3", "where nobody else is, whoever cancels it says so here"


async def test_there_is_room_for_so_much_and_the_oldest_makes_way_in_time(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_module, "KEPT_BYTES", 25)
    contents = Told(journal).contents
    moment = [0.0]
    contents._clock = lambda: moment[0]
    for number in (1, 2, 3):
        contents.keep(number, bytes(10))
    assert [contents.knows(number) for number in (1, 2, 3)] == [True, True, False]
    moment[0] = contents_module.KEPT_SECONDS + 1
    contents.keep(3, bytes(10))
    assert [contents.knows(number) for number in (1, 2, 3)] == [False, True, True]
    contents.drop(2)
    contents.keep(3, bytes(12))
    contents.keep(4, bytes(12))
    assert [contents.knows(number) for number in (2, 3, 4)] == [False, True, True]
    contents.forget()
    assert not contents.knows(3)
