"""Submissions: what goes to the DMP and to document-sharing servers, with its names there and its versions."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, func, literal_column, select, text

from connectors.contracts import ReferenceKind
from router.journal import tables
from router.journal.naming import NamingLine, namings_of
from router.journal.operations import BODY_PLACE
from router.journal.queries import BUDGET, PAGE
from router.journal.queries_deliveries import FAILED, FAILED_STATES, OPEN
from router.journal.queries_lines import ItemLine, item_lines
from router.journal.queries_message import DeliveryLine, delivery_findings, delivery_lines
from router.journal.queries_receipts import names_of, receipts_of
from router.journal.receipts import reference_token
from router.journal.sealing import loose
from router.journal.tables import DeliveryState
from router.journal.view import View
from router.journal.walking import FIRST_SLICE, LAST_SLICE, Clock, paced
from schemas.finding import Finding

FORMATS = ("xds", "pdsm")
# SQLite takes a partial index only when its very condition is in the statement.
SUBMITTED = text("delivery.format IN ('xds', 'pdsm')")

LONG_SLICE = 64_000
"""Rows of the first slice where an index leads to those that are looked for."""

INDEXED_STATES = frozenset({*FAILED_STATES, DeliveryState.PENDING})

MOST_OPEN = 20_000
"""Submissions that wait to be sent, the newest ones, among which those wanted are looked for."""

ROUNDS = 4
"""Steps from version to version that are looked at, either way."""

MOST_VERSIONS = 200


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document that was submitted: the Delivery that carries it, under which name."""

    unique_id: str
    replaces: str
    delivery_id: int
    message_id: int
    destination: str
    state: DeliveryState
    at: int


@dataclass(frozen=True, slots=True)
class SubmissionLine:
    """One submission. `type` is the document's, in the sender's words; `operation` is create, replace or delete.

    `versions` are those of the same document at the same destination, the oldest first, when there are several.
    `findings` say why a held one is held. `naming` says how far it has come with the names that are told only later.
    """

    delivery: DeliveryLine
    item: ItemLine | None
    type: str
    category: str
    operation: str
    unique_id: str
    replaces: str
    findings: tuple[Finding, ...] = ()
    versions: tuple[Version, ...] = ()
    naming: NamingLine | None = None

    def name(self, kind: ReferenceKind) -> str:
        """Give a name under which the server knows it, or an empty text."""
        return next((one.value for one in self.delivery.names if one.kind == kind.value), "")

    @property
    def logical_id(self) -> str:
        """The name that stays the same across versions of its metadata, or an empty text."""
        return self.name(ReferenceKind.LOGICAL_ID)


@dataclass(frozen=True, slots=True)
class SubmissionFilters:
    """Which submissions are wanted; None is no wish."""

    destination: str | None = None
    state: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class SubmissionPage:
    """A page, newest first; `before` is the cursor of what follows, `walked` says that the time was up before."""

    rows: tuple[SubmissionLine, ...]
    before: int | None = None
    walked: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """What an Item says of itself as a document."""

    type: str = ""
    category: str = ""
    operation: str = ""
    unique_id: str = ""
    replaces: str = ""


def find_submissions(
    view: View,
    filters: SubmissionFilters,
    *,
    before: int | None = None,
    limit: int = PAGE,
    budget: float = BUDGET,
    clock: Clock = time.monotonic,
) -> SubmissionPage:
    """Give the page of submissions that follows the cursor `before` (a Delivery's number)."""
    found: list[DeliveryLine] = []
    bottom = 0
    for low, top in _slices(view, filters, before, clock, budget):
        column = tables.delivery.c
        wanted = limit + 1 - len(found)
        ranges = (column.id >= low, column.id < top)
        by_format = [
            delivery_lines(view, *narrow, *ranges, *_wishes(filters), limit=wanted, newest_first=True)
            for narrow in _narrowed(filters)
        ]
        found += list(heapq.merge(*by_format, key=lambda line: -line.id))[:wanted]
        bottom = low
        if len(found) > limit:
            break
    rows = _lines(view, found[:limit])
    if len(found) > limit:
        return SubmissionPage(rows, found[limit - 1].id)
    return SubmissionPage(rows, bottom if bottom > 0 else None, bottom > 0)


