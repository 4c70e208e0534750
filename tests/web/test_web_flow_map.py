"""The map of the flows, and the charts: what is laid out, what is folded, what a reader without eyes gets."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert
from web_journal import HOUR

from router.certificates import CertificateEnd, CertificateUse, KnownEnd
from router.journal import tables
from router.journal.flow_hours import KEPT_HOURS
from router.journal.queries_rates import Bin
from router.journal.storage import Storage, keep_measure
from router.web.charts import chart_of
from router.web.context import FlowStatus
from router.web.flow_map import MOST, ROW, thickness
from router.web.formatting import Formats
from router.web.history import Period, usual_of
from router.web.texts import Texts

PARIS = ZoneInfo("Europe/Paris")


def nodes(text: str, side: str) -> list[str]:
    """Give the names of a side's nodes, as the page orders them."""
    return re.findall(rf'id="map-{side}-([^"]+)"', text)


async def test_each_end_has_its_state_its_rate_and_its_page(site: Any) -> None:
    text = (await (await site.signed_in()).get("/")).text
    assert nodes(text, "source") == ["labo-sud", "hopital"]
    assert nodes(text, "destination") == ["spico", "medecin"]
    assert 'href="/flows/sources/labo-sud"' in text
    assert 'href="/flows/destinations/spico"' in text
    spico = text[text.index('id="map-destination-spico"') :].partition("</li>")[0]
    assert "injoignable" in spico
    assert "1 en attente" in spico
    assert "s-square" in spico
    assert text.count('<path class="edge') == 4
    assert re.search(r'<path class="edge red broken" d="M0 [\d.]+ C50', text)
    assert 'id="flow-source-hopital"' in text, "the same as a table"


async def test_what_is_silent_or_paused_says_so(site: Any) -> None:
    site.flows[1] = FlowStatus("hopital", "source", "mllp", "listening", paused=True)
    facts = f'{{"since": {site.clock[0] - HOUR}, "expected": 35}}'
    with site.journal.store.writing() as connection:
        connection.execute(
            insert(tables.alarm).values(
                kind="silence", side="source", subject="labo-sud", facts=facts, opened_at=1, seen_at=1
            )
        )
    text = (await (await site.signed_in()).get("/")).text
    assert nodes(text, "source") == ["labo-sud", "hopital"], "what is silent before what is paused"
    assert "se tait" in text[text.index('id="map-source-labo-sud"') :].partition("</li>")[0]
    assert "en pause" in text[text.index('id="map-source-hopital"') :].partition("</li>")[0]
    assert "/flows/sources/labo-sud/profile" in text


async def test_sixty_ends_stay_readable_the_worst_and_the_busiest_shown(site: Any) -> None:
    for number in range(60):
        state = "failed" if number in {17, 55} else "listening"
        site.flows.append(FlowStatus(f"labo-{number:02d}", "source", "mllp", state))
    site.flows.append(FlowStatus("labo-x", "source", "mllp", "listening"))
    browser = await site.signed_in()
    text = (await browser.get("/")).text
    shown = nodes(text, "source")
    assert len(shown) == MOST - 1
    assert shown[:2] == ["labo-17", "labo-55"]
    assert "labo-sud" in shown, "it is the busiest"
    assert "et 52 autres" in text
    assert f'viewBox="0 0 100 {ROW * MOST}"' in text
    for name in ("labo-00", "labo-x"):
        assert f'id="flow-source-{name}"' in text, "all are in the table"


def test_the_busier_the_thicker() -> None:
    widths = [thickness(rate) for rate in (0, 1, 10, 100, 1_000, 10_000_000)]
    assert widths == sorted(widths)
    assert (widths[0], widths[-1]) == (2.0, 10.0)
    assert len(set(widths[:5])) == 5


def known_weeks(site: Any, *, hours: int = KEPT_HOURS) -> None:
    """Thirty messages an hour by day, five by night, for as long as is kept; ten in a hundred fail."""
    current = site.clock[0] // HOUR
    rows = []
    for hour in range(current - hours, current):
        local = datetime.fromtimestamp(hour * 3600, PARIS)
        count = 30 if 8 <= local.hour < 18 else 5
        for series, name, number in (("received", "labo-sud", count), ("ended", "spico", count), ("dead", "spico", 3)):
            rows.append({"series": series, "hour": hour, "name": name, "counted": number - 1, "erased": 1})
    with site.journal.store.writing() as connection:
        connection.execute(insert(tables.flow_hour), rows)
        done = [{"hour": row["hour"], "at": site.clock[0]} for row in rows[::3]]
        connection.execute(insert(tables.flow_hour_counted), done)


