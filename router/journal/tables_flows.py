"""The journal's tables of what persons decided about flows: pauses, versions of the configuration and of mappings."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text, UniqueConstraint

from router.journal.tables_base import Id, metadata

flow_pause = Table(
    "flow_pause",
    metadata,
    Column("side", String(12), primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", String(400), nullable=False),
)
"""One row for each source, destination or route that a person paused; taken away when it is resumed."""

configuration_version = Table(
    "configuration_version",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("origin", String(12), nullable=False),
    Column("comment", String(400), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("base", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("settled_at", BigInteger),
    Column("detail", Text, nullable=False, server_default=""),
    Column("sealed_text", LargeBinary, nullable=False),
    Index("ix_configuration_version_state", "state", "id"),
)
"""Texts of the configuration file: drafts, and what was applied or was tried to be (`router.config.versions`). `digest`
is the SHA-256 of the text, `base` that of the file which the draft began from."""

mapping_version = Table(
    "mapping_version",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("digest", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("software", String(40), nullable=False),
    Column("sealed_content", LargeBinary, nullable=False),
    UniqueConstraint("digest", name="uq_mapping_version_digest"),
)
"""Each distinct set of mappings that a message was read with (`router.journal.mapping_versions`); `message.mappings`
names it. They are small, few, and never swept."""
