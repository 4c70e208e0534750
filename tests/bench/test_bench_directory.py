"""The bench of the directory, on few lines."""

from __future__ import annotations

from rich.console import Console

from router.bench.directory import measure_directory, print_directory


def test_it_measures_imports_and_look_ups() -> None:
    said: list[str] = []
    figures = measure_directory(400, say=said.append)
    assert figures.lines == 400
    assert figures.peak_memory > 0
    assert [one.name for one in figures.look_ups] == ["RPPS", "name", "name and commune", "postal code"]
    console = Console(record=True, width=120)
    print_directory(figures, console)
    assert "400 lines" in console.export_text()
