"""The journal's tables of alarms, of what flowed hour by hour, and of comparisons of configurations."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, text

from router.journal.tables_base import Id, metadata

_OPEN = text("closed_at IS NULL")

alarm = Table(
    "alarm",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("side", String(12), nullable=False, server_default=""),
    Column("subject", String(120), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("facts", Text, nullable=False),
    Column("told_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(120)),
    Column("snoozed_until", BigInteger),
    Index("ux_alarm_open", "kind", "side", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_alarm_subject", "subject", "id"),
)
"""One row a cause and occurrence, kept as history.

`side` is `source` or `destination`, empty for a sender of codes: one name may be both. `kind` is what was seen last:
what is silent and then down is one cause. `facts` is JSON of figures for its sentence; `told_at` is when it was sent to
who is to be told, None when it is still to be."""

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
    Column("sealed_draft", LargeBinary),
)
"""Comparisons of a draft with what runs (`router.whatif`). `draft` is a unified diff of the two texts; secrets are
references in them, and what looks like one is struck out. `report` is JSON of the differences, without content.
`sealed_draft` is the whole draft, so that one message can be read by it again and its values shown side by side."""

flow_hour = Table(
    "flow_hour",
    metadata,
    Column("series", String(12), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(64), primary_key=True),
    Column("counted", BigInteger, nullable=False),
    Column("erased", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
"""What flowed in an hour (hours since 1970, UTC): `series` is one of `router.journal.queries_rates`, `name` a source or
destination. `counted` are rows that are in the journal, `erased` those that were in it until their retention ended: the
sum stays what it was when rows go. Everything in `counted` can be counted anew at any time."""

flow_hour_counted = Table(
    "flow_hour_counted",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)
"""Hours that were counted, and when they last were: an hour without a row may have been quiet, or not yet counted."""

storage_hour = Table(
    "storage_hour",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("tables", BigInteger, nullable=False),
    Column("blobs", BigInteger, nullable=False),
    Column("free", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)
"""How much room the journal took, and was left on its disk, once an hour (bytes): what its growth is known from."""
