"""The journal's tables of people: accounts and how they sign in, their sessions, keys of the API."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, text

from router.journal.tables_base import metadata

_BOUND = text("subject IS NOT NULL")

account = Table(
    "account",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("password_hash", String(200), nullable=False),
    Column("role", String(24), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("locked_until", BigInteger),
    Column("disabled_at", BigInteger),
    Column("used_at", BigInteger),
    Column("sealed_totp", LargeBinary),
    Column("totp_at", BigInteger),
    Column("totp_step", BigInteger),
    Column("issuer", String(255)),
    Column("subject", String(255)),
    Index("ux_account_subject", "issuer", "subject", unique=True, sqlite_where=_BOUND, postgresql_where=_BOUND),
)
"""Who may sign in. `locked_until` is the pause after failures, `disabled_at` the lock by an administrator.
`sealed_totp` is the secret of one-time codes, in force once `totp_at` is set; `totp_step` is the last step whose code
was used. `issuer` and `subject` bind an account to a person at an OpenID provider: it then has no password
(`password_hash` is empty), and its role is what the provider's claims map to."""

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("code_hash", LargeBinary(32), primary_key=True),
    Column("account", String(80), ForeignKey("account.name", ondelete="CASCADE"), nullable=False),
    Column("used_at", BigInteger),
    Index("ix_recovery_code_account", "account"),
)
"""Digests of the codes that stand for a lost telephone, each good for one time."""

session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("account", String(80), ForeignKey("account.name", ondelete="CASCADE"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("method", String(12), nullable=False, server_default="password"),
    Column("peer", String(64), nullable=False, server_default=""),
    Column("agent", String(120), nullable=False, server_default=""),
    Column("provider", String(64), nullable=False, server_default=""),
    Column("sid", String(255), nullable=False, server_default=""),
    Column("sealed_id_token", LargeBinary),
)
"""`method` is how its owner signed in. `provider`, `sid` and `sealed_id_token` are what an OpenID provider needs to end
it, or to be told that it ended."""

sign_in_step = Table(
    "sign_in_step",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("sealed_detail", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_sign_in_step_created_at", "created_at"),
)
"""Signings-in that are half done: the password was right and a code is asked for, or a browser is at a provider. A row
is taken out by whoever goes on with it, so that nobody goes on twice."""

api_key = Table(
    "api_key",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("role", String(24), nullable=False, server_default="administrator"),
    Column("expires_at", BigInteger),
    Column("used_at", BigInteger),
)
