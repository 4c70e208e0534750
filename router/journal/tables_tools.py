"""The journal's tables of the tools that use the dossier's API: who they are, their tokens, what they subscribed to."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, text

from router.journal.tables_base import Id, metadata

tool = Table(
    "tool",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("scopes", String(400), nullable=False),
    Column("structure", String(160), nullable=False, server_default=""),
    Column("secret_hash", LargeBinary(32)),
    Column("former_hash", LargeBinary(32)),
    Column("former_until", BigInteger),
    Column("keys", String(8000)),
    Column("certificate", LargeBinary(32)),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
"""A coordination tool. Secrets are random, so a plain digest of them is kept; `former_hash` is good until
`former_until` while a secret is being changed. `keys` is a JSON Web Key Set of public keys (private_key_jwt),
`certificate` the SHA-256 of the client certificate that it must show. `structure` is `system|value` of the organisation
that it acts for."""

tool_token = Table(
    "tool_token",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("tool", String(80), ForeignKey("tool.name", ondelete="CASCADE"), nullable=False),
    Column("scopes", String(400), nullable=False),
    Column("sealed_user", LargeBinary),
    Column("certificate", LargeBinary(32)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_tool_token_expires", "expires_at"),
)
"""Access tokens, by their digests. `sealed_user`: the person on whose behalf, as JSON."""

tool_assertion = Table(
    "tool_assertion",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)
"""Assertions (private_key_jwt) that were used: none is taken twice."""

subscription = Table(
    "subscription",
    metadata,
    Column("resource_id", Id, ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("tool", String(80), nullable=False),
    Column("state", String(12), nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False, server_default="0"),
    Column("ends_at", BigInteger),
    Column("heartbeat", Integer),
    Column("next_heartbeat_at", BigInteger),
    Column("handshake_attempts", Integer, nullable=False, server_default="0"),
    Column("next_handshake_at", BigInteger),
    Column("detail", String(200), nullable=False, server_default=""),
    Column("sealed_settings", LargeBinary, nullable=False),
    Index(
        "ix_subscription_on",
        "state",
        sqlite_where=text("state IN ('requested', 'active')"),
        postgresql_where=text("state IN ('requested', 'active')"),
    ),
)
"""What a tool asked to be told. `state` is FHIR's (requested, active, error, off). `cursor` is the moment of the last
version that was looked at for it, `events` the number of the last event. `sealed_settings`: JSON of the endpoint, its
headers, what is asked for and on whose behalf."""

subscription_event = Table(
    "subscription_event",
    metadata,
    Column(
        "subscription_id",
        Id,
        ForeignKey("subscription.resource_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("resource_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("patient_id", Id),
    Column("at", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("detail", String(200), nullable=False, server_default=""),
    Column("notice_id", Id),
    Index(
        "ix_subscription_event_notice",
        "notice_id",
        sqlite_where=text("notice_id IS NOT NULL"),
        postgresql_where=text("notice_id IS NOT NULL"),
    ),
    Index(
        "ix_subscription_event_open",
        "subscription_id",
        "number",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    sqlite_with_rowid=False,
)
"""Deliveries of notifications: `pending`, `delivered`, `dropped` (no longer to be seen by who asked) or `dead`.
`notice_id`: the notice to a member of a circle that it carries, None for what the subscription's own search found."""
