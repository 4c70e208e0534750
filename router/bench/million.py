"""A journal with a great many messages of every fate, made fast: what the dashboard is measured on.

Rows go to the embedded store's driver as they are, without syncs: a journal that is being filled is thrown away when
the machine stops. Each message is about one of the register's people, whose names are in its summary and its content.
"""

from __future__ import annotations

import os
import random
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Table, event

from connectors.sandbox.adt import CARDIOLOGY, Movement, Visit, adt
from connectors.sandbox.analyses import NFS
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.oru import oru
from connectors.sandbox.people import Person
from connectors.sandbox.reports import draw_report
from mappings.contracts import Correspondence, ReadContext
from mappings.registry import format_named
from router.bench.patients import fill as fill_register, person
from router.engine.summary import summarise
from router.journal import tables
from router.journal.correspondence import prepared_mail
from router.journal.operations import (
    BODY_PLACE,
    CONTENT_PLACE,
    PARCEL_PLACE,
    REPORT_PLACE,
    SUMMARY_PLACE,
)
from router.journal.sealing import loose
from router.journal.store import Store
from schemas.identity import PatientIdentity
from schemas.item import dump_item

GROUP = 20_000
"""Messages in one transaction."""

DAYS = 90
"""The span over which messages are spread, up to the moment of the filling."""

PEOPLE = 20
"""Messages for each person of the register."""

MINUTE = 60_000_000

_MOLD = Person(
    ipp="IPP00000000",
    birth_name="TESTGABARIT",
    birth_given_names=("GABARITE",),
    birth_date=date(1900, 1, 2),
    sex="F",
    birth_place="99999",
    matricule="200019999900000",
    postal_code="00000",
    city="MODELE",
    address="1 RUE DES ESSAIS",
    phone="0199000000",
)
"""Somebody whose every trait is written nowhere else: real people's take their place."""

_MOLDED_NUMBER = "MOLD0000001"
CAUSES = (
    "HTTP 422: patient {0} unknown",
    "HTTP 400: the profile of Observation is not met",
    "HTTP 401: the token is no longer valid",
    "HTTP 409: version conflict on Patient/{0}",
    "cannot be written: no recipient",
    "HTTP 503, given up after 12 attempts",
    "550 mailbox {0} does not exist",
)


@dataclass(frozen=True, slots=True)
class Mold:
    """One kind of message with a person to be replaced in it."""

    source: str
    message_type: str
    kind: str
    content: bytes
    body: bytes
    line: dict[str, Any]


