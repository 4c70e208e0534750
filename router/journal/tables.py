"""The tables of the journal.

Small rows that change (`message`, `delivery`) are apart from the large ones that never do (`message_content`,
`delivery_content`): an update then rewrites a hundred bytes, not a payload. Times are microseconds since the epoch.
Columns of bytes named `sealed_*` are encrypted (`router.journal.sealing`); `token` columns are keyed blind indexes.

Identifiers are integers given by the one router that holds the journal, in the order of commits: they only ever grow,
so every table is appended at its end and a page of the dashboard is a walk along the primary key.
"""

from __future__ import annotations

from enum import StrEnum

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

from router.journal.tables_base import Id, metadata as metadata
from router.journal.tables_bulk import bulk_job as bulk_job, bulk_row as bulk_row, saved_search as saved_search
from router.journal.tables_cluster import (
    lane_fence as lane_fence,
    stored_blob as stored_blob,
    stored_chunk as stored_chunk,
)
from router.journal.tables_dossier import (
    alert as alert,
    alert_notice as alert_notice,
    dossier as dossier,
    dossier_access as dossier_access,
    dossier_consent as dossier_consent,
    dossier_emergency as dossier_emergency,
    dossier_entry as dossier_entry,
    dossier_history as dossier_history,
    dossier_member as dossier_member,
    dossier_member_token as dossier_member_token,
    dossier_reading as dossier_reading,
    dossier_restriction as dossier_restriction,
    habilitation as habilitation,
    habilitation_matrix as habilitation_matrix,
)
from router.journal.tables_flows import (
    configuration_version as configuration_version,
    flow_pause as flow_pause,
    mapping_version as mapping_version,
)
from router.journal.tables_holds import legal_hold as legal_hold
from router.journal.tables_identity import (
    identity_decision as identity_decision,
    identity_task as identity_task,
    insi_call as insi_call,
    insi_verification as insi_verification,
    patient_ins as patient_ins,
    patient_link as patient_link,
    patient_merge as patient_merge,
)
from router.journal.tables_keys import data_key as data_key, key_rotation as key_rotation
from router.journal.tables_people import (
    account as account,
    api_key as api_key,
    recovery_code as recovery_code,
    session as session,
    sign_in_step as sign_in_step,
)
from router.journal.tables_resources import (
    resource as resource,
    resource_body as resource_body,
    resource_date as resource_date,
    resource_following as resource_following,
    resource_item as resource_item,
    resource_pending as resource_pending,
    resource_token as resource_token,
)
from router.journal.tables_sending import (
    connector_memory as connector_memory,
    delivery_naming as delivery_naming,
    delivery_receipt as delivery_receipt,
    delivery_reference as delivery_reference,
    mail as mail,
)
from router.journal.tables_tools import (
    subscription as subscription,
    subscription_event as subscription_event,
    tool as tool,
    tool_assertion as tool_assertion,
    tool_token as tool_token,
)
from router.journal.tables_watch import (
    alarm as alarm,
    flow_hour as flow_hour,
    flow_hour_counted as flow_hour_counted,
    storage_hour as storage_hour,
    what_if as what_if,
)
from schemas.finding import Severity


class MessageState(StrEnum):
    """Life of a Message."""

    RECEIVED = "received"
    PROCESSED = "processed"
    HELD = "held"
    REJECTED = "rejected"


class ItemState(StrEnum):
    """End of an Item's routing: `unrouted` is «no route matched»; `held` waits for a person or for a patient.

    `refused`: a person decided that it goes nowhere.
    """

    ROUTED = "routed"
    UNROUTED = "unrouted"
    HELD = "held"
    REFUSED = "refused"
    REPLACED = "replaced"


class DeliveryState(StrEnum):
    """Life of a Delivery."""

    PENDING = "pending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    HELD = "held"
    DEAD = "dead"
    CANCELLED = "cancelled"


WORST = {Severity.INFO: 1, Severity.WARNING: 2, Severity.ERROR: 3}
"""What the columns `worst` say of the gravest Finding; 0 is none."""

OPEN_DELIVERIES = (DeliveryState.PENDING, DeliveryState.RETRYING)
"""States of a Delivery that the engine still has to send."""