def load_submission(view: View, number: int) -> SubmissionLine | None:
    """Give one submission by its Delivery's number, or None when there is none."""
    lines = delivery_lines(view, SUBMITTED, tables.delivery.c.id == number)
    return next(iter(_lines(view, lines)), None)


def cursors(view: View, source: str) -> tuple[int, int | None, int | None]:
    """Say of how many patients a source remembers where it is, when the oldest place was kept, and the newest."""
    column = tables.connector_memory.c
    statement = select(func.count(), func.min(column.at), func.max(column.at)).where(column.owner == f"source {source}")
    count, oldest, newest = view.connection.execute(statement).one()
    return count, oldest, newest


def _slices(
    view: View, filters: SubmissionFilters, before: int | None, clock: Clock, budget: float
) -> Iterator[tuple[int, int]]:
    """Walk whole where an index leads to the newest, by slices within the time where a wish has none."""
    column = tables.delivery.c
    top = before
    if top is None:
        top = (view.connection.execute(select(func.max(column.id))).scalar() or 0) + 1
    if filters == SubmissionFilters():
        yield 0, top
        return
    # What is open or failed is reached through the index of its state: its slices may be long.
    first, last = (LONG_SLICE, top) if filters.state in INDEXED_STATES else (FIRST_SLICE, LAST_SLICE)
    yield from paced(top, 0, clock, budget, first=first, last=last)


def _narrowed(filters: SubmissionFilters) -> list[tuple[Any, ...]]:
    """Give the conditions by which submissions are reached, one for each walk whose results are merged.

    Where the state has an index, the format is hidden from the planner, which would take its index in the place of
    that one.
    """
    column = tables.delivery.c
    if filters.state in INDEXED_STATES:
        mine = func.coalesce(column.format, "").in_(FORMATS)
        if filters.state is not DeliveryState.PENDING:
            return [(mine,)]
        # Nor is the order by number left to it: it would walk the whole table by its key.
        opened = select(column.id).where(OPEN, mine).order_by((column.id + 0).desc()).limit(MOST_OPEN)
        return [(column.id.in_(opened),)]
    return [(SUBMITTED, column.format == literal_column(f"'{name}'")) for name in FORMATS]


def _wishes(filters: SubmissionFilters) -> list[Any]:
    column = tables.delivery.c
    wishes: list[Any] = []
    if filters.destination is not None:
        wishes.append(column.destination == filters.destination)
    if filters.state is not None:
        wishes.append(column.state == literal_column(f"'{filters.state.value}'"))
        wishes += [FAILED] if filters.state in FAILED_STATES else []
    return wishes


def _lines(view: View, deliveries: Sequence[DeliveryLine]) -> tuple[SubmissionLine, ...]:
    numbers = [one.id for one in deliveries]
    names, receipts = names_of(view, numbers), receipts_of(view, numbers)
    namings = namings_of(view, numbers)
    items = {one.item_id for one in deliveries}
    lines = {one.id: one for one in item_lines(view, tables.item.c.id.in_(items), replaced=True)} if items else {}
    said = _said(view, items)
    made = []
    for one in deliveries:
        delivery = replace(one, names=names.get(one.id, ()), receipts=receipts.get(one.id, ()))
        facts = said.get(one.item_id, _Said())
        held = one.state is DeliveryState.HELD
        findings = delivery_findings(view, one.id) if held else ()
        line = SubmissionLine(
            delivery,
            lines.get(one.item_id),
            facts.type,
            facts.category,
            facts.operation,
            facts.unique_id,
            facts.replaces,
            findings,
            naming=namings.get(one.id),
        )
        made.append(replace(line, unique_id=line.name(ReferenceKind.UNIQUE_ID) or facts.unique_id))
    chains = _Chains(view)
    chains.grow([_version(line) for line in made if line.unique_id])
    return tuple(replace(line, versions=chains.of(line)) for line in made)


def _version(line: SubmissionLine) -> Version:
    one = line.delivery
    return Version(
        line.unique_id,
        line.replaces,
        one.id,
        one.message_id,
        one.destination,
        one.state,
        one.ended_at or one.created_at,
    )


def _said(view: View, items: Iterable[int]) -> dict[int, _Said]:
    column = tables.item.c
    statement = select(column.id, column.sealed_body).where(column.id.in_(set(items)))
    return {row.id: _facts(view.sealer.open(row.sealed_body, BODY_PLACE)) for row in view.connection.execute(statement)}


