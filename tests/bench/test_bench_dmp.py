from __future__ import annotations

from rich.console import Console

from router.bench.dmp import measure_dmp, print_dmp


def test_submissions_are_measured_against_the_sandbox() -> None:
    figures = measure_dmp(submissions=4, size=3_000, in_flight=2)
    assert (figures.submissions, figures.delivered, figures.in_flight) == (4, 4, 2)
    assert 0 < figures.median <= figures.slowest <= figures.seconds
    console = Console(record=True, width=80)
    print_dmp(figures, console)
    assert "4 of 4" in console.export_text()
