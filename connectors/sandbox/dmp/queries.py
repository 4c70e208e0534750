"""ITI-18: stored queries, their parameters and what they find (IHE ITI vol. 2, 3.18.4.1.2.3).

Between slots AND, between the values of a slot OR; a time range holds its beginning and not its end; an author is
looked for with the wildcards of SQL's LIKE. What the caller may see is decided by whoever calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lxml import etree

from connectors.sandbox.dmp import names, syntax
from connectors.sandbox.dmp.names import clark
from connectors.sandbox.dmp.refusals import refuse
from connectors.sandbox.dmp.store import DmpStore, Facts, HeldAssociation, HeldEntry, HeldLot
from connectors.sandbox.dmp.syntax import PatientKey

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
FIND_SUBMISSION_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
GET_ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
GET_DOCUMENTS_AND_ASSOCIATIONS = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a"
GET_SUBMISSION_SETS = "urn:uuid:51224314-5390-4169-9b91-b1980040715a"
GET_SUBMISSION_SET_AND_CONTENTS = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"
GET_RELATED_DOCUMENTS = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"
FIND_DOCUMENTS_BY_REFERENCE_ID = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"

_STRING = r"'(?:[^']|'')*'"
_LITERAL = re.compile(rf"({_STRING}|[0-9]+)")
_LIST = re.compile(rf"\(\s*(?:{_STRING}|[0-9]+)(?:\s*,\s*(?:{_STRING}|[0-9]+))*\s*\)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter: each clause is the alternatives of one slot; several clauses of one name must all hold."""

    clauses: tuple[tuple[str, ...], ...]
    quoted: bool
    listed: bool

    @property
    def values(self) -> tuple[str, ...]:
        """Every value."""
        return tuple(value for clause in self.clauses for value in clause)


@dataclass(frozen=True, slots=True)
class Query:
    """A stored query as it was asked."""

    id: str
    leaf_class: bool
    parameters: dict[str, Asked]

    def need(self, name: str) -> Asked:
        """Give a parameter. Raises RegistryRefused (XDSStoredQueryMissingParam) when it is absent."""
        found = self.parameters.get(name)
        if found is None:
            raise refuse("XDSStoredQueryMissingParam", f"{name} is missing")
        return found

    def one(self, name: str) -> str:
        """Give the only value of a parameter that takes one."""
        asked = self.need(name)
        if len(asked.values) != 1 or asked.listed:
            raise refuse("XDSStoredQueryParamNumber", f"{name} takes a single value, not in parentheses")
        return asked.values[0]

    def values(self, name: str) -> tuple[str, ...]:
        """Give the values of a parameter, none when it is absent."""
        found = self.parameters.get(name)
        return () if found is None else found.values


@dataclass(slots=True)
class Found:
    """What a query found, each once, in the order of arrival."""

    entries: list[HeldEntry] = field(default_factory=list)
    lots: list[HeldLot] = field(default_factory=list)
    associations: list[HeldAssociation] = field(default_factory=list)


def read_query(request: etree._Element) -> Query:
    """Read an AdhocQueryRequest. Raises RegistryRefused."""
    option, asked = request.find(clark(names.QUERY, "ResponseOption")), request.find(clark(names.RIM, "AdhocQuery"))
    if option is None or asked is None:
        raise refuse("XDSRegistryError", "the request has not one ResponseOption and one AdhocQuery")
    kind = option.get("returnType", "")
    if kind not in ("LeafClass", "ObjectRef"):
        raise refuse("XDSRegistryError", "returnType is neither LeafClass nor ObjectRef")
    identifier = asked.get("id", "")
    if identifier not in QUERIES:
        raise refuse("XDSUnknownStoredQuery", f"the stored query {identifier} is not known")
    parameters: dict[str, Asked] = {}
    for slot in asked.findall(clark(names.RIM, "Slot")):
        name = slot.get("name", "")
        read = _parameter(name, [value.text or "" for value in slot.iter(clark(names.RIM, "Value"))])
        before = parameters.get(name)
        if before is not None and name not in _REPEATABLE:
            raise refuse("XDSStoredQueryParamNumber", f"{name} stands more than once")
        parameters[name] = read if before is None else Asked(before.clauses + read.clauses, read.quoted, read.listed)
    return Query(identifier, kind == "LeafClass", parameters)


def _parameter(name: str, values: Sequence[str]) -> Asked:
    found: list[str] = []
    listed, quoted = False, True
    for raw in values:
        value = raw.strip()
        if _LIST.fullmatch(value):
            listed = True
        elif not _LITERAL.fullmatch(value):
            sentence = f"{name} has a value that is no literal: 'text', digits, or ('one','other')"
            raise refuse("XDSStoredQueryParamNumber", sentence)
        for literal in _LITERAL.findall(value):
            quoted = quoted and literal.startswith("'")
            found.append(literal[1:-1].replace("''", "'") if literal.startswith("'") else literal)
    if not found:
        raise refuse("XDSStoredQueryParamNumber", f"{name} has no value")
    if not quoted and not name.endswith(("TimeFrom", "TimeTo")):
        raise refuse("XDSStoredQueryParamNumber", f"{name} is text and has a value without quotes")
    return Asked((tuple(found),), quoted, listed)


