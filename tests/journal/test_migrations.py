"""Migrations: the version before goes on after each, a running router is told, and `passerelle migrate` is a step."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import Connection, insert, update
from web_journal import Journal

from router.cli.base import passerelle
from router.journal import migrate, tables
from router.journal.locking import router_lock
from router.journal.migrate import MIGRATIONS, OLDEST, current, head, is_at_work, steps
from router.journal.sealing import make_key_file
from router.journal.store import JournalFault, JournalPlace, connect, open_store

ORDER = [one.revision for one in ScriptDirectory.from_config(migrate.configuration()).walk_revisions()]
"""Every revision, the newest first."""

BEFORE = ORDER[1]
"""A revision from which a step leads to the newest."""

FIRST_OF_RULE = "0029"
"""Migrations before it were made when no two versions ever worked on one journal."""

TAKES_AWAY = {"drop_table", "drop_column", "drop_constraint", "rename_table"}


def troubles(source: str) -> Iterator[str]:
    """Give what a migration does that the version before it would not survive."""
    module = ast.parse(source)
    upgrade = next(one for one in module.body if isinstance(one, ast.FunctionDef) and one.name == "upgrade")
    made = {
        call.args[0].value
        for call in _calls(upgrade)
        if _name(call) == "create_table" and isinstance(call.args[0], ast.Constant)
    }
    for call in _calls(upgrade):
        name = _name(call)
        given = {one.arg: one.value for one in call.keywords}
        if name in TAKES_AWAY:
            yield f"line {call.lineno}: {name}"
        if name == "alter_column" and given.keys() & {"new_column_name", "type_"}:
            yield f"line {call.lineno}: a column is renamed or of another type"
        if name == "alter_column" and _is(given.get("nullable"), False):
            yield f"line {call.lineno}: a column must be filled from now on"
        if name == "add_column":
            column = next(one for one in call.args if isinstance(one, ast.Call))
            said = {one.arg: one.value for one in column.keywords}
            if _is(said.get("nullable"), False) and "server_default" not in said:
                yield f"line {call.lineno}: a new column that the version before does not fill"
        if name == "create_index" and _is(given.get("unique"), True):
            on = call.args[1].value if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) else None
            if on not in made:
                yield f"line {call.lineno}: a unique index on a table that is in use"
        if name in {"create_unique_constraint", "create_check_constraint", "create_foreign_key"}:
            yield f"line {call.lineno}: {name} on a table that is in use"
        if name in {"execute", "text"} and call.args and isinstance(call.args[0], ast.Constant):
            words = str(call.args[0].value).upper().split()
            if {"DROP", "RENAME", "TRUNCATE"} & set(words):
                yield f"line {call.lineno}: {' '.join(words[:3])}"


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (one for one in ast.walk(tree) if isinstance(one, ast.Call))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize(
    "path",
    [one for one in sorted((MIGRATIONS / "versions").glob("0*.py")) if one.name[:4] >= FIRST_OF_RULE],
    ids=lambda one: one.stem,
)
def test_the_version_before_survives_each_migration(path: Path) -> None:
    """Expand now; take away one release later, in a migration that says `oldest = 'NNNN'` and why."""
    source = path.read_text()
    if "oldest = " in source:
        assert "# Nothing of version" in source, "say since which version nothing uses what is taken away"
        return
    assert list(troubles(source)) == []


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("op.drop_column('message', 'peer')", "drop_column"),
        ("op.alter_column('message', 'peer', new_column_name='who')", "renamed"),
        ("op.alter_column('message', 'peer', nullable=False)", "must be filled"),
        ("op.add_column('message', sa.Column('x', sa.Text(), nullable=False))", "does not fill"),
        ("op.create_index('ux', 'message', ['peer'], unique=True)", "unique index"),
        ("op.execute('DROP TABLE message')", "DROP TABLE MESSAGE"),
        ("op.create_foreign_key('fk', 'a', 'b', ['x'], ['y'])", "create_foreign_key"),
    ],
)
def test_the_rule_sees_what_would_break_it(line: str, trouble: str) -> None:
    assert trouble in " ".join(troubles(f"def upgrade() -> None:\n    {line}\n"))


def test_the_rule_allows_what_only_adds() -> None:
    adds = """
def upgrade() -> None:
    op.create_table('x', sa.Column('id', sa.Integer()))
    op.create_index('ux', 'x', ['id'], unique=True)
    op.create_index('ix', 'message', ['peer'])
    op.add_column('message', sa.Column('y', sa.Text(), nullable=True))
    op.add_column('message', sa.Column('z', sa.Integer(), nullable=False, server_default='0'))
"""
    assert list(troubles(adds)) == []


def down(connection: Connection, revision: str) -> None:
    config = migrate.configuration()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)
    connection.commit()


def test_tables_do_not_change_under_a_router_unless_somebody_asks(journal: Journal) -> None:
    store = journal.store
    with store.engine.connect() as connection:
        down(connection, BEFORE)
    with router_lock(store.engine, store.place.data):
        assert is_at_work(store.engine, store.place)
        with pytest.raises(JournalFault, match="run `passerelle migrate` first"):
            open_store(store.place)
        assert [one.revision for one in steps(store.engine)] == [head()]
        assert migrate.upgrade(store.engine, store.place, asked=True)
        open_store(store.place).close()
    assert not is_at_work(store.engine, store.place)
    with store.engine.connect() as connection:
        down(connection, BEFORE)
    open_store(store.place).close()
    assert current(store.engine) == head()
    assert steps(store.engine) == []


def test_the_version_before_works_on_later_tables_as_long_as_they_let_it(
    journal: Journal,
) -> None:
    store = journal.store
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(insert(tables.setting).values(name=OLDEST, value=BEFORE))
    open_store(store.place).close()
    with store.writing() as connection:
        connection.execute(update(tables.setting).where(tables.setting.c.name == OLDEST).values(value="9998"))
    with pytest.raises(JournalFault, match="by a newer release"):
        open_store(store.place)


def test_by_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "passerelle.toml").write_text("")
    place = JournalPlace.at(tmp_path / "data")
    place.data.mkdir()
    make_key_file(place.key_file)
    open_store(place).close()
    engine = connect(place)
    with engine.connect() as connection:
        down(connection, BEFORE)
    engine.dispose()

    def said(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(passerelle, ["migrate", *words, "--config", str(tmp_path)], standalone_mode=False)
        return result.return_value, result.output

    code, text = said("--check")
    assert code == 1
    assert f"  {head()}  " in text
    assert said()[0] == 0
    assert said() == (0, f"Tables at revision {head()}; this version's is {head()}.\nNothing to do.\n")
