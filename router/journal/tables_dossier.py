"""The journal's tables about coordination dossiers: circles, consents, habilitations, what is visible, who was told.

Nothing that matters later is overwritten: `dossier_history` keeps every change with who, when and why, and the circle
as it was after it. Columns `token`, `author`, `name` and `thing` are keyed blind indexes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from router.journal.tables_base import Id, metadata

_STANDING = text("closed_at IS NULL")

dossier = Table(
    "dossier",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("patient_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("sealed_body", LargeBinary, nullable=False),
    Index(
        "ux_dossier_patient",
        "patient_id",
        unique=True,
        sqlite_where=_STANDING,
        postgresql_where=_STANDING,
    ),
    Index("ix_dossier_former", "patient_id", "id"),
    Index("ix_dossier_updated", "updated_at"),
)
"""One person has one dossier that is not closed. `sealed_body`: a `schemas.dossier.Dossier` as JSON. `version` counts
the changes of the circle."""

dossier_member = Table(
    "dossier_member",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("dossier_id", Id, ForeignKey("dossier.id", ondelete="CASCADE"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("family", String(16), nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger),
    Column("added_at", BigInteger, nullable=False),
    Column("added_by", String(120), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Index("ix_dossier_member_dossier", "dossier_id", "id"),
)
"""Memberships. `sealed_body`: a `schemas.circle.Member` as JSON; `end_at` is the first moment after the period."""

dossier_member_token = Table(
    "dossier_member_token",
    metadata,
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("member_id", Id, ForeignKey("dossier_member.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Index("ix_dossier_member_token_member", "member_id"),
)
"""By which numbers (RPPS, FINESS…) a member is found: whose circles somebody is in."""

dossier_consent = Table(
    "dossier_consent",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("dossier_id", Id, ForeignKey("dossier.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("until_at", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    Column("recorded_by", String(120), nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("withdrawn_by", String(120)),
    Column("sealed_body", LargeBinary, nullable=False),
    Index("ix_dossier_consent_dossier", "dossier_id", "id"),
)
"""Consents and oppositions, one row a record: a withdrawal is added to it once, nothing else ever changes."""

dossier_restriction = Table(
    "dossier_restriction",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("dossier_id", Id, ForeignKey("dossier.id", ondelete="CASCADE"), nullable=False),
    Column("thing", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", String(120), nullable=False),
    Column("lifted_at", BigInteger),
    Column("lifted_by", String(120)),
    Column("sealed_body", LargeBinary, nullable=False),
    Index("ix_dossier_restriction_dossier", "dossier_id", "id"),
)
"""What was hidden or kept to some: `sealed_body` is a `schemas.visibility.Restriction` with the reason, as JSON."""

dossier_emergency = Table(
    "dossier_emergency",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("dossier_id", Id, ForeignKey("dossier.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("opened_by", String(120), nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Index("ix_dossier_emergency_dossier", "dossier_id", "until_at"),
)
"""Break-glass accesses: `sealed_body` holds who (keys) and why, as JSON."""

dossier_history = Table(
    "dossier_history",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("dossier_id", Id, ForeignKey("dossier.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", Id),
    Column("version", Integer, nullable=False),
    Column("merge_id", Id),
    Column("sealed_detail", LargeBinary, nullable=False),
    Index("ix_dossier_history_dossier", "dossier_id", "id"),
)
"""Every change, append-only. `subject` is the number of the member, consent or restriction; `version` that of the
circle after it. `sealed_detail`: JSON of the reason and, where the circle changed, of the whole circle after it."""

dossier_entry = Table(
    "dossier_entry",
    metadata,
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("category", String(12), nullable=False),
    Column("marks", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("author", BigInteger),
    Column("name", BigInteger, nullable=False),
    Column("thing", BigInteger, nullable=False),
    Index("ix_dossier_entry_thing", "thing", "item_id"),
    Index("ix_dossier_entry_name", "name"),
)
"""What an Item is for a dossier: its category, its marks (`schemas.visibility.Mark`), when it happened, who wrote it.
`name` is what the sender calls this version, `thing` what all its versions have in common."""

dossier_access = Table(
    "dossier_access",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("dossier_id", Id, nullable=False),
    Column("reader", String(120), nullable=False),
    Column("member_id", Id),
    Column("item_id", Id),
    Column("thing", BigInteger),
    Column("action", String(12), nullable=False),
    Column("category", String(12), nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("rule", String(40), nullable=False),
    Column("tool", String(80), nullable=False, server_default=""),
    Index("ix_dossier_access_dossier", "dossier_id", "id"),
    Index("ix_dossier_access_thing", "thing", "member_id"),
)
"""Who asked for what in which dossier, what was decided and by which rule: every allow and every deny."""

dossier_reading = Table(
    "dossier_reading",
    metadata,
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    Column("member_id", Id, ForeignKey("dossier_member.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("fetched_at", BigInteger, nullable=False),
    Column("read_at", BigInteger),
    Index("ix_dossier_reading_member", "member_id"),
    sqlite_with_rowid=False,
)
"""Which members have a thing, in whichever version: since when their tool has it, and since when they opened it or said
that they read it (None: not that we know)."""

habilitation = Table(
    "habilitation",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("holder", String(16), nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger),
    Column("granted_at", BigInteger, nullable=False),
    Column("granted_by", String(120), nullable=False),
    Column("ended_by", String(120)),
    Column("sealed_body", LargeBinary, nullable=False),
)
"""Ceilings of structures, tools and professionals: `sealed_body` is a `schemas.habilitation.Habilitation` as JSON."""

habilitation_matrix = Table(
    "habilitation_matrix",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("why", String(400), nullable=False),
    Column("content", Text, nullable=False),
)
"""Every matrix that was brought, newest last; without any, the default one holds."""

alert = Table(
    "alert",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("dossier_id", Id, ForeignKey("dossier.id", ondelete="CASCADE"), nullable=False),
    Column("item_id", Id),
    Column("thing", BigInteger),
    Column("event", String(16), nullable=False),
    Column("rule", String(80), nullable=False),
    Column("level", String(12), nullable=False),
    Column("category", String(12), nullable=False),
    Column("same", BigInteger, nullable=False),
    Column("fact", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("annulled_at", BigInteger),
    Column("resource_id", Id),
    Index("ix_alert_dossier", "dossier_id", "id"),
    Index("ix_alert_same", "same"),
    Index("ix_alert_at", "at"),
    Index(
        "ix_alert_resource",
        "resource_id",
        sqlite_where=text("resource_id IS NOT NULL"),
        postgresql_where=text("resource_id IS NOT NULL"),
    ),
)
"""Something that people of a circle are told.

