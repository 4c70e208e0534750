"""The journal's tables of a cluster: which node may write for which lane."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

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
