"""The journal's tables of its keys: the ring, each key under a master key, and changes of the master key."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, text

from router.journal.tables_base import Id, metadata

data_key = Table(
    "data_key",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("role", String(8), primary_key=True),
    Column("master", String(16), primary_key=True),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)
"""Keys of the journal, each encrypted under a master key (`master` names it, `router.journal.sealing.master_id`).

Empty as long as the master key was never changed: the first keys come from it. `role` is `seal` or `index`. While a
master key is being changed, each key is there twice, under the former one and under the new one."""

key_rotation = Table(
    "key_rotation",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("started_at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("former", String(16), nullable=False),
    Column("master", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("pass_number", Integer, nullable=False, server_default="1"),
    Column("pass_began_at", BigInteger, nullable=False),
    Column("pass_changed", BigInteger, nullable=False, server_default="0"),
    Column("position", Text, nullable=False, server_default=""),
    Column("looked", BigInteger, nullable=False, server_default="0"),
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Column("damaged", BigInteger, nullable=False, server_default="0"),
    Column("resealed_at", BigInteger),
    Column("retired_at", BigInteger),
    Index(
        "ix_key_rotation_open",
        "state",
        sqlite_where=text("state <> 'retired'"),
        postgresql_where=text("state <> 'retired'"),
    ),
)
"""Changes of the master key. `state`: `resealing` while what an older key sealed is sealed anew, `resealed` once
nothing is, `retired` once the former key opens nothing. `position` is JSON of how far the pass under way has come,
`looked`, `changed` and `damaged` count values of all passes; a value that no key opens is left as it is."""
