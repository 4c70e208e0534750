"""The whole way of a mail: a document leaves, the operator and the recipient answer, and the Delivery knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import func, insert, select

from connectors.mssante.heads import read_head
from connectors.sandbox.mail_authority import MailAuthority
from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR, HOSPITAL, NOBODY, NURSE, ROUTER
from router.bench.mail import samples
from router.bench.mappings import sample_document
from router.certificates import certificate_notes
from router.config.load import load
from router.engine.engine import Engine
from router.identity.patients import register
from router.journal import tables
from router.journal.queries_search import candidates
from router.journal.sealing import make_key_file
from router.journal.store import open_store
from router.journal.view import viewing
from router.web.filters import search_of
from schemas.item import ItemSet

ANSWERS = """
[sources.mailbox.answers]
address = "{submission}"
account = "{account}"
tls = {{ ca = "{ca}", cert = "{cert}" }}
login = {{ password = "bac-a-sable" }}
"""
CONFIGURATION = """
[engine]
workers = 0

[sources.mailbox]
connector = "mssante"
format = "mail"
every = 0.2
address = "{imap}"
account = "{account}"
tls = {{ ca = "{ca}", cert = "{cert}" }}
login = {{ password = "bac-a-sable" }}
allowed_domains = ["sandbox.mssante.invalid"]
{answers}
[sources.drop]
connector = "directory"
folder = "drop"
settle_seconds = 0
every = 0.05
format = "canonical"

[destinations.mail]
connector = "mssante"
format = "mail"
address = "{submission}"
account = "{account}"
tls = {{ ca = "{ca}", cert = "{cert}" }}
login = {{ password = "bac-a-sable" }}
allowed_domains = ["sandbox.mssante.invalid"]
options = {{ from = "{account}", to = "{to}", mdn = "yes" }}

