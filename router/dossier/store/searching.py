"""Searches: criteria on blind tokens, dates and plain columns become one SQL query, in which the door's condition is.

`Query` is what `router.dossier.api.queries` understood of a request; nothing of it is text for SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, false, func, not_, or_, select

from router.dossier.context import Thing
from router.dossier.store.access import Access
from router.dossier.store.away import A_STAY, is_marked, marked_as
from router.dossier.store.dates import Compare as Compare, changed_at, dated
from router.dossier.store.drafts import DELETED, LIVE, RESOURCE_PLACE
from router.dossier.store.elements import Resource, kept
from router.dossier.store.indexing import stands_for_patient, system_key
from router.dossier.store.parameters import Kind, Parameter, parameters
from router.journal import tables
from router.journal.view import View
from schemas.habilitation import Action, DataCategory
from schemas.visibility import Mark

_CATEGORIES = frozenset(DataCategory)
_R, _B, _T, _D = tables.resource.c, tables.resource_body.c, tables.resource_token.c, tables.resource_date.c

MOST_CHAINED = 500
"""Resources through which a chain may go; a wider chain is refused by whoever asks for it being told to narrow it."""

MOST_INCLUDED = 1000
"""Resources that a page brings along at most."""


class TooWide(Exception):
    """A chain goes through more resources than can be looked at."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter and the values of which one must hold.

    A value is a tuple: (form, …) as the index knows it for blind kinds, (prefix, low, high) for dates. `chain` is a
    search in the type that the parameter points at, in place of values.
    """

    parameter: Parameter
    values: tuple[tuple[Any, ...], ...] = ()
    negated: bool = False
    chain: tuple[tuple[str, Criterion], ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A search in one type. `sort` is a parameter's name, empty for the time of the last change."""

    type: str
    criteria: tuple[Criterion, ...] = ()
    ids: tuple[str, ...] | None = None
    updated: tuple[tuple[Compare, int, int], ...] = ()
    sort: str = ""
    descending: bool = False
    count: int = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A resource as it was found; `sort` is what orders it, with its row's number."""

    id: int
    type: str
    logical_id: str
    patient: int | None
    version: int
    at: int
    state: int
    resource: Resource
    sort: int = 0
    blobs: str | None = None
    thing: Thing | None = None
    """What the door looks at; None for what belongs to no row of the matrix."""

    @property
    def key(self) -> str:
        """Its reference."""
        return f"{self.type}/{self.logical_id}"


@dataclass(slots=True)
class Page:
    """Matches in order, `more` when there are others behind them, `total` when it was counted."""

    matches: list[Found] = field(default_factory=list)
    more: bool = False
    total: int | None = None