_REPEATABLE = frozenset(
    {
        "$XDSDocumentEntryEventCodeList",
        "$XDSDocumentEntryConfidentialityCode",
        "$XDSDocumentEntryReferenceIdList",
        "$XDSDocumentEntryAuthorPerson",
    }
)

_CODE_PARAMETERS = (
    "ClassCode",
    "TypeCode",
    "FormatCode",
    "PracticeSettingCode",
    "HealthcareFacilityTypeCode",
    "EventCodeList",
    "ConfidentialityCode",
    "ReferenceIdList",
)
_TIME_PARAMETERS = ("CreationTime", "ServiceStartTime", "ServiceStopTime")


def run(store: DmpStore, query: Query) -> Found:
    """Find what a query asks for. Raises RegistryRefused."""
    return QUERIES[query.id](store, query)


def asked_patient(query: Query) -> PatientKey | None:
    """Give the patient whom a query names, None when it names objects instead."""
    name = next((one for one in query.parameters if one.endswith("PatientId")), None)
    return None if name is None else syntax.patient_key(query.one(name))


def _find_documents(store: DmpStore, query: Query) -> Found:
    prefix = "$XDSDocumentEntry"
    held = latest(_of_patient(store.entries, query, prefix))
    return Found(entries=[one for one in held if _document_matches(one, query)])


def _document_matches(one: HeldEntry, query: Query) -> bool:
    prefix = "$XDSDocumentEntry"
    return (
        one.status in query.need(f"{prefix}Status").values
        and all(_any_of(one.facts, name, query, prefix) for name in _CODE_PARAMETERS)
        and all(_in_range(one.facts, name, query, prefix) for name in _TIME_PARAMETERS)
        and _author(one.facts, query, prefix)
    )


def _find_by_reference(store: DmpStore, query: Query) -> Found:
    query.need("$XDSDocumentEntryReferenceIdList")
    return _find_documents(store, query)


def _find_lots(store: DmpStore, query: Query) -> Found:
    prefix = "$XDSSubmissionSet"
    status = query.need(f"{prefix}Status").values
    return Found(
        lots=[
            one
            for one in _of_patient(store.lots, query, prefix)
            if names.APPROVED in status
            and _in_range(one.facts, "SubmissionTime", query, prefix)
            and _any_of(one.facts, "ContentType", query, prefix)
            and _any_of(one.facts, "SourceId", query, prefix)
            and _author(one.facts, query, prefix)
        ]
    )


_Held = TypeVar("_Held", HeldEntry, HeldLot)


def _of_patient(lister: Callable[[PatientKey], Iterable[_Held]], query: Query, prefix: str) -> Iterable[_Held]:
    value = query.one(f"{prefix}PatientId")
    query.need(f"{prefix}Status")
    key = syntax.patient_key(value)
    return lister(key if key is not None else PatientKey(value, ""))


def _any_of(facts: Facts, name: str, query: Query, prefix: str) -> bool:
    asked = query.parameters.get(f"{prefix}{name}{'Code' if name == 'ContentType' else ''}")
    asked = asked or query.parameters.get(f"{prefix}{name}")
    held = set(facts.get(name, ()))
    return asked is None or all(held.intersection(clause) for clause in asked.clauses)


def _in_range(facts: Facts, name: str, query: Query, prefix: str) -> bool:
    bounds = [query.parameters.get(f"{prefix}{name}{side}") for side in ("From", "To")]
    if bounds == [None, None]:
        return True
    held = next(iter(facts.get(name, ())), None)
    if held is None:
        return False
    at = syntax.whole_time(held)
    since, until = (_bound(one) for one in bounds)
    return (since is None or since <= at) and (until is None or at < until)


def _bound(asked: Asked | None) -> str | None:
    if asked is None:
        return None
    if len(asked.values) != 1 or not syntax.is_time(asked.values[0]):
        raise refuse("XDSStoredQueryParamNumber", "a time bound is not one UTC time in 4 to 14 digits")
    return syntax.whole_time(asked.values[0])


def _author(facts: Facts, query: Query, prefix: str) -> bool:
    asked = query.parameters.get(f"{prefix}AuthorPerson")
    held = facts.get("AuthorPerson", [])
    return asked is None or all(
        any(_like(pattern).fullmatch(value) for pattern in clause for value in held) for clause in asked.clauses
    )


def _like(pattern: str) -> re.Pattern[str]:
    signs = {"%": ".*", "_": "."}
    return re.compile("".join(signs.get(sign, re.escape(sign)) for sign in pattern), re.IGNORECASE | re.DOTALL)


