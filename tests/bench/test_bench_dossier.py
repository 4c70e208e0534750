"""The store that the dossier's bench fills: whole, readable by the router itself, and taken again."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from router.bench.dossier_store import TOOL, filled_store
from router.dossier.tools.tokens import find_pass
from router.journal import tables
from router.journal.store import JournalPlace, open_store
from router.journal.view import viewing
from router.trial.process import TrialFault


@pytest.mark.slow
def test_a_store_is_filled_once_and_taken_again(tmp_path: Path) -> None:
    folder, said = tmp_path / "kept", list[str]()
    made = filled_store(folder, 3, 13, said.append)
    assert (made.dossiers, made.documents) == (3, 12)
    assert said[-1] == "3 dossiers, 12 documents"
    assert filled_store(folder, 3, 12, said.append) == made
    with pytest.raises(TrialFault, match="12 documents in 3 dossiers"):
        filled_store(folder, 3, 30, said.append)
    assert (folder / "filled.json").stat().st_mode & 0o077 == 0
    store = open_store(JournalPlace.at(folder / "data"), migrate=False)
    with viewing(store) as view:
        counted = dict(
            view.connection.execute(select(tables.resource.c.type, func.count()).group_by(tables.resource.c.type)).all()  # type: ignore[arg-type]
        )
        assert counted == {"DocumentReference": 12, "Patient": 3}
        assert find_pass(view.connection, view.sealer, f"{TOOL}:{made.secret}", (), 2_000_000_000_000_000) is not None
    store.close()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(TrialFault, match="neither empty nor a store"):
        filled_store(tmp_path, 3, 12, lambda _: None)
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]
