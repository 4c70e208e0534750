"""A dossier on a real PostgreSQL: the same decisions, in its own SQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from dossier_scene import Scene, doctor, document, home_help, nurse, stay
from postgres_server import new_database
from web_journal import open_journal

from router.dossier.circle import dossiers_with
from router.dossier.doors import entries_shown
from router.dossier.matrices import bring_matrix, matrix_now
from router.dossier.matrix import default_text, read_matrix
from router.dossier.queue import take_due
from router.dossier.restrictions import restrict
from router.journal.view import viewing
from schemas.circle import Channel, party_keys
from schemas.visibility import Restriction, RestrictionKind

pytestmark = pytest.mark.postgres

_numbers = itertools.count(1)


@pytest.fixture
def scene(tmp_path: Path, postgres_url: str) -> Iterator[Scene]:
    made = Scene(open_journal(tmp_path / "data", new_database(postgres_url, f"dossier{next(_numbers)}")))
    made.know(1)
    yield made
    made.journal.store.close()


def test_the_same_is_decided_on_postgresql(scene: Scene) -> None:
    early = scene.receive(document("0" * 32, document_id="2.999.0"))
    assert scene.open().refusal is None
    for member in (doctor(), nurse(), home_help()):
        scene.add(member)
    letter = scene.receive(document("1" * 32))
    own = scene.receive(document("2" * 32, document_id="2.999.2", labels=("V",), author="89900000002"))
    event = scene.receive(stay("3" * 32))
    hide = Restriction(kind=RestrictionKind.HIDDEN, members=(2,))
    assert scene.journal.apply(restrict(1, letter, hide, by=scene.by())).refusal is None
    with viewing(scene.journal.store) as view:
        for member, expected in (
            (doctor(), [early, letter, own, event]),
            (nurse(), [early, own, event]),
            (home_help(), [event]),
        ):
            found = entries_shown(view, scene.reader(member), 1, now=scene.now)
            assert ([one.item_id for one in found.entries], found.total) == (expected, len(expected))
        assert dossiers_with(view, party_keys(nurse().identifiers)) == [1]
    changed = default_text().replace("lab,R,R,-", "lab,R,R,E")
    assert len(scene.journal.apply(bring_matrix(changed, by=scene.by()))) == 1
    with viewing(scene.journal.store) as view:
        assert matrix_now(view.connection) == read_matrix(changed)
    due = scene.journal.apply(take_due(Channel.WEBHOOK, now=scene.now))
    assert [(one.event, one.member_id) for one in due if one.event == "ADM"] == [("ADM", 1), ("ADM", 2), ("ADM", 3)]