def _facts(body: bytes) -> _Said:
    found = orjson.loads(body)
    content = found.get("content") or {}
    kind = content.get("type") or {}
    return _Said(
        kind.get("display") or kind.get("code") or "",
        (content.get("category") or {}).get("display") or "",
        content.get("operation") or "create",
        content.get("document_id") or content.get("report_id") or "",
        content.get("replaces_id") or found.get("replaces") or "",
    )


@dataclass(slots=True)
class _Chains:
    """Versions of documents, found from one another through the blind indexes."""

    view: View
    known: dict[tuple[str, int], Version] = field(default_factory=dict)

    def grow(self, versions: Sequence[Version]) -> None:
        """Look for what these versions replace, and for what replaces them, some steps far."""
        fresh = list(versions)
        for _ in range(ROUNDS + 1):
            fresh = [one for one in fresh if (one.destination, one.delivery_id) not in self.known]
            for one in fresh:
                self.known[one.destination, one.delivery_id] = one
            if not fresh or len(self.known) > MOST_VERSIONS:
                return
            fresh = [*self._former(fresh), *self._later(fresh)]

    def of(self, line: SubmissionLine) -> tuple[Version, ...]:
        """Give the versions of a document, the oldest first; nothing when it has one only."""
        here = [one for one in self.known.values() if one.destination == line.delivery.destination]
        newest: dict[str, Version] = {}
        for one in sorted(here, key=lambda version: version.delivery_id):
            newest[_same(one.unique_id)] = one
        after = {_same(one.replaces): one for one in newest.values() if one.replaces}
        start = _same(line.unique_id)
        if start not in newest:
            return ()
        chain, seen = [newest[start]], {start}
        while (former := newest.get(_same(chain[0].replaces))) is not None and _same(former.unique_id) not in seen:
            chain.insert(0, former)
            seen.add(_same(former.unique_id))
        while (later := after.get(_same(chain[-1].unique_id))) is not None and _same(later.unique_id) not in seen:
            chain.append(later)
            seen.add(_same(later.unique_id))
        return tuple(chain) if len(chain) > 1 else ()

    def _former(self, versions: Sequence[Version]) -> list[Version]:
        name = tables.delivery_reference.c
        tokens = {reference_token(self.view.sealer, one.replaces) for one in versions if one.replaces}
        named = select(name.delivery_id).where(name.token.in_(tokens), name.kind == ReferenceKind.UNIQUE_ID.value)
        return self._versions(tables.delivery.c.id, named) if tokens else []

    def _later(self, versions: Sequence[Version]) -> list[Version]:
        token = tables.item_token.c
        tokens = {self.view.sealer.token("value", loose(one.unique_id)) for one in versions}
        items = select(token.item_id).where(token.token.in_(tokens)).order_by(token.item_id.desc())
        return self._versions(tables.delivery.c.item_id, items)

    def _versions(self, column: ColumnElement[int], wanted: Select[Any]) -> list[Version]:
        # Two statements, and neither order nor format for the planner to hold on to: these are few rows by their index.
        ids = self.view.connection.execute(wanted.limit(MOST_VERSIONS)).scalars().all()
        mine = func.coalesce(tables.delivery.c.format, "").in_(FORMATS)
        statement = select(tables.delivery).where(column.in_(ids), mine).limit(2 * MOST_VERSIONS)
        found_rows = self.view.connection.execute(statement).all()
        known = {number for _, number in self.known}
        rows = [row for row in found_rows if row.id not in known][:MOST_VERSIONS]
        said = _said(self.view, {row.item_id for row in rows})
        names = names_of(self.view, [row.id for row in rows])
        found = []
        for row in rows:
            facts = said.get(row.item_id, _Said())
            own = (one.value for one in names.get(row.id, ()) if one.kind == ReferenceKind.UNIQUE_ID.value)
            unique_id = next(own, facts.unique_id)
            if unique_id:
                at = row.ended_at or row.created_at
                state = DeliveryState(row.state)
                found.append(Version(unique_id, facts.replaces, row.id, row.message_id, row.destination, state, at))
        return found


def _same(unique_id: str) -> str:
    return loose(unique_id)
