"""A replay by another reader: looked at first, then done, kept with the message and noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from router.journal import tables
from router.journal.actions import replay_messages
from router.journal.queries_message import load_message
from router.journal.readers import ReaderChoice
from router.journal.view import viewing
from router.web.rereading import Rereading, chosen_reader, reread
from router.whatif.differences import Aspect


async def compared(rig: Any, choice: ReaderChoice) -> Rereading:
    (prepared,) = await rig.engine.read_again([1], choice, None)
    with viewing(rig.engine.store) as view:
        detail = load_message(view, 1)
        assert detail is not None
        return reread(view, detail, prepared)


async def test_the_differences_are_seen_first_then_the_replay_reads_as_chosen(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    unchanged = await compared(rig, ReaderChoice())
    assert not [one for one in unchanged.differences if one.aspect is not Aspect.CONTENT]
    assert not unchanged.values
    other = await compared(rig, ReaderChoice("hl7v2"))
    assert not other.same
    assert (Aspect.STATE, "processed → rejected") in [(one.aspect, one.where) for one in other.differences]
    assert any(change.before == "TESTROSE" and change.after == "" for change in other.values)
    assert rig.states(tables.message) == {"processed": 1}, "looking changes nothing"
    choice = chosen_reader("hl7v2", "cp1252")
    await rig.engine.submit(replay_messages([1], actor="test", now=5, reader=choice))
    rig.engine.wake()
    await rig.until(lambda: rig.states(tables.message) == {"rejected": 1})
    await rig.engine.submit(replay_messages([1], actor="test", now=6, reader=ReaderChoice()))
    rig.engine.wake()
    await rig.until(lambda: rig.states(tables.message) == {"processed": 1})
    column = tables.audit.c
    with rig.engine.store.reading() as connection:
        noted = connection.execute(select(column.target, column.detail).where(column.action == "replay message")).all()
    assert [tuple(row) for row in noted] == [("message 1", "hl7v2, cp1252"), ("message 1", "")]
    assert await rig.engine.read_again([99], None, None) == []
    await rig.stop()


def test_only_what_is_on_offer_is_chosen() -> None:
    assert chosen_reader("no-such-format", "rot13") == ReaderChoice()
    assert chosen_reader("hl7v2", "cp1252") == ReaderChoice("hl7v2", "cp1252")
