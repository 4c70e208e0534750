"""The watch over a journal: signs become one alarm each, told once, taken up, put off, closed."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message as Mail
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import insert, select, text, update
from web_journal import Journal, open_journal

from connectors.http.destination import sign
from router.cli.base import run
from router.config.model import WatchSection
from router.engine.clock import micros
from router.journal import tables
from router.journal.storage import Storage, keep_measure
from router.journal.view import viewing
from router.watch.alarms import acknowledge, open_alarms, past_alarms, snooze
from router.watch.sentences import disk_sentence
from router.watch.signs import Sign, SignKind, deviations, gather, last_received, learn
from router.watch.telling import Teller
from router.watch.watching import Watching
from router.web.context import FlowStatus
from router.web.formatting import Formats
from router.web.texts import Texts

PARIS = ZoneInfo("Europe/Paris")
TUESDAY = datetime(2026, 11, 24, 9, 40, tzinfo=PARIS)
SOUTH = FlowStatus("labo-sud", "source", "mllp", "listening")
NORTH = FlowStatus("labo-nord", "source", "mllp", "listening")

TROUBLES: list[str] = []


class Clock:
    def __init__(self) -> None:
        self.at = TUESDAY.astimezone(UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = open_journal(tmp_path)
    yield opened
    opened.store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def receive(journal: Journal, source: str, moments: list[datetime], **changes: Any) -> None:
    with journal.store.writing() as connection:
        first = (connection.execute(text("SELECT max(id) FROM message")).scalar() or 0) + 1
        rows = [
            {
                "id": first + rank,
                "received_at": micros(at),
                "source": source,
                "state": "processed",
                "control_id": f"{source}-{first + rank}",
                "message_type": "ORU^R01",
                "peer": "",
                "size": 1,
                "identity": (first + rank).to_bytes(16, "big"),
                **changes,
            }
            for rank, at in enumerate(moments)
        ]
        connection.execute(insert(tables.message), rows)


def working_hours(last: datetime, weeks: int = 4) -> list[datetime]:
    found = []
    for back in range(weeks * 7):
        day = (last - timedelta(days=back)).replace(hour=0, minute=0)
        if day.weekday() < 5:
            found += [day + timedelta(hours=8, minutes=2 * step) for step in range(300)]
    return [at for at in reversed(found) if at <= last]


def watching(journal: Journal, clock: Clock, section: WatchSection, *flows: FlowStatus, **how: Any) -> Watching:
    teller = Teller(section, zone=PARIS, **how)
    return Watching(journal.store, journal.submit, section, lambda: flows, teller, PARIS, clock, TROUBLES.append)


def going_on(journal: Journal) -> list[tuple[str, str]]:
    with journal.store.reading() as connection:
        return [(alarm.kind.value, alarm.subject) for alarm in open_alarms(connection)]


async def test_a_silent_source_is_one_alarm_until_it_speaks_again(journal: Journal, clock: Clock) -> None:
    receive(journal, "labo-sud", working_hours(TUESDAY.replace(hour=8, minute=40)))
    receive(journal, "labo-nord", working_hours(TUESDAY))
    watch = watching(journal, clock, WatchSection(), SOUTH, NORTH)
    clock.forward(-60)
    await watch.run()
    assert going_on(journal) == []
    clock.forward(60)
    await watch.run()
    assert going_on(journal) == [("silence", "labo-sud")]
    with journal.store.reading() as connection:
        (alarm,) = open_alarms(connection)
    assert alarm.facts["expected"] == 29  # this morning counts among the Tuesdays
    (line,) = Teller(WatchSection(), zone=PARIS).lines([alarm], clock())
    assert line == "labo-sud se tait depuis 08:40 ; d’habitude, 29 messages seraient arrivés."
    clock.forward(1)
    receive(journal, "labo-nord", [clock()])
    await watch.run()
    assert going_on(journal) == [("silence", "labo-sud")]
    receive(journal, "labo-sud", [clock()])
    await watch.run()
    assert going_on(journal) == []
    with journal.store.reading() as connection:
        assert [one.closed_at for one in past_alarms(connection)] == [micros(clock())]


async def test_what_could_not_be_received_is_no_silence(journal: Journal, clock: Clock) -> None:
    receive(journal, "labo-sud", working_hours(TUESDAY.replace(hour=8, minute=10)))
    restarted = watching(journal, clock, WatchSection(), SOUTH)
    await restarted.run()
    assert going_on(journal) == [], "the router has only just begun to listen"
    clock.forward(60)
    await restarted.run()
    assert going_on(journal) == [("silence", "labo-sud")]
    again = watching(journal, clock, WatchSection(), SOUTH)
    await again.run()
    assert going_on(journal) == [("silence", "labo-sud")], "a silence that goes on is not over by a restart"
    paused = FlowStatus("labo-sud", "source", "mllp", "paused", paused=True)
    again.flows = lambda: [paused]
    await again.run()
    assert going_on(journal) == []
    again.flows = lambda: [SOUTH]
    clock.forward(5)
    await again.run()
    assert going_on(journal) == [], "it is only now open again"


async def test_one_cause_is_one_alarm_however_it_shows(journal: Journal, clock: Clock) -> None:
    posts: list[httpx.Request] = []
    section = WatchSection(webhook="https://astreinte.example/alarmes", backlog_minutes=30)
    hold = {"destination": "spico", "state": "retrying", "created_at": micros(clock()) - 3_600_000_000}
    keep_delivery(journal, 1, **hold)
    flows = [FlowStatus("spico", "destination", "fhir", "ready"), FlowStatus("spico", "source", "fhir-poll", "failed")]
    transport = httpx.MockTransport(lambda request: [posts.append(request), httpx.Response(204)][1])  # type: ignore[func-returns-value]
    watch = watching(journal, clock, section, transport=transport)
    watch.flows = lambda: flows
    await watch.run()
    assert sorted(going_on(journal)) == [("backlog", "spico"), ("down", "spico")], "a source may have its name"
    flows[0] = FlowStatus("spico", "destination", "fhir", "unreachable", "refused")
    clock.forward(1)
    await watch.run()
    assert going_on(journal) == [("down", "spico"), ("down", "spico")]
    flows[0] = FlowStatus("spico", "destination", "fhir", "ready")
    clock.forward(1)
    await watch.run()
    assert len(posts) == 1, "nobody is told twice"
    assert sorted(going_on(journal)) == [("backlog", "spico"), ("down", "spico")]
    with journal.store.writing() as connection:
        connection.execute(update(tables.delivery).values(state="delivered", ended_at=micros(clock())))
    flows[1] = FlowStatus("spico", "source", "fhir-poll", "listening")
    await watch.run()
    assert going_on(journal) == []
    with journal.store.reading() as connection:
        assert len(past_alarms(connection)) == 2


def keep_delivery(journal: Journal, number: int, **values: Any) -> None:
    """Keep a Delivery of a message of its own."""
    receive(journal, "labo-nord", [datetime.fromtimestamp(values["created_at"] / 1_000_000, UTC)])
    with journal.store.writing() as connection:
        row = {"id": number, "message_id": number, "lane": 1, "identity": f"{number}", "size": 1, "filename": "f"}
        item = {"ordinal": 0, "item_key": f"{number}", "kind": "note", "state": "routed", "sealed_summary": b""}
        sealed = {"id": number, "message_id": number, "lane": 1, "sealed_body": b"", "created_at": 1}
        connection.execute(insert(tables.item).values(**item, **sealed))
        sent = {"route": "r", "format": "fhir", "media_type": "x"}
        connection.execute(insert(tables.delivery).values(item_id=number, **row, **sent, **values))


async def test_the_router_s_own_backlog_and_its_disk_are_alarms(journal: Journal, clock: Clock) -> None:
    receive(journal, "labo-sud", [clock() - timedelta(minutes=40), clock()], state="received")
    disk = shutil.disk_usage(journal.store.place.data)
    filling = Storage(0, 0, disk.free * 7 // 5, disk.total)
    journal.apply(keep_measure(filling, micros(clock()) - 24 * 3_600_000_000))
    watch = watching(journal, clock, WatchSection(disk_days=5), SOUTH)
    await watch.run()
    assert going_on(journal) == [("unread", "router"), ("disk", "router")]
    with journal.store.reading() as connection:
        alarms = open_alarms(connection)
    unread, full = Teller(WatchSection(), zone=PARIS).lines(alarms, clock())
    assert unread == "2 messages reçus attendent d’être lus, le plus ancien depuis 40 min."
    assert full.startswith("Au rythme des dernières 24 heures, le disque du journal sera plein dans 2 jours")
    assert disk_sentence(0, "1 Go", Formats(Texts.of("en"), PARIS, 0)).endswith("full within a day (1 Go free).")
    await watching(journal, clock, WatchSection(disk_days=0, backlog_minutes=0), SOUTH).run()
    assert going_on(journal) == []


def test_a_share_of_deliveries_that_fail_is_a_sign(journal: Journal, clock: Clock) -> None:
    now, spico = micros(clock()), FlowStatus("spico", "destination", "fhir", "ready")
    for number in range(1, 21):
        state = "dead" if number <= 2 else "cancelled" if number == 3 else "delivered"
        at = now - number * 60_000_000
        keep_delivery(journal, number, destination="spico", state=state, created_at=at, ended_at=at)
    assert look(journal, clock, spico, silence_chance=0, error_share=0.2) == []
    (sign,) = look(journal, clock, spico, silence_chance=0, error_share=0.1)
    assert (sign.kind, sign.side, sign.facts["rejected"], sign.facts["total"]) == (
        SignKind.ERRORS,
        "destination",
        2,
        19,
    )
    assert look(journal, clock, spico, silence_chance=0, error_share=0.1, error_least=20) == []
    clock.forward(90)
    assert look(journal, clock, spico, silence_chance=0, error_share=0.1) == []


async def test_a_paused_source_is_not_silent(journal: Journal, clock: Clock) -> None:
    receive(journal, "labo-sud", working_hours(TUESDAY - timedelta(days=3)))
    paused = FlowStatus("labo-sud", "source", "mllp", "paused", paused=True)
    await watching(journal, clock, WatchSection(), paused).run()
    assert going_on(journal) == []


def look(journal: Journal, clock: Clock, *flows: FlowStatus, **section: Any) -> list[Sign]:
    with viewing(journal.store) as view:
        profiles = learn(view, clock(), PARIS)
        return gather(view, flows, profiles, last_received(view, 0), WatchSection(**section), clock())


def test_a_share_of_unreadable_messages_is_a_sign(journal: Journal, clock: Clock) -> None:
    now = clock()
    receive(journal, "labo-sud", [now - timedelta(minutes=20)] * 30)
    receive(journal, "labo-sud", [now - timedelta(minutes=10)] * 2, state="rejected")
    receive(journal, "labo-nord", [now - timedelta(minutes=10)] * 9, state="rejected")
    assert look(journal, clock, SOUTH, NORTH) == []
    receive(journal, "labo-sud", [now - timedelta(minutes=5)] * 2, state="rejected")
    (sign,) = look(journal, clock, SOUTH, NORTH)
    assert (sign.kind, sign.subject, sign.facts) == (SignKind.ERRORS, "labo-sud", {"rejected": 4, "total": 34})
    assert look(journal, clock, SOUTH, error_share=0) == []
    clock.forward(70)
    assert look(journal, clock, SOUTH) == []


def test_a_format_that_drifts_is_a_sign(journal: Journal, clock: Clock) -> None:
    start = clock() - timedelta(days=3)
    receive(journal, "labo-sud", [start + timedelta(minutes=step) for step in range(600)])
    receive(journal, "labo-sud", [start + timedelta(minutes=600 + step) for step in range(150)], unread=2)
    (sign,) = look(journal, clock, SOUTH, silence_chance=0)
    assert (sign.kind, sign.facts["what"], sign.facts["before"]) == (SignKind.DRIFT, "unread", 0)
    assert look(journal, clock, SOUTH, silence_chance=0, drift=False) == []


def test_a_share_that_was_always_so_is_no_drift() -> None:
    assert deviations(50, 200, 500, 2000) < 1
    assert deviations(0, 200, 0, 2000) < 1
    assert deviations(20, 200, 0, 2000) > 5


def test_new_codes_and_what_does_not_work_are_signs(journal: Journal, clock: Clock) -> None:
    now = micros(clock())
    row = {"kind": "code", "system": "local", "label": "", "unit": "", "seen": 1, "last_at": now, "last_message_id": 1}
    with journal.store.writing() as connection:
        for code, at in (("HB2", now - 5), ("K9", now - 9), ("OLD", now - 30 * 86_400_000_000)):
            values = {**row, "sender": "LABO SUD", "code": code, "first_at": at}
            connection.execute(insert(tables.unmapped_code).values(values))
    down = FlowStatus("spico", "destination", "fhir", "unreachable", "the certificate expired")
    signs = {sign.kind: sign for sign in look(journal, clock, down)}
    assert signs[SignKind.CODES].facts == {"count": 2, "codes": "HB2, K9"}
    assert signs[SignKind.DOWN].facts["detail"] == "the certificate expired"


async def test_a_cause_that_flickers_is_told_once_and_one_put_off_is_told_again(journal: Journal, clock: Clock) -> None:
    posts: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        posts.append(request)
        return httpx.Response(204)

    section = WatchSection(webhook="https://astreinte.example/alarmes", webhook_secret="secret", language="en")
    flows = [FlowStatus("spico", "destination", "fhir", "unreachable", "refused")]
    watch = watching(journal, clock, section, transport=httpx.MockTransport(take))
    watch.flows = lambda: flows
    await watch.run()
    (post,) = posts
    assert json.loads(post.content)["alarms"][0]["sentence"] == "spico does not work for 1 s (refused)."
    assert post.headers["x-passerelle-signature"] == sign(post.content, "secret", int(clock().timestamp()))
    for _ in range(3):  # it comes and goes
        kept = flows.pop()
        clock.forward(2)
        await watch.run()
        assert going_on(journal) == []
        flows.append(kept)
        clock.forward(2)
        await watch.run()
    assert len(posts) == 1
    assert going_on(journal) == [("down", "spico")]
    assert journal.apply(snooze(1, micros(clock() + timedelta(hours=1)), actor="admin", now=micros(clock())))
    clock.forward(30)
    await watch.run()
    assert len(posts) == 1
    clock.forward(31)
    await watch.run()
    assert len(posts) == 2
    assert journal.apply(acknowledge(1, actor="admin", now=micros(clock())))
    clock.forward(60)
    await watch.run()
    assert len(posts) == 2
    assert not journal.apply(acknowledge(99, actor="admin", now=1))
    with journal.store.reading() as connection:
        noted = connection.execute(select(tables.audit.c.action, tables.audit.c.target)).all()
    assert [tuple(row) for row in noted] == [("snooze alarm", "alarm 1"), ("acknowledge alarm", "alarm 1")]


async def test_who_cannot_be_told_is_told_later(journal: Journal, clock: Clock) -> None:
    answers = [httpx.Response(503), httpx.Response(302, headers={"Location": "http://127.0.0.1/"}), httpx.Response(200)]
    section = WatchSection(webhook="https://astreinte.example/alarmes")
    TROUBLES.clear()
    down = FlowStatus("spico", "destination", "fhir", "unreachable")
    watch = watching(journal, clock, section, down, transport=httpx.MockTransport(lambda _: answers.pop(0)))
    for _ in range(4):
        await watch.run()
        clock.forward(1)
    assert answers == []
    assert TROUBLES == ["alarms cannot be sent by webhook (HTTPStatusError): they are tried again"] * 2


class Postman:
    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        self.mails.append(envelope)
        return "250 OK"


async def test_alarms_are_mailed_together_in_words(journal: Journal, clock: Clock) -> None:
    from email import message_from_bytes, policy

    postman = Postman()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(postman, loop=loop), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        section = WatchSection(
            mail_to=("astreinte@hopital-fictif.example",),
            mail_from="passerelle@hopital-fictif.example",
            mail_server=f"127.0.0.1:{port}",
        )
        flows = (FlowStatus("spico", "destination", "fhir", "unreachable"), FlowStatus("x", "source", "mllp", "failed"))
        await watching(journal, clock, section, *flows).run()
    (envelope,) = postman.mails
    content = envelope.content
    assert isinstance(content, bytes)
    mail: Mail = message_from_bytes(content, policy=policy.default)
    assert mail["Subject"].startswith("[Passerelle] 2 alarmes : spico ne fonctionne plus")
    assert "x ne fonctionne plus" in mail.get_content()  # type: ignore[attr-defined]


def test_the_terminal_lists_them(journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "passerelle.toml").write_text('[journal]\ndata = "."\n', encoding="utf-8")
    assert run(["alarms", "--config", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No alarm.\n"
    with journal.store.writing() as connection:
        connection.execute(
            insert(tables.alarm).values(kind="down", subject="spico", opened_at=1, seen_at=1, facts="{}")
        )
    assert run(["alarms", "--config", str(tmp_path)]) == 1
    assert "spico does not work" in capsys.readouterr().out


async def test_alarms_go_by_mssante_to_each_apart(journal: Journal, clock: Clock) -> None:
    posted: list[bytes] = []

    async def post(mail: bytes) -> str:
        posted.append(mail)
        return "" if len(posted) != 1 else "the operator cannot be reached"

    TROUBLES.clear()
    section = WatchSection(mssante="medecins", mssante_to=("a@x.mssante.fr", "b@x.mssante.fr"))
    down = FlowStatus("spico", "destination", "fhir", "unreachable")
    watch = watching(journal, clock, section, down, post=post, mssante_from="bal@ch.mssante.fr")
    await watch.run()
    assert TROUBLES == ["alarms cannot be sent by MSSanté (OSError): they are tried again"]
    clock.forward(1)
    await watch.run()
    assert [mail.partition(b"To: ")[2].partition(b"\r")[0] for mail in posted[1:]] == [
        b"a@x.mssante.fr",
        b"b@x.mssante.fr",
    ]
    assert all(mail.startswith(b"From: bal@ch.mssante.fr\r\n") for mail in posted)
    clock.forward(1)
    await watch.run()
    assert len(posted) == 3
