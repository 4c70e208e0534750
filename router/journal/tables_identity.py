"""The journal's tables about who is who: what persons decided, former INS, merges, links, tasks, and INSi's answers."""

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
    text,
)

from router.journal.tables_base import Id, metadata

identity_decision = Table(
    "identity_decision",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(16), nullable=False),
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), nullable=False),
    Column("patient_id", Id),
    Column("reason", String(64)),
    Column("why", String(40), nullable=False),
    Column("group_id", Id),
    Column("undoes", Id),
    Column("sealed_detail", LargeBinary),
    Index("ix_identity_decision_item", "item_id", "id"),
)
"""What persons decided about held Items (`router.desk`); only ever appended to, until the Item's retention ends.

`reason` is why the Item was held at that moment, `why` the code of the person's own reason. `group_id` is the first
decision of those taken at once, `undoes` the one that is taken back. `sealed_detail`: JSON of the note,
of the Item's lane and, where a patient was declared doubtful, of the status before."""

patient_ins = Table(
    "patient_ins",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("patient_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), nullable=False),
    Column("sealed_ins", LargeBinary, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("why", String(40), nullable=False),
    Column("item_id", Id),
    Index("ix_patient_ins_patient", "patient_id"),
)
"""INS that a patient had and has no more: `sealed_ins` is a `schemas.identity.Ins` as JSON, `item_id` the Item that
said so, None when a person or an import did."""

patient_merge = Table(
    "patient_merge",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("survivor_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), nullable=False),
    Column("absorbed_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("item_id", Id),
    Column("sealed_before", LargeBinary, nullable=False),
    Column("undone_at", BigInteger),
    Column("undone_by", String(120)),
    Column("sealed_why", LargeBinary),
    Index("ix_patient_merge_survivor", "survivor_id"),
    Index("ix_patient_merge_absorbed", "absorbed_id"),
)
"""Merges of two patients (A40), and their undoing. `sealed_before`: JSON of both identities before, and of the
survivor's after: what is restored when the merge is undone."""

patient_link = Table(
    "patient_link",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("patient_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), nullable=False),
    Column("other_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), nullable=False),
    Column("linked_at", BigInteger, nullable=False),
    Column("item_id", Id),
    Column("unlinked_at", BigInteger),
    Index("ix_patient_link_patient", "patient_id"),
    Index("ix_patient_link_other", "other_id"),
)
"""Two patients that a sender says to be linked (A24), until it unlinks them (A37): recorded, and nothing follows."""

identity_task = Table(
    "identity_task",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("patient_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", BigInteger),
    Column("item_id", Id),
    Column("delivery_id", Id),
    Column("created_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("closed_by", String(120)),
    Column("sealed_why", LargeBinary),
    Index("ix_identity_task_patient", "patient_id", "kind"),
    Index(
        "ix_identity_task_open",
        "id",
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)
"""What an identity officer has to do about a patient, because of an Item or a Delivery. `subject` is the blind token of
what it is about (a claimed INS), so that the same is not asked twice. `sealed_why` is a person's note on closing it."""

insi_call = Table(
    "insi_call",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("message_id", String(36), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("actor", String(120), nullable=False),
    Column("patient_id", Id),
    Column("attempt", SmallInteger, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("status", SmallInteger),
    Column("code", String(40), nullable=False),
    Index("ix_insi_call_at", "at"),
)
"""Every call to INSi: its own wsa:MessageID, who asked and why (`query`, `verify`, `test`), how long it took, the HTTP
status and what came of it. Nothing of the person is here but the patient's number."""

insi_verification = Table(
    "insi_verification",
    metadata,
    Column("patient_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("ins_token", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("code", String(40), nullable=False),
    Column("sealed_reply", LargeBinary),
)
"""What INSi last said of a patient's INS: `ok`, `ko` or `unknown`, and why. `ins_token` is the blind token of the
matricule that was verified: another one was not. `sealed_reply` is the reply as it came, when it named a person."""
