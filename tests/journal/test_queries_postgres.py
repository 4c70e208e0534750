"""The pages of mails, submissions and dossiers ask a real PostgreSQL, and are told what SQLite tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dossier_scene import Scene, daughter, doctor, document, home_help, stay
from postgres_server import new_database
from web_journal import HOUR, Journal, open_journal
from web_mails import correspond, submit
from web_person import NOW

from router.dossier.accesses import accesses
from router.dossier.dossiers import history, open_dossiers
from router.dossier.indicators import activities, lines, month_of
from router.dossier.leaving.board import notice_lines
from router.dossier.overview import overview
from router.journal.queries_mail import MailFilters, MailWish, find_conversations, load_conversation, mail_troubles
from router.journal.queries_submissions import SubmissionFilters, cursors, find_submissions, load_submission
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace
from router.journal.tables import DeliveryState
from router.journal.view import View, viewing

pytestmark = pytest.mark.postgres

Ask = Callable[[View], Any]


def filled(folder: Path, url: str = "") -> Journal:
    journal = open_journal(folder, url)
    correspond(journal, NOW)
    submit(journal, NOW)
    scene = Scene(journal)
    assert scene.open().refusal is None
    for member in (doctor(), home_help(in_care_team=False), daughter()):
        scene.add(member)
    for item in (document("1" * 32), stay("3" * 32)):
        scene.receive(item)
    return journal


@pytest.fixture(scope="module")
def both(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Journal, Journal]]:
    """The same journal twice: in SQLite, and in PostgreSQL."""
    folder = tmp_path_factory.mktemp("pages")
    one, other = JournalPlace.at(folder / "one"), JournalPlace.at(folder / "other")
    for place in (one, other):
        place.data.mkdir()
    make_key_file(one.key_file)
    copyfile(one.key_file, other.key_file)  # blind indexes are then the same as well
    made = filled(one.data), filled(other.data, new_database(postgres_url, "pages"))
    yield made
    for journal in made:
        journal.store.close()


def told(journals: tuple[Journal, Journal], ask: Ask) -> Any:
    """Give what both say, which must be the same."""
    answers = []
    for journal in journals:
        with viewing(journal.store) as view:
            answers.append(ask(view))
    assert answers[1] == answers[0]
    return answers[1]


def pages(journals: tuple[Journal, Journal], find: Callable[[View, int | None], Any]) -> list[Any]:
    """Walk through all pages."""
    rows: list[Any] = []
    before: int | None = None
    while True:
        page = told(journals, lambda view, before=before: find(view, before))
        rows += page.rows
        before = page.before
        if before is None:
            return rows


def test_conversations_and_their_troubles(both: tuple[Journal, Journal]) -> None:
    late = NOW - 24 * HOUR
    everything = pages(both, lambda view, before: find_conversations(view, MailFilters(), before=before, limit=2))
    assert len(everything) == 5
    for wish in MailWish:
        filters = MailFilters(wish=wish, late_at=late)
        told(both, lambda view, filters=filters: find_conversations(view, filters))
    flows = {row.newest.flow for row in everything}
    found = [
        told(both, lambda view, flow=flow: find_conversations(view, MailFilters(flow=flow))).rows
        for flow in sorted(flows)
    ]
    assert all(found)
    for row in everything:
        assert told(both, lambda view, row=row: load_conversation(view, row.newest.id)) is not None
    told(both, lambda view: mail_troubles(view, late_at=late, since=0))


def test_submissions_with_versions_and_names(both: tuple[Journal, Journal]) -> None:
    everything = pages(both, lambda view, before: find_submissions(view, SubmissionFilters(), before=before, limit=2))
    assert len(everything) == 6
    assert [len(row.versions) for row in everything if row.versions] == [3, 3, 3]
    assert [row.naming.state for row in everything if row.naming is not None] == ["waiting"]
    for state in DeliveryState:
        filters = SubmissionFilters(destination="dmp", state=state)
        rows = pages(both, lambda view, before, filters=filters: find_submissions(view, filters, before=before))
        assert {row.delivery.state for row in rows} <= {state}
    for row in everything:
        assert told(both, lambda view, row=row: load_submission(view, row.delivery.id)).unique_id == row.unique_id
    assert told(both, lambda view: cursors(view, "dmp-lu"))[0] == 2


def test_a_dossier_with_its_circle_notices_and_history(both: tuple[Journal, Journal]) -> None:
    now = NOW + 24 * HOUR
    [line] = told(both, lambda view: open_dossiers(view))
    shown = told(both, lambda view: overview(view, line.patient_id, now=now))
    assert [one.line.seat.member.family.value for one in shown.members] == ["physician", "social", "relative"]
    assert shown.alerts
    changes = told(both, lambda view: history(view, line.id, limit=3))
    assert told(both, lambda view: history(view, line.id, before=changes[-1].id, limit=50))
    notices = told(both, lambda view: notice_lines(view, line.id))
    assert notices
    states = sorted({one.state for one in notices})
    assert told(both, lambda view: notice_lines(view, line.id, states=states, limit=1))
    told(both, lambda view: accesses(view, line.id))
    month = month_of("2027-01", ZoneInfo("Europe/Paris"))
    assert lines(told(both, lambda view: activities(view, month)), month)
