"""The list of messages: search that leaves no trace in addresses, filters, pages, live rows, replays of many."""

from __future__ import annotations

import re
from typing import Any

import pytest
from web_journal import MINUTE
from web_traffic import flood

from router.web.rights import Role


def rows(text: str) -> list[int]:
    """Give the numbers of the messages on a page."""
    return [int(number) for number in re.findall(r'<tr id="message-(\d+)">', text)]


async def test_the_newest_come_first_with_what_they_are(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.get("/messages")
    assert rows(answer.text) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert "NFS, 4 résultats, Hémoglobine 7,1 g/dL ↓↓" in answer.plain
    assert "Admission, A01, 3301" in answer.plain, "an event is told in words"
    assert "critique" in answer.plain


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ("state=held", [2]),
        ("state=rejected", [3]),
        ("state=received", [9]),
        ("source=hopital", [9, 2]),
        ("kind=stay", [2]),
        ("kind=lab_report", [8, 7, 6, 5, 4, 1]),
        ("worst=warning", [3, 1]),
        ("worst=error", [3]),
        ("type=ADT%5EA03", [9]),
        ("source=hopital&state=held", [2]),
        ("period=hour", [9, 8, 7, 6, 5, 4, 3, 1]),
        ("period=today", [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("since=2026-11-22&until=2026-11-22", [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("until=2026-11-21", []),
        ("control=DEAD0", [4]),
        ("control=DEAD*", [6, 5, 4]),
        ("control=DEAD*&worst=warning", []),
        ("control=D%25*", []),
        ("sender=LABO+FICTIF", []),
    ],
)
async def test_filters(site: Any, wish: str, found: list[int]) -> None:
    browser = await site.signed_in()
    assert rows((await browser.get(f"/messages?{wish}")).text) == found


async def test_chips_say_what_is_chosen_and_let_it_go(site: Any) -> None:
    browser = await site.signed_in()
    text = (await browser.get("/messages?state=held&source=hopital")).text
    assert 'href="/messages?source=hopital" aria-label="Retirer le filtre État"' in text
    assert 'href="/messages?state=rejected&amp;source=hopital"' in text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TESTROSE", [7, 6, 5, 4, 1]),
        ("testrose", [7, 6, 5, 4, 1]),
        ("Téstrose Marie", [7, 6, 5, 4, 1]),
        ("279035121510000", [7, 6, 5, 4, 1]),
        ("IPP000000", [7, 6, 5, 4, 1]),
        ("LAB1", [1]),
        ("DOSSIER1", [5]),
        ("VN778", [2]),
        ("DUPONTEST", [2]),
        ("HELD", [2]),
        ("#3", [3]),
        ("3", [3]),
        ("nobody of that name", []),
        ("TESTROSE Marie 05/03/1930", [7, 6, 5, 4, 1]),
        ("TESTROSE 1930-03-05", [7, 6, 5, 4, 1]),
        ("TESTROSE 06/03/1930", []),
        ("DUPONTEST 05/03/1933", [2]),
        ("DUPONTEST 05/03/1930", []),
    ],
)
async def test_search(site: Any, text: str, found: list[int]) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/search", {"text": text})
    assert answer.status == 303
    assert re.fullmatch(r"/messages\?search=[\w-]{12}", answer.location), "an address holds a random word"
    page = await browser.get(answer.location)
    assert rows(page.text) == found
    assert f'value="{text}"' in page.text
    assert all(
        text not in address for address in re.findall(r'(?:href|hx-get|action)="([^"]*)"', page.text) if len(text) > 4
    )
    assert site.audited("search") == [("admin", "messages", "")]


async def test_a_patient_is_searched_by_name_birth_date_and_number(site: Any) -> None:
    browser = await site.signed_in()
    page = await browser.get("/messages?kind=lab_report")
    form = page.text[page.text.index('action="/messages/search"', page.text.index("Date de naissance") - 900) :]
    assert 'name="born" type="date"' in form
    fields = {"family": "TESTROSE", "born": "1930-03-05", "number": "", "kind": "lab_report"}
    answer = await browser.post("/messages/search", fields)
    assert "1930" not in answer.location
    assert rows((await browser.get(answer.location)).text) == [7, 6, 5, 4, 1]
    other = await browser.post("/messages/search", {**fields, "born": "1931-03-05"})
    assert rows((await browser.get(other.location)).text) == []


async def test_what_matches_is_counted(site: Any) -> None:
    browser = await site.signed_in()
    assert "6 messages" in (await browser.get("/messages?kind=lab_report")).plain
    assert "1 message" in (await browser.get("/messages?state=held")).plain
    dated = await browser.get("/messages?since=2026-11-22&until=2026-11-22")
    assert "Période : du 22/11/2026 au 22/11/2026" in dated.plain.replace("\xa0", " ")


async def test_search_goes_with_filters(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/search", {"text": "TESTROSE", "worst": "warning"})
    assert rows((await browser.get(answer.location)).text) == [1]
    cleared = await browser.post("/messages/search", {"text": "  ", "worst": "warning"})
    assert cleared.location == "/messages?worst=warning"


async def test_a_search_is_nobody_elses(site: Any) -> None:
    browser, other = await site.signed_in(), await site.signed_in()
    answer = await browser.post("/messages/search", {"text": "TESTROSE"})
    page = await other.get(answer.location)
    assert "TESTROSE" not in page.text
    assert "Cette recherche a expiré" in page.text


async def test_pages_follow_each_other_without_gap_or_double(site: Any) -> None:
    flood(site.journal, site.clock[0], 120)
    browser = await site.signed_in()
    address, seen = "/messages", []
    while address:
        text = (await browser.get(address)).text
        seen += rows(text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        address = following[1] if following else ""
    assert seen == list(range(129, 0, -1))


async def test_live_rows_stay_where_they_are_and_new_ones_are_announced(site: Any) -> None:
    browser = await site.signed_in()
    page = await browser.get("/messages")
    address = re.search(r'hx-get="(/messages\?top=9&amp;end=1)"', page.text)
    assert address is not None
    site.journal.message(site.clock[0], control="LATER1")
    site.journal.message(site.clock[0], control="LATER2")
    text = (await browser.live(address[1].replace("&amp;", "&"))).text
    assert rows(text) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert "2 nouveaux messages" in text
    filtered = (await browser.live("/messages?source=hopital&top=9&end=2")).text
    assert rows(filtered) == [9, 2]
    assert "nouveau" not in filtered


async def test_chosen_messages_are_replayed_after_a_preview(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/replay", {"id": ["1", "3", "oops", "9"]})
    assert re.fullmatch(r"/bulk/\d+", answer.location)
    preview = await browser.get(answer.location)
    assert "2 messages seront rejoués" in preview.plain
    assert "1 en cours de lecture" in preview.plain, "9 is being read"
    assert "recevront une seconde fois" in preview.plain
    refused = await browser.post(answer.location + "/start", {"word": "oui"})
    assert refused.status == 422
    assert "Rien n’a été fait" in refused.plain
    assert await site.carry() == 0
    assert site.value("SELECT sum(replays) FROM message") == 0, "nothing happens before the word"
    await browser.post(answer.location + "/start", {"word": "Rejouer"})
    await site.carry()
    result = await browser.get(answer.location)
    assert "Terminé." in result.plain
    assert "3 sur 3 (100 %)." in result.plain
    assert site.value("SELECT sum(replays) FROM message") == 2
    assert site.audited("replay message") == [("admin", "2 rows", "1, 3")]
    assert site.audited("bulk start") == [("admin", "bulk 1", "replay_messages, 3 rows")]
    assert site.audited("bulk end") == [("admin", "bulk 1", "replay_messages, 2 of 3 rows")]
    assert site.woken


async def test_all_that_match_are_replayed_oldest_first(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/replay", {"all": "1", "kind": "lab_report"})
    text = (await browser.get(answer.location)).text
    assert "<b>6</b> messages seront rejoués" in text
    assert 'href="/messages?kind=lab_report"' in text
    nothing = await browser.post("/messages/replay", {"all": "1", "source": "nowhere"})
    assert nothing.location == "/messages?source=nowhere"


async def test_a_plan_is_its_authors_and_what_runs_is_everybodys(site: Any) -> None:
    browser = await site.signed_in()
    other = await site.signed_in_as(Role.ADMINISTRATOR)
    answer = await browser.post("/messages/replay", {"id": ["1"]})
    for call in (other.get(answer.location), other.post(answer.location + "/start")):
        assert (await call).status == 404
    await browser.post(answer.location + "/start", {"word": "REPLAY"})
    assert "En cours" in (await other.get(answer.location)).plain
    assert "Rejouer des messages" in (await other.get("/bulk")).plain
    await other.post(answer.location + "/stop")
    await site.carry()
    assert site.value("SELECT sum(replays) FROM message") == 0
    assert "Arrêté à la demande" in (await browser.get(answer.location)).plain


async def test_a_lone_message_is_replayed(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/1/replay")
    assert answer.location == "/messages/1"
    assert site.value("SELECT state FROM message WHERE id = 1") == "received"
    assert site.woken == [site.clock[0]]
    site.clock[0] += MINUTE
    assert "en attente de lecture" in (await browser.get("/messages/1")).plain
