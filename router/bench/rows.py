"""A journal of very many messages on PostgreSQL, made by the database itself: what plans are looked at on.

Rows are narrow: what nothing but a message's own page reads (contents, bodies, what was sent) is one small sealed value
for all, but for the messages that are looked at. Numbers, states, times, tokens and indexes are as in real journals:
what a list, a search or a count reads has its true width and place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, text

from mappings.contracts import Correspondence
from router.bench.million import DAYS, PEOPLE, Mold, molds
from router.bench.patients import fill as fill_register
from router.engine.searchable import sender_token
from router.journal.correspondence import prepared_mail
from router.journal.operations import (
    BODY_PLACE,
    CONTENT_PLACE,
    IDENTITY_PLACE,
    PARCEL_PLACE,
    REPORT_PLACE,
    SUMMARY_PLACE,
)
from router.journal.sealing import loose
from router.journal.store import Store

CHUNK = 500_000
"""Messages in one statement."""

REAL_PEOPLE = 20_000
"""Of the register's people, those that can be found by their names."""

TABLES = ("message", "message_content", "reading", "item", "item_token", "delivery", "delivery_content", "attempt",
          "mail", "notice", "audit", "patient", "patient_token")  # fmt: skip
"""Those that grow with the traffic."""

_DRAW = "(n * 2654435761 + :turn * 40503) % 1000003"
_REJECTED = "n % 1009 = 7"
_HELD = "n % 1013 = 11"
_ADT = "n % 10 IN (3, 6, 9)"
_AT = ":begin + n * :step"
_SENT = f"NOT ({_REJECTED}) AND NOT ({_HELD}) AND n % 33 <> 5"
_NUMBERS = "FROM generate_series(CAST(:low AS bigint), CAST(:high AS bigint)) AS n"
_STATE = """CASE WHEN n > :messages - :messages / 500 THEN 'pending' WHEN n % 251 = 1 THEN 'dead'
 WHEN n % 2003 = 2 THEN 'held' WHEN n % 701 = 3 THEN 'cancelled' WHEN n % 19 = 4 THEN 'delivered'
 ELSE 'acknowledged' END"""

