"""Opening a journal: SQLite or PostgreSQL behind one SQLAlchemy engine, its key checked, its tables migrated.

JournalFault             the journal cannot be opened or used: one sentence, what to do
  JournalFull            the storage has no room: nothing was committed, the peer should send again later
  JournalBusy            another process holds what was asked for
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from router.faults import JournalFault as JournalFault
from router.journal import tables
from router.journal.blobs import BlobStore
from router.journal.blobs_database import DatabaseBlobs
from router.journal.keyring import JournalRing, ring_reader
from router.journal.sealing import KeyFault, Sealer, first_keys, read_key_file

WRITE_LOCK = 0x7061_7373
"""Key of the PostgreSQL advisory lock that serialises write transactions (`pass` in ASCII)."""

BUSY_SECONDS = 15
"""How long a transaction waits for another process's before it is JournalBusy."""

IDLE_MILLISECONDS = 5_000
"""How long PostgreSQL waits for the next statement of a write transaction, before it undoes it and ends its session.

Write transactions are serial: one whose process is stopped, or cut off, in the middle would hold all nodes up.
"""

WHOLE_MILLISECONDS = 6_000
"""How long the writer's transaction may last on PostgreSQL once it has its turn, without the commit itself.

It ends what `IDLE_MILLISECONDS` does not: rows are sent in a row, and between two of them a session counts as active.
Of PostgreSQL 17 and later; before, a writer that is stopped in the middle of its rows holds all nodes up.
"""

_LIVELINESS = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What libpq is told, unless the journal's URL says otherwise, so that a peer that vanished is noticed in seconds."""

WRITER_CACHE_KIB = 32 * 1024
"""Page cache of the one connection that writes; those that read are many, and have a small one each."""

KEY_CHECK = "key_check"
"""The setting that says which key a journal was made with."""

CHECK_PLACE = b"setting.check"


Question = tuple[str, tuple[object, ...]]
"""A query of ours, in which `?` stands for a value, and its values."""


class JournalFull(JournalFault):
    """No room on the storage; nothing was committed."""


class JournalBusy(JournalFault):
    """Another process holds the journal for longer than we wait."""


class Repeated(Exception):
    """A message taken for new is in the journal already: the transaction must be undone, and look first."""


@dataclass(frozen=True, slots=True)
class JournalPlace:
    """Where a journal lives: its database URL, its data folder (key, blobs, spool)."""

    url: str
    data: Path
    blobs_in_database: bool = False

    @classmethod
    def at(cls, data: Path, url: str = "", *, blobs_in_database: bool = False) -> JournalPlace:
        """Give the place for a data folder: SQLite in it unless a URL says otherwise."""
        return cls(url or f"sqlite:///{data / 'journal.db'}", data, blobs_in_database)

    @property
    def key_file(self) -> Path:
        """The master key's file."""
        return self.data / "journal.key"

    @property
    def is_sqlite(self) -> bool:
        """Whether the tables are in an embedded SQLite file."""
        return make_url(self.url).get_backend_name() == "sqlite"


class Store:
    """An open journal: engines, Sealer and blob store. Cheap to share between threads, except for its Sealer."""

    def __init__(self, place: JournalPlace, engine: Engine, sealer: Sealer) -> None:
        self.place = place
        self.engine = engine
        self.sealer = sealer
        self.several_write = False
        """Whether this process is one of several nodes: what it reads of others may not be on the disk yet."""
        self.others_write = True
        """Whether others are there that may wait: its commits are then synced beside the next node's rows."""
        self._closed = False
        folders = place.data / "blobs", place.data / "spool"
        self.blobs = BlobStore(*folders, sealer.clone())
        if place.blobs_in_database:
            self.blobs = DatabaseBlobs(engine, *folders, sealer.clone(), translated)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run a write transaction, alone among all processes; identifiers allocated inside are in commit order."""
        with translated(), self._lent() as connection, transaction(connection):
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection for reading; each statement sees what was committed when it began."""
        with translated(), self._lent() as connection:
            yield connection

    def sync(self) -> None:
        """Wait until what was read here is durable: in a cluster, rows are seen before they are on disk.

        Whoever does something outside of the journal that cannot be undone, because of what they read, calls it before.
        """
        if self.several_write:
            with translated(), self._lent() as connection:
                _sync(connection.connection.driver_connection)

    @contextlib.contextmanager
    def _lent(self) -> Iterator[Connection]:
        pool = self.engine.pool
        with self.engine.connect() as connection:
            try:
                yield connection
            finally:
                if self._closed:
                    # A thread was still reading when the store was closed: its pool is gone, and nobody would close it.
                    connection.invalidate()
        if self._closed:
            # It was closed between the look above and now: what was given back lies in a pool that nobody has.
            pool.dispose()

    def translated(self) -> contextlib.AbstractContextManager[None]:
        """Translate a driver's errors, as `writing` does."""
        return translated()

    def close(self) -> None:
        """Close every connection; one that is still lent closes when it is given back."""
        self._closed = True
        self.engine.dispose()