message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("received_at", BigInteger, nullable=False),
    Column("source", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("control_id", String(256), nullable=False),
    Column("message_type", String(32), nullable=False),
    Column("format", String(32)),
    Column("peer", String(128), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("identity", LargeBinary(16), nullable=False),
    Column("blob", String(64)),
    Column("processed_at", BigInteger),
    Column("worst", SmallInteger, nullable=False, server_default="0"),
    Column("unread", Integer, nullable=False, server_default="0"),
    Column("duplicates", Integer, nullable=False, server_default="0"),
    Column("replays", Integer, nullable=False, server_default="0"),
    Column("mappings", Integer),
    Index("ux_message_control_id", "control_id", "identity", unique=True),
    Index("ix_message_received", "received_at", "source"),
    Index(
        "ix_message_open",
        "state",
        "id",
        sqlite_where=text("state <> 'processed'"),
        postgresql_where=text("state <> 'processed'"),
    ),
)
"""`identity` recognises a resend: a keyed digest of source, control id and content. Its index begins with the control
id: those come in sequence, digests fall anywhere, and each would cost a page of its own to write. `worst` is 0 none,
1 info, 2 warning, 3 error: the gravest Finding. `blob` names the content in the blob store when it is not in
`message_content`. `duplicates` counts how often the same message came again, `replays` how
often it was processed anew on demand. `mappings` is the `mapping_version` that it was read with; while it waits to be
read, the one that it is to be read with, none for those in force."""

message_content = Table(
    "message_content",
    metadata,
    Column("message_id", Id, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("sealed_content", LargeBinary),
    Column("sealed_detail", LargeBinary),
)
"""`sealed_detail`: JSON of what the protocol knew beside the bytes (file name, siblings as base64)."""

reading = Table(
    "reading",
    metadata,
    Column("message_id", Id, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("sealed_report", LargeBinary, nullable=False),
)
"""What the reader said: JSON `{"findings": […], "unread": […], "charset": …}`; only for messages that have some."""

patient = Table(
    "patient",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("in_coordination", Boolean, nullable=False),
    Column("sealed_identity", LargeBinary, nullable=False),
    Column("merged_into", Id),
    Index("ix_patient_updated", "updated_at"),
    Index(
        "ix_patient_merged",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
)
"""A person known to the coordination dossier; `sealed_identity` is a `schemas.identity.PatientIdentity` as JSON.

`updated_at` only ever grows for one row: it says whether what was prepared from the row is still right. A patient that
was merged is inactive: `merged_into` is the last survivor, however many merges lie between."""

patient_token = Table(
    "patient_token",
    metadata,
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("patient_id", Id, ForeignKey("patient.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("kind", String(12), nullable=False),
    Index("ix_patient_token_patient", "patient_id"),
    Index(
        "ix_patient_token_ins",
        "patient_id",
        "token",
        sqlite_where=text("kind = 'ins'"),
        postgresql_where=text("kind = 'ins'"),
    ),
)
"""Blind index of patients.

Kinds: `identifier` (authority and value), `ins` (the matricule in use), `former` (one that was in use), `traits` (a
family name, birth date and sex), `near` (what is left of the traits when one of them is mistyped), `name` and `value`
(what a person may type to search)."""

item = Table(
    "item",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("message_id", Id, ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("item_key", String(40), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64)),
    Column("patient_id", Id),
    Column("lane", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("routes", Text),
    Column("blobs", Text),
    Column("sealed_summary", LargeBinary, nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Column("decision", String(8)),
    Column("candidates", Text),
    Index("ix_item_message", "message_id"),
    Index(
        "ix_item_patient",
        "patient_id",
        "id",
        sqlite_where=text("patient_id IS NOT NULL"),
        postgresql_where=text("patient_id IS NOT NULL"),
    ),
    Index(
        "ix_item_held",
        "state",
        "id",
        "reason",
        "lane",
        "created_at",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
)
"""`sealed_summary`: JSON of one line for lists. `sealed_body`: the canonical JSON of the Item. `routes`: JSON of each
route's name with true, false or an error, so that «why did it go there» has an answer.
`blobs`: names, separated by blanks, of the attachments that are in the blob store. `decision`: the row of the identity
decision table that attached or held it; `candidates`: the patients that it may be about, numbers separated by blanks,
as they were known when it was held. The index of held Items has all that counting them by reason, and
finding those of one patient, needs."""

routing = Table(
    "routing",
    metadata,
    Column("digest", String(16), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("conditions", Text, nullable=False),
)
"""The routes as they were: JSON of each one's name, condition and destinations. `item.routes` names the row by its
digest under an empty name, with what the conditions knew beside the Item (`router.journal.routing`)."""

item_token = Table(
    "item_token",
    metadata,
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Index("ix_item_token_item", "item_id"),
    sqlite_with_rowid=False,
)
"""Blind index of Items: the report's or visit's number, and the identifiers of a patient who is not registered."""

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), nullable=False),
    Column("message_id", Id, nullable=False),
    Column("destination", String(64), nullable=False),
    Column("route", String(120), nullable=False),
    Column("lane", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("identity", String(40), nullable=False),
    Column("format", String(32), nullable=False),
    Column("media_type", String(80), nullable=False),
    Column("filename", String(160), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("blob", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("next_attempt_at", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("attempts_before", Integer, nullable=False, server_default="0"),
    Column("detail", String(400)),
    Column("worst", SmallInteger, nullable=False, server_default="0"),
    Column("replay_of", Id),
    Column("ins_token", BigInteger),
    Index("ix_delivery_item", "item_id"),
    Index("ix_delivery_message", "message_id"),
    Index(
        "ix_delivery_open",
        "destination",
        "id",
        sqlite_where=text("state IN ('pending', 'retrying')"),
        postgresql_where=text("state IN ('pending', 'retrying')"),
    ),
    Index(
        "ix_delivery_lane",
        "destination",
        "lane",
        "id",
        sqlite_where=text("state IN ('pending', 'retrying')"),
        postgresql_where=text("state IN ('pending', 'retrying')"),
    ),
    Index(
        "ix_delivery_failed",
        "state",
        "id",
        "destination",
        "detail",
        "message_id",
        "created_at",
        "ended_at",
        sqlite_where=text("state IN ('retrying', 'held', 'dead', 'cancelled')"),
        postgresql_where=text("state IN ('retrying', 'held', 'dead', 'cancelled')"),
    ),
    Index("ix_delivery_ended", "ended_at", "destination"),
    Index(
        "ix_delivery_submission",
        "format",
        "id",
        sqlite_where=text("format IN ('xds', 'pdsm')"),
        postgresql_where=text("format IN ('xds', 'pdsm')"),
    ),
)
"""`lane` is the patient's: one destination sends one lane in order of `id`. `identity` is repeated by every retry.
`attempts_before` is how many attempts were spent when it was last reopened by a person: the limit counts from there.
The index of what failed holds all that grouping failures by cause needs: they lie far apart in the table.
`ins_token` is the blind token of the INS under which it was prepared, None when without: an INS that is withdrawn
finds there what was published under it."""

delivery_content = Table(
    "delivery_content",
    metadata,
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("sealed_content", LargeBinary),
    Column("sealed_detail", LargeBinary),
)
"""The exact bytes (None when `delivery.blob` names them in the blob store). `sealed_detail`: JSON of the writer's
findings and of the files that travel beside (base64)."""

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", Id, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("detail", String(400), nullable=False),
    Column("sealed_answer", LargeBinary),
)
"""One sending: `outcome` is delivered, acknowledged, retry, unreachable, refused, or held (checked and not sent)."""

notice = Table(
    "notice",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("component", String(80), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("code", String(80), nullable=False),
    Column("where_", String(160), nullable=False),
    Column("message", String(400), nullable=False),
    Index("ix_notice_at", "at"),
)
"""Findings that belong to no message: a truncated frame, a folder that cannot be read, a restart."""

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(60), nullable=False),
    Column("target", String(120), nullable=False),
    Column("detail", String(400), nullable=False, server_default=""),
    Column("chain", LargeBinary(16)),
    Index("ix_audit_at", "at"),
    Index("ix_audit_target", "target", "id"),
    Index("ix_audit_actor", "actor", "id"),
)
"""Who did what through the dashboard, the API or the command line: reads of health data and every action. `chain` ties
a row to the one before it (`router.journal.auditing`); None for rows older than the chain."""

setting = Table(
    "setting",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts about this journal: the check value of its key, when it was made."""

concept_map = Table(
    "concept_map",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("sender", String(120), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("system", String(120), nullable=False),
    Column("code", String(120), nullable=False),
    Column("target_system", String(120), nullable=False),
    Column("target", String(120), nullable=False),
    Column("display", String(240)),
    Column("author", String(120), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ux_concept_map_term", "sender", "kind", "system", "code", unique=True),
)
"""What persons decided that a sender's codes and units mean (`mappings.concept_map`); `setting` counts the changes."""

unmapped_code = Table(
    "unmapped_code",
    metadata,
    Column("sender", String(120), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("system", String(120), primary_key=True),
    Column("code", String(120), primary_key=True),
    Column("label", String(160), nullable=False),
    Column("unit", String(120), nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("last_message_id", Id, nullable=False),
    sqlite_with_rowid=False,
)
"""Codes and units that were read without a standard code: how often since `first_at`, what stood beside the last one,
and its message. A row stays when its code is mapped: the worklist is what no map answers. No value is kept here."""
