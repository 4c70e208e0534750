"""Indicators: counted by structure and month, small numbers hidden, delays from alert to leaving; as CSV and PDF."""

from __future__ import annotations

import csv
import io
from zoneinfo import ZoneInfo

import pytest
from dossier_scene import NOW, Scene, doctor, document, nurse, stay

from router.dossier.indicators import NotAMonth, activities, as_csv, as_pdf, lines, month_of, shown
from router.dossier.queue import settle
from router.journal import tables
from router.journal.view import viewing

PARIS = ZoneInfo("Europe/Paris")
SECOND = 1_000_000


def told(scene: Scene, month: str = "2027-01") -> dict[str, str]:
    with viewing(scene.journal.store) as view:
        wanted = month_of(month, PARIS)
        return {one.indicator: one.value for one in lines(activities(view, wanted), wanted)}


def test_what_happened_in_a_month_is_counted_for_the_owner(dossier: Scene) -> None:
    dossier.add(doctor())
    dossier.add(nurse())
    for rank in range(6):
        dossier.receive(document(f"{rank}" * 32))
    dossier.receive(stay("a" * 32))
    for row in dossier.rows(tables.alert_notice)[:10]:
        dossier.journal.apply(settle(row.id, "sent", now=dossier.rows(tables.alert)[-1].at + 3 * SECOND))
    found = told(dossier)
    assert found["documents"] == "6"
    assert (found["dossiers_opened"], found["events"], found["alerts_ADM"]) == ("< 5",) * 3
    assert (found["alerts"], found["notices"], found["notices_left"]) == ("7", "14", "10")
    assert 3.0 <= float(found["delay_median_seconds"]) <= 10.0
    before = told(dossier, "2026-12")
    assert (before["dossiers_active"], before["documents"]) == ("0", "0")
    assert "delay_median_seconds" not in before


def test_small_numbers_are_not_shown() -> None:
    assert [shown(number) for number in (0, 1, 4, 5, 17)] == ["0", "< 5", "< 5", "5", "17"]


def test_months_are_those_of_the_zone() -> None:
    month = month_of("2026-12", PARIS)
    assert month.end - month.start == 31 * 86_400 * SECOND
    assert month_of("2026-03", PARIS).end - month_of("2026-03", PARIS).start == (31 * 24 - 1) * 3600 * SECOND
    for wrong in ("2026-13", "mars", "", "2026-1-1"):
        with pytest.raises(NotAMonth):
            month_of(wrong, PARIS)
    assert month.start < NOW


def test_they_are_written_as_csv_and_pdf(dossier: Scene) -> None:
    month = month_of("2027-01", PARIS)
    with viewing(dossier.journal.store) as view:
        found = lines(activities(view, month), month)
    rows = list(csv.reader(io.StringIO(as_csv(month, found).decode("utf-8-sig")), delimiter=";"))
    assert rows[0] == ["month", "structure", "finess", "indicator", "value"]
    assert ["2027-01", "DAC FICTIF", "670000001", "dossiers_opened", "< 5"] in rows
    assert as_pdf(month, found, {}, "Indicateurs", "2027-02-01T08:00:00+01:00").startswith(b"%PDF-")
