"""Source and destination against the real servers, Dovecot and Postfix, as the sandbox operator runs them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from conformance import Running, until
from mssante_mails import mail
from test_mssante_source import REJECTED

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry
from connectors.mssante import CONNECTOR
from connectors.mssante.destination import MssanteDestination
from connectors.mssante.mailbox import Mailbox
from connectors.mssante.settings import MssanteDestinationSettings, MssanteSourceSettings
from connectors.sandbox.mail_people import DOMAIN, FOREIGN, FULL, NOBODY, ROUTER, Persona, personas
from connectors.sandbox.mail_servers import MailServers, missing, short_folder
from connectors.testing import MemoryInbox, PlainServices, plain_services

pytestmark = pytest.mark.mail_servers

BOXES = tuple(Persona(f"bal-{number}@{DOMAIN}", "a mailbox of one test") for number in range(40))
NUMBERS = count()


@pytest.fixture(scope="session")
def servers() -> Iterator[MailServers]:
    if said := missing():
        pytest.skip(f"the real mail servers cannot be run: {said} (see tests/system_packages.sh)")
    with short_folder() as folder, MailServers(folder, people=personas() + BOXES) as servers:
        yield servers


@pytest.fixture
def account(servers: MailServers) -> str:
    """A mailbox that no other test has used."""
    return BOXES[next(NUMBERS)].address


@asynccontextmanager
async def watching(
    servers: MailServers, account: str, inbox: MemoryInbox, services: PlainServices, **settings: Any
) -> AsyncIterator[Running]:
    made = MssanteSourceSettings(**servers.source(account, **{"reconnect_first": 0.05, **settings}))
    assert CONNECTOR.make_source is not None
    task = asyncio.create_task(CONNECTOR.make_source("bal", made, services).run(inbox))
    running = Running(await services.listening(), task, inbox, services, servers.folder)
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def send(
    servers: MailServers, content: bytes, *, account: str, identity: str = "D000001", **settings: Any
) -> Outcome:
    made = MssanteDestinationSettings(**servers.destination(account, **settings))
    destination = MssanteDestination("bal", made, plain_services())
    try:
        return await destination.send(Parcel(1, identity, content, "message/rfc822", "m.eml", 1, insisted=True))
    finally:
        await destination.close()


def told(content: bytes) -> dict[bytes, bytes]:
    return dict(re.findall(rb"^(Action|Status|Original-Envelope-Id): (\S+)", content, re.MULTILINE))


@pytest.mark.parametrize("method", ["password", "certificate", "xoauth2"])
async def test_sends_and_receives(
    servers: MailServers, account: str, inbox: MemoryInbox, services: PlainServices, method: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(servers.token(account))
    login = {"password": {"password": "bac-a-sable"}, "xoauth2": {"method": method, "token_file": token}}.get(
        method, {"method": method}
    )
    content = mail(1, sender=account, recipient=account)
    async with watching(servers, account, inbox, services, login=login):
        assert isinstance(await send(servers, content, account=account, login=login, dsn=False), Delivered)
        await inbox.wait_committed(1)
        await until(lambda: services.health.figures["filed"] == 1)
    assert inbox.contents[0].endswith(content)
    assert services.findings == []


async def test_an_expired_token_and_a_missing_certificate_are_refused(
    servers: MailServers, account: str, inbox: MemoryInbox, services: PlainServices, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(servers.token(account, seconds=-5))
    expired = {"login": {"method": "xoauth2", "token_file": token}}
    bare = {"tls": {"ca": servers.files.ca}}
    content = mail(1, sender=account, recipient=account)
    for settings in (expired, bare):
        outcome = await send(servers, content, account=account, **settings)
        assert isinstance(outcome, Retry)
        assert (outcome.reached, outcome.detail) == (False, "the login was refused (535)")
    async with watching(servers, account, inbox, services, **bare):
        assert services.health.state == "failed"
        assert services.codes() == ["mssante.mailbox.login"]


async def test_moves_by_outcome_and_names_folders_with_accents(
    servers: MailServers, account: str, inbox: MemoryInbox, services: PlainServices
) -> None:
    inbox.rejections[1] = REJECTED
    names = {"processed_folder": "Traités", "failed_folder": "Échecs/À revoir"}
    async with watching(servers, account, inbox, services, **names):
        for number in (1, 2):
            content = mail(number, sender=account, recipient=account)
            assert isinstance(await send(servers, content, account=account, dsn=False), Delivered)
            await inbox.wait_committed(number)
        await until(lambda: services.health.figures["filed"] == 2)
    assert _folders(servers, account, "INBOX", *names.values()) == [0, 1, 1]


def _folders(servers: MailServers, account: str, *names: str) -> list[int]:
    counts = []
    for name in names:
        others = {"processed_folder": "a", "failed_folder": "b", "move": False}
        mailbox = Mailbox(MssanteSourceSettings(**servers.source(account, folder=name, **others)))
        mailbox.open(plain_services().now())
        counts.append(len(mailbox.waiting()))
        mailbox.close()
    return counts


@pytest.mark.parametrize(
    ("recipient", "action", "status"),
    [(ROUTER, b"relayed", b"2."), (NOBODY, b"failed", b"5.1.1"), (FULL, b"failed", b"5.2.2")],
)
async def test_what_became_of_a_mail_comes_back(
    servers: MailServers,
    account: str,
    inbox: MemoryInbox,
    services: PlainServices,
    recipient: str,
    action: bytes,
    status: bytes,
) -> None:
    content = mail(1, size=8192, sender=account, recipient=recipient)
    async with watching(servers, account, inbox, services):
        assert isinstance(await send(servers, content, account=account, identity="D=42+x"), Delivered)
        await inbox.wait_committed(1)
    report = told(inbox.contents[0])
    assert report[b"Action"] == action
    assert report[b"Status"].startswith(status)
    assert report[b"Original-Envelope-Id"].replace(b"+3D", b"=").replace(b"+2B", b"+") == b"D=42+x"
    assert b"1.testrose@sandbox.mssante.invalid" in inbox.contents[0]
    assert inbox.messages[0].refusal is None


async def test_the_operator_refuses_a_foreign_domain_and_a_large_mail(servers: MailServers, account: str) -> None:
    foreign = await send(servers, mail(1, sender=account, recipient=FOREIGN), account=account)
    assert isinstance(foreign, Refused)
    assert "550 5.7.1" in foreign.detail
    large = mail(2, size=32 * 1024 * 1024, sender=account, recipient=account)
    oversize = await send(servers, large, account=account, max_size=64 * 1024 * 1024)
    assert isinstance(oversize, Refused)
    assert "at most" in oversize.detail


async def test_a_large_mail_is_taken_in_parts(
    servers: MailServers, account: str, inbox: MemoryInbox, services: PlainServices
) -> None:
    content = mail(1, size=8 * 1024 * 1024, sender=account, recipient=account)
    async with watching(servers, account, inbox, services):
        assert isinstance(await send(servers, content, account=account, dsn=False), Delivered)
        await inbox.wait_committed(1)
        await services.tick()
        await until(lambda: services.health.figures["filed"] == 1)
    assert inbox.contents[0].endswith(content)
    assert isinstance(inbox.messages[0].content, Path)
    assert list(inbox.folder.iterdir()) == []


async def test_answers_who_asks(
    servers: MailServers, account: str, inbox: MemoryInbox, services: PlainServices, tmp_path: Path
) -> None:
    doctor = BOXES[next(NUMBERS)].address
    there = MemoryInbox(tmp_path)
    content = mail(1, sender=doctor, recipient=account, head=f"Disposition-Notification-To: {doctor}\r\n")
    async with (
        watching(servers, account, inbox, services, answers=servers.submission(account)),
        watching(servers, doctor, there, plain_services()),
    ):
        assert isinstance(await send(servers, content, account=doctor, dsn=False), Delivered)
        await there.wait_committed(1)
    assert b"automatic-action/MDN-sent-automatically; processed" in there.contents[0]
    assert services.health.figures["answers"] == 1


async def test_a_connection_that_the_operator_ends_is_made_again(
    servers: MailServers, account: str, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with watching(servers, account, inbox, services):
        await asyncio.to_thread(servers.kick, account)
        await until(lambda: services.health.figures["reconnections"] == 1)
        content = mail(1, sender=account, recipient=account)
        assert isinstance(await send(servers, content, account=account, dsn=False), Delivered)
        await inbox.wait_committed(1)
    assert services.codes() == ["mssante.mailbox.lost"]
