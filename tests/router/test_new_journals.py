"""The new journals of the other tests are what migrating one makes, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quick_journals import NewJournals, migrated
from sqlalchemy import Engine, inspect, text

from router.journal.migrate import current
from router.journal.store import JournalPlace, connect


def tables_of(engine: Engine) -> dict[str, Any]:
    looked = inspect(engine)
    return {
        name: [
            [(one["name"], str(one["type"]), one["nullable"], one["default"]) for one in looked.get_columns(name)],
            sorted((str(one["name"]), one["column_names"], one["unique"]) for one in looked.get_indexes(name)),
            sorted((one["constrained_columns"], one["referred_table"]) for one in looked.get_foreign_keys(name)),
            looked.get_pk_constraint(name)["constrained_columns"],
        ]
        for name in looked.get_table_names()
    }


def rows_of(engine: Engine, tables: list[str]) -> dict[str, int]:
    with engine.connect() as connection:
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() or 0 for name in tables}  # noqa: S608 - names of our own tables


def test_a_new_journal_made_in_one_step_is_what_migrations_make(make_place: Callable[[], JournalPlace]) -> None:
    places = [make_place() for _ in range(3)]
    new = NewJournals(places[0].data)
    made: list[Any] = []
    for place, upgrade in zip(places, (migrated, new.upgrade, new.upgrade), strict=True):
        engine = connect(place)
        upgrade(engine, place)
        tables = tables_of(engine)
        made.append((tables, rows_of(engine, list(tables)), current(engine)))
        engine.dispose()
    assert len(made[0][0]) > 50
    assert made[1] == made[0]
    assert made[2] == made[0]
