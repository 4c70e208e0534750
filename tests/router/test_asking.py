"""Questions put to the driver itself, on both databases."""

from __future__ import annotations

import pytest

from router.journal.asking import MOST, ask, ask_about
from router.journal.store import JournalFault, Store


def test_lists_of_every_length_are_asked_about(store: Store) -> None:
    numbers = "SELECT n.id FROM (SELECT 3 AS id UNION SELECT 5 UNION SELECT 8) AS n WHERE n.id IN"
    with store.reading() as connection:
        assert ask(connection, "SELECT ? + 1", [41]) == [(42,)]
        assert ask_about(connection, numbers, []) == []
        for length in (1, 2, 3, 7, 64, MOST, MOST + 1, 2 * MOST + 3):
            wanted = [5, *range(100, 99 + length)]
            assert ask_about(connection, numbers, wanted) == [(5,)]
        assert sorted(ask_about(connection, numbers, [8, 3, 4])) == [(3,), (8,)]


def test_what_the_database_refuses_is_a_fault_of_the_journal(store: Store) -> None:
    with pytest.raises(JournalFault), store.reading() as connection:
        ask(connection, "SELECT nothing FROM nowhere")
