"""The sums of the bench are right, and its messages are those that it says."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from connectors.sandbox.mllp import control_id_of
from router.bench.figures import Figures, Rate, percentile, print_figures, rate_of
from router.bench.traffic import REPORT_ID, Traffic, accepted

RATE = rate_of(32, [1_000_000, 2_000_000, 9_000_000], 0.5)


def figures(**changes: object) -> Figures:
    base = Figures(
        floor_ack_per_s=10.0,
        ack_per_s=6.0,
        ack_p50_ms=1.0,
        ack_p99_ms=2.0,
        delivered_per_s=5.0,
        end_to_end_p50_ms=3.0,
        end_to_end_p99_ms=4.0,
        backlog_seconds=0.5,
        rss_mb=None,
        cpu_ms_per_message=None,
        journal_bytes_per_message=3000.0,
        journal_rows_before=0,
        messages=3,
        delivered_again=0,
        undelivered=0,
        bundles=3,
        paced=RATE,
        paced_rate=1000.0,
        paced_seconds=60.0,
        paced_late_ms=0.0,
        generator_cpu_seconds=None,
        receiver_cpu_seconds=None,
        router_cpu_seconds=None,
        router_processes=None,
        floor=RATE,
        closed_loop=[RATE],
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # each test names fields of the dataclass


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9
    assert sum(value < found for value in ordered) < share * len(ordered) + 1e-9


def test_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 0.99) == 0.0


def test_rate_counts_positive_acknowledgements_only() -> None:
    assert (RATE.ack_per_s, RATE.ack_p50_ms, RATE.ack_p99_ms, RATE.acknowledged) == (6.0, 2.0, 9.0, 3)


def test_json_has_the_compared_keys_and_says_whether_it_is_sound() -> None:
    values = figures().as_json()
    compared = (
        "floor_ack_per_s ack_per_s ack_p50_ms ack_p99_ms delivered_per_s end_to_end_p50_ms end_to_end_p99_ms "
        "backlog_seconds rss_mb cpu_ms_per_message journal_bytes_per_message"
    )
    assert list(values)[:11] == compared.split()
    assert values["ack_share_of_floor"] == 0.6
    assert values["sound"] is True
    assert figures(undelivered=1).as_json()["sound"] is False
    assert figures(closed_loop=[replace(RATE, refused=1)]).sound is False


def test_the_table_says_what_is_unavailable_and_what_is_broken() -> None:
    out = io.StringIO()
    print_figures(figures(undelivered=2), Console(file=out, width=140))
    text = out.getvalue()
    assert "60% of the floor" in text
    assert "unavailable on this system" in text
    assert "Do not compare" in text


def test_a_rate_keeps_its_drain() -> None:
    assert Rate(1, 1.0, 1.0, 1.0, 1, 0, 0).drain_per_s == 0.0


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic(patients=40, seed=3)


def test_messages_have_twelve_results_and_the_promised_size(traffic: Traffic) -> None:
    for number in range(40):
        frame = traffic.frame(number)
        assert frame.startswith(b"\x0bMSH|")
        assert frame.endswith(b"\r\x1c\r")
        assert frame.count(b"\rOBX|") == 12
        assert 1_200 <= len(frame) <= 1_600


def test_ids_are_unique_and_found_again(traffic: Traffic) -> None:
    frames = [traffic.frame(number) for number in (0, 7, 40, 123_456_789)]
    assert [control_id_of(frame[1:]) for frame in frames] == ["B000000000", "B000000007", "B000000040", "B123456789"]
    assert [REPORT_ID.findall(frame) for frame in frames] == [
        [b"000000000"],
        [b"000000007"],
        [b"000000040"],
        [b"123456789"],
    ]
    assert accepted(7) == b"MSA|AA|B000000007"
    assert frames[0].split(b"\r")[1] == frames[2].split(b"\r")[1]
