"""Notices by ordinary mail and SMS: nothing of anybody in them, repeated under one name, in order for each member."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import httpx
import pytest
from dossier_scene import Scene, daughter, home_help, nurse, stay
from pydantic import SecretStr

from router.config.model import AlertsSection
from router.dossier.circle_door import CircleDoor
from router.dossier.leaving.ordinary import Ordinary, address_of
from router.dossier.leaving.senders import NoticeSenders
from router.dossier.leaving.subscribed import ToTools
from router.journal import tables
from schemas.actors import Telecom
from schemas.circle import Channel, Preferences

SECTION = AlertsSection.model_validate(
    {
        "mail_from": "dossiers@router.example",
        "mail_server": "smtp.router.example:587",
        "sms_webhook": "https://sms.router.example/envoi",
        "sms_secret": SecretStr("secret-de-test"),
    }
)
SECOND, HOUR = 1_000_000, 3_600_000_000


class Outside:
    """The mail server and the SMS gateway: they take what comes, or answer what the test says first."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.texts: list[httpx.Request] = []
        self.answers: list[int] = []

    async def mail(self, mail: EmailMessage, **_: Any) -> None:
        self.mails.append(mail)
        if self.answers and (code := self.answers.pop(0)) >= 400:
            raise aiosmtplib.SMTPResponseException(code, "no")

    def gateway(self, request: httpx.Request) -> httpx.Response:
        self.texts.append(request)
        return httpx.Response(self.answers.pop(0) if self.answers else 202)


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def senders(dossier: Scene, outside: Outside) -> NoticeSenders:
    ordinary = Ordinary(SECTION, transport=httpx.MockTransport(outside.gateway), send_mail=outside.mail)
    store = dossier.journal.store
    tools = ToTools(CircleDoor(), store.blobs, on=False)
    now: Callable[[], datetime] = lambda: datetime.fromtimestamp(dossier.now / SECOND, UTC)  # noqa: E731 - the scene's
    return NoticeSenders(store, dossier.journal, tools, ordinary, now, lambda _: None)


async def run(senders: NoticeSenders) -> None:
    while await senders.once():
        pass


def by_sms(**more: Any) -> Any:
    telecoms = (Telecom(kind="mobile", value="+33600000000"), Telecom(kind="email", value="infirmiere@exemple.fr"))
    member = nurse(preferences=Preferences(channels=(Channel.SMS, Channel.EMAIL)))
    own = member.professional
    assert own is not None
    return member.model_copy(update={"professional": own.model_copy(update={"telecoms": telecoms}), **more})


def states(scene: Scene) -> list[tuple[str, str, str]]:
    return [(row.channel, row.state, row.detail) for row in scene.rows(tables.alert_notice)]


async def test_what_leaves_says_nothing_of_anybody(dossier: Scene, senders: NoticeSenders, outside: Outside) -> None:
    dossier.add(by_sms())
    helper = home_help(preferences=Preferences(channels=(Channel.EMAIL,)))
    assert helper.organization is not None
    known = helper.organization.model_copy(update={"telecoms": (Telecom(kind="email", value="saad@exemple.fr"),)})
    dossier.add(helper.model_copy(update={"organization": known}))
    dossier.receive(stay("1" * 32))
    await run(senders)
    (mail,), (text,) = outside.mails, outside.texts
    assert (mail["To"], json.loads(text.content)["to"]) == ("saad@exemple.fr", "+33600000000")
    assert text.headers["X-Passerelle-Signature"].startswith("t=")
    said = (str(mail) + text.content.decode()).casefold()
    for word in ("rose", "admission", "hôpital", "ch fictif", "urgence", "2.999"):
        assert word not in said
    assert [state for _, state, _ in states(dossier)] == ["sent", "sent"]
    await run(senders)
    assert (len(outside.mails), len(outside.texts)) == (1, 1)


async def test_a_failure_is_tried_again_under_the_same_name_and_holds_back_the_next(
    dossier: Scene, senders: NoticeSenders, outside: Outside
) -> None:
    dossier.add(by_sms())
    dossier.receive(stay("1" * 32))
    dossier.receive(stay("2" * 32, "stay.ended", "A03"))
    outside.answers = [503, 503]
    await run(senders)
    assert [one[1] for one in states(dossier)] == ["queued", "queued"]
    dossier.now += 2 * SECOND
    await run(senders)
    dossier.now += 6 * SECOND
    await run(senders)
    keys = [request.headers["Idempotency-Key"] for request in outside.texts]
    assert (len(keys), len(set(keys))) == (4, 2)
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert [one[1] for one in states(dossier)] == ["sent", "sent"]


async def test_a_refusal_passes_the_notice_on_and_the_last_one_says_why(
    dossier: Scene, senders: NoticeSenders, outside: Outside
) -> None:
    dossier.add(by_sms())
    dossier.receive(stay("1" * 32))
    outside.answers = [400, 550]
    await run(senders)
    assert states(dossier) == [("email", "failed", "the mail server answered 550")]
    assert len(outside.mails) == 1


async def test_after_a_day_of_failures_another_channel_is_tried(
    dossier: Scene, senders: NoticeSenders, outside: Outside
) -> None:
    dossier.add(by_sms())
    dossier.receive(stay("1" * 32))
    outside.answers = [503]
    await run(senders)
    dossier.now += 25 * HOUR
    outside.answers = [503]
    await run(senders)
    assert states(dossier) == [("email", "sent", "")]


def test_a_mailbox_of_mssante_is_no_ordinary_address() -> None:
    member = daughter()
    assert member.relative is not None
    boxes = (Telecom(kind="email", value="x@patient.mssante.fr"), Telecom(kind="email", value="lucie@exemple.fr"))
    found = member.model_copy(update={"relative": member.relative.model_copy(update={"telecoms": boxes})})
    assert address_of(found, Channel.EMAIL) == "lucie@exemple.fr"
    assert address_of(found, Channel.SMS) == ""