def _named(store: DmpStore, query: Query) -> list[HeldEntry]:
    """Find the documents that a query names by entryUUID, uniqueId or logical id: exactly one of the three."""
    given = [
        name
        for name in (
            "$XDSDocumentEntryEntryUUID",
            "$XDSDocumentEntryUniqueId",
            "$XDSDocumentEntryLogicalID",
        )
        if name in query.parameters
    ]
    if not given:
        sentence = "$XDSDocumentEntryEntryUUID or $XDSDocumentEntryUniqueId is missing"
        raise refuse("XDSStoredQueryMissingParam", sentence)
    if len(given) > 1:
        raise refuse("XDSStoredQueryParamNumber", f"{' and '.join(given)} exclude one another")
    values = query.values(given[0])
    if given[0].endswith("EntryUUID"):
        return store.entries_by(uuids=values)
    if given[0].endswith("LogicalID"):
        return store.entries_by(lids=values)
    return latest(store.entries_by(unique_ids=values))


def latest(entries: Iterable[HeldEntry]) -> list[HeldEntry]:
    """Keep the newest version of each entry: what a consumer of metadata level 1 is shown."""
    newest: dict[str, HeldEntry] = {}
    for one in entries:
        before = newest.get(one.lid)
        if before is None or one.version > before.version:
            newest[one.lid] = one
    return list(newest.values())


def _get_documents(store: DmpStore, query: Query) -> Found:
    return Found(entries=_named(store, query))


def _get_associations(store: DmpStore, query: Query) -> Found:
    return Found(associations=store.associations_of(query.need("$uuid").values))


def _get_documents_and_associations(store: DmpStore, query: Query) -> Found:
    entries = _named(store, query)
    return Found(entries=entries, associations=store.associations_of([one.uuid for one in entries]))


def _get_lots(store: DmpStore, query: Query) -> Found:
    wanted = set(query.need("$uuid").values)
    members = [
        one for one in store.associations_of(sorted(wanted)) if one.type == names.HAS_MEMBER and one.target in wanted
    ]
    lots = store.lots_by(uuids=list(dict.fromkeys(one.source for one in members)))
    return Found(lots=lots, associations=members)


def _get_lot_and_contents(store: DmpStore, query: Query) -> Found:
    uuids = query.values("$XDSSubmissionSetEntryUUID") or query.values("$uuid")
    unique_ids = query.values("$XDSSubmissionSetUniqueId") or query.values("$uniqueId")
    if not uuids and not unique_ids:
        sentence = "$XDSSubmissionSetEntryUUID or $XDSSubmissionSetUniqueId is missing"
        raise refuse("XDSStoredQueryMissingParam", sentence)
    if uuids and unique_ids:
        raise refuse("XDSStoredQueryParamNumber", "the two ways to name the lot exclude one another")
    lots = store.lots_by(uuids=uuids, unique_ids=unique_ids)
    members = [
        one
        for one in store.associations_of([lot.uuid for lot in lots])
        if one.type == names.HAS_MEMBER and one.source in {lot.uuid for lot in lots}
    ]
    entries = store.entries_by(uuids=[one.target for one in members])
    prefix = "$XDSDocumentEntry"
    kept = [
        one
        for one in entries
        if all(_any_of(one.facts, name, query, prefix) for name in ("FormatCode", "ConfidentialityCode"))
    ]
    inside = {one.uuid for one in kept}
    return Found(kept, lots, [one for one in members if one.target in inside])


def _get_related(store: DmpStore, query: Query) -> Found:
    entries = _named(store, query)
    types = {_TYPES.get(value, value) for value in query.need("$AssociationTypes").values}
    begun = [one.uuid for one in entries]
    associations = [one for one in store.associations_of(sorted(begun)) if one.type in types]
    ends = list(dict.fromkeys([*begun, *(end for one in associations for end in (one.source, one.target))]))
    related = store.entries_by(uuids=ends) if associations else []
    there = {one.uuid for one in related}
    return Found(entries=related, associations=[one for one in associations if {one.source, one.target} <= there])


_TYPES = {"RPLC": names.REPLACES, "HasMember": names.HAS_MEMBER, "signs": names.SIGNS}

QUERIES: dict[str, Callable[[DmpStore, Query], Found]] = {
    FIND_DOCUMENTS: _find_documents,
    FIND_SUBMISSION_SETS: _find_lots,
    GET_DOCUMENTS: _get_documents,
    GET_ASSOCIATIONS: _get_associations,
    GET_DOCUMENTS_AND_ASSOCIATIONS: _get_documents_and_associations,
    GET_SUBMISSION_SETS: _get_lots,
    GET_SUBMISSION_SET_AND_CONTENTS: _get_lot_and_contents,
    GET_RELATED_DOCUMENTS: _get_related,
    FIND_DOCUMENTS_BY_REFERENCE_ID: _find_by_reference,
}
