"""Keeping resources: versions that are never doubled, an index that is right at each commit, and what was taken out.

Everything here runs inside of a write transaction of the journal, which is alone: moments are given in the order of
commits, so that whoever asks for what changed since a moment misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, Table, delete, exists, func, insert, select, tuple_, update

from router.dossier.store.drafts import DELETED, LIVE, RESOURCE_PLACE, WITHDRAWN, Draft, draft, shell
from router.dossier.store.elements import Resource, kept
from router.dossier.store.indexing import Indexed, index, system_key, unpacked
from router.dossier.store.requests import KIND
from router.journal import tables
from router.journal.unit import Unit

_R = tables.resource.c
FOUND: Select[Any] = select(
    _R.id,
    _R.type,
    _R.logical_id,
    _R.patient_id,
    _R.version,
    _R.updated_at,
    _R.state,
    _R.item_id,
    _R.owner,
    _R.category,
    _R.marks,
    _R.at,
    _R.author,
    _R.thing,
    _R.digest,
    _R.tokens,
)
"""What is known of a resource without opening it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a Draft: its row, the version that holds now and since when, and whether it is a new one."""

    id: int
    type: str
    logical_id: str
    version: int
    at: int
    created: bool
    changed: bool


class AnothersResource(Exception):
    """A resource of this id is about another patient: nothing was changed."""


class Keeper:
    """Keeps resources in one transaction. `now` is microseconds since the epoch."""

    def __init__(self, unit: Unit, now: int) -> None:
        self._unit = unit
        self._connection: Connection = unit.connection
        last = self._connection.execute(select(func.max(tables.resource_body.c.at))).scalar() or 0
        self._moment = max(now, last + 1)

    def _next(self) -> int:
        self._moment += 1
        return self._moment - 1

    def keep(
        self,
        drafts: Sequence[Draft],
        *,
        item_id: int | None = None,
        owner: str | None = None,
        message_id: int | None = None,
    ) -> list[Kept]:
        """Keep resources; one whose content is what it was gets no new version.

        What an older Item says does not go over what a newer one has said. Raises AnothersResource.
        """
        known = {(row.type, row.logical_id): row for row in self._find(drafts)}
        rows: dict[str, list[dict[str, Any]]] = {"resource": [], "body": [], "token": [], "date": [], "item": []}
        kept = [self._one(one, known, rows, item_id, owner, message_id) for one in _distinct(drafts)]
        for table, name in (
            (tables.resource, "resource"),
            (tables.resource_body, "body"),
            (tables.resource_token, "token"),
            (tables.resource_date, "date"),
        ):
            if rows[name]:
                self._connection.execute(insert(table), rows[name])
        if item_id is not None:
            self._remember(item_id, [one.id for one in kept])
        for one, result in zip(_distinct(drafts), kept, strict=True):
            if result.changed and one.type == "DocumentReference":
                self._relate(one, result)
        return kept

    def _find(self, drafts: Sequence[Draft]) -> list[Row[Any]]:
        keys = [(one.type, one.logical_id) for one in drafts]
        found: list[Row[Any]] = []
        for start in range(0, len(keys), 200):
            wanted = tuple_(_R.type, _R.logical_id).in_(keys[start : start + 200])
            found += self._connection.execute(FOUND.where(wanted)).all()
        return found

    def _one(
        self,
        one: Draft,
        known: dict[tuple[str, str], Row[Any]],
        rows: dict[str, list[dict[str, Any]]],
        item_id: int | None,
        owner: str | None,
        message_id: int | None,
    ) -> Kept:
        row = known.get((one.type, one.logical_id))
        if row is None:
            number, at = self._unit.next_id(tables.resource), self._next()
            rows["resource"].append(
                {
                    "id": number,
                    "type": one.type,
                    "logical_id": one.logical_id,
                    "version": 1,
                    **_facts(one, at, item_id, owner),
                }
            )
            rows["body"].append(_body(number, 1, at, one, message_id))
            rows["token"] += [{"token": token, "resource_id": number} for token in one.indexed.tokens]
            rows["date"] += _dates(number, one.indexed)
            return Kept(number, one.type, one.logical_id, 1, at, created=True, changed=True)
        if row.patient_id != one.patient and (row.patient_id is not None or one.type != KIND):
            raise AnothersResource  # only a request that was about nobody here becomes somebody's
        same = row.state == LIVE and bytes(row.digest) == one.digest
        older = item_id is not None and row.item_id is not None and row.item_id > item_id and row.state == LIVE
        if same or older or (one.once and row.state == LIVE):
            if same and item_id is not None and (row.item_id or 0) < item_id:
                self._connection.execute(update(tables.resource).where(_R.id == row.id).values(item_id=item_id))
            return Kept(row.id, one.type, one.logical_id, row.version, row.updated_at, created=False, changed=False)
        version, at = row.version + 1, self._next()
        self._rewrite(row, one.indexed, {"version": version, **_facts(one, at, item_id, owner)})
        rows["body"].append(_body(row.id, version, at, one, message_id))
        return Kept(row.id, one.type, one.logical_id, version, at, created=row.state != LIVE, changed=True)

    def _rewrite(self, row: Row[Any], indexed: Indexed, values: dict[str, Any]) -> None:
        before, after = set(unpacked(row.tokens)), set(indexed.tokens)
        token, day = tables.resource_token, tables.resource_date
        if gone := before - after:
            self._connection.execute(delete(token).where(token.c.token.in_(gone), token.c.resource_id == row.id))
        if fresh := after - before:
            self._connection.execute(insert(token), [{"token": one, "resource_id": row.id} for one in sorted(fresh)])
        self._connection.execute(delete(day).where(day.c.resource_id == row.id))
        if found := _dates(row.id, indexed):
            self._connection.execute(insert(day), found)
        self._connection.execute(update(tables.resource).where(_R.id == row.id).values(**values))

    def _remember(self, item_id: int, numbers: Iterable[int]) -> None:
        column = tables.resource_item.c
        there = set(self._connection.execute(select(column.resource_id).where(column.item_id == item_id)).scalars())
        fresh = [
            {"resource_id": number, "item_id": item_id} for number in dict.fromkeys(numbers) if number not in there
        ]
        if fresh:
            self._connection.execute(insert(tables.resource_item), fresh)

    # --- documents that replace one another -------------------------------------------------------------------------

    def _relate(self, one: Draft, kept: Kept) -> None:
        """Supersede what a document replaces, and the document itself when its successor was there before it."""
        sealer = self._unit.sealer
        for system, value in one.replaces:
            if not system and value.startswith("DocumentReference/"):
                wanted = _R.logical_id == value.partition("/")[2]
            else:
                tokens = [sealer.token("fhir", one.type, "identifier", *form) for form in _identified(system, value)]
                wanted = _has(tokens)
            self._supersede(one.patient, wanted, but=kept.id)
        after = [sealer.token("fhir", one.type, "relatesto", *form) for pair in one.own for form in _named(*pair)]
        after.append(sealer.token("fhir", one.type, "relatesto", "r", one.key))
        replacing = sealer.token("fhir", one.type, "relation", "c", "replaces")
        successor = select(_R.id).where(
            _R.patient_id == one.patient, _R.state == LIVE, _R.id != kept.id, _has(after), _has([replacing])
        )
        if self._connection.execute(successor.limit(1)).first() is not None:
            self._supersede(one.patient, _R.id == kept.id)

    def _supersede(self, patient: int | None, wanted: Any, *, but: int = 0) -> None:
        found = FOUND.where(
            _R.type == "DocumentReference", _R.patient_id == patient, _R.state == LIVE, _R.id != but, wanted
        )
        for row in self._connection.execute(found).all():
            resource = body_of(self._connection, self._unit, row.id, row.version)
            if resource.get("status") == "current":
                # Told apart by what its author sent: the same document sent again is not a new version.
                self.change(row, {**resource, "status": "superseded"}, digest=bytes(row.digest), same=True)

    def change(self, row: Row[Any], fresh: Resource, *, digest: bytes | None = None, same: bool = False) -> Kept:
        """Make a new version of a resource from its edited content; it stays a version of the same thing.

        `same`: nothing changes of what the door looks at, which its Item may have said better than its content does.
        """
        made = draft(self._unit.sealer, fresh, row.patient_id)
        seen = {"thing": row.thing}
        if same:
            seen |= {"category": row.category, "marks": row.marks, "at": row.at, "author": row.author}
        made = replace(made, indexed=replace(made.indexed, **seen))
        version, at = row.version + 1, self._next()
        blobs = select(tables.resource_body.c.blobs).where(
            tables.resource_body.c.resource_id == row.id, tables.resource_body.c.version == row.version
        )
        facts = {**_facts(made, at, row.item_id, row.owner), "digest": digest or made.digest}
        self._rewrite(row, made.indexed, {"version": version, **facts})
        written = _body(row.id, version, at, made, None)
        written["blobs"] = self._connection.execute(blobs).scalar()
        self._connection.execute(insert(tables.resource_body), [written])
        return Kept(row.id, made.type, made.logical_id, version, at, created=False, changed=True)

    # --- taking out -----------------------------------------------------------------------------------------------

    def take_out(self, item_id: int, *, but: Iterable[int] = ()) -> None:
        """Take out what an Item said, except the resources `but`: another Item that said it as well says it again."""
        column = tables.resource_item.c
        spared = set(but)
        said_by = self._connection.execute(select(column.resource_id).where(column.item_id == item_id)).scalars().all()
        numbers = [number for number in said_by if number not in spared]
        if not numbers:
            return
        gone = delete(tables.resource_item).where(column.item_id == item_id, column.resource_id.in_(numbers))
        self._connection.execute(gone)
        rows = self._connection.execute(
            FOUND.where(_R.id.in_(numbers), _R.item_id == item_id, _R.state == LIVE, _R.patient_id.is_not(None))
        ).all()
        for row in rows:
            self.withdraw(row)
            others = select(func.max(column.item_id)).where(column.resource_id == row.id)
            newest = self._connection.execute(others).scalar()
            if newest is not None:
                again = {"kind": "item", "number": newest}
                self._connection.execute(insert(tables.resource_pending), [again])

    def withdraw(self, row: Row[Any]) -> int:
        """Leave nothing of a resource but that it was entered in error; gives when. A file is gone altogether."""
        state = DELETED if row.type == "Binary" else WITHDRAWN
        left = shell(row.type, row.logical_id)
        body = orjson.dumps(left)
        version, at = row.version + 1, self._next()
        values = {"version": version, "updated_at": at, "state": state, "digest": self._unit.sealer.digest(body)}
        indexed = index(self._unit.sealer, left)
        self._rewrite(row, indexed, {**values, "tokens": indexed.packed})
        sealed = self._unit.sealer.seal(body, RESOURCE_PLACE)
        self._connection.execute(
            insert(tables.resource_body),
            [{"resource_id": row.id, "version": version, "at": at, "state": state, "sealed_body": sealed}],
        )
        return at

    def delete(self, row: Row[Any]) -> int:
        """Delete a resource: its versions stay, and reading it says that it is gone."""
        at = self.withdraw(row)
        self._connection.execute(update(tables.resource).where(_R.id == row.id).values(state=DELETED))
        body = tables.resource_body.c
        self._connection.execute(
            update(tables.resource_body)
            .where(body.resource_id == row.id, body.version == row.version + 1)
            .values(state=DELETED)
        )
        return at

    def row(self, kind: str, logical_id: str) -> Row[Any] | None:
        """Give the row of a resource."""
        found = FOUND.where(_R.type == kind, _R.logical_id == logical_id)
        return self._connection.execute(found).one_or_none()


def rows_of(drafts: Sequence[Draft], first: int, moment: int) -> dict[Table, list[dict[str, Any]]]:
    """Give the rows of new resources, parents first, for who fills an empty store and looks for nothing before.

    They are numbered from `first` on, and changed one after the other from `moment` on.
    """
    rows: dict[Table, list[dict[str, Any]]] = {
        tables.resource: [],
        tables.resource_body: [],
        tables.resource_token: [],
        tables.resource_date: [],
    }
    for number, one in enumerate(drafts, start=first):
        at = moment + number - first
        own = {"id": number, "type": one.type, "logical_id": one.logical_id, "version": 1}
        rows[tables.resource].append({**own, **_facts(one, at, None, None)})
        rows[tables.resource_body].append(_body(number, 1, at, one, None))
        rows[tables.resource_token] += [{"token": token, "resource_id": number} for token in one.indexed.tokens]
        rows[tables.resource_date] += _dates(number, one.indexed)
    return rows


def body_of(connection: Connection, unit: Unit, number: int, version: int) -> Resource:
    """Open one version of a resource."""
    column = tables.resource_body.c
    found = select(column.sealed_body).where(column.resource_id == number, column.version == version)
    resource = kept(unit.sealer.open(connection.execute(found).scalar_one(), RESOURCE_PLACE))
    assert isinstance(resource, dict)  # noqa: S101 - only objects are kept
    return resource


def _distinct(drafts: Sequence[Draft]) -> list[Draft]:
    """Give each resource once, as it is said last."""
    return list({one.key: one for one in drafts}.values())


def _has(tokens: Sequence[int]) -> Any:
    column = tables.resource_token.c
    return exists().where(column.resource_id == _R.id, column.token.in_(tokens))


def _identified(system: str, value: str) -> list[tuple[str, ...]]:
    return [("sc", system_key(system), value)] if system else [("c", value)]


def _named(system: str, value: str) -> list[tuple[str, ...]]:
    return [("sc", system_key(system), value)] if system else []


def _facts(one: Draft, at: int, item_id: int | None, owner: str | None) -> dict[str, Any]:
    return {
        "patient_id": one.patient,
        "category": one.indexed.category,
        "marks": one.indexed.marks,
        "at": one.indexed.at,
        "author": one.indexed.author,
        "thing": one.indexed.thing,
        "updated_at": at,
        "state": LIVE,
        "item_id": item_id,
        "owner": owner,
        "digest": one.digest,
        "tokens": one.indexed.packed,
    }


def _body(number: int, version: int, at: int, one: Draft, message_id: int | None) -> dict[str, Any]:
    return {
        "resource_id": number,
        "version": version,
        "at": at,
        "state": LIVE,
        "sealed_body": one.sealed_body,
        "blobs": one.blobs,
        "message_id": message_id,
    }


def _dates(number: int, indexed: Indexed) -> list[dict[str, Any]]:
    return [{"resource_id": number, "name": name, "low": low, "high": high} for name, low, high in indexed.dates]
