"""The journal's tables of alarms, and of comparisons of configurations."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from router.journal.tables_base import Id, metadata

_OPEN = text("closed_at IS NULL")

alarm = Table(
    "alarm",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("facts", Text, nullable=False),
    Column("told_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(120)),
    Column("snoozed_until", BigInteger),
    Index("ux_alarm_open", "kind", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_alarm_cause", "kind", "subject", "id"),
)
"""One row a cause and occurrence, kept as history. `facts` is JSON of figures for its sentence; `told_at` is when it
was sent to who is to be told, None when it is still to be."""

what_if = Table(
    "what_if",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("scope", Text, nullable=False),
    Column("draft", Text, nullable=False),
    Column("compared", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("report", Text, nullable=False),
)
"""Comparisons of a draft with what runs (`router.whatif`). `draft` is a unified diff of the two texts; secrets are
references in them, and what looks like one is struck out. `report` is JSON of the differences, without content."""
