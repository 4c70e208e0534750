"""The journal's tables of what persons ask of many rows at once, and of searches that they keep."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from router.journal.tables_base import Id, metadata

_RUNNING = text("state = 'running'")
_OPEN = text("outcome IS NULL")

bulk_job = Table(
    "bulk_job",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(24), nullable=False),
    Column("state", String(16), nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("changed", Integer, nullable=False, server_default="0"),
    Column("more", Boolean, nullable=False),
    Column("back", String(400), nullable=False),
    Column("target", String(200), nullable=False, server_default=""),
    Column("set_aside", Boolean, nullable=False),
    Column("preview", Text, nullable=False, server_default=""),
    Column("problem", String(400), nullable=False, server_default=""),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("undo_of", Id),
    Index("ix_bulk_job_running", "state", "id", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
)
"""One action on many rows (`router.bulk`): planned, then carried out batch by batch. `preview` is JSON of figures, no
health data. `target` is `destination:NAME` or `route:NAME`. `undo_of` is the job that this one takes back."""

bulk_row = Table(
    "bulk_row",
    metadata,
    Column("job_id", Id, ForeignKey("bulk_job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("row_id", Id, primary_key=True, autoincrement=False),
    Column("source_ids", Text),
    Column("outcome", String(24)),
    Column("made_ids", Text),
    Column("before", Text),
    Index("ix_bulk_row_open", "job_id", "row_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    sqlite_with_rowid=False,
)
"""The very rows that were previewed: messages, Deliveries, or (to reroute) Items with the Deliveries that they were
chosen by in `source_ids`. `outcome` is None until its turn came. `made_ids` are Deliveries made, `before` JSON of what
the row was: what undoing needs. Numbers in texts are separated by blanks."""

saved_search = Table(
    "saved_search",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("owner", String(80), nullable=False),
    Column("name", String(80), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("page", String(40), nullable=False),
    Column("wishes", Text, nullable=False),
    Column("sealed_text", LargeBinary),
    Index("ix_saved_search_owner", "owner"),
)
"""Searches by name. `wishes` is JSON of the filters, `sealed_text` what of a person is searched for."""