@pytest.mark.parametrize(("period", "stretches"), [("day", 96), ("week", 168), ("month", 120)])
async def test_a_chart_looks_back_and_has_its_table(site: Any, period: str, stretches: int) -> None:
    known_weeks(site)
    answer = await (await site.signed_in()).get(f"/?period={period}")
    assert answer.text.count('<rect class="hit"') == stretches
    assert 'class="band"' in answer.text
    assert f'hx-get="/{"" if period == "day" else f"?period={period}"}" hx-trigger="live' in answer.text
    assert re.search(r'aria-current="true">(24 h|7 jours|30 jours)</a>', answer.text)
    table = answer.text[answer.text.index('<table class="hidden">') :].partition("</table>")[0]
    assert table.count("<tr>") > 20
    if period == "week":
        assert re.search(
            r"<th>jeu\. 19\xa0nov\. 10:00 – 11:00</th><td>30</td><td>27</td><td>3</td><td>21 – 39</td>", table
        )
    if period == "month":
        assert re.search(r"<th>jeu\. 19\xa0nov\. 06:00 – 12:00</th><td>130</td><td>112</td><td>18</td>", table)


async def test_a_period_that_there_is_not_is_a_day_and_a_young_router_has_no_band(site: Any) -> None:
    answer = await (await site.signed_in()).get("/?period=%22%3E%3Cscript")
    assert answer.text.count('<rect class="hit"') == 96
    assert 'class="band"' not in answer.text
    assert "connu après trois jours" in answer.plain


async def test_weeks_that_nobody_counted_yet_are_said_to_be_under_way(site: Any) -> None:
    browser = await site.signed_in()
    assert "7 jours reçus" in (await browser.get("/?period=week")).plain
    site.journal.message(site.clock[0] - 60 * HOUR)
    site.desk.boards.forget()
    assert "comptage en cours" in (await browser.get("/?period=week")).plain


def test_a_month_is_cut_where_the_clock_says_even_when_it_changes() -> None:
    formats = Formats(Texts.of("fr"), PARIS, 0)
    start = int(datetime(2026, 10, 24, 22, tzinfo=UTC).timestamp() * 1_000_000)  # midnight of a night of 25 hours
    bins = [Bin(start, 7 * 60, 4, 3, 1), Bin(start + 7 * HOUR, 6 * 60, 2, 2, 0)]
    chart = chart_of(Period.MONTH, bins, usual_of(None, bins, 0), formats)
    assert [column.period[-13:] for column in chart.columns] == ["00:00 – 06:00", "06:00 – 12:00"]
    assert (chart.total_received, chart.total_delivered, chart.total_failed, chart.usual) == (6, 5, 1, "")


async def test_what_ends_soon_comes_first_and_the_disk_has_a_forecast(site: Any) -> None:
    at = datetime.fromtimestamp(site.clock[0] / 1_000_000, UTC)
    ends = (
        CertificateEnd("destination dmp", CertificateUse.SIGNATURE, "sign", at + timedelta(days=400)),
        CertificateEnd("web", CertificateUse.WEB, "w", at + timedelta(days=12, minutes=1)),
    )
    known = (KnownEnd("source bal", "password", at + timedelta(days=3, minutes=1)),)
    object.__setattr__(site.desk.context, "certificate_ends", lambda: ends)
    object.__setattr__(site.desk.context, "known_ends", lambda: known)
    with site.journal.store.writing() as connection:
        tool = {"name": "parcours", "created_at": 1, "scopes": "", "structure": ""}
        connection.execute(insert(tables.tool).values(expires_at=site.clock[0] - HOUR, **tool))
        connection.execute(insert(tables.tool).values(**{**tool, "name": "gone"}, expires_at=1, revoked_at=2))
    browser = await site.signed_in()
    text = (await browser.get("/")).plain
    places = [text.index(part) for part in ("terminé depuis 1 jour", "3 jours Secret", "12 jours Certificat")]
    assert places == sorted(places)
    assert "1 autre échéance plus tard" in text
    assert "mesurée après six heures" in text
    assert "gone" not in text
    measured = await site.desk.look(site.desk.boards.storage)
    earlier = Storage(measured.tables - 1000, 0, measured.free + measured.free // 5, measured.total)
    site.journal.apply(keep_measure(earlier, site.clock[0] - 24 * HOUR))
    site.desk.boards.forget()
    text = (await browser.get("/")).plain
    assert re.search(r"le disque du journal sera plein dans [45] jours", text)
    assert re.search(r"Croissance [\d,]+\s(?:ko|Mo|octets) par jour", text)


async def test_a_router_without_sources_says_what_to_do(site: Any) -> None:
    site.flows.clear()
    with site.journal.store.writing() as connection:
        connection.execute(tables.message.delete())
        connection.execute(tables.notice.delete())
    text = (await (await site.signed_in()).get("/")).plain
    assert "Rien ne peut encore circuler" in text
    assert "Ajoutez une section [sources.…]" in text
    assert "Tout circule" not in text
