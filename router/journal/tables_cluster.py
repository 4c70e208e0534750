"""The journal's tables of a cluster: which node may write for which lane, and contents that all nodes share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from router.journal.tables_base import metadata

lane_fence = Table(
    "lane_fence",
    metadata,
    Column("lane", String(120), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("node", String(120), nullable=False),
    Column("taken_at", BigInteger, nullable=False),
)
"""The newest taking of each lane: `epoch` and `fence` only ever grow, together (`router.journal.fencing`).

A write for a lane is refused when it comes with an older pair."""

stored_blob = Table(
    "stored_blob",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    Index("ix_stored_blob_stored_at", "stored_at"),
)
"""Large contents of a cluster (`router.journal.blobs_database`), where a single machine has files. `salt` is what its
chunks are found by: the name is known only once all of them are written."""

stored_chunk = Table(
    "stored_chunk",
    metadata,
    Column("salt", LargeBinary(16), primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""The parts of a stored content, each of at most 1 MiB and sealed."""
