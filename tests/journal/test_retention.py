"""Retention by kind, holds that keep something from it, a preview in figures, and a chain of audit that goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import event, func, insert, select, update
from web_journal import HOUR, Journal, open_journal
from web_traffic import fill

from router.cli.base import passerelle
from router.engine.housekeeping import Housekeeping
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.auditing import verify_audit
from router.journal.operations import Change
from router.journal.retention import (
    DAY_MICROS,
    HoldFault,
    Kind,
    erasable,
    erase_messages,
    erase_rows,
    holds,
    lift_hold,
    preview,
    set_hold,
)
from router.journal.writer import Writer

NOW = int(datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp() * 1_000_000)
LATER = NOW + HOUR


def left(journal: Journal) -> set[int]:
    with journal.store.reading() as connection:
        return set(connection.execute(select(tables.message.c.id)).scalars())


def erase(journal: Journal, limit: int) -> None:
    after = (0, 0)
    while True:
        with journal.store.reading() as connection:
            found = erasable(connection, limit, after, 3)
        if not found:
            return
        journal.apply(Change(lambda unit, found=found: erase_messages(unit, [number for _, number in found])))
        after = found[-1]


def test_a_hold_on_a_message_or_a_patient_keeps_it_until_it_is_lifted(journal: Journal) -> None:
    with journal.store.reading() as connection:
        due = preview(connection, Kind.MESSAGES, LATER)
        going = [number for _, number in erasable(connection, LATER, (0, 0), 1000)]
        column = tables.item.c
        message, patient = connection.execute(
            select(column.message_id, column.patient_id).where(column.message_id.in_(going), column.patient_id > 0)
        ).first() or (0, 0)
    assert due.rows == len(going) > 2
    assert due.waiting == len(left(journal)) - len(going)
    other = next(number for number in going if number != message)
    mine = journal.apply(set_hold("patient", patient, "dossier 2026-114", actor="claire", now=NOW))
    journal.apply(set_hold("message", other, "dossier 2026-115", actor="claire", now=NOW))
    with pytest.raises(HoldFault, match="no message 99999"):
        journal.apply(set_hold("message", 99999, "x", actor="claire", now=NOW))
    with journal.store.reading() as connection:
        held = preview(connection, Kind.MESSAGES, LATER)
        assert (held.rows, held.waiting) == (due.rows - held.held, due.waiting)
        assert held.held >= 2
        of_patient = set(
            connection.execute(select(tables.item.c.message_id).where(tables.item.c.patient_id == patient)).scalars()
        )
    before = left(journal)
    erase(journal, LATER)
    kept = left(journal)
    assert {message, other} | (of_patient & before) <= kept
    assert len(before - kept) == held.rows
    journal.apply(lift_hold(mine, actor="claire", now=NOW))
    with pytest.raises(HoldFault, match="no hold"):
        journal.apply(lift_hold(mine, actor="claire", now=NOW))
    erase(journal, LATER)
    assert message not in left(journal)
    assert other in left(journal)
    with journal.store.reading() as connection:
        assert [one.number for one in holds(connection)] == [other]
        assert [one.lifted_by for one in holds(connection, lifted=True)] == ["claire", None]
        count = select(func.count()).select_from(tables.item_token)
        orphans = count.where(tables.item_token.c.item_id.not_in(select(tables.item.c.id)))
        assert connection.execute(orphans).scalar() == 0


def test_a_hold_follows_a_patient_that_was_merged(journal: Journal) -> None:
    with journal.store.reading() as connection:
        column = tables.item.c
        going = [number for _, number in erasable(connection, LATER, (0, 0), 1000)]
        message, patient = connection.execute(
            select(column.message_id, column.patient_id).where(column.message_id.in_(going), column.patient_id > 0)
        ).first() or (0, 0)
        row = connection.execute(select(tables.patient).where(tables.patient.c.id == patient)).one()
    survivor = 900
    with journal.store.writing() as connection:
        connection.execute(insert(tables.patient).values({**row._mapping, "id": survivor}))
        connection.execute(update(tables.patient).where(tables.patient.c.id == patient).values(merged_into=survivor))
    journal.apply(set_hold("patient", survivor, "dossier", actor="claire", now=NOW))
    erase(journal, LATER)
    assert message in left(journal)


def test_what_waits_again_between_the_look_and_the_erasure_stays(journal: Journal) -> None:
    with journal.store.reading() as connection:
        numbers = [number for _, number in erasable(connection, LATER, (0, 0), 1000)]
    with journal.store.writing() as connection:
        mine = tables.message.c.id == numbers[0]
        connection.execute(update(tables.message).where(mine).values(state="received"))
    assert journal.apply(Change(lambda unit: erase_messages(unit, numbers))) == len(numbers) - 1
    assert numbers[0] in left(journal)


def test_erasing_an_item_walks_no_index_of_tokens(journal: Journal) -> None:
    """Its tokens are found by its number: without that, each erased Item cost a walk down the whole blind index."""
    asked = "DELETE FROM item_token WHERE item_id = 1"
    with journal.store.reading() as connection:
        if connection.dialect.name == "sqlite":
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}").all())
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")
            plan = str(connection.exec_driver_sql(f"EXPLAIN {asked}").all())
    assert "ix_item_token_item" in plan


def test_the_audit_is_cut_at_its_beginning_and_its_chain_still_verifies(journal: Journal) -> None:
    store = journal.store
    for number in range(8):
        journal.apply(record_audit("claire", "looked", f"message {number}", now=NOW + number))
    with store.reading() as connection:
        whole = verify_audit(connection, store.sealer.clone())
    assert journal.apply(Change(lambda unit: erase_rows(unit, Kind.AUDIT, NOW + 3, 2))) == 2
    while journal.apply(Change(lambda unit: erase_rows(unit, Kind.AUDIT, NOW + 3, 2))):
        continue
    with store.reading() as connection:
        chain = verify_audit(connection, store.sealer.clone(), whole.head)
        assert chain.whole
        assert chain.rows < whole.rows + 4
        first = connection.execute(select(func.min(tables.audit.c.id))).scalar()
    with store.writing() as connection:  # somebody takes one more away, who does not have the key
        connection.execute(tables.audit.delete().where(tables.audit.c.id == first))
    with store.reading() as connection:
        assert not verify_audit(connection, store.sealer.clone()).whole


async def test_each_kind_goes_at_its_time_in_groups_that_adapt(journal: Journal) -> None:
    old, young = NOW - 40 * DAY_MICROS, NOW - 5 * DAY_MICROS
    notice = {"component": "x", "severity": "info", "code": "x", "where_": "", "message": "x"}
    with journal.store.writing() as connection:
        connection.execute(insert(tables.notice), [{"at": at, **notice} for at in [old] * 30 + [young]])
    writer = Writer(journal.store)
    writer.start()
    clock = datetime.fromtimestamp(NOW / 1_000_000, UTC)
    kept = {Kind.NOTICES: 30, Kind.AUDIT: 0}
    keeping = Housekeeping(journal.store, writer, 365, lambda: clock + timedelta(seconds=1), kept)
    await keeping.run()
    await writer.stop()
    with journal.store.reading() as connection:
        ages = connection.execute(select(tables.notice.c.at).where(tables.notice.c.component == "x")).scalars().all()
    assert ages == [young]


def test_by_the_command_line(tmp_path: Path) -> None:
    made = open_journal(tmp_path / "data", "")
    long_ago = NOW - 800 * DAY_MICROS
    fill(made, long_ago)
    made.store.close()
    (tmp_path / "passerelle.toml").write_text("")

    def said(*words: str) -> str:
        result = CliRunner().invoke(passerelle, ["journal", *words, "--config", str(tmp_path)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output

    assert "Hold 1: message 1 is kept" in said("hold", "--message", "1", "--reason", "dossier 2026-114")
    shown = said("purge", "--dry-run")
    assert "365 days" in shown
    assert "audit" in shown
    assert "dossier 2026-114" in said("holds")
    assert "rows erased" in said("purge", "--yes")
    assert "Hold 1 is lifted" in said("lift", "1")
    assert "rows erased" in said("purge", "--yes")
    assert "rows erased" not in said("purge", "--yes")


def test_the_writer_is_never_held_by_the_search_for_what_is_old(journal: Journal) -> None:
    """What is to be erased is found by who reads; the writer is given numbers."""
    statements: list[str] = []
    with journal.store.reading() as connection:
        numbers = [number for _, number in erasable(connection, LATER, (0, 0), 5)]
    event.listen(journal.store.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    journal.apply(Change(lambda unit: erase_messages(unit, numbers)))
    looks = [one for one in statements if "FROM message" in one and one.lstrip().startswith("SELECT")]
    assert looks
    assert all("message.id IN" in one for one in looks)
