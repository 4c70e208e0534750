"""The ring of a journal's keys: what the master key opens, kept in the journal, known again by each process in time.

A journal whose master key was never changed has an empty ring: its keys come from the master key itself. A change puts
them into the ring, encrypted under the former and under the new master key, and the new key under the new one only: who
holds the former master key never learns what is sealed from then on.

A process that meets a value of a key that it does not know looks at the ring and at the key files at once; before it
seals, it looks when it has not for `FRESH_SECONDS`. Nothing else has to be told of a change.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect, select
from sqlalchemy.exc import DBAPIError

from router.journal import tables
from router.journal.sealing import NONCE_BYTES, KeyAway, KeyFault, Keys, derived, first_keys, master_id, read_key_file

FRESH_SECONDS = 10.0
"""How old the ring may be that seals: so long after a change, every process seals with the newest key."""

SEAL, INDEX = "seal", "index"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A key of the ring, encrypted under the master key that `master` names."""

    number: int
    role: str
    master: str
    wrapped_key: bytes


def wrap(master: bytes, number: int, role: str, key: bytes) -> Wrapped:
    """Encrypt a key of the ring under a master key."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(derived(master, b"passerelle wrap")).encrypt(nonce, key, _bound(number, role))
    return Wrapped(number, role, master_id(master), nonce + sealed)


def unwrap(master: bytes, wrapped: Wrapped) -> bytes:
    """Decrypt a key of the ring. Raises KeyFault when it was altered."""
    nonce, sealed = wrapped.wrapped_key[:NONCE_BYTES], wrapped.wrapped_key[NONCE_BYTES:]
    try:
        return AESGCM(derived(master, b"passerelle wrap")).decrypt(nonce, sealed, _bound(wrapped.number, wrapped.role))
    except (InvalidTag, ValueError):
        raise KeyFault("a key of the journal's ring was altered: restore the journal from a back-up") from None


def _bound(number: int, role: str) -> bytes:
    return f"data_key {role} {number}".encode()


def next_key_file(key_file: Path) -> Path:
    """Give the place where the coming master key waits, beside the present one."""
    return key_file.with_name(key_file.name + ".next")


def keys_of(master: bytes, ring: Sequence[Wrapped]) -> Keys | None:
    """Give the keys of a ring that a master key opens; None when there are none."""
    name = master_id(master)
    opened = {(one.role, one.number): unwrap(master, one) for one in ring if one.master == name}
    index = [key for (role, _), key in opened.items() if role == INDEX]
    seals = {number: key for (role, number), key in opened.items() if role == SEAL}
    return Keys(master, seals, index[-1]) if index and seals else None


def load_ring(connection: Connection) -> list[Wrapped]:
    """Give the ring; an empty one where the tables are older than rings are."""
    row = tables.data_key.c
    wanted = select(row.number, row.role, row.master, row.wrapped_key)
    try:
        found = connection.execute(wanted).all()
    except DBAPIError:
        connection.rollback()
        if inspect(connection).has_table("data_key"):
            raise
        return []
    return [Wrapped(number, role, master, bytes(wrapped)) for number, role, master, wrapped in found]


def ring_reader(engine: Engine) -> Callable[[], list[Wrapped]]:
    """Give what reads the ring on a connection of its own: whoever seals may hold the last one of the pool."""
    apart = create_engine(engine.url, poolclass=NullPool)

    def read() -> list[Wrapped]:
        with apart.connect() as connection:
            return load_ring(connection)

    return read


class JournalRing:
    """The keys of an open journal, for all its Sealers in this process. Safe to use from several threads.

    The master key that opens most is used: the one that the process was started with, that of `key_file`, which may
    have been replaced since, or the one that waits beside it. Raises KeyFault when none opens the newest key.
    """

    def __init__(
        self,
        master: bytes,
        read: Callable[[], Sequence[Wrapped]],
        key_file: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._key_file = key_file
        self._clock = clock
        self._lock = threading.Lock()
        self._behind: KeyFault | None = None
        self._keys = self._look(master)
        self._looked = clock()

    def keys(self) -> Keys:
        """Give the keys of the moment, at most `FRESH_SECONDS` old while the journal answers.

        Raises KeyFault when the newest one cannot be opened here: what an older one would seal now might never be read.
        """
        if self._clock() - self._looked > FRESH_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._renew()
            finally:
                self._lock.release()
        if self._behind is not None:
            raise self._behind
        return self._keys

    def keys_with(self, number: int) -> Keys:
        """Give the keys of the moment; looks at the ring when this one is not known.

        Raises KeyAway when it is not here yet.
        """
        if number not in self._keys.seals:
            with self._lock:
                if number not in self._keys.seals:
                    self._renew()
            if number not in self._keys.seals and self._behind is not None:
                raise self._behind
        return self._keys

    def renew(self) -> Keys:
        """Look at the ring now."""
        with self._lock:
            self._renew()
        return self._keys

    def _renew(self) -> None:
        # What is known still opens what it opened. Nothing can be committed either while the journal does not answer.
        with contextlib.suppress(DBAPIError):
            try:
                self._keys, self._behind = self._look(self._keys.master), None
            except KeyFault as fault:
                self._behind = fault
        self._looked = self._clock()

    def _look(self, master: bytes) -> Keys:
        ring = self._read()
        if not ring:
            return first_keys(master)
        opened = [keys for one in self._masters(master) if (keys := keys_of(one, ring)) is not None]
        newest = max(one.number for one in ring if one.role == SEAL)
        best = max(opened, key=lambda keys: keys.newest, default=None)
        if best is None:
            raise KeyAway(
                "this key file is not the one that the journal was made with, or its master key was changed since and "
                "the former one retired; bring the right one"
            )
        if best.newest < newest:
            raise KeyAway("the journal's master key was changed: put the new key file in the place of the former one")
        return best

    def _masters(self, master: bytes) -> Iterator[bytes]:
        yield master
        if self._key_file is None:
            return
        for path in (self._key_file, next_key_file(self._key_file)):
            if path.exists():
                yield read_key_file(path)
