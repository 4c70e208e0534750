"""The tables of a back-up: SQLite copied by its own online means, PostgreSQL by its own `pg_dump`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url

from router.journal.store import JournalPlace
from router.keeping.manifest import BackupFault

SQLITE_FILE, POSTGRES_FILE = "journal.db", "journal.dump"


def dump(place: JournalPlace, folder: Path, programs: Path | None = None) -> Path:
    """Copy the tables as they are at one moment, without holding back who writes; gives the file.

    `programs` is where PostgreSQL's own programs are, when they are not on the path. Raises BackupFault.
    """
    if place.is_sqlite:
        target = folder / SQLITE_FILE
        _copy_sqlite(Path(make_url(place.url).database or ""), target)
        return target
    target = folder / POSTGRES_FILE
    url, environment = _libpq(place.url)
    _run([_program("pg_dump", programs), "--format=custom", "--no-owner", f"--file={target}", url], environment)
    return target


def load(file: Path, place: JournalPlace, programs: Path | None = None) -> None:
    """Put dumped tables into an empty place. Raises BackupFault."""
    if place.is_sqlite:
        shutil.copyfile(file, Path(make_url(place.url).database or ""))
        return
    url, environment = _libpq(place.url)
    _run(
        [
            _program("pg_restore", programs),
            "--no-owner",
            "--exit-on-error",
            "--single-transaction",
            "-d",
            url,
            str(file),
        ],
        environment,
    )


@contextmanager
def looking(file: Path) -> Iterator[Engine]:
    """Lend an engine that reads a dumped SQLite file, and only reads it."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    )
    try:
        yield engine
    finally:
        engine.dispose()


def is_sound(file: Path) -> bool:
    """Say whether SQLite finds nothing wrong with a dumped file."""
    with looking(file) as engine, engine.connect() as connection:
        try:
            return connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        except Exception as problem:
            if isinstance(getattr(problem, "orig", problem), sqlite3.Error):
                return False
            raise


def _copy_sqlite(source: Path, target: Path) -> None:
    # A connection of its own reads one snapshot; with a write-ahead log it holds nobody back.
    reader, writer = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True), sqlite3.connect(target)
    try:
        reader.backup(writer, pages=-1)
        writer.execute("PRAGMA journal_mode=DELETE").close()
    except sqlite3.Error as problem:
        raise BackupFault(f"the journal could not be copied ({problem}); is there room at {target.parent}?") from None
    finally:
        reader.close()
        writer.close()
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _libpq(text: str) -> tuple[str, dict[str, str]]:
    """Give the URL as PostgreSQL's programs know it; the password goes by the environment, which others cannot read."""
    url: URL = make_url(text)
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    plain = url.set(drivername="postgresql", password=None)
    return plain.render_as_string(hide_password=False), environment


def _program(name: str, programs: Path | None) -> str:
    found = shutil.which(name, path=None if programs is None else str(programs))
    if found is None:
        raise BackupFault(
            f"{name} is not on this machine: install PostgreSQL's client programs, or give --programs DIR"
        )
    return found


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603 # our own arguments
    if done.returncode:
        # Its messages may quote a row: only the first words, which name the trouble, are shown.
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
        told = said[0].split("DETAIL")[0][:160] if said else f"status {done.returncode}"
        raise BackupFault(f"{Path(command[0]).name} failed ({told}); its version must be the server's, or newer")
