"""The journal's tables of the dossier's FHIR resources: what coordination tools read, search and are told of.

A resource is one small row that changes and one body a version, which never does. Bodies are sealed; a resource is
found by the blind tokens of its search parameters, by its dates, and by plain columns that identify nobody.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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

resource = Table(
    "resource",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("type", String(40), nullable=False),
    Column("logical_id", String(64), nullable=False),
    Column("patient_id", Id),
    Column("category", String(16), nullable=False),
    Column("marks", Integer, nullable=False, server_default="0"),
    Column("at", BigInteger),
    Column("author", BigInteger),
    Column("thing", BigInteger),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False, server_default="0"),
    Column("item_id", Id),
    Column("owner", String(80)),
    Column("digest", LargeBinary(16), nullable=False),
    Column("tokens", LargeBinary, nullable=False),
    Index("ux_resource_logical", "type", "logical_id", unique=True),
    Index(
        "ix_resource_patient",
        "patient_id",
        "type",
        "updated_at",
        "id",
        sqlite_where=text("patient_id IS NOT NULL"),
        postgresql_where=text("patient_id IS NOT NULL"),
    ),
    Index("ix_resource_updated", "type", "updated_at", "id"),
)
"""`patient_id` is None for what is about nobody in particular (organisations, professionals). The door looks at
`category`, the row of the habilitation matrix; `marks`, what it says of its own visibility; `at`, when it was in the
patient's life (None: at no time); `author`, the blind token of who wrote it; `thing`, that of what it is a version of.
`updated_at` is the moment of the newest version and differs from that of every other version in the journal. `state`: 0
live, 1 withdrawn (nothing but its status is left), 2 deleted. `item_id` is the Item that wrote the newest version,
`owner` the tool that did. `digest` tells an equal content, `tokens` are those in `resource_token`, eight bytes each."""

resource_body = Table(
    "resource_body",
    metadata,
    Column("resource_id", Id, ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Column("blobs", Text),
    Column("message_id", Id),
    Index("ux_resource_body_at", "at", unique=True),
    Index(
        "ix_resource_body_message",
        "message_id",
        sqlite_where=text("message_id IS NOT NULL"),
        postgresql_where=text("message_id IS NOT NULL"),
    ),
)
"""Versions. `at` orders every change of every resource: what follows changes walks along it. `sealed_body` is JSON
without `meta.versionId` and `meta.lastUpdated`, which the columns say. `message_id`: the Message by which a tool wrote
it."""

resource_token = Table(
    "resource_token",
    metadata,
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("resource_id", Id, ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Blind index of search parameters: type, parameter and value in one token."""

resource_date = Table(
    "resource_date",
    metadata,
    Column("resource_id", Id, ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("name", String(24), primary_key=True),
    Column("low", BigInteger, primary_key=True, autoincrement=False),
    Column("high", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Dates that are searched: from `low` on, up to before `high`, in microseconds. Birth dates are tokens, not here."""

resource_item = Table(
    "resource_item",
    metadata,
    Column("resource_id", Id, ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("item_id", Id, primary_key=True, autoincrement=False),
    Index("ix_resource_item_item", "item_id"),
    sqlite_with_rowid=False,
)
"""Which Items said a resource; when one is taken out, the newest of the others says it."""

resource_pending = Table(
    "resource_pending",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(8), nullable=False),
    Column("number", Id, nullable=False),
)
"""What the dossier has to look at again: `item`, `patient` or `dossier`, and its number. Triggers fill it in
the transaction of the change itself, whoever makes it; whoever projects takes a row away with what came of it."""

resource_following = Table(
    "resource_following",
    metadata,
    Column("active", SmallInteger, primary_key=True, autoincrement=False),
)
"""One row while the dossier's API is on: triggers do nothing without it."""