class Search:
    """Runs queries with one reader's eyes."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._view: View = access.view
        self._sealer = access.view.sealer
        self._about: dict[Query, frozenset[int] | None] = {}
        self._stays: dict[int, bool] = {}

    def page(self, query: Query, after: tuple[int, int] | None = None, *, counted: bool | None = None) -> Page:
        """Give a page. `counted` None counts where it costs little: for searches about given patients.

        Raises TooWide.
        """
        patients, where = self._conditions(query)
        if patients is not None and not patients:
            return Page(total=0 if counted is not False else None)
        key = self._sort_key(query)
        statement = _columns(key).where(*where)
        if after is not None:
            value, number = after
            beyond = key < value if query.descending else key > value
            further = _R.id < number if query.descending else _R.id > number
            statement = statement.where(or_(beyond, and_(key == value, further)))
        order = (key.desc(), _R.id.desc()) if query.descending else (key, _R.id)
        rows = self._view.connection.execute(statement.order_by(*order).limit(query.count + 1)).all()
        page = Page([self._open(row) for row in rows[: query.count]], len(rows) > query.count)
        if counted or (counted is None and patients is not None):
            whole = after is None and not page.more
            page.total = len(page.matches) if whole else self.total(where)
        return page

    def patients_of(self, query: Query) -> frozenset[int] | None:
        """Give the patients that a query names; None when it names none."""
        return self._patients(query)

    def about(self, query: Query) -> frozenset[int] | None:
        """Give the patients that a query names whether they may be seen or not; None when it names none.

        For who prepares an answer, and never for one.
        """
        found: set[int] = set()
        for one in query.criteria:
            if not _is_patient(one):
                continue
            if any(kind != "Patient" or inner.chain for kind, inner in one.chain):
                return None
            found |= self._numbers([value[1].rpartition("/")[2] for value in one.values if value[0] == "r"])
            inner_values = [inner for _, inner in one.chain]
            forms = tuple(value for value in one.values if value[0] != "r")
            if forms:
                inner_values.append(Criterion(parameters("Patient")["identifier"], forms))
            for inner in inner_values:
                statement = select(_R.patient_id).where(_of_type("Patient", inner), self._criterion("Patient", inner))
                found.update(self._view.connection.execute(statement.limit(MOST_CHAINED)).scalars())
        return frozenset(found) if any(_is_patient(one) for one in query.criteria) else None

    def type_versions(self, query: Query, before: int | None) -> list[Found]:
        """Give every version of what is seen of a type, newest first, one more than asked for where there is more."""
        where = [_R.type == query.type, self._access.condition(query.type, None)]
        # Of what was withdrawn, only that is told.
        where.append(or_(_R.state == LIVE, _B.version == _R.version))
        where += [_B.at >= low for _, low, _ in query.updated]
        if before is not None:
            where.append(_B.at < before)
        statement: Select[Any] = (
            select(
                _R.id,
                _R.type,
                _R.logical_id,
                _R.patient_id,
                _B.version,
                _B.at.label("updated_at"),
                _B.state,
                _R.category,
                _R.marks,
                _R.at.label("happened"),
                _R.author,
                _R.thing,
                _B.sealed_body,
                _B.blobs,
                _B.at.label("sort"),
            )
            .join(tables.resource_body, _B.resource_id == _R.id)
            .where(*where)
            .order_by(_B.at.desc())
            .limit(query.count + 1)
        )
        return [self._open(row) for row in self._view.connection.execute(statement)]

    def count(self, query: Query) -> int:
        """Count what a query finds."""
        patients, where = self._conditions(query)
        return 0 if patients is not None and not patients else self.total(where)

    def total(self, where: Sequence[ColumnElement[bool]]) -> int:
        """Count rows."""
        statement = select(func.count()).select_from(tables.resource).where(*where)
        return int(self._view.connection.execute(statement).scalar_one())

    def _conditions(self, query: Query) -> tuple[frozenset[int] | None, list[ColumnElement[bool]]]:
        patients = self._patients(query)
        where: list[ColumnElement[bool]] = [_of_type(query.type, *query.criteria), _R.state != DELETED]
        where.append(self._access.condition(query.type, patients))
        if query.ids is not None:
            where.append(_R.logical_id.in_(query.ids))
        where += [changed_at(*one) for one in query.updated]
        where += [self._criterion(query.type, one) for one in query.criteria if not _is_patient(one)]
        return patients, where

    def _patients(self, query: Query) -> frozenset[int] | None:
        """Give the patients that the query is about; None when it names none."""
        if query not in self._about:
            self._about[query] = self._patients_named(query)
        return self._about[query]

    def _patients_named(self, query: Query) -> frozenset[int] | None:
        found: frozenset[int] | None = None
        for one in query.criteria:
            if _is_patient(one):
                these = self._named(one)
                found = these if found is None else found & these
        if found is None and query.type == "Patient" and query.ids is not None:
            return self._numbers(query.ids)
        return found

    def _named(self, criterion: Criterion) -> frozenset[int]:
        if criterion.chain:
            numbers: set[int] = set()
            for kind, inner in criterion.chain:
                rows = self._chained(kind, inner)
                numbers |= {row.patient_id for row in rows}
            return frozenset(numbers)
        ids = [value[1].rpartition("/")[2] for value in criterion.values if value[0] == "r"]
        numbers = set(self._numbers(ids))
        forms = [value for value in criterion.values if value[0] != "r"]
        if forms:
            identifier = parameters("Patient")["identifier"]
            numbers |= {row.patient_id for row in self._chained("Patient", Criterion(identifier, tuple(forms)))}
        return frozenset(numbers)

    def _numbers(self, ids: Sequence[str]) -> frozenset[int]:
        statement = select(_R.patient_id).where(_R.type == "Patient", _R.logical_id.in_(ids))
        return frozenset(self._view.connection.execute(statement).scalars())

    def _chained(self, kind: str, inner: Criterion) -> Sequence[Row[Any]]:
        """Find the resources that a chain goes through, with the same eyes: it tells nothing of what is hidden."""
        where = [_of_type(kind, inner), _R.state != DELETED, self._criterion(kind, inner)]
        few = select(_R.patient_id).where(*where, _R.patient_id.is_not(None)).distinct().limit(MOST_CHAINED + 1)
        numbers = self._view.connection.execute(few).scalars().all()
        # Few people are asked about at the door one by one; for many, it is asked whom the reader knows.
        where.append(self._access.condition(kind, None if len(numbers) > MOST_CHAINED else numbers))
        statement: Select[Any] = select(_R.logical_id, _R.patient_id).where(*where).limit(MOST_CHAINED + 1)
        rows = self._view.connection.execute(statement).all()
        if len(rows) > MOST_CHAINED:
            raise TooWide
        return rows

    def _criterion(self, kind: str, one: Criterion) -> ColumnElement[bool]:
        if one.chain:
            found = or_(false(), *(self._chain(kind, one, target, inner) for target, inner in one.chain))
        elif one.parameter.kind is Kind.DATE:
            found = or_(false(), *(dated(one.parameter.name, *value) for value in one.values))
        elif _is_patient(one):
            found = _R.patient_id.in_(self._named(one))
        else:
            found = self._tokens(kind, one.parameter, one.values)
        return not_(found) if one.negated else found

    def _chain(self, kind: str, one: Criterion, target: str, inner: Criterion) -> ColumnElement[bool]:
        if _is_patient(one):
            return _R.patient_id.in_([row.patient_id for row in self._chained(target, inner)])
        composed = parameters(kind).get(f"{one.parameter.name}:{target}.{inner.parameter.name}")
        parts = []
        if composed is not None and not inner.chain:
            parts.append(self._tokens(kind, composed, inner.values))
        references = tuple(("r", f"{target}/{row.logical_id}") for row in self._chained(target, inner))
        if references:
            parts.append(self._tokens(kind, one.parameter, references))
        return or_(false(), *parts)

    def _tokens(self, kind: str, parameter: Parameter, values: Iterable[tuple[Any, ...]]) -> ColumnElement[bool]:
        names = ("family", "given") if parameter.name == "name" and "family" in parameters(kind) else (parameter.name,)
        tokens = [self._sealer.token("fhir", kind, name, *value) for value in values for name in names]
        if parameter.name == "identifier":
            # Few resources have one number: they are where the query begins.
            return _R.id.in_(select(_T.resource_id).where(_T.token.in_(tokens)))
        return exists().where(_T.token.in_(tokens), _T.resource_id == _R.id)

    def _sort_key(self, query: Query) -> Any:
        if not query.sort:
            return _R.updated_at
        lowest = select(func.min(_D.low)).where(_D.resource_id == _R.id, _D.name == query.sort)
        return func.coalesce(lowest.scalar_subquery(), 0)

    # --- reading --------------------------------------------------------------------------------------------------

    def by_keys(self, keys: Iterable[str]) -> list[Found]:
        """Give the resources of these references that may be seen, in the order of the references."""
        wanted: dict[str, list[str]] = {}
        asked = list(dict.fromkeys(keys))
        for key in asked:
            kind, _, logical_id = key.partition("/")
            wanted.setdefault(kind, []).append(logical_id)
        found: dict[str, Found] = {}
        for kind, ids in wanted.items():
            for start in range(0, len(ids), 200):
                these = _R.logical_id.in_(ids[start : start + 200])
                numbers = select(_R.patient_id).where(_R.type == kind, these, _R.patient_id.is_not(None))
                patients = frozenset(self._view.connection.execute(numbers).scalars())
                statement = _columns(_R.updated_at).where(
                    _R.type == kind, these, _R.state != DELETED, self._access.condition(kind, patients)
                )
                those = [self._open(row) for row in self._view.connection.execute(statement)]
                found.update({one.key: one for one in those})
        return [found[key] for key in asked if key in found]

    def referring(self, kind: str, parameter: Parameter, matches: Sequence[Found]) -> list[Found]:
        """Give the resources of a type that point at one of these (`_revinclude`)."""
        patients = frozenset(one.patient for one in matches if one.patient is not None)
        where = [_R.type == kind, _R.state != DELETED, self._access.condition(kind, patients)]
        if not stands_for_patient(parameter):
            where.append(self._tokens(kind, parameter, [("r", one.key) for one in matches]))
        elif not all(one.type == "Patient" for one in matches):
            return []
        statement = _columns(_R.updated_at).where(*where).order_by(_R.updated_at, _R.id).limit(MOST_INCLUDED)
        return [self._open(row) for row in self._view.connection.execute(statement)]

    def one(self, kind: str, logical_id: str) -> Found | None:
        """Give a resource that may be seen, gone or not; None tells nothing of why."""
        statement = select(_R.patient_id).where(_R.type == kind, _R.logical_id == logical_id)
        row = self._view.connection.execute(statement).one_or_none()
        if row is None:
            return None
        patients = () if row.patient_id is None else (row.patient_id,)
        wanted = _columns(_R.updated_at).where(
            _R.type == kind, _R.logical_id == logical_id, self._access.condition(kind, patients)
        )
        found = self._view.connection.execute(wanted).one_or_none()
        return None if found is None else self._open(found)

    def hidden(self, kind: str, logical_id: str) -> tuple[int, Thing] | None:
        """Give whose a resource is and what the door looks at, though it may not be seen: for the audit trail alone."""
        statement = _columns(_R.updated_at).where(_R.type == kind, _R.logical_id == logical_id)
        row = self._view.connection.execute(statement).one_or_none()
        thing = None if row is None else _thing(row)
        return None if row is None or thing is None or row.patient_id is None else (row.patient_id, thing)

    def versions(self, found: Found, *, before: int | None = None, count: int = 50) -> list[Found]:
        """Give the versions of a resource that is seen, newest first; what was withdrawn shows its last one alone."""
        where = [_B.resource_id == found.id]
        if found.state:
            where.append(_B.version == found.version)
        if before is not None:
            where.append(_B.version < before)
        statement = select(_B.version, _B.at, _B.state, _B.sealed_body, _B.blobs).where(*where)
        rows = self._view.connection.execute(statement.order_by(_B.version.desc()).limit(count)).all()
        return [
            Found(
                found.id,
                found.type,
                found.logical_id,
                found.patient,
                row.version,
                row.at,
                row.state,
                self._opened(found.type, found.patient, row.sealed_body),
                blobs=row.blobs,
                thing=found.thing,
            )
            for row in rows
        ]

    def _opened(self, kind: str, patient: int | None, sealed: bytes) -> Resource:
        """Open a body as this reader may see it: who sees no stays is not told by a visit that there is one."""
        found = opened(self._view, sealed)
        if kind != "Appointment" or patient is None or not is_marked(found):
            return found
        if patient not in self._stays:
            self._stays[patient] = self._access.may(Action.READ, patient, A_STAY).allowed
        return found if self._stays[patient] else marked_as(found, away=False)

    def _open(self, row: Row[Any]) -> Found:
        return Found(
            row.id,
            row.type,
            row.logical_id,
            row.patient_id,
            row.version,
            row.updated_at,
            row.state,
            self._opened(row.type, row.patient_id, row.sealed_body),
            row.sort,
            row.blobs,
            _thing(row),
        )


def _thing(row: Row[Any]) -> Thing | None:
    if row.category not in _CATEGORIES:
        return None
    return Thing(DataCategory(row.category), Mark(row.marks), row.happened, row.author, row.thing)


def opened(view: View, sealed: bytes) -> Resource:
    """Open a body."""
    resource = kept(view.sealer.open(sealed, RESOURCE_PLACE))
    assert isinstance(resource, dict)  # noqa: S101 - only objects are kept
    return resource


def _columns(key: Any) -> Select[Any]:
    return select(
        _R.id,
        _R.type,
        _R.logical_id,
        _R.patient_id,
        _R.version,
        _R.updated_at,
        _R.state,
        key.label("sort"),
        _R.category,
        _R.marks,
        _R.at.label("happened"),
        _R.author,
        _R.thing,
        _B.sealed_body,
        _B.blobs,
    ).join(tables.resource_body, and_(_B.resource_id == _R.id, _B.version == _R.version))


def _of_type(kind: str, *criteria: Criterion) -> ColumnElement[bool]:
    """Give the condition on the type; where a number finds the few resources, no index on the type may be taken first.

    Without statistics a database supposes that a type has few resources, and would go through all of them.
    """
    if any(one.parameter.name == "identifier" and not one.negated for one in criteria):
        return func.coalesce(_R.type, "") == kind
    return and_(_R.type == kind)


def _is_patient(criterion: Criterion) -> bool:
    return stands_for_patient(criterion.parameter) and not criterion.negated


def identifier_form(system: str, value: str) -> tuple[str, ...]:
    """Give the form under which the index knows a token."""
    return ("sc", system_key(system), value) if system else ("c", value)
