"""Changing a journal's master key without stopping: it begins here, is carried out by `resealing`, and ends here.

Each step may be killed and asked for again. The new key is on the disk before the journal's ring names it, and takes
the place of the former one after; `next_key_file` is looked at by every process, so that either order of events opens.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from router.faults import Fault
from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.keyring import INDEX, SEAL, JournalRing, Wrapped, load_ring, next_key_file, ring_reader, wrap
from router.journal.operations import Change, apply_at_once
from router.journal.sealing import KEY_BYTES, Keys, make_key_file, master_id, read_key_file
from router.journal.store import JournalPlace, Store
from router.journal.unit import Unit
from router.keeping.resealing import Resealing, Rotation, find_rotation

LAST_NUMBER = 65_535
"""A sealed value names its key in two bytes."""


class RotationFault(Fault):
    """The master key cannot be changed, or the former one retired, now: one sentence, what to do."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A change of the master key that has begun: the two keys' names, and where the former one's file is now."""

    former: str
    master: str
    kept: Path


def prepare(place: JournalPlace) -> tuple[Path, str]:
    """Make the coming master key, unless one waits already; gives its file and name. Nothing uses it yet."""
    path = next_key_file(place.key_file)
    if not path.exists():
        make_key_file(path.resolve())  # it may be a link to where keys are kept
    return path, master_id(read_key_file(path))


def begin(store: Store, *, actor: str, now: int) -> Begun:
    """Begin to change the master key: from here on the new one seals. Asked for again, it ends what was interrupted.

    Raises RotationFault while an earlier change is not over.
    """
    place = store.place
    earlier = _last(store)
    waiting = next_key_file(place.key_file)
    if earlier is not None and earlier.state != "retired":
        if waiting.exists() and master_id(read_key_file(waiting)) == earlier.master:
            return Begun(earlier.former, earlier.master, _take(place))
        raise RotationFault(
            f"the change of the master key that began earlier is not over ({earlier.state}): "
            "`passerelle keys status` says how far it is"
        )
    path, name = prepare(place)
    coming, keys = read_key_file(path), JournalRing(store.sealer.master, ring_reader(store.engine)).keys()
    if keys.newest >= LAST_NUMBER:
        raise RotationFault("this journal has had as many keys as it can name; make a new one from a back-up")
    former = master_id(keys.master)

    def change(unit: Unit) -> None:
        known = load_ring(unit.connection)
        if known and max(one.number for one in known if one.role == SEAL) != keys.newest:
            raise RotationFault("another change of the master key has just begun; look with `passerelle keys status`")
        number = keys.newest + 1
        _put(unit.connection, _wrapped(keys, keys.master, known) if not known else (), now)
        _put(unit.connection, _wrapped(keys, coming, known), now)
        _put(unit.connection, [wrap(coming, number, SEAL, os.urandom(KEY_BYTES))], now)
        row = {"started_at": now, "pass_began_at": now, "actor": actor, "former": former, "master": name}
        unit.connection.execute(insert(tables.key_rotation).values(number=number, state="resealing", **row))
        append_audit(unit, actor=actor, action="change key", target=f"key {name}", detail=f"from {former}", now=now)

    apply_at_once(store, Change(change, note="change of the master key"))
    begun = Begun(former, name, _take(place))
    store.sealer.renew()
    return begun


def _wrapped(keys: Keys, master: bytes, known: Iterable[Wrapped]) -> list[Wrapped]:
    there = {(one.number, one.role) for one in known if one.master == master_id(master)}
    own = [(number, SEAL, key) for number, key in keys.seals.items()] + [(0, INDEX, keys.index)]
    return [wrap(master, number, role, key) for number, role, key in own if (number, role) not in there]


def _put(connection: Connection, wrapped: Iterable[Wrapped], now: int) -> None:
    for one in wrapped:
        row = {"number": one.number, "role": one.role, "master": one.master, "wrapped_key": one.wrapped_key}
        connection.execute(insert(tables.data_key).values(made_at=now, **row))


def _take(place: JournalPlace) -> Path:
    """Put the coming key's file in the place of the former one, which is kept beside it under its name."""
    former = place.key_file.with_name(f"{place.key_file.name}.{master_id(read_key_file(place.key_file))}")
    if not former.exists():
        os.link(place.key_file, former)
    next_key_file(place.key_file).replace(place.key_file)
    descriptor = os.open(place.key_file.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return former


def retire(store: Store, *, actor: str, now: int) -> Rotation:
    """Let the former master key open nothing any more, once nothing is sealed by an older key.

    The whole journal is looked at before. Raises RotationFault with what to do when it is too early.
    """
    last = _last(store)
    if last is None or last.state == "retired":
        raise RotationFault("no change of the master key is under way: begin one with `passerelle keys rotate`")
    if last.state != "resealed":
        raise RotationFault("values sealed by the former key are left: `passerelle keys status` says how far it is")
    if master_id(read_key_file(store.place.key_file)) != last.master:
        raise RotationFault(
            f"{store.place.key_file} is not the new key {last.master} yet: put it there, on every node, and ask again"
        )
    left = Resealing(store).left()
    if left:
        reopen(store, now)
        raise RotationFault(f"{left} values are sealed by an older key again: let the router end its next pass first")

    def change(unit: Unit) -> None:
        row, key = tables.key_rotation, tables.data_key.c
        # The older keys stay, under the new master key: who has the former one could make them anyway, and what a
        # process that slept through all this still brings can be read.
        unit.connection.execute(delete(tables.data_key).where(key.master != last.master))
        unit.connection.execute(update(row).where(row.c.id == last.id).values(state="retired", retired_at=now))
        append_audit(unit, actor=actor, action="retire key", target=f"key {last.former}", detail="", now=now)

    apply_at_once(store, Change(change, note="retire the former master key"))
    return last


def reopen(store: Store, now: int) -> None:
    """Begin another pass: values of an older key were found after the last one."""
    row = tables.key_rotation
    values = {"state": "resealing", "position": "", "pass_changed": 0, "pass_began_at": now, "resealed_at": None}

    def change(unit: Unit) -> None:
        unit.connection.execute(update(row).where(row.c.state == "resealed").values(values))

    apply_at_once(store, Change(change, note="another pass"))


def masters_of(store: Store) -> list[str]:
    """Name the master keys that open the journal, empty while it is only the first one."""
    with store.reading() as connection:
        return sorted(set(connection.execute(select(tables.data_key.c.master)).scalars()))


def _last(store: Store) -> Rotation | None:
    with store.reading() as connection:
        return find_rotation(connection)
