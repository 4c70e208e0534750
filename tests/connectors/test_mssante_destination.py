"""The destination against the embedded operator: aiosmtpd over STARTTLS, with logins and delivery notifications."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conformance import Attempt, NetworkDestinationConformance
from mssante_mails import letter
from pydantic import ValidationError
from scripted_server import scripted

from connectors.contracts import Delivered, Hold, Outcome, Parcel, Reference, ReferenceKind, Refused, Retry
from connectors.mssante import CONNECTOR
from connectors.mssante.destination import MssanteDestination
from connectors.mssante.settings import MssanteDestinationSettings
from connectors.sandbox.mail_authority import MailAuthority, write_secret
from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR, FOREIGN, FULL, NOBODY, NURSE, ROUTER, patient_address
from connectors.sandbox.mail_smtp import Mood
from connectors.testing import PlainServices

PAST = datetime(2025, 1, 1, tzinfo=UTC)
MOODS = {
    "accept": Mood.WELL,
    "refuse": Mood.REFUSE,
    "later": Mood.LATER,
    "hang": Mood.HANG,
    "garbage": Mood.GARBAGE,
    "hang_up": Mood.CUT,
}


@dataclass
class OperatorPeer:
    operator: MailOperator
    settings: dict[str, Any]

    @property
    def received(self) -> list[Attempt]:
        return [Attempt(content, _message_id(content)) for content in self.operator.received]

    def behave(self, how: str) -> None:
        self.operator.mood = MOODS[how]


def _message_id(content: bytes) -> str:
    found = re.search(rb"^Message-ID: (\S+)", content, re.MULTILINE)
    assert found is not None
    return found.group(1).decode()


class TestConformance(NetworkDestinationConformance):
    connector = CONNECTOR
    says_acknowledged = False
    impatient: ClassVar[dict[str, Any]] = {"answer_timeout": 0.3}

    def content(self, number: int) -> bytes:
        return letter(number)

    @asynccontextmanager
    async def peer(self, folder: Path) -> AsyncIterator[OperatorPeer]:
        async with MailOperator(folder / "operator") as operator:
            yield OperatorPeer(operator, operator.destination())

    def absent(self, folder: Path) -> dict[str, Any]:
        folder.joinpath("operator").mkdir()
        files = MailAuthority().write(folder / "operator")
        return {
            "address": "localhost:1",
            "account": ROUTER,
            "tls": {"ca": files.ca},
            "login": {"password": "bac-a-sable"},
            "allowed_domains": ["sandbox.mssante.invalid"],
            "connect_timeout": 2,
        }

    def connections(self, peer: Any) -> int:
        return len({mail.session for mail in peer.operator.taken})


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[MailOperator]:
    async with MailOperator(tmp_path / "operator") as operator:
        yield operator


async def send(
    operator: MailOperator, services: PlainServices, content: bytes, *, insisted: bool = False, **settings: Any
) -> Outcome:
    destination = MssanteDestination("bal", MssanteDestinationSettings(**operator.destination(**settings)), services)
    try:
        return await destination.send(Parcel(1, "D000001", content, "message/rfc822", "mail.eml", 1, insisted=insisted))
    finally:
        await destination.close()


async def test_what_may_be_reported_later_is_named(operator: MailOperator, services: PlainServices) -> None:
    outcome = await send(operator, services, letter(7))
    assert isinstance(outcome, Delivered)
    assert set(outcome.references) == {
        Reference(ReferenceKind.MESSAGE_ID, "<7.testrose@sandbox.mssante.invalid>"),
        Reference(ReferenceKind.ENVELOPE_ID, "D000001"),
    }
    [mail] = operator.taken
    assert (mail.sender, mail.recipients, mail.envelope_id) == (ROUTER, [DOCTOR], "D000001")
    assert mail.notify == {DOCTOR: "SUCCESS,FAILURE,DELAY"}


async def test_delivery_and_its_failures_come_back(operator: MailOperator, services: PlainServices) -> None:
    for number, recipient in enumerate((NURSE, NOBODY, FULL)):
        content = letter(number, size=4096, recipient=recipient)
        assert isinstance(await send(operator, services, content), Delivered)
    account = operator.opened(ROUTER)
    assert account is not None
    fields = re.compile(rb"^(?:Action|Status|Original-Envelope-Id): (\S+)", re.MULTILINE)
    said = [fields.findall(one) for one in account.contents()]
    assert said == [
        [b"D000001", b"delivered", b"2.0.0"],
        [b"D000001", b"failed", b"5.1.1"],
        [b"D000001", b"failed", b"5.2.2"],
    ]


async def test_the_doctors_mailbox_answers(operator: MailOperator, services: PlainServices) -> None:
    content = letter(head=f"Disposition-Notification-To: {ROUTER}\r\n")
    assert isinstance(await send(operator, services, content, dsn=False), Delivered)
    account = operator.opened(ROUTER)
    assert account is not None
    [answer] = account.contents()
    assert b"Original-Message-ID: <1.testrose@sandbox.mssante.invalid>" in answer


@pytest.mark.parametrize(
    ("login", "tokens"),
    [
        ({"method": "password", "password": "bac-a-sable"}, {}),
        ({"method": "certificate"}, {}),
        ({"method": "xoauth2", "token_command": ["printf", "%s", "jeton"]}, {"jeton": ROUTER}),
    ],
)
async def test_logs_in(
    operator: MailOperator, services: PlainServices, login: dict[str, Any], tokens: dict[str, str]
) -> None:
    operator.tokens.update(tokens)
    assert isinstance(await send(operator, services, letter(), login=login), Delivered)


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ({"method": "password", "password": "faux"}, "the login was refused (535)"),
        ({"method": "xoauth2", "token_command": ["printf", "expired"]}, "the login was refused (535)"),
        ({"method": "xoauth2", "token_command": ["false"]}, "failed (status 1)"),
        ({"method": "xoauth2", "token_command": ["printf", "two words"]}, "no usable access token"),
        ({"method": "xoauth2", "token_file": "/nonexistent/token"}, "cannot be read (No such file"),
    ],
)
async def test_a_login_that_fails_is_not_the_mails_fault(
    operator: MailOperator, services: PlainServices, login: dict[str, Any], said: str
) -> None:
    outcome = await send(operator, services, letter(), login=login)
    assert isinstance(outcome, Retry)
    assert said in outcome.detail
    assert outcome.reached is False
    assert services.health.state == "unreachable"


async def test_a_token_is_read_at_each_login(operator: MailOperator, services: PlainServices, tmp_path: Path) -> None:
    file = tmp_path / "token"
    login = {"method": "xoauth2", "token_file": file}
    for token in ("first", "second"):
        file.write_text(token + "\n")
        operator.tokens = {token: ROUTER}
        assert isinstance(await send(operator, services, letter(), login=login), Delivered)


async def test_a_foreign_domain_is_held_then_refused_by_the_operator(
    operator: MailOperator, services: PlainServices
) -> None:
    held = await send(operator, services, letter(recipient=FOREIGN))
    assert isinstance(held, Hold)
    assert [finding.code for finding in held.findings] == ["mssante.recipient.outside"]
    assert operator.received == []
    refused = await send(operator, services, letter(recipient=FOREIGN), insisted=True)
    assert isinstance(refused, Refused)
    assert "550 5.7.1" in refused.detail


async def test_a_mail_that_is_too_large_is_not_sent(operator: MailOperator, services: PlainServices) -> None:
    mine = await send(operator, services, letter(size=20_000), max_size=10_000)
    assert isinstance(mine, Refused)
    assert "max_size" in mine.detail


async def test_the_servers_own_limit_is_known_before(tmp_path: Path, services: PlainServices) -> None:
    async with MailOperator(tmp_path / "operator", limit=10_000) as operator:
        theirs = await send(operator, services, letter(size=20_000))
        assert isinstance(theirs, Refused)
        assert "10000" in theirs.detail
        assert operator.received == []


async def test_one_refused_recipient_stops_the_mail_for_all(operator: MailOperator, services: PlainServices) -> None:
    content = letter(recipient=f"{DOCTOR}, {FOREIGN}")
    outcome = await send(operator, services, content, insisted=True)
    assert isinstance(outcome, Refused)
    assert outcome.detail.startswith("1 of 2 recipients were refused, nothing was sent")
    assert operator.received == []


async def test_a_cut_after_the_mail_is_an_unknown_outcome(operator: MailOperator, services: PlainServices) -> None:
    operator.mood = Mood.CUT
    outcome = await send(operator, services, letter(3))
    assert isinstance(outcome, Retry)
    assert Reference(ReferenceKind.MESSAGE_ID, "<3.testrose@sandbox.mssante.invalid>") in outcome.references
    operator.mood = Mood.WELL
    assert isinstance(await send(operator, services, letter(3)), Delivered)
    assert len({_message_id(mail.content) for mail in operator.taken}) == 1


async def test_a_service_that_is_not_available_is_tried_again(operator: MailOperator, services: PlainServices) -> None:
    operator.mood = Mood.UNAVAILABLE
    outcome = await send(operator, services, letter())
    assert isinstance(outcome, Retry)
    assert outcome.reached is False
    assert "421" in outcome.detail


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (letter().replace(b"\r\n", b"\n"), "CR LF"),
        (letter() + b"no end", "CR LF"),
        (letter() + b"x" * 999 + b"\r\n", "998"),
        (letter().replace(b"Message-ID", b"X-Other"), "Message-ID"),
        (letter().replace(b"From:", b"X-From:"), "one sender"),
        (letter().replace(b"To:", b"X-To:"), "no recipient"),
        ("é".encode() + letter(), "one sender"),
    ],
)
async def test_what_could_not_go_as_it_is_does_not_go(
    operator: MailOperator, services: PlainServices, content: bytes, said: str
) -> None:
    outcome = await send(operator, services, content)
    assert isinstance(outcome, Refused)
    assert said in outcome.detail
    assert operator.received == []


async def test_an_ins_in_an_address_is_said_nowhere(operator: MailOperator, services: PlainServices) -> None:
    matricule = patient_address().partition("@")[0]
    said = ""
    for mood in Mood:
        operator.mood = mood
        outcome = await send(operator, services, letter(recipient=patient_address()), answer_timeout=0.3)
        said += outcome.detail
    said += repr(await send(operator, services, letter(recipient=f"{matricule}@exterieur.invalid")))
    assert matricule not in said
    assert matricule not in f"{services.health!r} {services.findings!r}"


async def test_only_the_named_authority_is_trusted(
    operator: MailOperator, services: PlainServices, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(MailAuthority().ca_pem())
    outcome = await send(operator, services, letter(), tls={"ca": other})
    assert isinstance(outcome, Retry)
    assert "certificate is not accepted" in outcome.detail


async def test_our_expired_certificate_is_said_before_connecting(
    operator: MailOperator, services: PlainServices, tmp_path: Path
) -> None:
    expired = tmp_path / "expired.pem"
    write_secret(expired, operator.authority.issue(ROUTER, client=True, until=PAST))
    outcome = await send(operator, services, letter(), tls={"ca": operator.files.ca, "cert": expired})
    assert isinstance(outcome, Retry)
    assert outcome.detail == "our certificate cannot be used (expired)"


async def test_the_servers_expired_certificate_is_refused(tmp_path: Path, services: PlainServices) -> None:
    async with MailOperator(tmp_path / "operator", server_until=PAST) as operator:
        outcome = await send(operator, services, letter())
    assert isinstance(outcome, Retry)
    assert "certificate has expired" in outcome.detail


async def test_without_the_certificate_that_is_wanted(tmp_path: Path, services: PlainServices) -> None:
    async with MailOperator(tmp_path / "operator", require_certificate=True) as operator:
        assert isinstance(await send(operator, services, letter()), Delivered)
        outcome = await send(operator, services, letter(), tls={"ca": operator.files.ca})
    assert isinstance(outcome, Retry)
    assert outcome.reached is False


async def test_a_server_without_starttls_gets_no_password(services: PlainServices, tmp_path: Path) -> None:
    said: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 plain\r\n")
        while line := await reader.readline():
            said.append(line)
            writer.write(b"250-plain\r\n250 AUTH PLAIN\r\n" if line.startswith(b"EHLO") else b"500 what\r\n")

    async with MailOperator(tmp_path / "operator") as operator, scripted(plain) as port:
        outcome = await send(operator, services, letter(), address=f"localhost:{port}")
    assert isinstance(outcome, Retry)
    assert "no STARTTLS" in outcome.detail
    assert not any(line.startswith(b"AUTH") for line in said)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"account": f"{patient_address()}"}, "patient's mailbox"),
        ({"account": "x@patient.mssante.fr"}, "patient's mailbox"),
        ({"account": "nobody"}, "mail address"),
        ({"login": {"method": "password"}}, "needs a password"),
        ({"login": {"method": "xoauth2"}}, "token_file or token_command"),
        ({"login": {"method": "certificate"}, "tls": {"ca": "ca.pem"}}, "needs tls.cert"),
        ({"tls": {}}, "ca"),
        ({"allowed_domains": ["*"]}, "a domain"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    right = {"address": "mail:587", "account": ROUTER, "tls": {"ca": "ca.pem"}, "login": {"password": "x"}}
    MssanteDestinationSettings(**right)
    with pytest.raises(ValidationError, match=said):
        MssanteDestinationSettings(**{**right, **wrong})
