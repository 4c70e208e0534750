"""Lists and searches: the same answers as a look at every row, page after page, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from web_journal import HOUR, MINUTE, Journal

from router.identity.patients import search_tokens
from router.journal.queries import MessageFilters, count_newer, find_message_ids, find_messages, window
from router.journal.queries_lines import MessageLine
from router.journal.queries_search import Search
from router.journal.tables import DeliveryState, MessageState
from router.journal.view import View, viewing


@pytest.fixture
def view(day: Journal) -> Iterator[View]:
    with viewing(day.store) as made:
        yield made


def everything(view: View) -> list[MessageLine]:
    return list(find_messages(view, MessageFilters(), limit=10_000).rows)


def wanted(line: MessageLine, filters: MessageFilters) -> bool:
    """Say in plain words what a filter means."""
    return (
        (filters.state is None or line.state is filters.state)
        and (filters.source is None or line.source == filters.source)
        and (filters.format is None or line.format == filters.format)
        and (filters.message_type is None or line.message_type == filters.message_type)
        and (filters.kind is None or any(item.kind == filters.kind for item in line.items))
        and (filters.worst is None or line.worst >= filters.worst)
        and (filters.since is None or line.received_at >= filters.since)
        and (filters.until is None or line.received_at < filters.until)
    )


NOW = 1795339800000000
MOMENTS = st.one_of(st.none(), st.integers(NOW - 25 * HOUR, NOW + HOUR))
FILTERS = st.builds(
    MessageFilters,
    state=st.sampled_from([None, None, *MessageState]),
    source=st.sampled_from([None, None, "labo-sud", "hopital", "nowhere"]),
    format=st.sampled_from([None, None, "hl7v2", "fhir"]),
    message_type=st.sampled_from([None, None, "ORU^R01", "ADT^A01"]),
    kind=st.sampled_from([None, None, "lab_report", "stay", "document"]),
    worst=st.sampled_from([None, None, 1, 2, 3]),
    since=MOMENTS,
    until=MOMENTS,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=FILTERS, limit=st.integers(1, 60), hurried=st.booleans())
def test_pages_give_what_every_row_would(view: View, filters: MessageFilters, limit: int, hurried: bool) -> None:
    """In a hurry (time is up at once) the pages are shorter, and all together they are the same."""
    expected = [line.id for line in everything(view) if wanted(line, filters)]
    seen: list[int] = []
    before: int | None = None
    for _ in range(400):
        budget = 0.0 if hurried else 60.0
        page = find_messages(view, filters, before=before, limit=limit, budget=budget)
        seen += [line.id for line in page.rows]
        assert len(page.rows) <= limit
        if page.before is None:
            break
        assert before is None or page.before < before
        before = page.before
    assert seen == expected
    ids, more = find_message_ids(view, filters, limit=1000, budget=60.0)
    assert (ids, more) == (sorted(expected), False)


def test_more_than_asked_for_is_said(view: View) -> None:
    ids, more = find_message_ids(view, MessageFilters(), limit=10)
    newest = [line.id for line in everything(view)][:10]
    assert (ids, more) == (sorted(newest), True)


def test_a_walk_out_of_time_says_how_far_it_came(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.journal.queries.FIRST_SLICE", 10)
    ticks = itertools.count(step=1.0)
    page = find_messages(view, MessageFilters(source="nowhere"), budget=3.0, clock=lambda: next(ticks))
    assert page.rows == ()
    assert page.before is not None
    assert page.walked_to is not None
    rest = find_messages(view, MessageFilters(source="nowhere"), before=page.before)
    assert (rest.rows, rest.before, rest.walked_to) == ((), None, None)


def test_a_line_has_its_items_and_deliveries(day: Journal, view: View) -> None:
    done = next(line for line in everything(view) if line.id == day.ids["DONE"])
    assert done.deliveries == {DeliveryState.ACKNOWLEDGED: 1, DeliveryState.DELIVERED: 1}
    assert [(item.kind, item.line, item.abnormal) for item in done.items] == [
        ("lab_report", "NFS, 4 résultats, Hémoglobine 7,1 g/dL ↓↓", "LL")
    ]
    assert (done.items[0].patient.family, done.items[0].patient.birth_date) == ("TESTROSE", "1930-03-05")


@pytest.mark.parametrize(
    ("text", "control"),
    [("LAB1", "DONE"), ("lab 1", "DONE"), ("VN778", "HELD"), ("BAD", "BAD"), ("DOSSIER2", "DEAD2")],
)
def test_search_finds_by_number(day: Journal, view: View, text: str, control: str) -> None:
    search = Search(tuple(search_tokens(view.sealer, text)), text)
    page = find_messages(view, MessageFilters(search=search))
    assert [line.control_id for line in page.rows] == [control]


def test_search_finds_all_of_a_patient_newest_first(day: Journal, view: View) -> None:
    search = Search(tuple(search_tokens(view.sealer, "IPP000003")), "IPP000003")
    expected = [
        line.id
        for line in everything(view)
        if any("DUPONTEST" in item.patient.family and item.patient.birth_date == "1933-03-05" for item in line.items)
    ]
    first = find_messages(view, MessageFilters(search=search), limit=2)
    rest = find_messages(view, MessageFilters(search=search), before=first.before, limit=1000)
    assert [line.id for line in (*first.rows, *rest.rows)] == expected
    assert len(expected) > 2


def test_a_search_that_means_too_much_says_so(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.journal.queries_search.CANDIDATES", 3)
    search = Search(tuple(search_tokens(view.sealer, "TESTROSE")), "TESTROSE")
    page = find_messages(view, MessageFilters(search=search))
    assert page.candidates_capped
    assert len(page.rows) <= 3


def test_odd_texts_find_nothing_and_break_nothing(view: View) -> None:
    for text in ("", "   ", "#", "9" * 30, "'; DROP TABLE message; --", "\x00", "é" * 300):
        tokens = tuple(search_tokens(view.sealer, text))
        try:
            page = find_messages(view, MessageFilters(search=Search(tokens, text.replace("\x00", ""))))
        except ValueError:  # pragma: no cover - told by the assertion
            pytest.fail(f"{text!r} broke the search")
        assert page.rows == ()


def test_what_is_on_the_screen_is_given_again(view: View) -> None:
    lines = everything(view)
    assert window(view, lines[3].id, lines[9].id, MessageFilters()) == tuple(lines[3:10])
    assert count_newer(view, MessageFilters(), lines[3].id) == 3
    assert count_newer(view, MessageFilters(source="nowhere"), lines[3].id) == 0
    assert count_newer(view, MessageFilters(), 0, cap=5) == 6


def test_items_of_a_replayed_message_are_the_new_ones(journal: Journal, now: int) -> None:
    from web_journal import person, stay

    from router.journal.actions import replay_messages

    number = journal.ids["DONE"]
    journal.apply(replay_messages([number], actor="admin", now=now))
    journal.read(number, now + MINUTE, [journal.item(stay(person(1), "d" * 32), line="stay.started", to=())])
    with viewing(journal.store) as view:
        (line,) = find_messages(view, MessageFilters(kind="stay", source="labo-sud")).rows
        assert [item.kind for item in line.items] == ["stay"]
        assert number not in [one.id for one in find_messages(view, MessageFilters(kind="lab_report")).rows]
