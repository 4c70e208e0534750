"""The journal's table of what must not be erased."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, text

from router.journal.tables_base import Id, metadata

_IN_FORCE = text("lifted_at IS NULL")

legal_hold = Table(
    "legal_hold",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("subject", String(8), nullable=False),
    Column("number", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", String(400), nullable=False),
    Column("lifted_at", BigInteger),
    Column("lifted_by", String(120)),
    Index("ix_legal_hold_in_force", "subject", "number", sqlite_where=_IN_FORCE, postgresql_where=_IN_FORCE),
)
"""Messages and patients (`subject`) that retention leaves alone until the hold is lifted; `reason` names no person."""
