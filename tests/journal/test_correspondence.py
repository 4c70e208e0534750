"""Mails are kept by conversation, whatever their programs say of the thread."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select
from web_journal import Journal, open_journal

from mappings.contracts import Correspondence
from router.journal import tables
from router.journal.correspondence import HEAD_PLACE, keep_mail, prepared_mail
from router.journal.operations import Change
from router.journal.unit import Unit


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return open_journal(tmp_path)


def arrive(journal: Journal, said: Correspondence, at: int = 1_000_000) -> int:
    number = journal.message(at, source="bal")
    mail = prepared_mail(journal.store.sealer, said, "bal", f"message/{number}")

    def change(unit: Unit) -> None:
        keep_mail(unit, mail, at, message_id=number)

    journal.apply(Change(change, note="test"))
    return number


def threads(journal: Journal) -> list[int]:
    with journal.store.reading() as connection:
        return list(connection.execute(select(tables.mail.c.thread).order_by(tables.mail.c.id)).scalars())


def test_an_answer_joins_the_conversation_of_what_it_answers(journal: Journal) -> None:
    arrive(journal, Correspondence("a@x.test", thread="versions@x.test"))
    arrive(journal, Correspondence("b@y.test", thread="a@x.test", in_reply_to="a@x.test"))
    arrive(journal, Correspondence("c@x.test", thread="versions@x.test", in_reply_to="b@y.test"))
    arrive(journal, Correspondence("d@z.test", thread="d@z.test"))
    one, two, three, other = threads(journal)
    assert one == two == three != other


def test_a_mail_without_a_name_is_a_conversation_of_its_own(journal: Journal) -> None:
    arrive(journal, Correspondence(None))
    arrive(journal, Correspondence(None))
    assert len(set(threads(journal))) == 2


def test_a_mail_that_is_read_again_is_kept_once(journal: Journal) -> None:
    number = arrive(journal, Correspondence("a@x.test", thread="a@x.test", subject="avant"))
    mail = prepared_mail(journal.store.sealer, Correspondence("a@x.test", subject="après"), "bal", "")
    journal.apply(Change(lambda unit: keep_mail(unit, mail, 2, message_id=number), note="test"))
    with journal.store.reading() as connection:
        [row] = connection.execute(select(tables.mail)).all()
    assert "après".encode() in journal.store.sealer.open(row.sealed_head, HEAD_PLACE)
    assert row.at == 1_000_000


def test_heads_are_sealed(journal: Journal) -> None:
    arrive(journal, Correspondence("a@x.test", sender="dr@x.test", subject="TESTROSE Marie"))
    with journal.store.reading() as connection:
        sealed = connection.execute(select(tables.mail.c.sealed_head)).scalar_one()
    assert b"TESTROSE" not in sealed
    assert b"dr@x" not in sealed
