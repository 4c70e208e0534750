"""The folder of a router on trial: made by `passerelle init`, then given the configuration of the trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from connectors.sandbox.people import Person
from connectors.sandbox.registration import import_file
from router.trial.process import run_command


def make_folder(folder: Path, configuration: str, *, url: str = "", password: str | None = None) -> None:
    """Make a fresh folder with its key and administrator (`admin`), and put the configuration in place.

    `url` is the journal's database, when it is not the embedded one. Raises TrialFault when `init` refuses.
    """
    # By the environment: a command line can be read by every account of the machine.
    extra = {} if password is None else {"PASSERELLE_ADMIN_PASSWORD": password}
    run_command("init", str(folder), *(("--url", url) if url else ()), environment=extra)
    (folder / "passerelle.toml").write_text(configuration, encoding="utf-8")


def register(folder: Path, people: Sequence[Person]) -> None:
    """Register people as patients known to the coordination dossier."""
    listed = folder / "patients.csv"
    listed.write_text(import_file(people), encoding="utf-8")
    run_command("patients", "import", str(listed), "--config", str(folder / "passerelle.toml"), timeout=600.0)


def journal_size(folder: Path) -> int:
    """Sum the bytes of everything in a router's data folder: tables, log, blobs."""
    return sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
