"""Deliveries: failures by cause, the list, sending again and setting aside, one or many."""

from __future__ import annotations

import re
from typing import Any

from web_traffic import flood

from router.journal.operations import Change
from router.journal.parted import part


def rows(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'<tr id="delivery-(\d+)">', text)]


def causes(text: str) -> list[str]:
    return re.findall(r'href="(/deliveries\?state=dead&amp;destination=\w+&amp;cause=\w+)"', text)


async def test_failures_are_grouped_by_cause(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.get("/deliveries")
    assert "2 spico HTTP 422: patient … unknown" in answer.plain
    assert "1 spico HTTP 400" in answer.plain
    first, second = causes(answer.text)
    assert rows((await browser.get(first.replace("&amp;", "&"))).text) == [4, 3]
    assert rows((await browser.get(second.replace("&amp;", "&"))).text) == [5]


async def test_the_list_follows_its_filters(site: Any) -> None:
    browser = await site.signed_in()
    for wish, found in (
        ("", [7, 6, 5, 4, 3, 2, 1]),
        ("?state=dead", [5, 4, 3]),
        ("?state=retrying", [6]),
        ("?state=pending", [7]),
        ("?state=pending&destination=spico", []),
        ("?state=delivered", [2]),
        ("?state=acknowledged&destination=spico", [1]),
        ("?destination=medecin", [7, 2]),
        ("?state=nothing", [7, 6, 5, 4, 3, 2, 1]),
    ):
        assert rows((await browser.get("/deliveries" + wish)).text) == found, wish


async def test_pages_follow_each_other(site: Any) -> None:
    flood(site.journal, site.clock[0], 80)
    browser = await site.signed_in()
    address, seen = "/deliveries", []
    while address:
        text = (await browser.get(address)).text
        seen += rows(text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        address = following[1] if following else ""
    assert seen == list(range(site.value("SELECT max(id) FROM delivery"), 0, -1))


async def test_a_failed_one_is_sent_again_under_its_identity(site: Any) -> None:
    browser = await site.signed_in()
    identity = site.value("SELECT identity FROM delivery WHERE id = 3")
    answer = await browser.post("/deliveries/3/replay", {"next": "/messages/4/sent"})
    assert answer.location == "/messages/4/sent"
    assert site.value("SELECT state FROM delivery WHERE id = 3") == "pending"
    assert site.value("SELECT identity FROM delivery WHERE id = 3") == identity
    assert site.audited("replay delivery") == [("admin", "1 rows", "3")]
    assert site.woken


async def test_a_delivered_one_is_sent_anew_under_another(site: Any) -> None:
    browser = await site.signed_in()
    await browser.post("/deliveries/1/replay")
    assert site.value("SELECT replay_of FROM delivery ORDER BY id DESC") == 1
    assert site.value("SELECT count(DISTINCT identity) FROM delivery WHERE id = 1 OR replay_of = 1") == 2
    assert "renvoi de #1" in (await browser.get("/messages/1/sent")).plain


async def test_one_for_a_patient_who_is_no_longer_its_own_is_not_sent_again(site: Any) -> None:
    site.journal.apply(Change(lambda unit: part(unit, [1])))
    browser = await site.signed_in()
    page = await browser.get("/messages/1/sent")
    assert "Elle a été préparée pour un patient qui n’est plus le sien, et ne part pas telle quelle" in page.plain
    assert "préparée pour un patient qui n’est plus le sien : elle ne part pas telle quelle" in page.plain, "a finding"
    assert 'data-open="replay-1"' not in page.text
    browser.cookies["passerelle_language"] = "en"
    assert "and is not sent as it is: replay its message." in (await browser.get("/messages/1/sent")).plain
    await browser.post("/deliveries/1/replay")
    assert site.value("SELECT count(*) FROM delivery WHERE replay_of = 1") == 0
    plan = await browser.post("/deliveries/plan", {"id": ["1"], "action": "replay"})
    assert (
        "prepared for a patient whom it is no longer about: replay its message"
        in (await browser.get(plan.location)).plain
    )


async def test_one_is_set_aside(site: Any) -> None:
    browser = await site.signed_in()
    assert (await browser.post("/deliveries/6/cancel", {"next": "https://evil.example"})).location == "/deliveries"
    assert site.value("SELECT state FROM delivery WHERE id = 6") == "cancelled"
    assert "Écarté pour spico" in (await browser.get("/messages/7/why")).plain
    assert (await browser.post("/deliveries/6/burn")).status == 404


async def test_a_cause_is_sent_again_whole_after_a_preview(site: Any) -> None:
    browser = await site.signed_in()
    cause = causes((await browser.get("/deliveries")).text)[0].rsplit("=", 1)[1]
    wishes = {"state": "dead", "destination": "spico", "cause": cause, "all": "1", "action": "replay"}
    answer = await browser.post("/deliveries/plan", wishes)
    assert "2 livraisons seront renvoyées." in (await browser.get(answer.location)).plain
    await browser.post(answer.location + "/start")
    await site.carry()
    assert site.value("SELECT count(*) FROM delivery WHERE state = 'pending'") == 3
    assert site.value("SELECT state FROM delivery WHERE id = 5") == "dead", "another cause is left alone"
    assert causes((await browser.get("/deliveries")).text) == causes((await browser.get("/deliveries")).text)[:1]


async def test_chosen_ones_are_set_aside_after_a_preview(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/deliveries/plan", {"id": ["6", "1", "x"], "action": "cancel"})
    preview = await browser.get(answer.location)
    assert "1 livraison sera écartée." in preview.plain
    assert "1 déjà parti" in preview.plain
    await browser.post(answer.location + "/start")
    await site.carry()
    assert "1 déjà parti" in (await browser.get(answer.location)).plain, "what was sent is left alone"
    assert site.value("SELECT state FROM delivery WHERE id = 1") == "acknowledged"
    assert (await browser.post("/deliveries/plan", {"action": "cancel"})).location == "/deliveries"
    assert (await browser.post("/deliveries/plan", {"action": "burn", "id": "1"})).status == 404


async def test_the_address_of_a_delivery_leads_to_its_message(site: Any) -> None:
    browser = await site.signed_in()
    assert (await browser.get("/deliveries/3")).location == "/messages/4/sent#delivery-3"
