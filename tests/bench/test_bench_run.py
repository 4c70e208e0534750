"""A short bench of a real router is sound, and measures what it says."""

from __future__ import annotations

import json

import pytest

from router.bench.bench import BenchOptions, run_bench
from router.trial.usage import available


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_bench_is_sound() -> None:
    steps: list[str] = []
    options = BenchOptions(seconds=2.0, rate=60.0, closed_seconds=0.5, connections=(1, 32), patients=20)
    figures = run_bench(options, steps.append)
    assert figures.sound, figures
    assert len([step for step in steps if "to go" not in step]) == 5
    assert figures.paced.acknowledged == 120
    assert [rate.connections for rate in figures.closed_loop] == [1, 32]
    assert figures.messages == 120 + sum(rate.acknowledged for rate in figures.closed_loop)
    assert figures.ack_per_s == figures.closed_loop[1].ack_per_s > 0
    assert figures.bundles == figures.messages
    assert 0 < figures.end_to_end_p50_ms <= figures.end_to_end_p99_ms
    assert figures.journal_bytes_per_message > 500
    assert (figures.rss_mb is not None) == (figures.cpu_ms_per_message is not None) == available()
    json.dumps(figures.as_json())
