"""The journal's tables about what partners say later of what was sent to them, and what connectors remember."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, text

from router.journal.tables_base import Id, metadata

delivery_reference = Table(
    "delivery_reference",
    metadata,
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("kind", String(24), primary_key=True),
    Column("sealed_value", LargeBinary, nullable=False),
    Index("ix_delivery_reference_delivery", "delivery_id"),
)
"""Names under which a partner knows a Delivery (Message-ID, XDS uniqueId, entryUUID…); `token` is the value's."""

delivery_receipt = Table(
    "delivery_receipt",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("token", BigInteger, nullable=False),
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE")),
    Column("item_id", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("positive", Boolean, nullable=False),
    Column("detail", String(200), nullable=False),
    Index("ix_delivery_receipt_delivery", "delivery_id"),
    Index(
        "ix_delivery_receipt_waiting",
        "token",
        sqlite_where=text("delivery_id IS NULL"),
        postgresql_where=text("delivery_id IS NULL"),
    ),
)
"""What partners answered, in the order of arrival. `delivery_id` is None while nothing that was sent has the name that
the answer is about: an answer may come before the sending is recorded. `detail` holds codes, no health data."""

_DUE = text("due_at IS NOT NULL")

delivery_naming = Table(
    "delivery_naming",
    metadata,
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("destination", String(64), nullable=False),
    Column("due_at", BigInteger),
    Column("looked_at", BigInteger),
    Column("looks", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("detail", String(200), nullable=False),
    Index("ix_delivery_naming_due", "destination", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
)
"""Deliveries whose partner tells further names only later (`router.journal.naming`): when it is asked, and was last.

`due_at` is None once it is not asked any more. `detail` says in a sentence why it was not asked, or did not answer."""

mail = Table(
    "mail",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("message_id", Id, ForeignKey("message.id", ondelete="CASCADE")),
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE")),
    Column("flow", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("thread", BigInteger, nullable=False),
    Column("sealed_head", LargeBinary, nullable=False),
    Index("ix_mail_thread", "thread", "id"),
    Index("ix_mail_token", "token"),
    Index("ix_mail_message", "message_id"),
    Index("ix_mail_delivery", "delivery_id"),
)
"""Mails that came (`message_id`) or leave (`delivery_id`), by conversation. `flow` is the source or destination.

`token` is that of the mail's Message-ID, `thread` that of the first mail of its conversation: what answers a mail which
is known is in the conversation of that one. `sealed_head`: JSON of who writes to whom about what."""

connector_memory = Table(
    "connector_memory",
    metadata,
    Column("owner", String(80), primary_key=True),
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("sealed_value", LargeBinary, nullable=False),
)
"""What connectors remember across restarts; `token` is the key's, `owner` names it (`source labo`)."""