_CHUNKS = (
    f"""INSERT INTO message (id, received_at, source, state, control_id, message_type, format, peer, size, identity,
 processed_at, worst, duplicates)
SELECT n, {_AT}, CASE WHEN {_ADT} THEN 'hopital' ELSE 'labo-sud' END,
 CASE WHEN {_REJECTED} THEN 'rejected' WHEN {_HELD} THEN 'held' ELSE 'processed' END,
 'CTRL' || lpad(n::text, 9, '0'), CASE WHEN n % 10 IN (3, 6) THEN 'ADT^A01' WHEN n % 10 = 9 THEN 'ADT^A03'
 ELSE 'ORU^R01' END, 'hl7v2', '10.2.0.14:51234', 1300, decode(md5(n::text), 'hex'), {_AT} + 40000,
 CASE WHEN {_REJECTED} THEN 3 WHEN n % 20 = 7 THEN 2 ELSE 0 END, CASE WHEN n % 499 = 0 THEN 1 ELSE 0 END {_NUMBERS}""",
    f"""INSERT INTO message_content (message_id, sealed_content)
SELECT n, CASE WHEN n = :shown THEN CAST(:content AS bytea) ELSE CAST(:small_content AS bytea) END {_NUMBERS}""",
    f"""INSERT INTO reading (message_id, sealed_report) SELECT n, CAST(:report AS bytea) {_NUMBERS}
 WHERE {_REJECTED} OR n % 20 = 7""",
    f"""INSERT INTO item (id, message_id, ordinal, item_key, kind, state, reason, patient_id, lane, created_at, routes,
 sealed_summary, sealed_body)
SELECT n, n, 0, lpad(to_hex(n), 32, '0'), CASE WHEN {_ADT} THEN 'stay' ELSE 'lab_report' END,
 CASE WHEN {_HELD} THEN 'held' WHEN n % 33 = 5 THEN 'unrouted' ELSE 'routed' END,
 CASE WHEN {_HELD} THEN 'traits_differ' END, CASE WHEN NOT ({_HELD}) THEN {_DRAW} % :people + 1 END,
 ({_DRAW} % :people + 1) * 7919, {_AT} + 40000, '{{"everything": true}}',
 CASE WHEN {_ADT} THEN CAST(:stay_summary AS bytea) ELSE CAST(:lab_summary AS bytea) END,
 CASE WHEN NOT ({_HELD} OR n = :shown) THEN CAST(:small_body AS bytea)
 WHEN {_ADT} THEN CAST(:stay_body AS bytea) ELSE CAST(:lab_body AS bytea) END {_NUMBERS} WHERE NOT ({_REJECTED})""",
    f"INSERT INTO item_token (token, item_id) SELECT hashint8extended(n, 1), n {_NUMBERS} WHERE NOT ({_REJECTED})",
    f"INSERT INTO item_token (token, item_id) SELECT CAST(:sender AS bigint), n {_NUMBERS} WHERE NOT ({_REJECTED})",
    f"""INSERT INTO delivery (id, item_id, message_id, destination, route, lane, state, identity, format, media_type,
 filename, size, created_at, ended_at, attempts, detail)
SELECT n * 2 + second, n, n, CASE WHEN second = 1 THEN 'medecin' ELSE 'spico' END, 'everything',
 ({_DRAW} % :people + 1) * 7919, {_STATE}, md5('d' || n || second), 'fhir', 'application/fhir+json', 'bundle.json',
 20000, {_AT} + 40000, CASE WHEN {_STATE} NOT IN ('pending', 'held') THEN {_AT} + 120000 END,
 CASE WHEN n > :messages - :messages / 500 THEN 0 ELSE 1 END,
 CASE WHEN {_STATE} IN ('dead', 'held') THEN 'HTTP 422: patient ' || n % 5 || ' unknown' END
{_NUMBERS}, generate_series(0, 1) AS second WHERE {_SENT} AND (second = 0 OR n % 4 = 1)""",
    """INSERT INTO delivery_content (delivery_id, sealed_content) SELECT id, CAST(:parcel AS bytea) FROM delivery
 WHERE id BETWEEN :low * 2 AND :high * 2 + 1""",
    """INSERT INTO attempt (delivery_id, number, started_at, ended_at, outcome, detail) SELECT id, 1, created_at,
 created_at + 80000, CASE WHEN state = 'dead' THEN 'refused' ELSE state END, coalesce(detail, 'HTTP 200')
 FROM delivery WHERE id BETWEEN :low * 2 AND :high * 2 + 1 AND state <> 'pending'""",
    f"""INSERT INTO mail (message_id, flow, at, token, thread, sealed_head) SELECT n, 'boite', {_AT},
 hashint8extended(n, 2), hashint8extended(n / 75, 3), CAST(:head AS bytea) {_NUMBERS} WHERE n % 25 = 6""",
    f"""INSERT INTO notice (at, component, severity, code, where_, message) SELECT {_AT},
 'source ' || CASE WHEN n % 100 = 0 THEN 'labo-sud' ELSE 'hopital' END, CASE WHEN n % 150 = 0 THEN 'error'
 WHEN n % 100 = 0 THEN 'warning' ELSE 'info' END, 'mllp.frame', '', 'a frame of 12 bytes was cut short'
 {_NUMBERS} WHERE n % 50 = 0""",
    f"""INSERT INTO audit (at, actor, action, target, detail) SELECT {_AT},
 CASE WHEN n % 15 = 0 THEN 'admin' WHEN n % 15 = 5 THEN 'officier' ELSE 'outil' END,
 CASE WHEN n % 20 = 0 THEN 'read message' WHEN n % 20 = 5 THEN 'search' WHEN n % 20 = 10 THEN 'download'
 ELSE 'reveal patient' END, 'message ' || n, '' {_NUMBERS} WHERE n % 5 = 0""",
)

_PATIENTS = (
    """INSERT INTO patient (id, created_at, updated_at, in_coordination, sealed_identity)
SELECT n, n, n, true, CAST(:identity AS bytea) FROM generate_series(:real + 1, CAST(:people AS bigint)) AS n""",
    """INSERT INTO patient_token (token, patient_id, kind) SELECT hashint8extended(n * 8 + k, 5), n,
 (ARRAY['identifier', 'ins', 'traits', 'near', 'near', 'name', 'value', 'value'])[k + 1]
 FROM generate_series(:real + 1, CAST(:people AS bigint)) AS n, generate_series(0, 7) AS k""",
)

_HOURS = (
    """INSERT INTO flow_hour (series, hour, name, counted) SELECT 'received', received_at / 3600000000, source, count(*)
 FROM message GROUP BY 2, 3""",
    """INSERT INTO flow_hour (series, hour, name, counted) SELECT 'ended', ended_at / 3600000000, destination, count(*)
 FROM delivery WHERE ended_at IS NOT NULL GROUP BY 2, 3""",
    """INSERT INTO flow_hour (series, hour, name, counted) SELECT state, ended_at / 3600000000, destination, count(*)
 FROM delivery WHERE state IN ('dead', 'cancelled') GROUP BY 1, 2, 3""",
    """INSERT INTO flow_hour_counted (hour, at) SELECT DISTINCT hour, CAST(:now AS bigint) FROM flow_hour
 WHERE hour < :now / 3600000000""",
)