`same` recognises that the same was told already (a stay's admission), `fact` what was said of it (a date).
`resource_id` is the CommunicationRequest that tools are given of it: only those who were told see that one."""

alert_notice = Table(
    "alert_notice",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("alert_id", Id, ForeignKey("alert.id", ondelete="CASCADE"), nullable=False),
    Column("member_id", Id, nullable=False),
    Column("channel", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("changed_at", BigInteger, nullable=False),
    Column("read_at", BigInteger),
    Column("detail", String(200), nullable=False, server_default=""),
    Column("delivery_id", Id),
    Column("left_at", BigInteger),
    Index("ix_alert_notice_alert", "alert_id"),
    Index(
        "ix_alert_notice_open",
        "channel",
        "not_before",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index("ix_alert_notice_member", "member_id", "id"),
    Index(
        "ix_alert_notice_leaving",
        "delivery_id",
        sqlite_where=text("state IN ('leaving', 'sent')"),
        postgresql_where=text("state IN ('leaving', 'sent')"),
    ),
)
"""One member to be told of one alert by one channel: queued, leaving, sent, delivered, read, failed or cancelled.

`leaving` is handed over, durably, to what sends it: the Delivery `delivery_id`, or events of subscriptions that name
the notice; `left_at` is when it was taken. `channel` is the one that it goes by now: where that one cannot reach the
member, the next is tried."""
