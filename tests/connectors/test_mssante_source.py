"""The source against the embedded operator's IMAP server: what every source owes, and what a mailbox adds to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Running, SourceConformance, until
from mssante_mails import mail
from pydantic import ValidationError

from connectors.mssante import CONNECTOR
from connectors.mssante.settings import MssanteSourceSettings
from connectors.sandbox.mail_imap import ABILITIES
from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR, ROUTER, patient_address
from connectors.sandbox.mail_store import Account
from connectors.testing import MemoryInbox, PlainServices, plain_services
from schemas.finding import Finding, Severity

REJECTED = Finding(severity=Severity.ERROR, code="mail.unreadable", where="mail", message="cannot be read")


def box(operator: MailOperator) -> Account:
    account = operator.opened(ROUTER)
    assert account is not None
    return account


class TestConformance(SourceConformance):
    connector = CONNECTOR
    operator: MailOperator

    @pytest.fixture(autouse=True)
    async def _operator(self, tmp_path: Path) -> AsyncIterator[None]:
        async with MailOperator(tmp_path / "operator") as self.operator:
            yield

    def settings(self, folder: Path) -> dict[str, Any]:
        if not hasattr(self, "operator"):
            return {
                "address": "localhost:143",
                "account": ROUTER,
                "tls": {"ca": folder / "ca.pem"},
                "login": {"password": "x"},
            }
        return self.operator.source(spool_threshold=65_536)

    def content(self, number: int, size: int = 0) -> bytes:
        return mail(number, size)

    async def deliver(self, running: Running, content: bytes) -> bool:
        self.operator.deliver(ROUTER, content, None)
        return await self._fate(running)

    async def again(self, running: Running, content: bytes) -> bool:
        await running.services.tick()
        return await self._fate(running)

    async def _fate(self, running: Running) -> bool:
        figures = running.services.health.figures
        troubles = figures["not_accepted"], len(running.services.findings)
        await until(
            lambda: (
                not box(self.operator).contents()
                or (figures["not_accepted"], len(running.services.findings)) != troubles
            )
        )
        return not box(self.operator).contents()


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[MailOperator]:
    async with MailOperator(tmp_path / "operator") as operator:
        yield operator


@asynccontextmanager
async def watching(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, **settings: Any
) -> AsyncIterator[Running]:
    made = MssanteSourceSettings(**{**operator.source(reconnect_first=0.01), **settings})
    assert CONNECTOR.make_source is not None
    source = CONNECTOR.make_source("bal", made, services)
    task = asyncio.create_task(source.run(inbox))
    running = Running(await services.listening(), task, inbox, services, operator.folder)
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_files_by_outcome(operator: MailOperator, inbox: MemoryInbox, services: PlainServices) -> None:
    inbox.rejections[2] = REJECTED
    for number in (1, 2, 3):
        operator.deliver(ROUTER, mail(number), None)
    async with watching(operator, inbox, services) as running:
        await until(lambda: running.services.health.figures["filed"] == 3)
    assert box(operator).contents() == []
    assert box(operator).contents("Traites") == [mail(1), mail(3)]
    assert box(operator).contents("Erreurs") == [mail(2)]
    assert inbox.messages[0].control_id.startswith(f"{ROUTER}/INBOX/")
    assert inbox.messages[0].peer == "sandbox.mssante.invalid"
    assert not any("\\Seen" in one.flags for folder in box(operator).folders.values() for one in folder.mails)


async def test_is_told_of_new_mails(operator: MailOperator, inbox: MemoryInbox, services: PlainServices) -> None:
    async with watching(operator, inbox, services):
        operator.deliver(ROUTER, mail(1))
        await inbox.wait_committed(1)
        assert services.health.state == "watching"
    assert inbox.contents[0].startswith(b"Return-Path: <hopital@sandbox.mssante.invalid>\r\n")


async def test_without_idle_it_looks_every_so_often(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    able = ABILITIES.replace(" IDLE", "")
    async with (
        MailOperator(tmp_path / "operator", able=able) as operator,
        watching(operator, inbox, services),
    ):
        operator.deliver(ROUTER, mail(1))
        await services.tick()
        await inbox.wait_committed(1)


@pytest.mark.parametrize("lacking", [" MOVE", " MOVE UIDPLUS", " QUOTA"])
async def test_servers_that_can_less(tmp_path: Path, inbox: MemoryInbox, services: PlainServices, lacking: str) -> None:
    able = ABILITIES
    for word in lacking.split():
        able = able.replace(f" {word}", "")
    async with MailOperator(tmp_path / "operator", able=able) as operator:
        operator.deliver(ROUTER, mail(1), None)
        async with watching(operator, inbox, services):
            await until(lambda: services.health.figures["filed"] == 1)
            assert box(operator).contents("Traites") == [mail(1)]
            left = box(operator).create("INBOX").mails
            assert left == [] or (lacking == " MOVE UIDPLUS" and "\\Deleted" in left[0].flags)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    "login",
    [
        {"method": "password", "password": "bac-a-sable"},
        {"method": "certificate"},
        {"method": "xoauth2", "token_command": ["printf", "jeton"]},
    ],
)
async def test_logs_in(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, security: str, login: dict[str, Any]
) -> None:
    operator.tokens = {"jeton": ROUTER}
    port = operator.ports.imap if security == "starttls" else operator.ports.imaps
    operator.deliver(ROUTER, mail(1))
    async with watching(operator, inbox, services, security=security, login=login, address=f"localhost:{port}"):
        await inbox.wait_committed(1)


@pytest.mark.parametrize("box_kind", ["org", "per"])
async def test_in_a_shared_box_nothing_is_touched(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, box_kind: str
) -> None:
    for number in (1, 2):
        operator.deliver(ROUTER, mail(number), None)
    async with watching(operator, inbox, services, box=box_kind):
        await inbox.wait_committed(2)
        operator.deliver(ROUTER, mail(3), None)
        await inbox.wait_committed(3)
        await until(lambda: services.health.figures["waiting"] == 0)
    assert box(operator).contents() == [mail(1), mail(2), mail(3)]
    assert list(box(operator).folders) == ["INBOX"]
    assert not any(one.flags for one in box(operator).create("INBOX").mails)
    async with watching(operator, inbox, services, box=box_kind):
        await until(lambda: int(services.health.figures["looks"]) >= 1)
    assert inbox.submitted == 3


async def test_a_shared_box_moves_when_told_to(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.deliver(ROUTER, mail(1), None)
    async with watching(operator, inbox, services, box="org", move=True):
        await until(lambda: services.health.figures["filed"] == 1)


@pytest.mark.parametrize("box_kind", ["app", "org"])
async def test_a_renumbered_folder_brings_nothing_twice(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, box_kind: str
) -> None:
    operator.deliver(ROUTER, mail(1), None)
    operator.deliver(ROUTER, mail(2), None)
    inbox.outcome = _never  # type: ignore[method-assign]
    async with watching(operator, inbox, services, box=box_kind):
        await inbox.wait_committed(2)
        box(operator).create("INBOX").renumber()
        operator.deliver(ROUTER, mail(3), None)
        await operator.drop()
        await inbox.wait_submitted(5)
        await inbox.wait_committed(3)
    assert inbox.contents == [mail(1), mail(2), mail(3)]
    assert "mssante.mailbox.renumbered" in services.codes()


async def _never(_receipt: object) -> None:
    await asyncio.Event().wait()


async def test_killed_between_the_commit_and_the_filing(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.deliver(ROUTER, mail(1), None)
    outcome, inbox.outcome = inbox.outcome, _never  # type: ignore[method-assign]
    async with watching(operator, inbox, services):
        await inbox.wait_committed(1)
    assert box(operator).contents() == [mail(1)]
    inbox.outcome = outcome  # type: ignore[method-assign]
    after = plain_services()
    async with watching(operator, inbox, after):
        await until(lambda: after.health.figures["filed"] == 1)
        assert after.health.figures["duplicates"] == 1
    assert inbox.contents == [mail(1)]
    assert box(operator).contents("Traites") == [mail(1)]


async def test_two_contents_under_one_message_id_are_both_kept(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.deliver(ROUTER, mail(1, message_id="<same@sandbox.mssante.invalid>"), None)
    operator.deliver(ROUTER, mail(2, message_id="<same@sandbox.mssante.invalid>"), None)
    async with watching(operator, inbox, services):
        await until(lambda: services.health.figures["filed"] == 2)
    assert len(inbox.contents) == 2
    assert services.codes() == ["mssante.message_id.reused"]


@pytest.mark.parametrize(
    "content",
    [
        mail(1, sender="quelquun@exterieur.invalid"),
        mail(1, sender="x@mssante.invalid.exterieur.invalid"),
        mail(1).replace(b"From: ", b"From: faux@exterieur.invalid, ", 1),
        mail(1).replace(b"From:", b"X-From:", 1),
        mail(1, head="From: faux@exterieur.invalid\r\n"),
    ],
)
async def test_a_stranger_is_refused_and_seen(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, content: bytes
) -> None:
    operator.deliver(ROUTER, content, None)
    async with watching(operator, inbox, services):
        await until(lambda: services.health.figures["filed"] == 1)
    refusal = inbox.messages[0].refusal
    assert refusal is not None
    assert refusal.finding.code == "mssante.sender.outside"
    assert inbox.contents == [content]
    assert box(operator).contents("Erreurs") == [content]


async def test_a_strangers_return_path_is_refused(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.deliver(ROUTER, mail(1), "relay@exterieur.invalid")
    async with watching(operator, inbox, services):
        await until(lambda: services.health.figures["filed"] == 1)
    assert inbox.messages[0].refusal is not None


async def test_large_mails_come_in_parts_and_too_large_ones_in_pieces(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.deliver(ROUTER, mail(1, size=1_500_000), None)
    operator.deliver(ROUTER, mail(2, size=2_500_000), None)
    async with watching(operator, inbox, services, max_mail=2_000_000):
        await until(lambda: services.health.figures["filed"] == 2)
    assert inbox.contents[0] == mail(1, size=1_500_000)
    assert isinstance(inbox.messages[0].content, Path)
    refusal = inbox.messages[1].refusal
    assert refusal is not None
    assert refusal.finding.code == "mssante.mail.too_large"
    assert inbox.contents[1] == mail(2, size=2_500_000)[: 256 * 1024]


async def test_a_restarting_operator_is_found_again(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with watching(operator, inbox, services):
        operator.deliver(ROUTER, mail(1))
        await inbox.wait_committed(1)
        await operator.drop()
        operator.deliver(ROUTER, mail(2))
        await inbox.wait_committed(2)
        assert services.health.state == "watching"
    assert "mssante.mailbox.lost" in services.codes()


async def test_says_how_full_the_mailbox_is(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    inbox.refuse(1000)
    operator.deliver(ROUTER, mail(1, size=100_000))
    async with watching(operator, inbox, services):
        figures = services.health.figures
        assert (figures["account"], figures["box"], figures["waiting"], figures["unread"]) == (ROUTER, "app", 1, 1)
        assert (figures["quota_used"], figures["quota_limit"]) == (98, 102400)
        assert str(figures["oldest_unread"]).startswith("20")


@pytest.mark.parametrize(
    ("settings", "state", "code", "said"),
    [
        ({"folder": "Absent"}, "failed", "mssante.mailbox.folder", "the folder cannot be opened (NONEXISTENT)"),
        (
            {"login": {"password": "faux"}},
            "failed",
            "mssante.mailbox.login",
            "the login was refused (AUTHENTICATIONFAILED)",
        ),
        (
            {"login": {"method": "xoauth2", "token_command": ["printf", "expired"]}},
            "failed",
            "mssante.mailbox.login",
            "the login was refused (AUTHENTICATIONFAILED)",
        ),
        (
            {"login": {"method": "xoauth2", "token_file": "/nonexistent"}},
            "failed",
            "mssante.mailbox.token",
            "the access token cannot be read (No such file or directory)",
        ),
        (
            {"address": "localhost:1"},
            "unreachable",
            "mssante.mailbox.unreachable",
            "cannot connect: Connection refused",
        ),
    ],
)
async def test_what_is_wrong_is_said(
    operator: MailOperator,
    inbox: MemoryInbox,
    services: PlainServices,
    settings: dict[str, Any],
    state: str,
    code: str,
    said: str,
) -> None:
    async with watching(operator, inbox, services, **settings):
        assert (services.health.state, services.health.detail) == (state, said)
        assert services.codes()[:1] == [code]


async def test_a_full_mailbox_cannot_be_filed_into_and_says_so(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.deliver(ROUTER, mail(1), None)
    async with watching(operator, inbox, services):
        await until(lambda: services.health.figures["filed"] == 1)
        del box(operator).folders["Traites"]
        operator.deliver(ROUTER, mail(2), None)
        await until(lambda: "mssante.mailbox.not_filed" in services.codes())
        assert "does the folder Traites exist?" in services.health.detail
        box(operator).create("Traites")
        await services.tick()
        await until(lambda: services.health.figures["filed"] == 2)
    assert box(operator).contents("Traites") == [mail(2)]


def test_a_patients_mailbox_is_nobodys_source() -> None:
    with pytest.raises(ValidationError, match="patient's mailbox"):
        MssanteSourceSettings(address="x:143", account=patient_address(), tls={"ca": "ca.pem"}, login={"password": "x"})


def test_folders_differ() -> None:
    with pytest.raises(ValidationError, match="three different folders"):
        MssanteSourceSettings(
            address="x:143", account=DOCTOR, tls={"ca": "c"}, login={"password": "x"}, failed_folder="INBOX"
        )
