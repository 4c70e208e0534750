"""The audit's chain: whatever is done to it by one who lacks the key is seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import text
from web_journal import open_journal

import router
from router.journal.actions import record_audit
from router.journal.auditing import Chain, verify_audit

ROWS = 6


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    opened = open_journal(tmp_path)
    for rank in range(1, ROWS + 1):
        opened.apply(record_audit("admin", "read message", f"message {rank}", now=rank, detail="understood"))
    yield opened
    opened.store.close()


def verify(journal: Any, known: str = "") -> Chain:
    with journal.store.reading() as connection:
        return verify_audit(connection, journal.store.sealer.clone(), known)


def change(journal: Any, statement: str) -> None:
    with journal.store.writing() as connection:
        connection.execute(text(statement))


def test_an_untouched_audit_is_whole(journal: Any) -> None:
    chain = verify(journal)
    assert (chain.rows, chain.before, chain.broken, chain.whole) == (ROWS, 0, None, True)
    assert re.fullmatch(rf"{ROWS}:[0-9a-f]{{32}}", chain.head)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET actor = 'somebody' WHERE id = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE id = 6", 6),
        ("UPDATE audit SET chain = (SELECT chain FROM audit WHERE id = 2) WHERE id = 3", 3),
        ("UPDATE audit SET chain = NULL WHERE id = 4", 4),
        ("DELETE FROM audit WHERE id = 2", 3),
        ("DELETE FROM audit WHERE id = 1", 2),
        ("INSERT INTO audit SELECT 7, at, actor, action, target, detail, chain FROM audit WHERE id = 6", 7),
    ],
)
def test_what_was_altered_is_seen(journal: Any, statement: str, broken: int) -> None:
    change(journal, statement)
    chain = verify(journal)
    assert chain.broken == broken
    assert not chain.whole


def test_rows_put_in_another_order_are_seen(journal: Any) -> None:
    for statement in (
        "UPDATE audit SET id = -3 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 4",
        "UPDATE audit SET id = 4 WHERE id = -3",
    ):
        change(journal, statement)
    assert verify(journal).broken == 3


def test_how_far_it_is_is_told(journal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.journal.auditing.GROUP", 2)
    told: list[int] = []
    with journal.store.reading() as connection:
        assert verify_audit(connection, journal.store.sealer.clone(), told=told.append).whole
    assert told == [2, 4, 6]


def test_rows_cut_from_the_end_are_seen_by_who_noted_the_head(journal: Any) -> None:
    head = verify(journal).head
    change(journal, "DELETE FROM audit WHERE id > 4")
    assert verify(journal).whole
    assert not verify(journal, head).whole
    journal.apply(record_audit("admin", "read message", "message 9", now=9))
    assert not verify(journal, head).whole


def test_rows_from_before_the_chain_are_counted_and_the_chain_begins_after_them(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    change(journal, "INSERT INTO audit VALUES (1, 1, 'admin', 'read message', 'message 1', '', NULL)")
    journal.apply(record_audit("admin", "read message", "message 2", now=2))
    chain = verify(journal)
    assert (chain.before, chain.rows, chain.whole) == (1, 1, True)
    journal.store.close()


@settings(max_examples=40, deadline=None)
@given(
    rank=st.integers(1, ROWS),
    column=st.sampled_from(["actor", "action", "target", "detail"]),
    said=st.text("ab12 ", max_size=9),
)
def test_no_field_can_be_changed_unseen(tmp_path_factory: Any, rank: int, column: str, said: str) -> None:
    journal = open_journal(tmp_path_factory.mktemp("audit"))
    for number in range(1, ROWS + 1):
        journal.apply(record_audit("admin", "read message", f"message {number}", now=number, detail="understood"))
    with journal.store.writing() as connection:
        values = {"said": said, "rank": rank}
        changed = connection.execute(text(f"UPDATE audit SET {column} = :said WHERE id = :rank"), values)  # noqa: S608 - a column of ours
        assert changed.rowcount == 1
    assert verify(journal).broken == rank
    journal.store.close()


def test_every_row_is_written_by_the_chain() -> None:
    room = Path(router.__file__).parent
    offenders = [
        str(path.relative_to(room))
        for path in room.rglob("*.py")
        if re.search(r"insert\(tables\.audit\)|tables\.audit\.insert|INTO audit", path.read_text(encoding="utf-8"))
        and path.name != "auditing.py"
        and path != room / "bench/rows.py"  # rows of a journal that is made to be looked at, and belongs to nobody
    ]
    assert offenders == []


async def test_the_command_line_verifies_and_tells_what_concerns_a_patient(
    site_folder: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from router.cli.base import run

    folder = site_folder()
    assert run(["audit", "verify", "--config", str(folder)]) == 0
    assert "Whole: 2 row(s). Head 2:" in capsys.readouterr().out
    assert run(["audit", "patient", "1", "--config", str(folder)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "when,who,what,on,detail"
    assert [line.split(",")[2:4] for line in told[1:]] == [["read message", "message 1"]]
    assert run(["audit", "patient", "99", "--config", str(folder)]) == 2
    assert "there is no patient 99" in capsys.readouterr().err


@pytest.fixture
def site_folder(tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        from web_traffic import fill

        (tmp_path / "passerelle.toml").write_text('[journal]\ndata = "."\n', encoding="utf-8")
        journal = fill(open_journal(tmp_path), 1_795_000_000_000_000)
        journal.apply(record_audit("admin", "read message", "message 1", now=1))
        journal.apply(record_audit("admin", "read message", "message 999", now=2))
        journal.store.close()
        return tmp_path

    return make