def fill_rows(store: Store, messages: int, now: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Fill an empty journal on PostgreSQL; the last message came just before `now` (microseconds)."""
    people = max(50, messages // PEOPLE)
    real = min(people, REAL_PEOPLE)
    fill_register(store, real, say)
    values = _values(store, messages, now, people, real)
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Rows that are right by their making are not checked one by one, nor followed by the dossiers' triggers.
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text("SET synchronous_commit = off"))
        connection.execute(text("SET maintenance_work_mem = '512MB'"))
        indexes = _indexes(connection)
        for name in indexes:
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
        connection.execute(text("ALTER TABLE item_token DROP CONSTRAINT pk_item_token"))
        for low in range(1, messages + 1, CHUNK):
            say(f"filling: {low - 1:,} of {messages:,} messages")
            chunk = {**values, "low": low, "high": min(low + CHUNK - 1, messages)}
            for statement in _CHUNKS:
                _run(connection, statement, chunk)
        for statement in (*_PATIENTS, *_HOURS):
            _run(connection, statement, values)
        number = store.sealer.token("value", loose(f"NUM{messages // 4:09d}"))
        _run(connection, "INSERT INTO item_token VALUES (:number, :item)", {"number": number, "item": messages // 4})
        for name, statement in indexes.items():
            say(f"filling: the index {name}")
            connection.exec_driver_sql(statement)
        say("filling: the index of tokens")
        connection.execute(text("ALTER TABLE item_token ADD CONSTRAINT pk_item_token PRIMARY KEY (token, item_id)"))
        for table in ("patient", "mail", "notice", "audit"):
            last = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608
            connection.execute(text(last))
        say("filling: statistics")
        connection.execute(text("VACUUM ANALYZE"))


def imagine(store: Store, times: float) -> None:
    """Have the planner believe that each table of `TABLES`, and each of their indexes, has so many times its rows."""
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        known = text("SELECT oid FROM pg_class WHERE relname = ANY(:tables) AND relkind = 'r'")
        growing = list(connection.execute(known, {"tables": list(TABLES)}).scalars())
        connection.execute(
            text(
                "UPDATE pg_class SET reltuples = reltuples * :times WHERE reltuples > 0 AND (oid = ANY(:growing)"
                " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY(:growing)))"
            ),
            {"times": times, "growing": growing},
        )


def _run(connection: Connection, statement: str, values: Mapping[str, Any]) -> None:
    wanted = text(statement)
    connection.execute(wanted, {name: values[name] for name in wanted.compile().params})


def _indexes(connection: Connection) -> dict[str, str]:
    """Give the indexes that are made anew after the filling, each with the statement that makes it."""
    found = connection.execute(
        text(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
            " AND tablename = ANY(:tables) AND indexname NOT LIKE 'pk_%'"
        ),
        {"tables": list(TABLES)},
    )
    return {row.indexname: row.indexdef for row in found}


def _values(store: Store, messages: int, now: int, people: int, real: int) -> dict[str, Any]:
    seal = store.sealer.seal
    kinds: dict[str, Mold] = {mold.kind: mold for mold in molds()}
    lab, stay = kinds["lab_report"], kinds["stay"]
    somebody = {"family": "TESTGABARIT", "given": "GABARITE", "birth_date": "1900-01-02", "sex": "F"}
    step = DAYS * 24 * 3_600_000_000 // messages
    finding = {"severity": "warning", "code": "hl7v2.charset", "where": "MSH-18", "message": "was guessed"}
    said = Correspondence(
        message_id="<banc@hopital.test>",
        thread="<banc@hopital.test>",
        sender="service@hopital.mssante.test",
        recipients=("medecin@cabinet.mssante.test",),
        subject="Sortie du patient",
    )
    return {
        "messages": messages,
        "people": people,
        "real": real,
        "turn": 1,
        "now": now,
        "step": step,
        "begin": now - step * messages,
        "shown": messages // 2,
        "content": seal(lab.content, CONTENT_PLACE),
        "small_content": seal(b"MSH|^~\\&|", CONTENT_PLACE),
        "report": seal(orjson.dumps({"findings": [finding]}), REPORT_PLACE),
        "lab_summary": seal(orjson.dumps({"patient": somebody, **lab.line}), SUMMARY_PLACE),
        "stay_summary": seal(orjson.dumps({"patient": somebody, **stay.line}), SUMMARY_PLACE),
        "lab_body": seal(lab.body, BODY_PLACE),
        "stay_body": seal(stay.body, BODY_PLACE),
        "small_body": seal(b"{}", BODY_PLACE),
        "parcel": seal(b"{}", PARCEL_PLACE),
        "head": prepared_mail(store.sealer, said, "boite", "message/1").sealed_head,
        "identity": seal(b"{}", IDENTITY_PLACE),
        "sender": sender_token(store.sealer, "LABORATOIRE FICTIF DES ESSAIS"),
    }
