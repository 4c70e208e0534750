"""What holds for every page: who may see it, what it may load, that names stay hidden and harmless."""

from __future__ import annotations

import re
from typing import Any

import pytest
from html_check import check
from web_journal import HOSTILE, MINUTE

PAGES = (
    "/",
    "/messages",
    "/messages?state=held&source=hopital&kind=stay&worst=warning&period=week&type=ADT%5EA01&format=hl7v2",
    "/messages?since=2026-11-01&until=2026-11-30",
    "/messages/1",
    "/messages/1/understood",
    "/messages/1/understood?raw=1",
    "/messages/1/original",
    "/messages/1/original?raw=1",
    "/messages/1/sent",
    "/messages/1/why",
    "/messages/1/findings",
    "/messages/2",
    "/messages/3",
    "/messages/8/understood",
    "/messages/8/sent",
    "/messages/9",
    "/deliveries",
    "/deliveries?state=dead&destination=spico",
    "/deliveries?state=delivered",
    "/identities",
    "/identities/2",
    "/identities/1?reason=no_match&pile=aside&candidate=9&refused=decided&undone=2-1",
    "/identities?pile=aside",
    "/identities?reason=homonyms",
    "/identities/decisions",
    "/identities/tasks",
    "/codes",
    "/codes?view=mapped&sender=LABO",
    "/mailboxes",
    "/?period=week",
    "/?period=month",
    "/flows/sources/labo-sud/profile",
    "/alarms",
    "/notices",
    "/notices?severity=error",
    "/audit",
    "/audit?actor=admin",
    "/account",
    "/people",
    "/people?problem=last",
    "/api",
)
NAMES = ("TESTROSE", "MARIE", "DUPONTEST", "LUCIE", "1930-03-05")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_and_strict(site: Any, path: str) -> None:
    browser = await site.signed_in()
    for language in ("fr", "en"):
        browser.cookies["passerelle_language"] = language
        answer = await browser.get(path)
        assert answer.status == 200, answer.plain[:300]
        found = check(answer.text)
        assert found.wrong == []
        assert found.open == []
        assert len(set(found.ids)) == len(found.ids), "an id is there twice"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert HOSTILE not in answer.text
        assert re.search(r"<title>[^<]+ · Passerelle</title>", answer.text)
        assert not any(name in re.sub(r"(?s)^.*<title>(.*?)</title>.*$", r"\1", answer.text) for name in NAMES)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_for_those_signed_in(site: Any, path: str) -> None:
    assert (await site.browser().get(path)).status == 303
    assert (await site.browser().live(path)).status == 401


@pytest.mark.parametrize(
    "path",
    ["/", "/messages", "/messages/1", "/deliveries", "/identities", "/codes", "/mailboxes", "/notices", "/audit"],
)
async def test_the_live_part_comes_alone(site: Any, path: str) -> None:
    browser = await site.signed_in()
    answer = await browser.live(path)
    assert answer.status == 200
    assert "<html" not in answer.text
    assert 'id="live"' in answer.text
    assert 'id="menu"' in answer.text
    assert check(answer.text).wrong == []


@pytest.mark.parametrize(
    "path", ["/", "/messages", "/deliveries", "/mailboxes", "/notices", "/audit", "/messages/1/why"]
)
async def test_names_are_masked(site: Any, path: str) -> None:
    browser = await site.signed_in()
    text = (await browser.get(path)).text
    assert not any(name in text for name in NAMES)
    if path in {"/messages", "/deliveries", "/messages/1/why"}:
        assert "M••• T•••, 1930" in text


@pytest.mark.parametrize(
    "path",
    [
        "/messages/999",
        "/messages/1/nothing",
        "/messages/x",
        "/deliveries/999",
        "/identities/999",
        "/identities/x",
        "/bulk/guessed",
        "/nowhere",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/app.txt",
        "/download/messages/999",
        "/download/messages/1/beside/7",
        "/download/items/1/attachments/9",
        "/download/items/999/attachments/0",
        "/download/deliveries/999",
        "/download/deliveries/1/answers/9",
    ],
)
async def test_what_is_not_there_says_so(site: Any, path: str) -> None:
    browser = await site.signed_in()
    answer = await browser.get(path)
    assert answer.status == 404
    assert "Introuvable" in answer.text


