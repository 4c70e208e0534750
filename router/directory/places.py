"""Where the directory's files are: a folder of its own beside the journal, which may be lost and made again."""

from __future__ import annotations

from pathlib import Path

from connectors.annuaire.white_list import FOLDER as ANNUAIRE


def directory_folder(data: Path) -> Path:
    """Give the folder of the index, the kept answers, the white list and the state of refreshes."""
    return data / ANNUAIRE
