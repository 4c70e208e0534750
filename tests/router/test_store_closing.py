"""A store that is closed while somebody still reads leaves no connection behind."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from router.journal.store import Store


def test_a_connection_lent_at_closing_is_closed_when_it_comes_back(store: Store) -> None:
    with store.reading() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
        lent = connection.connection.dbapi_connection
        store.close()
    assert lent is not None
    with pytest.raises(Exception, match="clos"):
        lent.cursor().execute("SELECT 1")
