"""The blob store in the database: for nodes that share a PostgreSQL and no disk.

Names and seals are those of the files (`router.journal.blobs`). A blob is written in a transaction of its own, beside
the journal's: it waits for nobody, and is durable before its name may be committed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from router.journal import tables
from router.journal.blobs import CHUNK, SALT_BYTES, SWEEP_AGE, BlobStore, place_of
from router.journal.sealing import KeyFault, Sealer

_BLOB, _PART = tables.stored_blob.c, tables.stored_chunk.c
_CHUNK = (
    select(_BLOB.salt, _PART.sealed)
    .join(tables.stored_chunk, _PART.salt == _BLOB.salt)
    .where(_BLOB.name == bindparam("name"), _PART.rank == bindparam("rank"))
)
TRIES = 3


class _Known(Exception):
    """Another node has just written the same content."""


class DatabaseBlobs(BlobStore):
    """Blobs in PostgreSQL; spool files stay where they arrive.

    `translated` makes JournalFaults of a driver's errors.
    """

    def __init__(
        self,
        engine: Engine,
        root: Path,
        spool: Path,
        sealer: Sealer,
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        super().__init__(root, spool, sealer)
        self._engine = engine
        self._translated = translated

    def put(self, content: bytes) -> str:
        """Store bytes; returns the name once they are durable. Raises JournalFault."""
        return self._keep(
            hashlib.sha256(content).digest(),
            lambda: (content[at : at + CHUNK] for at in range(0, len(content) or 1, CHUNK)),
        )

    def adopt(self, path: Path) -> str:
        """Store a spool file's content and remove the file; returns the name once the blob is durable."""
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").digest()
        name = self._keep(digest, lambda: _chunks_of(path))
        path.unlink(missing_ok=True)
        return name

    def bring_in(self) -> int:
        """Move what a single machine kept in files into the database; returns how many there were."""
        moved = 0
        for path in sorted(self._root.glob("*/*")):
            digest = hashlib.sha256()
            for chunk in super().stream(path.name):
                digest.update(chunk)
            self._keep(digest.digest(), partial(super().stream, path.name))
            path.unlink()
            moved += 1
        return moved

    def _keep(self, sha256: bytes, chunks: Callable[[], Iterable[bytes]]) -> str:
        name = self.name_of(sha256)
        with self._translated():
            for _ in range(TRIES):
                if self._touch(name):
                    return name
                try:
                    with self._engine.begin() as connection:
                        self._insert(connection, name, chunks())
                    return name
                except _Known:
                    continue  # or it was swept since: then it is written after all
        raise FileNotFoundError("a content is written and swept at once: try again")

    def _touch(self, name: str) -> bool:
        """Keep what is there from being swept: a name of it is about to be committed."""
        with self._engine.begin() as connection:
            touched = update(tables.stored_blob).where(_BLOB.name == name).values(stored_at=_now())
            return connection.execute(touched).rowcount > 0

    def _insert(self, connection: Connection, name: str, chunks: Iterable[bytes]) -> None:
        salt = os.urandom(SALT_BYTES)
        count, size = self._insert_chunks(connection, salt, chunks)
        row = {"name": name, "salt": salt, "chunks": count, "size": size, "stored_at": _now()}
        if connection.execute(insert(tables.stored_blob).values(row).on_conflict_do_nothing()).rowcount == 0:
            raise _Known

    def _insert_chunks(self, connection: Connection, salt: bytes, chunks: Iterable[bytes]) -> tuple[int, int]:
        sealer = self._sealer.clone()  # several threads store at once; a Sealer serves one
        size = rank = 0
        held: bytes | None = None
        for chunk in chunks:
            if held is not None:
                self._append(connection, sealer, salt, rank, held, last=False)
                rank += 1
            held = chunk
            size += len(chunk)
        self._append(connection, sealer, salt, rank, held or b"", last=True)
        return rank + 1, size

    @staticmethod
    def _append(connection: Connection, sealer: Sealer, salt: bytes, rank: int, chunk: bytes, *, last: bool) -> None:
        sealed = sealer.seal(chunk, place_of(salt, rank, last=last))
        connection.execute(insert(tables.stored_chunk).values(salt=salt, rank=rank, sealed=sealed))

    def stream(self, name: str) -> Iterator[bytes]:
        """Give a blob's content chunk by chunk. Raises FileNotFoundError, or KeyFault when it was damaged.

        It may be sealed anew meanwhile: each chunk is asked for by the blob's name.
        """
        sealer = self._sealer.clone()
        with self._translated(), self._engine.connect() as connection:
            chunks = connection.execute(select(_BLOB.chunks).where(_BLOB.name == name)).scalar()
        if chunks is None:
            raise FileNotFoundError("not the name of a stored content")
        for rank in range(chunks):
            with self._translated(), self._engine.connect() as connection:
                found = connection.execute(_CHUNK, {"name": name, "rank": rank}).one_or_none()
            if found is None:
                raise KeyFault("a stored content is cut short: restore it from a backup")
            place = place_of(bytes(found.salt), rank, last=rank == chunks - 1)
            yield sealer.open(bytes(found.sealed), place)

    def is_there(self, name: str) -> bool:
        """Whether a content is stored."""
        with self._translated(), self._engine.connect() as connection:
            return connection.execute(select(_BLOB.name).where(_BLOB.name == name)).scalar() is not None

    def names(self, after: str, limit: int) -> list[str]:
        """Give the names of stored contents that follow one, in their order; an empty one is before all."""
        with self._translated(), self._engine.connect() as connection:
            wanted = select(_BLOB.name).where(_BLOB.name > after).order_by(_BLOB.name).limit(limit)
            return list(connection.execute(wanted).scalars())

    def reseal(self, name: str, *, only_look: bool = False) -> bool:
        """Write a content anew, under its name, when an older key sealed it; whoever reads it meanwhile goes on.

        Gives whether an older one did. Raises FileNotFoundError when it is gone, KeyFault when it does not open.
        """
        with self._translated(), self._engine.connect() as connection:
            first = connection.execute(_CHUNK, {"name": name, "rank": 0}).one_or_none()
        if first is None:
            raise FileNotFoundError("not the name of a stored content")
        if self._sealer.is_newest(bytes(first.sealed)):
            return False
        if not only_look:
            with self._translated(), self._engine.begin() as connection:
                self._write_anew(connection, name, bytes(first.salt))
        return True

    def _write_anew(self, connection: Connection, name: str, former: bytes) -> None:
        salt, digest = os.urandom(SALT_BYTES), hashlib.sha256()

        def seen() -> Iterator[bytes]:
            for chunk in self.stream(name):
                digest.update(chunk)
                yield chunk

        self._insert_chunks(connection, salt, seen())
        if self.name_of(digest.digest()) != name:
            raise KeyFault("a stored content is not what its name says: restore it from a backup")
        turned = update(tables.stored_blob).where(_BLOB.name == name, _BLOB.salt == former).values(salt=salt)
        if connection.execute(turned).rowcount:
            connection.execute(delete(tables.stored_chunk).where(_PART.salt == former))
        else:  # swept, or sealed anew by another node
            connection.execute(delete(tables.stored_chunk).where(_PART.salt == salt))

    def sweep(self, used: set[str], *, now: float | None = None) -> int:
        """Remove blobs that no row names, and spool files left by a crash; returns how many went."""
        limit = int(((time.time() if now is None else now) - SWEEP_AGE) * 1_000_000)
        gone = super().sweep(used, now=now)
        with self._translated():
            with self._engine.connect() as connection:
                old = connection.execute(select(_BLOB.name, _BLOB.salt).where(_BLOB.stored_at < limit)).all()
            for name, salt in old:
                if name in used:
                    continue
                with self._engine.begin() as connection:
                    # One that was touched meanwhile stays: its name is about to be committed.
                    unused = delete(tables.stored_blob).where(
                        _BLOB.name == name, _BLOB.salt == salt, _BLOB.stored_at < limit
                    )
                    if connection.execute(unused).rowcount:
                        connection.execute(delete(tables.stored_chunk).where(_PART.salt == salt))
                        gone += 1
        return gone


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK):
            yield chunk


def _now() -> int:
    return int(time.time() * 1_000_000)
