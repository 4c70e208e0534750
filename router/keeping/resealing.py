"""Sealing anew, in small groups, what an older key sealed: every column that is sealed, every stored content.

A pass walks down every table by its primary key. A group is read and sealed anew beside the writer; the transaction
that puts it in only compares and sets, so that what a person or the router changed meanwhile is theirs, and notes how
far the pass has come: a router that is killed goes on there. Two walks at once are harmless.

A pass that changed nothing, and began once every process seals with the newest key, is the proof that nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Table, and_, select, tuple_, update

from router.journal import tables
from router.journal.keyring import FRESH_SECONDS
from router.journal.operations import Change
from router.journal.pacing import Pace
from router.journal.sealing import KeyAway, KeyFault
from router.journal.store import CHECK_PLACE, KEY_CHECK, Store
from router.journal.tables_base import metadata
from router.journal.unit import Unit

SETTLED_MICROS = int(FRESH_SECONDS * 30 * 1_000_000)
"""How long after the start of a change a pass must begin that is to prove that nothing is left: what was sealed right
before a process knew of the change may wait that long for its transaction."""

BLOBS = "blobs"
"""How a position names the stored contents, which come after the tables."""

BLOBS_AT_ONCE = 8

MOST_BYTES = 1_000_000
"""Sealed bytes after which a group is closed, however few its rows."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A change of the master key (`tables.key_rotation`). Times are microseconds, `ended` is when all was sealed."""

    id: int
    started_at: int
    actor: str
    former: str
    master: str
    number: int
    state: str
    pass_number: int
    pass_began_at: int
    pass_changed: int
    position: str
    looked: int
    changed: int
    damaged: int
    resealed_at: int | None
    retired_at: int | None

    @property
    def where(self) -> str:
        """The table that the pass under way is at; empty at its beginning."""
        return str(orjson.loads(self.position)["table"]) if self.position else ""


@dataclass(frozen=True, slots=True)
class _Resealed:
    column: Column[Any]
    key: tuple[Any, ...]
    before: Any
    after: Any


@dataclass(slots=True)
class Group:
    """What was sealed anew and is to be put in; `position` is how far the pass then has come, empty at its end."""

    position: str = ""
    looked: int = 0
    damaged: int = 0
    written: int = 0
    rows: list[_Resealed] = field(default_factory=list)
    whole: bool = False


def sealed_columns() -> list[tuple[Table, list[Column[Any]]]]:
    """Give the tables that hold sealed values, and which columns do."""
    found = [(table, [one for one in table.columns if one.name.startswith("sealed_")]) for table in ORDERED]
    return [(table, columns) for table, columns in found if columns]


ORDERED: Sequence[Table] = sorted(metadata.tables.values(), key=lambda table: table.name)


def place_of(column: Column[Any], row: Any) -> bytes:
    """Give the place that a value of a column was sealed for, which a few rows say more closely."""
    place = f"{column.table.name}.{column.name}"
    if place == "account.sealed_totp":
        place += f" {row.name}"
    elif place == "sign_in_step.sealed_detail":
        place += f" {row.kind}"
    return place.encode()


def find_rotation(connection: Connection) -> Rotation | None:
    """Give the last change of the master key; None when it was never changed."""
    names = list(Rotation.__dataclass_fields__)
    columns = [tables.key_rotation.c[name] for name in names]
    row = connection.execute(select(*columns).order_by(tables.key_rotation.c.id.desc()).limit(1)).first()
    return None if row is None else Rotation(*row)


