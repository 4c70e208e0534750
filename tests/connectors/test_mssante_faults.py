"""Operators that fail in the middle: bare servers that say what each test tells them to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conformance import until
from mssante_mails import mail
from scripted_server import Script, scripted
from test_mssante_source import box, watching

from connectors.sandbox.mail_authority import write_secret
from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import ROUTER
from connectors.testing import MemoryInbox, PlainServices

PAST = datetime(2025, 1, 1, tzinfo=UTC)
CONTENT = mail(1, size=5_000)


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[MailOperator]:
    async with MailOperator(tmp_path / "operator") as operator:
        yield operator


def imap(fetch: bytes, *, end: str = "cut", greeting: bytes = b"* OK ready\r\n") -> Script:
    """Make a server with one mail: it answers a fetch of its body with these bytes, then cuts, or says BYE."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while line := await reader.readline():
            tag, _, command = line.rstrip().partition(b" ")
            verb = command.upper()
            if verb.startswith(b"CAPABILITY"):
                writer.write(b"* CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS\r\n")
            elif verb.startswith(b"SELECT"):
                writer.write(b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [PERMANENTFLAGS (\\*)] ok\r\n")
            elif verb.startswith((b"LIST", b"XLIST")):
                writer.write(b'* LIST () "/" ' + command.rpartition(b" ")[2] + b"\r\n")
            elif verb.startswith(b"UID SEARCH"):
                writer.write(b"* SEARCH 1\r\n")
            elif b"RFC822.SIZE" in verb:
                writer.write(b"* 1 FETCH (UID 1 RFC822.SIZE %d)\r\n" % len(CONTENT))
            elif b"BODY.PEEK" in verb:
                writer.write(fetch)
                if end == "bye":
                    writer.write(b"* BYE maintenance\r\n")
                if end == "no":
                    writer.write(tag + b" NO [UNAVAILABLE] not now\r\n")
                    continue
                await writer.drain()
                return
            writer.write(tag + b" OK done\r\n")

    return script


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (imap(b"* 1 FETCH (UID 1 BODY[] {5000}\r\nhalf of it"), "the connection was lost"),
        (imap(b"", end="bye"), "the server ended the connection"),
        (imap(b"", greeting=b"* BYE full\r\n"), "the server turned us away"),
        (imap(b"* 1 FETCH (UID 1 BODY[] 12\r\nA1 OK ((\r\n"), "the connection was lost"),
    ],
    ids=["cut", "bye", "bye-at-once", "garbage"],
)
async def test_a_server_that_fails_in_the_middle_is_said_and_tried_again(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, script: Script, said: str
) -> None:
    async with scripted(script, operator.server_context()) as port:
        settings = {"address": f"localhost:{port}", "security": "tls"}
        async with watching(operator, inbox, services, **settings):
            await until(lambda: int(services.health.figures["reconnections"]) >= 2)
            assert services.health.state in ("unreachable", "failed", "watching")
    assert inbox.messages == []
    assert any(said in finding.message for finding in services.findings), services.findings
    assert list(inbox.folder.iterdir()) == []


async def test_a_mail_that_the_server_will_not_hand_over_is_set_aside_and_seen(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with (
        scripted(imap(b"", end="no"), operator.server_context()) as port,
        watching(operator, inbox, services, address=f"localhost:{port}", security="tls"),
    ):
        for look in range(1, 4):
            await until(lambda look=look: int(services.health.figures["looks"]) >= look)  # type: ignore[misc]
            await services.tick()
        await until(lambda: inbox.messages)
    refusal = inbox.messages[0].refusal
    assert refusal is not None
    assert refusal.finding.code == "mssante.mail.unfetchable"


async def test_the_handshake_that_wants_a_certificate(
    tmp_path: Path, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with MailOperator(tmp_path / "operator", require_certificate=True) as operator:
        operator.deliver(ROUTER, mail(1))
        bare = {"tls": {"ca": operator.files.ca}}
        async with watching(operator, inbox, services, **bare):
            assert services.health.state in ("unreachable", "failed")
        assert inbox.messages == []
        async with watching(operator, inbox, services):
            await inbox.wait_committed(1)


async def test_certificates_that_are_over(tmp_path: Path, inbox: MemoryInbox, services: PlainServices) -> None:
    async with MailOperator(tmp_path / "operator", server_until=PAST) as operator:
        async with watching(operator, inbox, services):
            assert services.health.state == "failed"
            assert "certificate has expired" in services.health.detail
        ours = tmp_path / "ours.pem"
        write_secret(ours, operator.authority.issue(ROUTER, client=True, until=PAST))
        async with watching(operator, inbox, services, tls={"ca": operator.files.ca, "cert": ours}):
            assert services.health.detail == "our certificate cannot be used (expired)"
    assert set(services.codes()) == {"mssante.mailbox.certificate"}


async def test_a_silent_server_does_not_hold_the_loop(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with scripted(silent, operator.server_context()) as port:
        settings = {"address": f"localhost:{port}", "security": "tls", "connect_timeout": 0.3}
        async with watching(operator, inbox, services, **settings):
            assert (services.health.state, services.health.detail) == ("unreachable", "no connection within 0.3 s")


async def test_stops_at_once_while_it_waits_to_connect_again(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with watching(operator, inbox, services, address="localhost:1", reconnect_first=3600.0):
        assert services.health.state == "unreachable"
    assert services.health.state == "stopped"
    assert "mssante.stop.unfinished" not in services.codes()


async def test_no_clear_text_login(operator: MailOperator, inbox: MemoryInbox, services: PlainServices) -> None:
    said: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            said.append(line)
            tag, _, command = line.partition(b" ")
            if command.startswith(b"CAPABILITY"):
                writer.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            writer.write(tag + b" OK done\r\n")

    async with scripted(plain) as port, watching(operator, inbox, services, address=f"localhost:{port}"):
        assert services.health.detail == "the server offers no STARTTLS"
    assert not any(b"LOGIN" in line or b"bac-a-sable" in line for line in said)


async def test_only_the_named_authority_is_trusted(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = MailOperator(other).authority.ca_pem()
    (other / "ca.pem").write_bytes(stranger)
    async with watching(operator, inbox, services, tls={"ca": other / "ca.pem"}):
        assert services.health.state == "failed"
        assert "certificate is not accepted" in services.health.detail
    assert box(operator).contents() == []


def test_the_contexts_hold_no_system_authority(tmp_path: Path) -> None:
    from connectors.mssante.settings import OperatorTls

    files = MailOperator(tmp_path).authority.write(tmp_path)
    context = OperatorTls(ca=files.ca).context()
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