def fill(store: Store, messages: int, now: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Fill an empty embedded journal; the last message came just before `now` (microseconds)."""
    store.engine.dispose()
    event.listen(store.engine, "connect", _without_syncs)
    fill_register(store, max(10, messages // PEOPLE), say)
    filler = _Filler(store, messages, now)
    for start in range(1, messages + 1, GROUP):
        say(f"filling: {start - 1:,} of {messages:,} messages")
        filler.group(range(start, min(start + GROUP, messages + 1)))
    say("filling: the index of numbers")
    filler.tokens()
    filler.around()


def _without_syncs(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("synchronous=OFF", "cache_size=-400000"):
        connection.execute(f"PRAGMA {pragma}").close()


class _Filler:
    """Makes rows. The same number always makes the same message."""

    def __init__(self, store: Store, messages: int, now: int) -> None:
        self._store = store
        self._sealer = store.sealer.clone()
        self._messages = messages
        self._people = max(10, messages // PEOPLE)
        self._step = DAYS * 24 * 60 * MINUTE // messages
        self._begin = now - self._step * messages
        self._now = now
        self.molds = list(molds())
        self._known: dict[int, PatientIdentity] = {}
        self._tokens, self._token_items = array("q"), array("q")
        self._delivery = 0
        parcel = orjson.dumps({"resourceType": "Bundle", "type": "transaction", "note": os.urandom(500).hex()})
        # One sealed parcel serves all: what is sent is looked at one at a time.
        self._parcel = self._sealer.seal(parcel, PARCEL_PLACE)
        self._size = len(parcel)

    def group(self, numbers: range) -> None:
        """Add some messages with all that hangs on them, in one transaction."""
        rows: dict[Table, list[dict[str, Any]]] = {
            table: []
            for table in (
                tables.message,
                tables.message_content,
                tables.reading,
                tables.item,
                tables.delivery,
                tables.delivery_content,
                tables.attempt,
                tables.mail,
            )
        }
        for number in numbers:
            self._message(number, rows)
        put(self._store, rows)

    def _message(self, number: int, rows: dict[Table, list[dict[str, Any]]]) -> None:
        draw = random.Random(number)
        at = self._begin + number * self._step
        which = draw.randrange(1, self._people + 1)
        mold = draw.choices(self.molds, (70, 20, 10))[0]
        rejected = draw.random() < 0.001
        held = not rejected and draw.random() < 0.001
        worst = 3 if rejected else 2 if draw.random() < 0.05 else 0
        rows[tables.message].append(
            {
                "id": number,
                "received_at": at,
                "source": mold.source,
                "state": "rejected" if rejected else "held" if held else "processed",
                "control_id": f"CTRL{number:09d}",
                "message_type": mold.message_type,
                "format": "hl7v2",
                "peer": "10.2.0.14:51234",
                "size": len(mold.content),
                "identity": draw.randbytes(16),
                "processed_at": at + 40_000,
                "worst": worst,
                "duplicates": 1 if draw.random() < 0.002 else 0,
            }
        )
        names = _Names.of(self._person(which), which, number)
        content = self._sealer.seal(names.put(mold.content), CONTENT_PLACE)
        rows[tables.message_content].append({"message_id": number, "sealed_content": content})
        if worst:
            severity = "error" if worst == 3 else "warning"
            finding = {"severity": severity, "code": "hl7v2.charset", "where": "MSH-18", "message": "was guessed"}
            report = self._sealer.seal(orjson.dumps({"findings": [finding]}), REPORT_PLACE)
            rows[tables.reading].append({"message_id": number, "sealed_report": report})
        if rejected:
            return
        lane = self._sealer.token("lane", str(which))
        rows[tables.item].append(
            {
                "id": number,
                "message_id": number,
                "ordinal": 0,
                "item_key": f"{number:032x}",
                "kind": mold.kind,
                "state": "held" if held else "unrouted" if draw.random() < 0.03 else "routed",
                "reason": "traits_differ" if held else None,
                "patient_id": None if held else which,
                "lane": lane,
                "created_at": at + 40_000,
                "routes": '{"everything": true}',
                "sealed_summary": self._sealer.seal(orjson.dumps({"patient": names.line, **mold.line}), SUMMARY_PLACE),
                "sealed_body": self._sealer.seal(names.put(mold.body), BODY_PLACE),
            }
        )
        self._note(number, names.number)
        if held:
            self._note(number, names.ipp)
        elif rows[tables.item][-1]["state"] == "routed":
            for destination in ("spico", "medecin") if draw.random() < 0.25 else ("spico",):
                self._send(number, at, destination, lane, draw, rows)
        if mold.message_type == "ADT^A01" and draw.random() < 0.2:
            self._correspond(number, at, rows)

    def _send(
        self,
        number: int,
        at: int,
        destination: str,
        lane: int,
        draw: random.Random,
        rows: dict[Table, list[dict[str, Any]]],
    ) -> None:
        self._delivery += 1
        fate = draw.random()
        if number > self._messages - self._messages // 500:
            state = "pending"
        else:
            state = (
                "dead"
                if fate < 0.004
                else "held"
                if fate < 0.0045
                else "cancelled"
                if fate < 0.006
                else "delivered"
                if fate < 0.06
                else "acknowledged"
            )
        ended = at + 120_000 if state not in {"pending", "held"} else None
        detail = draw.choice(CAUSES).format(draw.randrange(100_000, 999_999)) if state in {"dead", "held"} else None
        rows[tables.delivery].append(
            {
                "id": self._delivery,
                "item_id": number,
                "message_id": number,
                "destination": destination,
                "route": "everything",
                "lane": lane,
                "state": state,
                "identity": draw.randbytes(18).hex(),
                "format": "fhir",
                "media_type": "application/fhir+json",
                "filename": "bundle.json",
                "size": self._size,
                "created_at": at + 40_000,
                "ended_at": ended,
                "attempts": 0 if state == "pending" else 1,
                "detail": detail,
            }
        )
        rows[tables.delivery_content].append({"delivery_id": self._delivery, "sealed_content": self._parcel})
        if state != "pending":
            outcome = "refused" if state == "dead" else state
            rows[tables.attempt].append(
                {
                    "delivery_id": self._delivery,
                    "number": 1,
                    "started_at": at + 60_000,
                    "ended_at": at + 120_000,
                    "outcome": outcome,
                    "detail": detail or "HTTP 200",
                }
            )

    def _correspond(self, number: int, at: int, rows: dict[Table, list[dict[str, Any]]]) -> None:
        said = Correspondence(
            message_id=f"<{number}@hopital.test>",
            thread=f"<{number // 3}@hopital.test>",
            sender="service@hopital.mssante.test",
            recipients=("medecin@cabinet.mssante.test",),
            subject=f"Sortie du patient {number}",
        )
        mail = prepared_mail(self._sealer, said, "boite", f"message/{number}")
        rows[tables.mail].append(
            {
                "message_id": number,
                "flow": mail.flow,
                "at": at,
                "token": mail.token,
                "thread": mail.root,
                "sealed_head": mail.sealed_head,
            }
        )

    def _person(self, number: int) -> PatientIdentity:
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = person(number)
        return found

    def _note(self, item: int, value: str) -> None:
        self._tokens.append(self._sealer.token("value", loose(value)))
        self._token_items.append(item)

    def tokens(self) -> None:
        """Add the blind index, in its own order: neighbours are written together."""
        order = sorted(range(len(self._tokens)), key=self._tokens.__getitem__)
        rows = [{"token": self._tokens[rank], "item_id": self._token_items[rank]} for rank in order]
        put(self._store, {tables.item_token: rows})

    def around(self) -> None:
        """Add what the other pages show: notices, an audit, unmapped codes."""
        many = max(100, self._messages // 50)
        step = self._step * self._messages // many
        moments = [self._begin + rank * step for rank in range(1, many + 1)]
        notices = [
            {
                "at": at,
                "component": f"source {('labo-sud', 'hopital')[rank % 2]}",
                "severity": ("info", "warning", "error")[rank % 3],
                "code": "mllp.frame",
                "where_": "",
                "message": "a frame of 12 bytes was cut short",
            }
            for rank, at in enumerate(moments)
        ]
        audit = [
            {
                "at": at,
                "actor": ("admin", "officier", "outil")[rank % 3],
                "action": ("read message", "search", "download", "reveal patient")[rank % 4],
                "target": f"message {rank * 50 + 1}",
                "detail": "",
            }
            for rank, at in enumerate(moments * 10)
        ]
        codes = [
            {
                "sender": f"LABO{rank % 5}",
                "kind": "code",
                "system": "local",
                "code": f"C{rank:04d}",
                "label": f"Analyse {rank}",
                "unit": "g/L",
                "seen": 1 + rank * 7 % 900,
                "first_at": self._begin,
                "last_at": self._now,
                "last_message_id": 1 + rank,
            }
            for rank in range(500)
        ]
        for table, rows in ((tables.notice, notices), (tables.audit, audit), (tables.unmapped_code, codes)):
            put(self._store, {table: rows})


@dataclass(frozen=True, slots=True)
class _Names:
    """What takes the mold's place for one person and message."""

    swaps: tuple[tuple[bytes, bytes], ...]
    line: Mapping[str, str]
    number: str
    ipp: str

    @classmethod
    def of(cls, identity: PatientIdentity, which: int, message: int) -> _Names:
        family, given = identity.birth_name or "", identity.first_given_name or ""
        born, sex = identity.birth_date or "", identity.sex.value if identity.sex is not None else "F"
        number, ipp = f"NUM{message:09d}", f"IPP{which:08d}"
        pairs = (
            (_MOLD.birth_name, family),
            (_MOLD.given_name, given),
            ("1900-01-02", born),
            ("19000102", born.replace("-", "")),
            (_MOLD.matricule, identity.ins.matricule if identity.ins is not None else ""),
            (_MOLD.ipp, ipp),
            (_MOLDED_NUMBER, number),
        )
        line = {"family": family, "given": given, "birth_date": born, "sex": sex}
        return cls(tuple((old.encode(), new.encode()) for old, new in pairs), line, number, ipp)

    def put(self, molded: bytes) -> bytes:
        """Write the person into a mold."""
        for old, new in self.swaps:
            molded = molded.replace(old, new)
        return molded


def molds() -> Iterator[Mold]:
    """Give each kind of message, read as the router reads it."""
    moment = datetime(2026, 3, 5, 9, 30, tzinfo=PARIS)
    report = draw_report(random.Random(5), _MOLD, 1, moment, panels=(NFS,))
    number = report.report_id
    visit = Visit("SEJ0000001", "DOS0000001", moment)
    left = Visit("SEJ0000001", "DOS0000001", moment, discharged_at=moment + timedelta(days=2))
    movement = Movement("MVT0000001", moment, CARDIOLOGY)
    for source, message_type, content in (
        ("labo-sud", "ORU^R01", oru(report, control_id="CTRL").replace(number.encode(), _MOLDED_NUMBER.encode())),
        ("hopital", "ADT^A01", adt("A01", _MOLD, control_id="CTRL", at=moment, visit=visit, movement=movement)),
        ("hopital", "ADT^A03", adt("A03", _MOLD, control_id="CTRL", at=moment, visit=left, movement=movement)),
    ):
        written = content.replace(b"SEJ0000001", _MOLDED_NUMBER.encode())
        context = ReadContext(source=source, timezone=PARIS, received_at=moment)
        item = format_named("hl7v2").read(written, context).items[0]
        line = orjson.loads(summarise(item))
        line.pop("patient")
        yield Mold(source, message_type, item.kind, written, dump_item(item), line)


def put(store: Store, rows: Mapping[Table, Sequence[Mapping[str, Any]]]) -> None:
    """Insert rows in one transaction of the embedded store; those of a table all have the same columns."""
    with store.writing() as connection:
        driver: Any = connection.connection.driver_connection
        for table, those in rows.items():
            if those:
                names = list(those[0])
                marks = ", ".join(["?"] * len(names))
                statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - own names
                driver.executemany(statement, [tuple(row.values()) for row in those]).close()
