"""The folder of a router on trial: made by `passerelle init`, then given the configuration of the trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from connectors.sandbox.people import Person, import_file
from router.trial.process import run_command


def make_folder(folder: Path, configuration: str) -> str:
    """Make a fresh folder with its key and administrator, and put the configuration in place; gives what init said."""
    said = run_command("init", str(folder))
    (folder / "passerelle.toml").write_text(configuration, encoding="utf-8")
    return said


def register(folder: Path, people: Sequence[Person]) -> None:
    """Register people as patients known to the coordination dossier."""
    listed = folder / "patients.csv"
    listed.write_text(import_file(people), encoding="utf-8")
    run_command("patients", "import", str(listed), "--config", str(folder / "passerelle.toml"), timeout=600.0)


def journal_size(folder: Path) -> int:
    """Sum the bytes of everything in a router's data folder: tables, log, blobs."""
    return sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
