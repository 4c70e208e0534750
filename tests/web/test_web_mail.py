"""The pages of mails: conversations, how far each mail has come, what is masked, and what the overview says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from html_check import check
from sqlalchemy import select
from web_journal import HOSTILE, HOUR
from web_mails import INS_BOX, MAIL_FLOWS, SUBJECT, answer, correspond
from web_person import NOW

from router.journal import tables
from router.web.rights import Role

NAMES = ("TESTROSE", "MARIE", "279035121518989")


@pytest.fixture
def mails(site: Any) -> Any:
    site.flows += MAIL_FLOWS
    site.sent = correspond(site.journal, NOW)
    return site


def rows(text: str) -> list[str]:
    return re.findall(r'<tr id="mail-\d+">.*?</tr>', text, re.DOTALL)


def number_of(site: Any, name: str) -> int:
    column = tables.mail.c
    with site.journal.store.reading() as connection:
        wanted = select(column.id).where(column.delivery_id == site.sent[name])
        return int(connection.execute(wanted).scalar_one())


async def thread_of(site: Any, browser: Any, name: str) -> str:
    answered = await browser.get(f"/mail/{number_of(site, name)}")
    assert answered.status == 200
    return str(answered.plain)


@pytest.mark.parametrize("path", ["/mail", "/mail?state=waiting&box=bal", "/mail/1", "/mail/6"])
async def test_a_page_is_whole_and_strict_and_masked(mails: Any, path: str) -> None:
    browser = await mails.signed_in()
    for language in ("fr", "en"):
        browser.cookies["passerelle_language"] = language
        found = await browser.get(path)
        assert found.status == 200
        checked = check(found.text)
        assert (checked.wrong, checked.open) == ([], [])
        assert len(set(checked.ids)) == len(checked.ids)
        assert HOSTILE not in found.text
        assert not any(name in found.text for name in NAMES)
    live = await browser.live(path)
    assert "<html" not in live.text
    assert 'id="live"' in live.text
    assert (await mails.browser().get(path)).status == 303


async def test_conversations_are_listed_newest_first_with_their_way(mails: Any) -> None:
    browser = await mails.signed_in()
    listed = [re.sub(r"<[^>]+>", " ", row) for row in rows((await browser.get("/mail")).text)]
    assert len(listed) == 5, "the answer is in the conversation of what it answers"
    words = ["reçu", "à remettre", "sans nouvelles", "non distribué", "reçu"]
    assert [any(word in row for row in listed) for word in words] == [True] * 5
    answered = next(row for row in listed if "reçu par bal" in " ".join(row.split()) and "note" in row.lower())
    assert answered.split()[-1] in {"1", "2"}


async def test_a_conversation_tells_the_way_of_each_mail(mails: Any) -> None:
    browser = await mails.signed_in()
    told = await thread_of(mails, browser, "lu")
    assert "Échange de 2 mails" in told
    for part in ("lu@ch.test", "Remis dans la boîte", "delivered 2.0.0", "Lu", "reponse@cabinet.test", "Voir l’envoi"):
        assert part in told
    refused = await thread_of(mails, browser, "rebond")
    assert "5.1.1 Cette boîte n’existe pas." in refused
    assert "•••@patient.mssante.fr" in refused
    assert "sans nouvelles depuis plus de 24 h" in await thread_of(mails, browser, "muet")
    browser.cookies["passerelle_language"] = "en"
    assert "5.1.1 There is no such mailbox." in await thread_of(mails, browser, "rebond")


@pytest.mark.parametrize(
    ("wish", "count"), [("waiting", 1), ("refused", 1), ("read", 1), ("received", 2), ("sent", 4), ("odd", 5)]
)
async def test_conversations_are_filtered_by_what_became_of_a_mail(mails: Any, wish: str, count: int) -> None:
    browser = await mails.signed_in()
    assert len(rows((await browser.get(f"/mail?state={wish}")).text)) == count
    assert len(rows((await browser.get("/mail?box=nowhere")).text)) == 0


async def test_a_message_id_is_searched_for_and_not_in_the_address(mails: Any) -> None:
    browser = await mails.signed_in()
    for text, count in (("<reponse@cabinet.test>", 1), ("muet@ch.test", 1), ("unknown@x", 0)):
        went = await browser.post("/mail/search", {"text": text})
        assert "test" not in went.location
        assert len(rows((await browser.get(went.location)).text)) == count
    assert mails.audited("search")[0][1] == "mail"


async def test_a_subject_is_shown_on_request_and_noted_first(mails: Any) -> None:
    browser = await mails.signed_in()
    number = number_of(mails, "attente")
    shown = await browser.post(f"/mail/{number}/subject")
    assert SUBJECT in shown.plain
    assert HOSTILE not in shown.text
    assert mails.audited("reveal subject") == [("admin", f"mail {number}", "")]
    assert (await browser.post("/mail/999/subject")).status == 404
    assert (await browser.post(f"/mail/{number}/subject", csrf="guessed")).status == 403
    assert len(mails.audited("reveal subject")) == 1


async def test_every_role_looks_at_mails(mails: Any) -> None:
    browser = await mails.signed_in_as(Role.AUDITOR)
    assert (await browser.get("/mail")).status == 200
    assert (await browser.get("/mail/999")).status == 404


async def test_pages_go_on_from_one_another(mails: Any) -> None:
    for rank in range(60):
        answer(mails.journal, f"x{rank}", NOW, "read")  # receipts of nothing are no mails
    with mails.journal.store.writing() as connection:
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO mail "
            "(message_id, flow, at, token, thread, sealed_head) SELECT message_id, flow, at, i, i, sealed_head "
            "FROM n, mail WHERE mail.id = 2"
        )
    browser = await mails.signed_in()
    first = (await browser.get("/mail")).text
    onward = re.search(r'rel="next" href="([^"]+)"', first)
    assert onward is not None
    second = (await browser.get(onward[1].replace("&amp;", "&"))).text
    assert (len(rows(first)), len(rows(second))) == (50, 15)


async def test_the_overview_tells_of_mails_without_news_and_of_refusals(mails: Any) -> None:
    browser = await mails.signed_in()
    told = await browser.get("/")
    assert "1 mail remis à l’opérateur est sans nouvelles depuis plus de 24 h" in told.plain
    assert "1 mail n’a pas été distribué en 24 heures." in told.plain
    assert 'href="/mail?state=waiting"' in told.text
    answer(mails.journal, "muet@ch.test", NOW, "delivered")
    mails.clock[0] += 48 * HOUR
    mails.desk.boards.forget()
    browser = await mails.signed_in()
    told = await browser.get("/")
    assert "sans nouvelles" not in told.plain
    assert "distribué en 24" not in told.plain


async def test_the_api_says_the_same_without_addresses_of_patients(mails: Any) -> None:
    browser = mails.browser()
    browser.headers["authorization"] = f"Bearer {mails.journal.key}"
    found = await browser.get("/api/v1/mail?state=refused")
    [conversation] = found.json()["conversations"]
    assert conversation["mails"][0]["way"] == "refused"
    assert conversation["mails"][0]["recipients"] == ["•••@patient.mssante.fr"]
    whole = await browser.get("/api/v1/mail")
    assert not any(name in whole.text for name in (*NAMES, INS_BOX))
    figures = (await browser.get("/api/v1/mail/figures")).json()
    assert (figures["waiting"], figures["refused"]) == (1, 1)
    number = conversation["mails"][0]["id"]
    assert (await browser.get(f"/api/v1/mail/{number}")).json()["count"] == 1
    assert (await browser.get("/api/v1/mail/999")).status == 404


async def test_the_menu_has_what_is_configured(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/")).text
    assert 'href="/mail"' not in text
    assert 'href="/dmp"' not in text
    site.flows += MAIL_FLOWS
    text = (await browser.get("/")).text
    assert 'href="/mail" data-go="e"' in text
    assert text.count("<kbd>e</kbd>") == 1