async def test_odd_wishes_are_no_wishes(site: Any) -> None:
    browser = await site.signed_in()
    for wish in (
        "state=nothing",
        "worst=99",
        "since=yesterday",
        "before=-1",
        "before=9e9",
        "kind='; DROP TABLE item",
        "period=x",
    ):
        assert (await browser.get(f"/messages?{wish.replace(' ', '%20')}")).status == 200
        assert (await browser.get(f"/deliveries?{wish.replace(' ', '%20')}")).status == 200


async def test_assets_are_ours_light_and_kept(site: Any) -> None:
    page = await site.browser().get("/login")
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(addresses) == 4
    weight = 0
    for address in addresses:
        answer = await site.browser().get(address)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]
        if "svg" not in address:
            weight += len(answer.body)
    assert weight < 150_000
    again = await site.browser().get(addresses[0].split("?")[0])
    assert again.headers["cache-control"] == "no-cache"


async def test_a_defect_of_ours_is_told_without_data(site: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("TESTROSE has HIV")

    browser = await site.signed_in()
    monkeypatch.setattr("router.web.pages.audit.audit_lines", broken)
    answer = await browser.get("/audit")
    assert answer.status == 500
    assert "TESTROSE" not in answer.text + caplog.text
    assert "ValueError" in caplog.text
    notice = site.value("SELECT message FROM notice ORDER BY id DESC")
    assert "ValueError" in notice
    assert "TESTROSE" not in notice


async def test_too_large_a_form_is_refused(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/search", {"text": "x" * 1_100_000})
    assert answer.status == 413


async def test_the_overview_says_what_is_wrong_worst_first(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/")).plain
    order = [
        text.index(said)
        for said in (
            "spico ne répond pas depuis 2 min (connexion refusée). 1 livraison attend, elle n’est pas perdue.",
            "2 livraisons vers spico sont en échec, la première depuis 29 min (HTTP 422: patient … unknown).",
            "1 livraison vers spico est en échec depuis 30 min (HTTP 400).",
            "1 élément attend une identité depuis 08:30",
            "1 message illisible en 24 heures.",
        )
    ]
    assert order == sorted(order)
    assert "Tout circule" not in text
    browser.cookies["passerelle_language"] = "en"
    text = (await browser.get("/")).plain
    assert "spico has not answered for 2 min (connection refused). 1 delivery waits, it is not lost." in text


async def test_the_overview_of_a_quiet_router(tmp_path: Any) -> None:
    from web_client import Browser
    from web_journal import ADMIN, open_journal

    from router.web.app import create_app
    from router.web.context import WebContext
    from router.web.sessions import start_session

    journal = open_journal(tmp_path)
    app = create_app(WebContext(store=journal.store, submit=journal.submit))
    desk = app.state.desk
    browser = Browser(app)
    token, change = start_session(ADMIN, now=desk.now(), rules=desk.rules)
    journal.apply(change)
    browser.cookies["passerelle_session"] = token
    text = (await browser.get("/")).plain
    assert "Rien ne peut encore circuler." in text
    assert "Aucune source n’est configurée." in text
    assert "Aucun message n’est encore arrivé." in (await browser.get("/messages")).plain
    assert "Rien n’attend d’identité." in (await browser.get("/identities")).plain
    desk.live.close()
    desk.close()
    journal.store.close()


async def test_times_are_in_the_readers_zone(site: Any) -> None:
    browser = await site.signed_in()
    assert "10:30" in (await browser.get("/")).plain
    browser.cookies["passerelle_zone"] = "Indian/Reunion"
    assert "13:30" in (await browser.get("/")).plain
    browser.cookies["passerelle_zone"] = "Mars/Phobos"
    assert "10:30" in (await browser.get("/")).plain


async def test_figures_follow_the_journal(site: Any) -> None:
    browser = await site.signed_in()
    before = (await browser.get("/")).plain
    assert "reçus 9" in before
    site.clock[0] += MINUTE
    site.journal.message(site.clock[0], control="LATER")
    site.desk.boards.forget()
    assert "reçus 10" in (await browser.get("/")).plain