class Resealing:
    """One pass after another of one process; `pace` says how many rows a group has."""

    def __init__(self, store: Store, pace: Pace | None = None) -> None:
        self._store = store
        self.pace = pace or Pace()
        self._sealer = store.sealer.clone()

    def under_way(self) -> Rotation | None:
        """Give the change that has values left to be sealed anew, None when there is none.

        Raises KeyAway where its key is not here: what an older one sealed would be taken for new.
        """
        with self._store.reading() as connection:
            found = find_rotation(connection)
        if found is None or found.state != "resealing":
            return None
        self._sealer.expect(found.number)
        return found

    def group(self, position: str, *, only_look: bool = False) -> Group:
        """Read and seal what follows a position; nothing is written, except stored contents unless `only_look`."""
        at: dict[str, Any] = orjson.loads(position) if position else {"table": "", "after": None}
        if at["table"] != BLOBS:
            for table, columns in sealed_columns():
                if table.name < at["table"]:
                    continue
                after = at["after"] if table.name == at["table"] else None
                group = self._rows(table, columns, after)
                if group.looked:
                    return group
        return self._blobs(at["after"] if at["table"] == BLOBS else "", only_look=only_look)

    def left(self) -> int:
        """Count what an older key still seals, in the whole journal; values that no key opens are not counted."""
        found, position = 0, ""
        while True:
            group = self.group(position, only_look=True)
            found += len(group.rows) + group.written
            if group.whole:
                return found
            position = group.position

    def _rows(self, table: Table, columns: list[Column[Any]], after: list[Any] | None) -> Group:
        key = list(table.primary_key.columns)
        wanted = select(*table.columns).order_by(*key).limit(self.pace.size)
        if after is not None:
            limit = [_from_json(value, one) for value, one in zip(after, key, strict=True)]
            wanted = wanted.where(tuple_(*key) > tuple_(*limit) if len(key) > 1 else key[0] > limit[0])
        group, size, last = Group(), 0, None
        with self._store.reading() as connection:
            for row in connection.execute(wanted):
                last = tuple(row._mapping[one] for one in key)
                group.looked += 1
                for column in columns:
                    sealed = row._mapping[column]
                    if sealed is not None and not self._sealer.is_newest(bytes(sealed)):
                        size += len(sealed)
                        self._reseal(group, column, last, bytes(sealed), place_of(column, row))
                if size > MOST_BYTES:
                    break
        if last is not None:
            after = [value.hex() if isinstance(value, bytes) else value for value in last]
            group.position = orjson.dumps({"table": table.name, "after": after}).decode()
        return group

    def _reseal(self, group: Group, column: Column[Any], key: tuple[Any, ...], sealed: bytes, place: bytes) -> None:
        try:
            plain = self._sealer.open(sealed, place)
        except KeyAway:
            raise
        except KeyFault:
            group.damaged += 1  # no key opens it, and none would later: it stays as it is, and is counted
            return
        group.rows.append(_Resealed(column, key, sealed, self._sealer.seal(plain, place)))

    def _blobs(self, after: str, *, only_look: bool) -> Group:
        names = self._store.blobs.names(after, BLOBS_AT_ONCE)
        group = Group(looked=len(names), whole=not names)
        for name in names:
            try:
                group.written += self._store.blobs.reseal(name, only_look=only_look)
            except FileNotFoundError:
                continue  # swept meanwhile: no row names it any more
            except KeyAway:
                raise
            except KeyFault:
                group.damaged += 1
        if names:
            group.position = orjson.dumps({"table": BLOBS, "after": names[-1]}).decode()
        else:
            group.rows.extend(self._check())
        return group

    def _check(self) -> Iterator[_Resealed]:
        column = tables.setting.c
        with self._store.reading() as connection:
            found = connection.execute(select(column.value).where(column.name == KEY_CHECK)).scalar()
        if found is not None and not self._sealer.is_newest(bytes.fromhex(found)):
            plain = self._sealer.open(bytes.fromhex(found), CHECK_PLACE)
            yield _Resealed(column.value, (KEY_CHECK,), found, self._sealer.seal(plain, CHECK_PLACE).hex())

    def keep(self, rotation: Rotation, group: Group, now: int) -> Change[bool]:
        """Put a group in, and note how far the pass has come; gives whether the journal holds nothing older any more.

        `now` is microseconds. A pass that ended, and is no proof, is followed by another. Tell `pace` of the commit.
        """

        def change(unit: Unit) -> bool:
            self.pace.begin()
            changed = sum(_put_in(unit, one) for one in group.rows) + group.written
            row = tables.key_rotation
            began = rotation.pass_began_at if rotation.position else now
            looked = {
                "pass_began_at": began,
                "looked": row.c.looked + group.looked,
                "changed": row.c.changed + changed,
                "damaged": row.c.damaged + group.damaged,
                "pass_changed": row.c.pass_changed + changed,
                "position": group.position,
            }
            mine = update(row).where(row.c.id == rotation.id, row.c.state == "resealing")
            unit.connection.execute(mine.values(looked))
            if not group.whole:
                return False
            proof = rotation.pass_changed + changed == 0
            if proof and began >= rotation.started_at + SETTLED_MICROS:
                unit.connection.execute(mine.values(state="resealed", resealed_at=now))
                return True
            again = {"pass_number": row.c.pass_number + 1, "pass_began_at": now, "pass_changed": 0, "damaged": 0}
            unit.connection.execute(mine.values(again))
            return False

        return Change(change, note="sealing anew")


def resting(rotation: Rotation, now: int) -> bool:
    """Whether the next pass is to wait: it would be no proof yet, and the one before has changed all that there was."""
    begins = not rotation.position and rotation.pass_number > 1
    return begins and now < rotation.started_at + SETTLED_MICROS


def _put_in(unit: Unit, one: _Resealed) -> int:
    table = one.column.table
    key = [column == value for column, value in zip(table.primary_key.columns, one.key, strict=True)]
    same = update(table).where(and_(*key), one.column == one.before)
    return unit.connection.execute(same.values({one.column.name: one.after})).rowcount


def _from_json(value: Any, column: Column[Any]) -> Any:
    return bytes.fromhex(value) if column.type.python_type is bytes else value
