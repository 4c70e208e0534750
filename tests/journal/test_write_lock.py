"""A process that stops in the middle of a write transaction does not hold the others up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from postgres_server import new_database
from sqlalchemy import text
from web_journal import open_journal

from router.journal import store as store_module
from router.journal.store import JournalFault, WriteSession


@pytest.mark.postgres
def test_postgres_ends_a_write_transaction_that_says_nothing_more(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_journal(tmp_path / "data", new_database(postgres_url, "writelock"))
    written = threading.Event()

    def second() -> None:
        with made.store.writing() as connection:
            connection.execute(text("UPDATE setting SET value = value"))
        written.set()

    other = threading.Thread(target=second)

    def first() -> None:
        monkeypatch.setattr(store_module, "IDLE_MILLISECONDS", 200)
        with made.store.writing() as connection:
            monkeypatch.undo()  # the second one may take its time
            connection.execute(text("UPDATE setting SET value = 'of one that stopped'"))
            other.start()
            assert written.wait(20), "the second writer never got its turn"
            connection.execute(text("UPDATE setting SET value = 'too late'"))

    with pytest.raises(JournalFault, match="does not answer"):
        first()
    other.join()
    with made.store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM setting WHERE value LIKE 'of one%'")).scalar() == 0
    made.store.close()


@pytest.mark.postgres
def test_postgres_ends_a_writer_that_stops_in_the_middle_of_its_rows(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows sent in a row make a session that waits for its client an active one: no idle time is counted for it."""
    made = open_journal(tmp_path / "data", new_database(postgres_url, "writerows"))
    monkeypatch.setattr(store_module, "WHOLE_MILLISECONDS", 300)
    session = WriteSession(made.store)

    def stopped() -> None:
        with session.transaction() as connection:
            driver = connection.connection.driver_connection
            with driver.pipeline():
                driver.execute("UPDATE setting SET value = 'of one that stopped'")
                driver.pgconn.send_flush_request()  # sent and not synchronised: the server waits for more
                driver.pgconn.flush()
                with made.store.writing() as other:  # its turn comes, although the first one says nothing more
                    other.execute(text("UPDATE setting SET value = value"))

    with pytest.raises(JournalFault):
        stopped()
    session.close()
    with made.store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM setting WHERE value LIKE 'of one%'")).scalar() == 0
    made.store.close()


@pytest.mark.postgres
def test_one_of_several_lets_the_next_writer_in_before_it_syncs_and_is_durable_when_it_returns(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_journal(tmp_path / "data", new_database(postgres_url, "writeearly"))
    made.store.several_write = True
    session = WriteSession(made.store)
    # Its syncing is held up by a lock of the test's own.
    monkeypatch.setattr(store_module, "_SYNC", f"SELECT pg_advisory_xact_lock(1), ({store_module._SYNC})::text")
    written: list[object] = []
    wrote = threading.Event()

    def write() -> None:
        with session.transaction() as connection:
            connection.execute(text("INSERT INTO setting (name, value) VALUES ('early', '1')"))
            written.append(connection.execute(text("SELECT pg_current_wal_insert_lsn()")).scalar())
            wrote.set()

    with made.store.reading() as holder:
        holder.execute(text("SELECT pg_advisory_xact_lock(1)"))
        writing = threading.Thread(target=write)
        writing.start()
        assert wrote.wait(20)
        with made.store.writing() as next_one:  # its turn comes, although the first one is not on the disk
            assert next_one.execute(text("SELECT count(*) FROM setting WHERE name = 'early'")).scalar() == 1
        assert writing.is_alive(), "it returned before it was synced"
        holder.rollback()
    writing.join(30)
    assert not writing.is_alive()
    behind = text("SELECT pg_current_wal_flush_lsn() - CAST(:written AS pg_lsn)")
    with made.store.reading() as connection:
        assert connection.execute(behind, {"written": written[0]}).scalar() > 0
    session.close()
    made.store.close()