[[routes]]
name = "documents by mail"
when = "item.kind == 'document'"
sources = ["drop"]
to = ["mail"]
unattached = true
"""


@asynccontextmanager
async def running(operator: MailOperator, folder: Path, to: str, more: str = "") -> AsyncIterator[Engine]:
    files = operator.files
    values = {
        "imap": f"localhost:{operator.ports.imap}",
        "submission": f"localhost:{operator.ports.submission}",
        "account": ROUTER,
        "ca": files.ca,
        "cert": files.client,
        "to": to,
    }
    (folder / "drop").mkdir()
    text = CONFIGURATION.format(**values, answers=ANSWERS.format(**values))
    (folder / "passerelle.toml").write_text(text + more, encoding="utf-8")
    loaded = load(folder / "passerelle.toml")
    loaded.place.data.mkdir()
    make_key_file(loaded.place.key_file)
    engine = Engine(loaded, open_store(loaded.place))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - the journal is looked at, which sets no Event
        await asyncio.sleep(0.02)


def states(engine: Engine, table: Any) -> dict[str, int]:
    with engine.store.reading() as connection:
        statement = select(table.c.state, func.count()).group_by(table.c.state)
        return {row[0]: row[1] for row in connection.execute(statement)}


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[MailOperator]:
    async with MailOperator(tmp_path / "operator") as operator:
        yield operator


@pytest.mark.parametrize(
    ("to", "end", "said"),
    [
        (DOCTOR, "acknowledged", "acknowledged by the recipient (read)"),
        (NURSE, "delivered", "taken by the operator"),
        (NOBODY, "dead", "refused by the recipient"),
    ],
)
async def test_what_the_recipient_answers_reaches_the_delivery(
    operator: MailOperator, tmp_path: Path, to: str, end: str, said: str
) -> None:
    content = ItemSet(items=(sample_document(),)).model_dump_json()
    async with running(operator, tmp_path, to) as engine:
        (tmp_path / "drop" / "document.json").write_text(content, encoding="utf-8")
        await until(lambda: states(engine, tables.delivery) == {end: 1})
        answers = 2 if to == DOCTOR else 1
        await until(lambda: states(engine, tables.message).get("processed", 0) == 1 + answers)
        with engine.store.reading() as connection:
            row = connection.execute(select(tables.delivery)).one()
        assert str(row.detail).startswith(said)
        assert row.state == end
        account = operator.opened(ROUTER)
        assert account is not None
        await until(lambda: len(account.contents("Traites")) == answers)
        with engine.store.reading() as connection:
            mails = connection.execute(select(tables.mail)).all()
        assert [(one.flow, one.delivery_id, one.message_id) for one in mails] == [("mail", row.id, None)], "no report"
    assert len(operator.taken) == 1


async def test_a_document_that_comes_by_mail_is_journaled_filed_and_answered(
    operator: MailOperator, tmp_path: Path
) -> None:
    [content] = samples(HOSPITAL, ROUTER, 1, 2_000)
    content = content.replace(b"MIME-Version", f"Disposition-Notification-To: {HOSPITAL}\r\nMIME-Version".encode(), 1)
    operator.deliver(ROUTER, content)
    async with running(operator, tmp_path, NURSE) as engine:
        account, sender = operator.opened(ROUTER), operator.opened(HOSPITAL)
        assert account is not None
        assert sender is not None
        await until(lambda: states(engine, tables.message) == {"held": 1})
        with engine.store.reading() as connection:
            assert connection.execute(select(tables.item.c.kind)).scalars().all() == ["document"]
            shown = connection.execute(select(tables.message.c.control_id, tables.message.c.peer)).one()
        assert shown.control_id.startswith(f"{ROUTER}/INBOX/")
        name = read_head(content).message_id
        with viewing(engine.store) as view:
            assert candidates(view, search_of(view.sealer, name))[0] == [1], "a document is found by its mail's name"
            assert view.connection.execute(select(tables.mail.c.message_id)).scalars().all() == [1]
        assert shown.peer == "sandbox.mssante.invalid"
        assert (len(account.contents()), sender.contents()) == (1, [])
        await engine.submit(register(sample_document().patient, in_coordination=True, now=1_000_000))
        engine.wake()
        await until(lambda: len(account.contents("Traites")) == 1)
        assert states(engine, tables.message) == {"processed": 1}
    assert [b"; processed\r\n" in one for one in sender.contents()] == [True]


WATCH = """
[watch]
webhook = "http://127.0.0.1:{hook}/alarms"
webhook_secret = "un secret de bac a sable"
mail_to = ["astreinte@hopital-fictif.example"]
mail_from = "passerelle@hopital-fictif.example"
mail_server = "127.0.0.1:{smtp}"
mssante = "mail"
mssante_to = ["{to}"]
"""


async def test_an_alarm_leaves_by_webhook_mail_and_mssante_once(operator: MailOperator, tmp_path: Path) -> None:
    posts: list[dict[str, Any]] = []
    mails: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        posts.append({"signed": "X-Passerelle-Signature" in request.headers, **await request.json()})
        return web.Response(status=204)

    class Postman:
        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
            mails.append(envelope.content)
            return "250 OK"

    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(Postman(), loop=loop), "127.0.0.1", 0)
    application = web.Application()
    application.router.add_post("/alarms", take)
    hook = TestServer(application)
    await hook.start_server()
    to = {"hook": hook.port, "smtp": smtp.sockets[0].getsockname()[1], "to": DOCTOR}
    try:
        async with running(operator, tmp_path, NURSE, WATCH.format(**to)) as engine:
            with engine.store.writing() as connection:
                at = int(datetime.now(UTC).timestamp() * 1_000_000)
                code = {"sender": "LABO SUD", "kind": "code", "system": "local", "code": "HB2", "label": "", "unit": ""}
                seen = {"seen": 1, "first_at": at, "last_at": at, "last_message_id": 1}
                connection.execute(insert(tables.unmapped_code).values(**code, **seen))
            for _ in range(3):
                await engine.watching.run()
            account = operator.opened(DOCTOR)
            assert account is not None
            await until(lambda: len(account.contents()) == 1)
            with engine.store.reading() as connection:
                (alarm,) = connection.execute(select(tables.alarm)).all()
            assert alarm.told_at is not None
            assert states(engine, tables.delivery) == {}, "an alarm is no Delivery"
    finally:
        smtp.close()
        await smtp.wait_closed()
        await hook.close()
    said = "LABO SUD emploie un code nouveau"
    assert [(post["signed"], post["alarms"][0]["sentence"][: len(said)]) for post in posts] == [(True, said)]
    assert len(mails) == 1
    assert b"HB2" in mails[0]
    [by_mssante] = account.contents()
    assert b"Auto-Submitted: auto-generated" in by_mssante
    assert b"HB2" in by_mssante


def test_certificates_of_mailboxes_are_watched(tmp_path: Path) -> None:
    files = MailAuthority().write(tmp_path)
    values = {"imap": "imap:143", "submission": "smtp:587", "account": ROUTER, "ca": files.ca, "cert": "client.pem"}
    (tmp_path / "drop").mkdir()
    text = CONFIGURATION.format(**values, to=NURSE, answers=ANSWERS.format(**values))
    (tmp_path / "passerelle.toml").write_text(text, encoding="utf-8")
    loaded = load(tmp_path / "passerelle.toml")
    assert [note.owner for note in certificate_notes(loaded, datetime.now(UTC))] == [
        "source mailbox",
        "source mailbox",
        "destination mail",
    ]
    assert certificate_notes(loaded, datetime.now(UTC) - timedelta(days=10)) == []