_LOCK_TO_WRITE = "SELECT pg_advisory_xact_lock(%s), set_config('idle_in_transaction_session_timeout', %s, true)"
_AND_END = ", set_config('transaction_timeout', %s, true)"  # its time begins when it is set: after the lock
_HAS_WHOLE = 170_000
_NOT_SYNCED = ", set_config('synchronous_commit', 'off', true)"
# A message in PostgreSQL's log that nobody reads: its commit waits for all of the log before it, on replicas too.
_SYNC = "SELECT pg_logical_emit_message(true, 'passerelle', '')"


def _nothing() -> None:
    """Write nothing more."""


@contextlib.contextmanager
def transaction(
    connection: Connection,
    *,
    short: bool = False,
    early: bool = False,
    at_last: Callable[[], None] = _nothing,
    questions: Sequence[Question] = (),
) -> Iterator[dict[Question, Any]]:
    """Hold a write transaction on a connection; it is begun and ended at the driver, whoever speaks in between.

    A `short` one is undone by PostgreSQL when it lasts for longer than `WHOLE_MILLISECONDS`. An `early` one lets the
    next writer in before it is on PostgreSQL's disk, and then waits until it is: when this returns, it is durable.
    PostgreSQL is asked `questions` together with the lock, and sent what is to be written `at_last` together with the
    commit: nobody waits for the write lock while this process is told of each statement. Gives the answers.
    """
    answers: dict[Question, Any] = {}
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        driver.execute("BEGIN IMMEDIATE").close()
    else:
        limits = [WRITE_LOCK, str(IDLE_MILLISECONDS)]
        statement = _LOCK_TO_WRITE + _NOT_SYNCED if early else _LOCK_TO_WRITE
        if short and driver.info.server_version >= _HAS_WHOLE:
            statement, limits = statement + _AND_END, [*limits, str(WHOLE_MILLISECONDS)]
        if questions:
            with driver.pipeline():
                driver.execute(statement, limits)
                asked = [(one, driver.execute(one[0].replace("?", "%s"), one[1])) for one in questions]
            answers = {question: cursor.fetchall() for question, cursor in asked}
        else:
            driver.execute(statement, limits)
    try:
        yield answers
        if connection.dialect.name == "sqlite":
            at_last()
        else:
            with driver.pipeline():
                at_last()
                # A statement that fails takes all that follow with it, this one too.
                driver.execute("COMMIT")
                if early:
                    driver.execute(_SYNC)
    except BaseException:
        connection.rollback()
        driver.rollback()
        raise
    if connection.dialect.name == "sqlite":
        driver.commit()
    if connection.in_transaction():
        connection.commit()  # only SQLAlchemy's own account of it: the driver has committed


def _sync(driver: Any) -> None:
    driver.execute(_SYNC)
    driver.commit()


class WriteSession:
    """The writer's own connection, kept from one transaction to the next, with what it remembers of the tables.

    `last_ids` holds as long as no other process has written: SQLite says so for the price of a counter.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Connection | None = None
        self._version: int | None = None
        self._at_last: Callable[[], None] = _nothing
        self.answers: dict[Question, Any] = {}
        self.last_ids: dict[str, int] = {}
        self.foresees = not store.place.is_sqlite
        """Whether questions are worth being asked as a transaction begins: SQLite answers without a journey."""

    @contextlib.contextmanager
    def transaction(self, questions: Sequence[Question] = ()) -> Iterator[Connection]:
        """Run a write transaction; after a failure, unless it is `Repeated`, the connection is made anew.

        On PostgreSQL `answers` are those to `questions`, asked as it began.
        """
        try:
            with self._store.translated():
                connection = self._connection = self._connection or self._connect()
                self._at_last = _nothing
                early = self._store.several_write and self._store.others_write
                with (
                    _repeated(),
                    transaction(
                        connection, short=True, early=early, at_last=self._end, questions=questions
                    ) as self.answers,
                ):
                    self._forget_if_changed(connection)
                    yield connection
        except Repeated:
            self.last_ids.clear()
            raise
        except KeyFault as fault:
            # Nothing was committed: whoever sent keeps it, until the right key file is there.
            self.close()
            raise JournalFault(str(fault)) from None
        except BaseException:
            self.close()
            raise

    def at_last(self, write: Callable[[], None]) -> None:
        """Have the transaction that is held now write this together with its commit."""
        self._at_last = write

    def _end(self) -> None:
        self._at_last()

    def _connect(self) -> Connection:
        connection = self._store.engine.connect()
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.driver_connection
            driver.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}").close()
        return connection

    def _forget_if_changed(self, connection: Connection) -> None:
        version = None
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.driver_connection
            version = driver.execute("PRAGMA data_version").fetchone()[0]
        if version is None or version != self._version:
            self.last_ids.clear()
        self._version = version

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        self.last_ids.clear()
        self._version = None
        if connection is not None:
            with contextlib.suppress(DBAPIError, sqlite3.Error):
                connection.invalidate()
            connection.close()


@contextlib.contextmanager
def _repeated() -> Iterator[None]:
    """Tell a message that is in the journal already from anything else that a driver refuses."""
    try:
        yield
    except Exception as problem:
        # The drivers' errors have one name and no common base; psycopg is not imported where it is not used.
        if any(kind.__name__ == "IntegrityError" for kind in type(problem).__mro__):
            said = getattr(getattr(problem, "diag", None), "table_name", None) or str(problem)
            if said == tables.message.name or f" {tables.message.name}." in said:
                raise Repeated from None
        raise


class ReadSession:
    """A reader's own connection to SQLite, kept from one look to the next: borrowing one costs more than a question.

    Not for PostgreSQL, which may go away between two looks. Not shared between threads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Connection | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give the connection, as `Store.reading` lends one; after a failure it is made anew."""
        try:
            with self._store.translated():
                connection = self._connection = self._connection or self._store.engine.connect()
                yield connection
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what a database driver raises into a JournalFault of one sentence, without statements or parameters."""
    try:
        yield
    except DBAPIError as problem:
        raise _fault(problem.orig) from None
    except sqlite3.Error as problem:
        raise _fault(problem) from None
    except Exception as problem:
        if not _is_postgres(problem):
            raise
        raise _fault(problem) from None


