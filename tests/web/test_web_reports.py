"""A laboratory report as rows: values in a reader's language, flags in shapes and words, what is drawn beside them."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st
from lab_strategies import lab_items
from web_papers import culture, lab_item, number, result

from router.web.formatting import Formats
from router.web.reports import Heading, Result, reported
from router.web.texts import Texts
from router.web.trends import GAUGE, HIGH, WIDE, gauge, trend
from schemas.item import LabReportItem
from schemas.lab import PreviousResult, Reference, TextValue, Unit

FRENCH = Formats(Texts.of("fr"), ZoneInfo("Europe/Paris"), 0)
ENGLISH = Formats(Texts.of("en"), ZoneInfo("Europe/Paris"), 0)


def by_label(label: str, formats: Formats = FRENCH) -> Result:
    return next(row for row in reported(culture(), formats).rows if isinstance(row, Result) and row.label == label)


def test_a_result_is_written_in_the_reader_s_language() -> None:
    french, english = by_label("Potassium"), by_label("Potassium", ENGLISH)
    assert (french.value, french.reference, french.unit) == ("6,2", "3,5 – 5", "mmol/L")
    assert (english.value, english.reference) == ("6.2", "3.5 – 5")
    assert (french.gravity, french.arrow, french.flags) == ("critical", "↑↑", "supérieur au seuil critique")
    assert dict(french.notes) == {
        "report.second": "242 mg/L",
        "report.method": "Potentiométrie",
        "report.specimen": "Sérum",
    }
    assert by_label("Nitrites").status == "annulé"


def test_earlier_results_keep_their_words_whatever_is_drawn() -> None:
    row = by_label("Potassium")
    assert [(one.value, one.unit, one.at) for one in row.previous] == [
        ("4,1", "", "01/02/2026 08:00"),
        ("5,3", "", "01/03/2026"),
        ("160", "mg/L", "01/01/2026"),
    ]
    assert row.trend is not None
    assert len(row.trend.points) == 3, "another unit is not on this axis"
    assert row.trend.blocks == "▁▅█"


def test_an_antibiogram_shows_its_letters() -> None:
    found = reported(culture(), FRENCH).rows
    assert [(by_label(name).value, by_label(name).letter, by_label(name).arrow, by_label(name).flags)
            for name in ("Amoxicilline", "Céfixime", "Gentamicine")] == [
        ("≤ 32", "R", "", "résistant"),
        ("≤ 1", "I", "", "intermédiaire"),
        ("≤ 0,5", "S", "", "sensible"),
    ]  # fmt: skip
    headings = [row for row in found if isinstance(row, Heading)]
    assert [(row.depth, row.title, row.organism, row.status) for row in headings] == [
        (0, "IONOGRAMME", "", ""),
        (0, "ECBU", "", "provisoire"),
        (1, "Isolat 1", "Escherichia coli", ""),
        (2, "Antibiogramme", "", ""),
    ]


def test_specimens_say_their_life() -> None:
    first, second = reported(culture(), FRENCH).materials
    assert (first.name, first.facts) == ("Sérum", (("specimen_id", "T-001"),))
    assert (second.name, second.facts) == ("Urine", (("collected_at", "05/03/2026"), ("specimen_condition", "trouble")))


@pytest.mark.parametrize(
    ("value", "low", "high", "at"),
    [
        ("10", "10", "20", 16.0),
        ("15", "10", "20", 32.0),
        ("20", "10", "20", 48.0),
        ("2.5", None, "5", 20.8),
        ("10", "5", None, 44.8),
    ],
)
def test_a_gauge_places_a_result_beside_its_range(value: str, low: str | None, high: str | None, at: float) -> None:
    drawn = gauge(number(value), Reference(low=low, high=high))
    assert drawn is not None
    assert drawn.at == at
    assert not drawn.beyond


def test_a_gauge_says_when_a_result_lies_beyond() -> None:
    over, under = gauge(number("900"), Reference(high="5")), gauge(number("-3"), Reference(low="1", high="2"))
    assert over is not None
    assert under is not None
    assert (over.at, over.beyond, under.at, under.beyond) == (GAUGE - 3, True, 3, True)


@pytest.mark.parametrize(
    ("low", "high"), [(None, None), ("5", "5"), ("9", "1"), (None, "0"), ("0", None), (None, "1e40")]
)
def test_no_gauge_where_the_range_is_none(low: str | None, high: str | None) -> None:
    assert gauge(number("3"), Reference(low=low, high=high)) is None
    assert gauge(TextValue(text="3"), Reference(low="1", high="2")) is None
    assert gauge(number("3"), None) is None


def test_a_trend_needs_moments_and_one_unit() -> None:
    earlier = PreviousResult(value=number("1"), effective_at="2026-01-01")
    now = result("K", number("2"), previous=(earlier,))
    assert trend(now, None) is None, "the present result's own moment is unknown"
    drawn = trend(now, "2026-02-01")
    assert drawn is not None
    assert drawn.points == ((3.0, 25.0), (93.0, 3.0))
    assert drawn.line == "M3.0 25.0 L93.0 3.0"
    assert drawn.zone is None
    undated = PreviousResult(value=number("1"))
    other = PreviousResult(value=number("1"), unit=Unit(raw="g"), effective_at="2026-01-01")
    later = PreviousResult(value=number("1"), effective_at="2027-01-01")
    nonsense = PreviousResult(value=number("1"), effective_at="2026-02-31")
    assert trend(result("K", number("2"), previous=(undated, other, later, nonsense)), "2026-02-01") is None
    assert trend(result("K", TextValue(text="x"), previous=(earlier,)), "2026-02-01") is None


def test_results_are_as_far_apart_as_their_dates() -> None:
    before = tuple(PreviousResult(value=number("1"), effective_at=day) for day in ("2026-01-01", "2025-01-01"))
    drawn = trend(result("K", number("1"), previous=before), "2027-01-01")
    assert drawn is not None
    assert [x for x, _ in drawn.points] == [3.0, 48.0, 93.0]
    same = trend(result("K", number("1"), previous=before[:1]), "2026-01-01")
    assert same is not None
    assert [x for x, _ in same.points] == [3.0, 93.0]


@settings(max_examples=60, deadline=None)
@given(lab_items(extras=("previous", "nested", "parent", "special")))
def test_any_report_is_drawn_inside_its_boxes(item: LabReportItem) -> None:
    for formats in (FRENCH, ENGLISH):
        for row in reported(item.content, formats).rows:
            if not isinstance(row, Result):
                continue
            if row.gauge is not None:
                assert 0 <= row.gauge.start <= row.gauge.start + row.gauge.width <= GAUGE
                assert 0 < row.gauge.at < GAUGE
            if row.trend is not None:
                assert all(0 <= x <= WIDE and 0 <= y <= HIGH for x, y in row.trend.points)
                assert len(row.trend.points) == len(row.trend.blocks)


@given(st.lists(st.tuples(st.dates(), st.decimals(-1000, 1000, places=2)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_earlier_results_are_drawn_in_time(found: list[Any]) -> None:
    previous = tuple(
        PreviousResult(value=number(str(value)), effective_at=day.isoformat()) for day, value in found if day.year > 999
    )
    low, high = Reference(low="-5"), Reference(high="5")
    for reference in (None, low, high):
        drawn = trend(result("K", number("0"), previous=previous, reference=reference), "9999-12-31")
        if drawn is not None:
            assert [x for x, _ in drawn.points] == sorted(x for x, _ in drawn.points)
            assert drawn.zone is None or 0 <= drawn.zone[0] <= drawn.zone[0] + drawn.zone[1] <= HIGH


async def test_the_table_says_without_colour_what_it_colours(site: Any) -> None:
    browser = await site.signed_in()
    number_ = site.journal.message(site.clock[0], message_type="ORU^R01")
    site.journal.read(number_, site.clock[0], [site.journal.item(lab_item(), line="ECBU", to=())])
    answer = await browser.get(f"/messages/{number_}/understood")
    text = answer.plain
    for said in (
        "6,2 ↑↑ supérieur au seuil critique mmol/L 3,5 – 5",
        "antériorité 4,1, 01/02/2026 08:00",
        "antériorité 160 mg/L, 01/01/2026",
        "Germe Escherichia coli Isolat 1",
        "≤ 32 R résistant mg/L",
        "autre unité 242 mg/L",
        "Flore mixte",
        "! anormal",
        "Échantillons Sérum Numéro T-001",
        "Urine Prélèvement 05/03/2026 État trouble",
        "Hyperkaliémie.",
    ):
        assert said in text
    drawings = re.findall(r'<svg class="(?:gauge|trend)"[^>]*>', answer.text)
    assert len(drawings) == 2
    assert all('aria-hidden="true"' in one for one in drawings), "the words beside them say the same"
    browser.cookies["passerelle_language"] = "en"
    assert (
        "6.2 ↑↑ above the critical limit mmol/L 3.5 – 5" in (await browser.get(f"/messages/{number_}/understood")).plain
    )
