"""The journal of the dashboard's bench opens and is searched as a real one; a folder of another size is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from router.bench.dashboard import FILLED, DashboardFigures, PageTime, prepare
from router.bench.million import fill
from router.bench.patients import person
from router.journal.queries import MessageFilters, find_messages
from router.journal.queries_deliveries import DeliveryFilters, find_deliveries
from router.journal.queries_message import item_body, load_message, message_content
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, open_store
from router.journal.tables import DeliveryState
from router.journal.view import viewing
from router.trial.process import TrialFault
from router.web.filters import search_of
from schemas.item import ITEM


def test_a_filled_journal_reads_as_a_real_one(tmp_path: Path) -> None:
    place = JournalPlace.at(tmp_path)
    make_key_file(place.key_file)
    store = open_store(place)
    fill(store, 600, int(time.time() * 1_000_000))
    with viewing(store) as view:
        newest = find_messages(view, MessageFilters()).rows
        assert newest[0].id == 600
        one = next(row for row in newest if row.items and row.items[0].patient)
        line = one.items[0]
        body = item_body(view, line.id)
        assert body is not None
        item = ITEM.validate_json(body)
        assert item.patient.birth_name == line.patient.family
        content = message_content(view, one.id)
        assert content is not None
        assert line.patient.family.encode() in content.content
        who = person(line.patient_id or 0)
        assert who.ins is not None
        found = find_messages(view, MessageFilters(search=search_of(view.sealer, who.ins.matricule))).rows
        assert one.id in {row.id for row in found}
        assert len(found) < 300, "a search finds one person's messages, not all"
        number = find_messages(view, MessageFilters(search=search_of(view.sealer, f"NUM{one.id:09d}"))).rows
        assert [row.id for row in number] == [one.id]
        assert find_deliveries(view, DeliveryFilters(DeliveryState.PENDING)).rows
        detail = load_message(view, one.id)
        assert detail is not None
        assert detail.deliveries
    store.close()


def test_a_folder_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILLED).write_text("500\n")
    with pytest.raises(TrialFault, match="holds a journal of 500 messages, not of 600"):
        prepare(tmp_path, 600)
    assert prepare(tmp_path, 500) == 0.0
    (tmp_path / FILLED).unlink()
    with pytest.raises(TrialFault, match="no whole journal of this bench"):
        prepare(tmp_path, 500)


def test_the_slowest_page_decides() -> None:
    pages = tuple(PageTime(name, 12, 5.0, p99, p99, 3.0, 20.0) for name, p99 in (("/", 40.0), ("/audit", 201.0)))
    figures = DashboardFigures(1000, 5.0, 1.0, pages)
    assert not figures.quick
    assert figures.as_json()["worst"] == "/audit"
    assert DashboardFigures(1000, 5.0, 1.0, pages[:1]).quick