def _is_postgres(problem: BaseException) -> bool:
    # psycopg is imported only where the journal is on PostgreSQL.
    return any(kind.__module__.startswith("psycopg") and kind.__name__ == "Error" for kind in type(problem).__mro__)


def _fault(origin: BaseException | None) -> Exception:
    said = str(origin).splitlines()[0] if origin is not None and str(origin) else type(origin).__name__
    lowered = said.lower()
    if isinstance(origin, sqlite3.Error):
        if "full" in lowered or "disk i/o" in lowered:
            return JournalFull(f"the journal's storage refuses to grow ({said}); free some space")
        if "locked" in lowered or "busy" in lowered:
            return JournalBusy("another process has been writing to the journal for too long; try again")
        if "readonly" in lowered or "read-only" in lowered:
            return JournalFull("the journal's storage is read-only; mount it for writing")
    state = getattr(origin, "sqlstate", None)
    if state == "53100":
        return JournalFull("PostgreSQL has no room left on its disk; free some space")
    if any(kind.__name__ == "OperationalError" for kind in type(origin).__mro__):
        return JournalFault(f"the journal's database does not answer ({type(origin).__name__})")
    # Anything else is a defect of ours: the type and the constraint's name say enough, values stay out.
    return JournalFault(f"the journal's database refused a statement ({type(origin).__name__})")


def connect(place: JournalPlace, *, pool_size: int = 8) -> Engine:
    """Make the engine for a place, with the settings that durability rests on."""
    if place.is_sqlite:
        engine = create_engine(
            place.url,
            pool_size=pool_size,
            max_overflow=8,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def _settings(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
            # The driver's own transaction handling is off: BEGIN is ours, so that it can be IMMEDIATE.
            connection.isolation_level = None
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"busy_timeout={BUSY_SECONDS * 1000}",
                "cache_size=-4096",
                "wal_autocheckpoint=1000",
                "temp_store=MEMORY",
                "trusted_schema=OFF",
            ):
                connection.execute(f"PRAGMA {pragma}").close()

        return engine
    said = make_url(place.url).query
    lively = {name: value for name, value in _LIVELINESS.items() if name not in said}
    return create_engine(place.url, pool_size=pool_size, max_overflow=8, pool_pre_ping=True, connect_args=lively)


def open_store(place: JournalPlace, *, master: bytes | None = None, migrate: bool = True) -> Store:
    """Open a journal: read its key, bring its tables up to date, check that the key is the one that sealed it.

    Raises JournalFault or KeyFault, in one sentence.
    """
    key = master if master is not None else read_key_file(place.key_file)
    first_keys(key)  # a malformed one is told of before anything is asked
    engine = connect(place)
    try:
        with translated():
            if migrate:
                from router.journal.migrate import upgrade  # alembic takes 0.2 s to import; workers do without

                upgrade(engine, place)
            ring = JournalRing(key, ring_reader(engine), place.key_file)
        store = Store(place, engine, Sealer(ring))
        if migrate:
            _check_key(store)
    except BaseException:
        engine.dispose()
        raise
    return store


def _check_key(store: Store) -> None:
    row = tables.setting
    with store.writing() as connection:
        found = connection.execute(select(row.c.value).where(row.c.name == KEY_CHECK)).scalar()
        if found is None:
            sealed = store.sealer.seal(b"passerelle", CHECK_PLACE).hex()
            connection.execute(row.insert().values(name=KEY_CHECK, value=sealed))
            return
    try:
        store.sealer.open(bytes.fromhex(found), CHECK_PLACE)
    except KeyFault:
        raise KeyFault("this key file is not the one that the journal was made with; restore the right one") from None


def row_dict(row: Any) -> dict[str, Any]:
    """Give a row as a dictionary of its columns."""
    return dict(row._mapping)
