"""Reading notifications: once, after the outcome, to nobody else than who sent the mail."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conformance import until
from mssante_mails import mail
from test_mssante_source import REJECTED, box, watching

from connectors.mssante.answering import BEGUN
from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import FOREIGN, HOSPITAL, NURSE, ROUTER
from connectors.sandbox.mail_smtp import Mood
from connectors.testing import MemoryInbox, PlainServices

WISH = f"Disposition-Notification-To: {HOSPITAL}\r\n"


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[MailOperator]:
    async with MailOperator(tmp_path / "operator") as operator:
        yield operator


def answers(operator: MailOperator, **more: Any) -> dict[str, Any]:
    return {"answers": operator.submission(**more)}


def received(operator: MailOperator, address: str = HOSPITAL) -> list[bytes]:
    account = operator.opened(address)
    assert account is not None
    return account.contents()


async def test_success_is_told_after_the_outcome(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    release = asyncio.Event()
    outcome = inbox.outcome

    async def later(receipt: Any) -> Any:
        await release.wait()
        return await outcome(receipt)

    inbox.outcome = later  # type: ignore[method-assign]
    operator.deliver(ROUTER, mail(1, head=WISH))
    async with watching(operator, inbox, services, **answers(operator)):
        await inbox.wait_committed(1)
        await until(lambda: services.health.figures["looks"] == 1)
        assert received(operator) == []
        release.set()
        await until(lambda: services.health.figures["filed"] == 1)
    [mdn] = received(operator)
    assert b"automatic-action/MDN-sent-automatically; processed\r\n" in mdn
    assert b"Original-Message-ID: <1.testrose@sandbox.mssante.invalid>" in mdn
    assert operator.taken[0].sender == ""
    [filed] = box(operator).create("Traites").mails
    assert filed.flags == {"$MDNSent"}


async def test_what_waits_for_a_person_is_not_answered_yet(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    inbox.waiting.add(1)
    operator.deliver(ROUTER, mail(1, head=WISH))
    operator.deliver(ROUTER, mail(2))
    async with watching(operator, inbox, services, **answers(operator)):
        await until(lambda: services.health.figures["filed"] == 1)
        assert received(operator) == []
        assert len(box(operator).contents()) == 1
        inbox.waiting.clear()
        await services.tick()
        await until(lambda: services.health.figures["filed"] == 2)
    assert len(received(operator)) == 1


async def test_a_failure_bears_its_code(operator: MailOperator, inbox: MemoryInbox, services: PlainServices) -> None:
    inbox.rejections[1] = REJECTED
    inbox.rejections[2] = REJECTED.model_copy(update={"code": "mail.ins.missing"})
    operator.deliver(ROUTER, mail(1, head=WISH))
    operator.deliver(ROUTER, mail(2, head=WISH))
    async with watching(operator, inbox, services, **answers(operator), answers_sender="account"):
        await until(lambda: services.health.figures["filed"] == 2)
    assert b"Error: 906^" in received(operator)[0]
    assert b"Error: 903^" in received(operator)[1]
    assert [one.sender for one in operator.taken] == [ROUTER, ROUTER]


@pytest.mark.parametrize(
    ("content", "return_path"),
    [
        (mail(1), HOSPITAL),
        (mail(1, head=WISH), NURSE),
        (mail(1, head=f"Disposition-Notification-To: {FOREIGN}\r\n"), HOSPITAL),
        (mail(1, head=f"Disposition-Notification-To: {HOSPITAL}, {NURSE}\r\n"), HOSPITAL),
        (mail(1, head=WISH + "Auto-Submitted: auto-generated\r\n"), HOSPITAL),
        (mail(1, head=WISH), ""),
        (mail(1, sender=FOREIGN, head=f"Disposition-Notification-To: {FOREIGN}\r\n"), FOREIGN),
    ],
)
async def test_nobody_else_is_told(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices, content: bytes, return_path: str
) -> None:
    operator.deliver(ROUTER, content, return_path)
    async with watching(operator, inbox, services, **answers(operator)):
        await until(lambda: services.health.figures["filed"] == 1)
    assert operator.received == []


async def test_a_person_is_not_answered_for_unless_configured(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.deliver(ROUTER, mail(1, head=WISH))
    async with watching(operator, inbox, services, box="per"):
        await until(lambda: int(services.health.figures["looks"]) >= 1)
    assert operator.received == []


async def test_one_that_cannot_leave_waits_and_leaves_once(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.mood = Mood.LATER
    operator.deliver(ROUTER, mail(1, head=WISH))
    async with watching(operator, inbox, services, **answers(operator)):
        await until(lambda: "mssante.answer.waits" in services.codes())
        assert services.health.figures["filed"] == 0
        operator.mood = Mood.WELL
        await services.tick()
        await until(lambda: services.health.figures["filed"] == 1)
    assert len(received(operator)) == 1


async def test_one_that_may_have_left_is_not_sent_again(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    operator.mood = Mood.CUT
    operator.deliver(ROUTER, mail(1, head=WISH))
    async with watching(operator, inbox, services, **answers(operator)):
        await until(lambda: services.health.figures["filed"] == 1)
    assert len(received(operator)) == 1
    assert "mssante.answer.failed" in services.codes()


async def test_a_mail_seen_twice_is_answered_once(
    operator: MailOperator, inbox: MemoryInbox, services: PlainServices
) -> None:
    async with watching(operator, inbox, services, **answers(operator)):
        for count in (1, 2):
            operator.deliver(ROUTER, mail(1, head=WISH))
            await until(lambda count=count: services.health.figures["filed"] == count)  # type: ignore[misc]
    assert len(received(operator)) == 1


async def test_killed_while_it_was_sent(operator: MailOperator, inbox: MemoryInbox, services: PlainServices) -> None:
    operator.deliver(ROUTER, mail(1, head=WISH))
    folder = box(operator).create("INBOX")
    control_id = f"{ROUTER}/INBOX/{folder.validity}/{folder.mails[0].uid}"
    key = "mdn/" + hashlib.sha256(control_id.encode()).hexdigest()[:32]
    await services.memory.keep(key, BEGUN)
    async with watching(operator, inbox, services, **answers(operator)):
        await until(lambda: services.health.figures["filed"] == 1)
    assert inbox.messages[0].control_id == control_id
    assert operator.received == []
    assert "mssante.answer.unknown" in services.codes()
