"""A journal of the first release, and of two between, opens in this one: nothing is lost, all is found and goes on."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, func, select, text
from upgrade.conftest import Old, journals
from upgrade.make_journals import PASSWORD, SENT, UNREADABLE
from web_client import Browser
from web_journal import Journal, hasten, open_journal

from router.cli.base import run
from router.identity.reindexing import index_more
from router.journal import migrate, tables
from router.journal.auditing import verify_audit
from router.journal.queries_message import attempt_answer, delivery_content, item_body, message_content
from router.journal.queries_overview import counts
from router.journal.store import JournalFault, JournalPlace, Store, connect, open_store
from router.journal.view import View
from router.trial.process import RouterProcess
from router.trial.sink import port_of, serve_sink, transaction_response
from router.web.app import create_app
from router.web.context import FlowStatus, RouteStatus, WebContext
from schemas.item import ITEM

Unpack = Callable[[str], Old]

ALL = journals("first.sqlite", "first.postgres", "receipts.sqlite", "notices.sqlite", "notices.postgres")
FIRST = journals("first.sqlite", "first.postgres")

FIGURES = tuple(
    f"SELECT '{table}', {', '.join(columns)}, count(*) FROM {table} GROUP BY {', '.join(columns)} ORDER BY 1, 2"  # noqa: S608 - names of our own
    for table, columns in (
        ("message", ("state", "source", "duplicates", "replays")),
        ("item", ("state", "kind", "reason", "patient_id")),
        ("delivery", ("state", "destination", "attempts", "lane", "identity")),
        ("attempt", ("outcome", "number")),
        ("patient", ("in_coordination",)),
        ("account", ("name", "role", "password_hash")),
        ("notice", ("severity", "code")),
    )
)
"""What must be the same before and after."""

FLOWS = [
    *(FlowStatus(name, "source", "mllp", "listening") for name in ("labo", "boite")),
    *(FlowStatus(name, "destination", "fhir", "ready") for name in ("spico", "cabinet", "panne")),
]

_NO_PAGE = re.compile(
    r"^/(download|view|events|static|logout|metrics|health|api/v1|fhir)|[.](ics|csv|pdf|json|xml|zip)$|/export"
)

COMMANDS = (
    ("messages",),
    ("messages", "--counts"),
    ("deliveries",),
    ("deliveries", "--counts"),
    ("dead-letters",),
    ("patients", "count"),
    ("users", "list"),
    ("key", "list"),
    ("tools", "list"),
    ("codes", "list"),
    ("alarms",),
    ("bulk", "list"),
    ("merges", "list"),
    ("dossier", "list"),
    ("audit",),
    ("audit", "verify"),
    ("check",),
)


def figures(old: Old) -> list[list[Any]]:
    return [sorted(old.asked(statement), key=repr) for statement in FIGURES]


def schema(place: JournalPlace) -> list[tuple[str, str]]:
    """Everything that the database knows of its tables, indexes and triggers."""
    if place.is_sqlite:
        asked = ["SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"]
    else:
        asked = [
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            (
                "SELECT table_name || '.' || column_name, concat(data_type, character_maximum_length, is_nullable,"
                " column_default) FROM information_schema.columns WHERE table_schema = 'public'"
            ),
            "SELECT tgname::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
            (
                "SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace"
            ),
        ]
    engine = connect(place)
    with engine.connect() as connection:
        found = [tuple(row) for statement in asked for row in connection.execute(text(statement))]
    engine.dispose()
    # What is restored from a dump has its casts elsewhere.
    plain = [(name, re.sub(r"::[a-z]+( varying)?|[()\[\]]", "", said)) for name, said in found]
    return sorted((name, re.sub(r"\s+", " ", said).strip()) for name, said in plain)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_lost_and_all_is_readable(name: str, unpacked: Unpack) -> None:
    old = unpacked(name)
    before = figures(old)
    assert {row[1] for row in before[0]} == {"processed", "held", "rejected"}
    assert {row[1] for row in before[2]} == {"acknowledged", "delivered", "dead", "retrying", "pending"}
    store = open_store(old.place)
    try:
        assert figures(old) == before
        shown = counts(store)
        told = {(state, number) for state, number in shown["messages"].items() if number}
        assert told == {(state, many) for state, many in _by_state(before[0]).items()}
        _all_is_readable(store)
        with store.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
            chain = verify_audit(connection, store.sealer.clone())
            kept = connection.execute(select(func.count()).select_from(tables.audit)).scalar_one()
            assert chain.whole
            assert chain.rows + chain.before == kept > 2
    finally:
        store.close()


def _by_state(rows: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row[1]] = found.get(row[1], 0) + row[-1]
    return found


def _all_is_readable(store: Store) -> None:
    with store.reading() as connection:
        view = View(connection, store.sealer.clone(), store.blobs)
        contents = []
        for number in connection.execute(select(tables.message.c.id).order_by(tables.message.c.id)).scalars():
            content = message_content(view, number)
            assert content is not None
            contents.append(content.content)
        assert contents == [*SENT, UNREADABLE]
        items = list(connection.execute(select(tables.item.c.id, tables.item.c.kind)))
        assert len(items) == len(SENT) + 1, "one was read again"
        for number, kind in items:
            body = item_body(view, number)
            assert body is not None
            assert ITEM.validate_json(body).kind == kind
        for delivery in connection.execute(select(tables.delivery.c.id)).scalars():
            parcel = delivery_content(view, delivery)
            assert parcel is not None
            assert parcel.content
        for delivery, number in connection.execute(select(tables.attempt.c.delivery_id, tables.attempt.c.number)).all():
            attempt_answer(view, delivery, number)


@pytest.mark.parametrize("name", journals("first.sqlite", "notices.postgres"))
def test_its_tables_are_those_of_a_new_journal(
    name: str, unpacked: Unpack, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    old = unpacked(name)
    open_store(old.place).close()
    url = "" if old.place.is_sqlite else request.getfixturevalue("postgres").database()
    new = open_journal(tmp_path / "new", url).store
    new.close()
    assert schema(old.place) == schema(new.place)


@pytest.mark.parametrize("name", journals("first.sqlite", "notices.postgres"))
async def test_every_page_shows_it_and_people_and_programs_get_in(name: str, unpacked: Unpack) -> None:
    old = unpacked(name)
    store = hasten(open_store(old.place))
    journal = Journal(store)
    while journal.apply(index_more()):
        pass
    now = datetime.now(UTC)
    context = WebContext(
        store=store,
        submit=journal.submit,
        flows=lambda: FLOWS,
        routes=lambda: (RouteStatus("resultats suivis", "true", ("spico",)),),
        now=lambda: now,
        version="1.2.3",
    )
    app = create_app(context)
    try:
        browser = Browser(app)
        assert (await browser.sign_in("claire", PASSWORD)).status == 303, "the accounts of then still open"
        reached = await _walk(browser)
        assert {"/messages/#/original", "/messages/#/understood", "/identities", "/audit", "/people"} <= reached
        by_hand = await browser.get("/messages/5/understood")
        assert "TESTROSE" in by_hand.text, "held: its patient's traits differ"
        for asked, number in (("TESTROSE", 1), ("PATTROIS 12/07/1954", 2), ("IPP100003", 3), ("RC0003", 3)):
            led = await browser.post("/messages/search", {"text": asked})
            found = await browser.get(led.location)
            assert f'href="/messages/{number}"' in found.text, asked
            assert "/messages/11" not in found.text
        api = Browser(app, headers={"authorization": f"Bearer {old.key}"})
        assert (await api.get("/api/v1/messages/1")).json()["control_id"] == "C0001"
        assert (await api.get("/api/v1/messages/3/content")).body == SENT[2]
        with store.reading() as connection:
            chain = verify_audit(connection, store.sealer.clone())
        assert chain.whole
        assert chain.rows > 3, "what was looked at just now"
    finally:
        app.state.desk.live.close()
        app.state.desk.close()
        store.close()


async def _walk(browser: Browser) -> set[str]:
    """Follow every link from the overview, two pages of each kind."""
    waiting, seen, shown = ["/"], {"/"}, dict[str, int]()
    while waiting:
        path = waiting.pop(0)
        kind = "/".join(
            "#" if re.fullmatch(r"\d+|[\w-]{16,}", part) else part for part in urlsplit(path).path.split("/")
        )
        if shown.get(kind, 0) >= 2:
            continue
        shown[kind] = shown.get(kind, 0) + 1
        answer = await browser.get(path)
        assert answer.status == 200, f"{path}: {answer.status}"
        for link in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', answer.text):
            there = urljoin("http://router.test" + path, link.replace("&amp;", "&"))
            found = there.removeprefix("http://router.test").split("#")[0]
            if found.startswith("/") and found not in seen and not _NO_PAGE.search(urlsplit(found).path):
                seen.add(found)
                waiting.append(found)
    return set(shown)


@pytest.mark.parametrize("name", journals("first.postgres"))
def test_every_command_works_on_it(name: str, unpacked: Unpack, capsys: Any) -> None:
    old = unpacked(name)
    for command in COMMANDS:
        status = run([*command, *old.config])
        said = capsys.readouterr()
        assert status == 0, f"{command}: {said.err or said.out}"
    assert run(["messages", *old.config]) == 0
    assert "C0013" in capsys.readouterr().out


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", journals("first.sqlite"))
async def test_what_was_queued_is_sent_in_its_order(name: str, unpacked: Unpack) -> None:
    old = unpacked(name)
    came: list[bytes] = []

    def taken(_head: bytes, body: bytes) -> bytes:
        came.append(body)
        return transaction_response(body)

    server = await serve_sink(taken)
    old.configure(spico=port_of(server), panne=port_of(server))
    waiting = old.asked("SELECT id FROM delivery WHERE state IN ('pending', 'retrying') ORDER BY id")
    assert len(waiting) == 3
    with RouterProcess(old.folder) as router:
        await asyncio.to_thread(router.start)
        await _until(lambda: not old.asked("SELECT 1 FROM delivery WHERE state IN ('pending', 'retrying')"))
        await _until(lambda: bool(old.asked("SELECT 1 FROM patient_token WHERE kind = 'traits'")))
        router.stop()
    server.close()
    assert len(came) == len(waiting), "each was sent once"
    ended = old.asked("SELECT lane, id, state FROM delivery WHERE destination = 'panne' ORDER BY ended_at, id")
    assert [row[1] for row in sorted(ended, key=lambda row: row[0])] == [row[1] for row in sorted(ended)]
    assert {row[2] for row in ended} == {"acknowledged"}
    assert len({row[0] for row in ended}) < len(ended), "two are about one patient: in their order"


async def _until(done: Callable[[], bool]) -> None:
    for _ in range(600):
        if await asyncio.to_thread(done):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("waited in vain")


def _die_at(place: JournalPlace, statement: int) -> None:
    """Bring the tables up in this process, and be killed before one of the statements."""
    engine = connect(place)
    left = [statement]

    @event.listens_for(engine, "before_cursor_execute")
    def _count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    migrate.upgrade(engine, place)
    engine.dispose()
    os._exit(0)


@pytest.mark.parametrize("name", FIRST)
def test_killed_in_the_middle_it_goes_on(name: str, unpacked: Unpack) -> None:
    old = unpacked(name)
    before = figures(old)
    own = multiprocessing.get_context("fork")
    reached = []
    # Each process dies a little later than the last got: within, between and at the end of migrations.
    for statement in range(9, 400, 17):
        process = own.Process(target=_die_at, args=(old.place, statement))
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        assert figures(old) == before
        reached.append(old.asked("SELECT version_num FROM alembic_version")[0][0])
    else:
        raise AssertionError("it never came to its end")
    assert len(set(reached)) > 4, "those that came to their end stay"
    store = open_store(old.place)
    try:
        assert figures(old) == before
        _all_is_readable(store)
        with store.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    finally:
        store.close()


def test_an_older_release_says_that_the_journal_is_newer(unpacked: Unpack, capsys: Any) -> None:
    old = unpacked("notices.sqlite")
    engine = connect(old.place)
    with engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.exec_driver_sql("SELECT 1")
    engine.dispose()
    with pytest.raises(JournalFault, match=r"newer release \(to 9999\)"):
        open_store(old.place)
    assert run(["messages", *old.config]) == 2
    assert capsys.readouterr().err.count("\n") == 1
