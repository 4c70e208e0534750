"""One router per journal: locks that vanish with their process, so that a killed one leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from router.faults import Fault

ROUTER_LOCK = 0x7061_7374
"""Key of the PostgreSQL advisory lock that the one router of a journal holds."""


class AlreadyRunning(Fault):
    """Another router works on this journal."""


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on a file; raises AlreadyRunning when it is taken and `wait` is False."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise AlreadyRunning(
                f"another router already works on {path.parent}; stop it first, or use another data folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def router_lock(engine: Engine, data: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the right to be this journal's one router, by data folder and, on PostgreSQL, by database.

    Nodes of a cluster (`shared`) hold the database's together, and nobody else can meanwhile. Raises AlreadyRunning.
    """
    data.mkdir(parents=True, exist_ok=True)
    with file_lock(data / "router.lock", wait=False):
        if engine.dialect.name != "postgresql":
            yield
            return
        connection: Connection = engine.connect()
        try:
            lock = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
            taken = connection.execute(text(f"SELECT {lock}(:key)"), {"key": ROUTER_LOCK}).scalar()
            connection.commit()
            if not taken:
                other = "a router that is no node of the cluster" if shared else "another router"
                raise AlreadyRunning(f"{other} already works on this PostgreSQL journal; stop it first")
            yield
        finally:
            # Given back before the connection is dropped: the server notices a closed socket only after a while.
            with contextlib.suppress(DBAPIError):  # the server went away, and the lock with it
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
            connection.invalidate()
            connection.close()
