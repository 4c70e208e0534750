"""A source's profile of the week: what it usually sends, as shades and as figures, and how its last days were."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from html_check import check
from sqlalchemy import insert
from web_journal import HOUR

from router.journal import tables
from router.journal.flow_hours import KEPT_HOURS
from router.watch.profile import Profile
from router.watch.signs import WEEKS

PARIS = ZoneInfo("Europe/Paris")
PATH = "/flows/sources/labo-sud/profile"


@pytest.fixture
def learned(site: Any) -> Any:
    """Thirty messages an hour on working days from eight to eighteen, six on Saturday mornings, nothing else."""
    current, rows = site.clock[0] // HOUR, []
    for hour in range(current - KEPT_HOURS, current):
        at = datetime.fromtimestamp(hour * 3600, PARIS)
        count = 30 if at.weekday() < 5 and 8 <= at.hour < 18 else 6 if at.weekday() == 5 and 8 <= at.hour < 12 else 0
        if count:
            rows.append({"series": "received", "hour": hour, "name": "labo-sud", "counted": count, "erased": 0})
    with site.journal.store.writing() as connection:
        connection.execute(insert(tables.flow_hour), rows)
        done = [{"hour": hour, "at": site.clock[0]} for hour in range(current - KEPT_HOURS, current)]
        connection.execute(insert(tables.flow_hour_counted), done)
        facts = f'{{"since": {site.clock[0] - HOUR}, "expected": 35}}'
        told = {"kind": "silence", "subject": "labo-sud", "facts": facts, "opened_at": 1, "seen_at": 1}
        connection.execute(insert(tables.alarm).values(side="source", **told))
        connection.execute(insert(tables.alarm).values(side="destination", **{**told, "kind": "backlog"}))
    return site


@pytest.mark.parametrize("language", ["fr", "en"])
async def test_the_hours_of_a_week_are_shades_and_figures(learned: Any, language: str) -> None:
    browser = await learned.signed_in()
    browser.cookies["passerelle_language"] = language
    answer = await browser.get(PATH)
    assert answer.status == 200
    found = check(answer.text)
    assert (found.wrong, found.open) == ([], [])
    cells = re.findall(r'<td class="h(\d)( now)?" title="([^"]+)"><span>([^<]+)</span></td>', answer.text)
    assert len(cells) == 7 * 24
    shade, now, sentence, usual = cells[9]
    assert (shade, usual) == ("8", "30")
    assert sentence == ("lundi 9 h – 10 h : 30 messages" if language == "fr" else "Monday 9:00 – 10:00: 30 messages")
    assert [usual for *_, usual in cells[5 * 24 + 7 : 5 * 24 + 13]] == ["0", "6", "6", "6", "6", "0"]
    assert {shade for shade, *_ in cells[6 * 24 :]} == {"0"}
    assert [number for number, cell in enumerate(cells) if cell[1]] == [6 * 24 + 10], "Sunday, half past ten"
    assert re.search(r'<td class="num">300</td>', answer.text)
    assert now == ""


async def test_today_is_beside_what_is_usual_and_alarms_are_this_side_s(learned: Any) -> None:
    answer = await (await learned.signed_in()).get(PATH)
    assert re.search(r"Aujourd’hui jusqu’ici : [1-9], d’habitude 0\.", answer.plain)
    assert "labo-sud se tait" in answer.plain
    assert "livraison vers labo-sud" not in answer.plain
    assert answer.text.count('<rect class="hit"') == 168
    assert 'class="band"' in answer.text


async def test_one_that_is_hardly_known_says_what_is_missing(site: Any) -> None:
    browser = await site.signed_in()
    assert "il en faut 3" in (await browser.get(PATH)).plain
    assert "<html" not in (await browser.live(PATH)).text
    site.flows.append(site.flows[0].__class__("neuf", "source", "mllp", "listening"))
    assert "Le profil s’apprend dès le premier" in (await browser.get("/flows/sources/neuf/profile")).plain
    for name in ("nobody", "spico", "%3Cscript%3E", "a%2Fb"):
        assert (await browser.get(f"/flows/sources/{name}/profile")).status == 404, name
    assert (await site.browser().get(PATH)).status == 303


def test_a_week_knows_no_holidays_and_learns_each_weekday_apart() -> None:
    """Tuesdays differ from other working days once three of them are known; Christmas does not make a quiet Friday."""
    start = int(datetime(2026, 11, 2, tzinfo=PARIS).timestamp()) // 3600
    until = int(datetime(2026, 12, 27, tzinfo=PARIS).timestamp()) // 3600
    counts = {}
    for hour in range(start, until):
        at = datetime.fromtimestamp(hour * 3600, PARIS)
        if at.weekday() < 5 and at.hour == 9 and (at.month, at.day) != (12, 25):
            counts[hour] = 80 if at.weekday() == 1 else 20
    week = Profile(counts, until, PARIS).week()
    assert [round(day[9].mean) for day in week] == [20, 80, 20, 20, 20, 0, 0]
    assert (len(week), {len(day) for day in week}) == (7, {24})
    assert WEEKS == 8
