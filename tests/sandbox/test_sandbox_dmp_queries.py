"""Stored queries: every parameter against the plain reading of the specification, over drawn documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from dmp_foreign_client import Foreign
from dmp_foreign_requests import APPROVED, ARCHIVED, ROSE_CX, Document, Lot, query
from hypothesis import HealthCheck, given, settings, strategies as st
from lxml import etree

from connectors.sandbox.dmp import queries
from connectors.sandbox.dmp.deposits import register
from connectors.sandbox.dmp.lots import Content
from connectors.sandbox.dmp.metadata import read_submission
from connectors.sandbox.dmp.population import seed
from connectors.sandbox.dmp.refusals import RegistryRefused
from connectors.sandbox.dmp.rules import Checks
from connectors.sandbox.dmp.service import inline
from connectors.sandbox.dmp.store import DmpStore, Owner

CREATED = st.sampled_from(["20300101", "20300101000000", "20300101000001", "20300102", "203001", "2030"])
CODES = st.sampled_from(["10", "11", "31"])
EVENTS = st.lists(st.sampled_from([("A", "1.2.3"), ("B", "1.2.3"), ("A", "1.2.4")]), max_size=2, unique=True)
DOCUMENT = st.builds(
    lambda created, code, events, masked: Document(
        created=created, class_code=code, events=tuple(events), confidentiality=("N", *masked)
    ),
    CREATED,
    CODES,
    EVENTS,
    st.sampled_from([(), ("MASQUE_PS",), ("INVISIBLE_PATIENT",)]),
)
TIMES = st.sampled_from(["2030", "20300101", "20300101000001", "20300102", "20300103"])


@contextmanager
def filled(documents: list[Document]) -> Iterator[DmpStore]:
    """A store with these documents, each in its lot; faster than through HTTP, by the same door."""
    with TemporaryDirectory() as folder:
        store = DmpStore(Path(folder) / "dmp.sqlite")
        seed(store)
        for document in documents:
            keep(store, Lot([document]))
        yield store
        store.close()


def keep(store: DmpStore, lot: Lot) -> None:
    body, documents = lot.whole(Foreign("").sign_lot)
    objects = next(etree.fromstring(body).iter("{*}RegistryObjectList"))
    contents: dict[str, Content] = {one.id: inline("QUFBQQ==", one.id) for one in documents}
    register(store, read_submission(objects), contents, Owner("S", "P"), Checks(cda_identity=False))


def ask(store: DmpStore, kind: str, parameters: dict[str, Any], returns: str = "LeafClass") -> queries.Found:
    return queries.run(store, queries.read_query(etree.fromstring(query(kind, parameters, returns))))


ROSES = {"$XDSDocumentEntryPatientId": f"'{ROSE_CX}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')"}


def whole(time: str) -> str:
    return time + "20300101000000"[len(time) :]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(DOCUMENT, min_size=1, max_size=4),
    st.lists(CODES, min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(["A^^1.2.3", "B^^1.2.3", "A^^1.2.4"]), min_size=1, max_size=2, unique=True),
    TIMES,
    TIMES,
)
def test_slots_are_and_values_are_or_and_ranges_are_half_open(
    documents: list[Document], codes: list[str], events: list[str], since: str, until: str
) -> None:
    named = [f"{code}^^1.2.250.1.213.1.1.4.1" for code in codes]
    with filled(documents) as store:

        def found(**parameters: Any) -> set[str]:
            asked = ROSES | {f"$XDSDocumentEntry{name}": value for name, value in parameters.items()}
            ours = {one.unique_id for one in documents}
            return {one.unique_id for one in ask(store, queries.FIND_DOCUMENTS, asked).entries} & ours

        def expected(holds: Any) -> set[str]:
            return {one.unique_id for one in documents if holds(one)}

        def has(one: Document, event: str) -> bool:
            return event in {f"{code}^^{system}" for code, system in one.events}

        in_codes = expected(lambda one: one.class_code in codes)
        in_range = expected(lambda one: whole(since) <= whole(one.created) < whole(until))
        either = expected(lambda one: any(has(one, event) for event in events))
        quoted = [f"'{one}'" for one in named]
        assert found(ClassCode=f"({','.join(quoted)})") == in_codes
        assert found(ClassCode=quoted) == in_codes
        assert found(CreationTimeFrom=since, CreationTimeTo=until) == in_range
        assert found(EventCodeList=f"({','.join(repr(one) for one in events)})") == either
        both = found(ClassCode=f"({','.join(quoted)})", CreationTimeFrom=since, CreationTimeTo=until)
        assert both == in_codes & in_range


@pytest.fixture(scope="module")
def store() -> Iterator[DmpStore]:
    documents = [
        Document(
            title="A",
            events=(("A", "1.2.3"), ("B", "1.2.3")),
            references=("acc1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession",),
        ),
        Document(title="B", events=(("A", "1.2.3"),)),
    ]
    with filled(documents) as made:
        yield made


def titles(found: queries.Found) -> list[str]:
    return [one.facts["Title"][0] for one in found.entries if one.facts["Title"] != ["Source"]]


def test_a_slot_that_stands_twice_is_and(store: DmpStore) -> None:
    asked = query(queries.FIND_DOCUMENTS, ROSES)
    for code in ("A", "B"):
        value = f"<Value>('{code}^^1.2.3')</Value>"
        slot = f'<Slot name="$XDSDocumentEntryEventCodeList"><ValueList>{value}</ValueList></Slot>'
        asked = asked.replace("</AdhocQuery>", f"{slot}</AdhocQuery>")
    assert titles(queries.run(store, queries.read_query(etree.fromstring(asked)))) == ["A"]


def test_an_author_is_looked_for_with_wildcards(store: DmpStore) -> None:
    def found(pattern: str) -> list[str]:
        return titles(ask(store, queries.FIND_DOCUMENTS, ROSES | {"$XDSDocumentEntryAuthorPerson": f"('{pattern}')"}))

    assert found("%^TESTEUR^%") == ["A", "B"]
    assert found("8_9990000012^%") == ["A", "B"]
    assert found("TESTEUR") == []
    assert found(".*") == []


def test_a_reference_finds_its_documents(store: DmpStore) -> None:
    reference = "('acc1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession')"
    asked = ROSES | {"$XDSDocumentEntryReferenceIdList": reference}
    assert titles(ask(store, queries.FIND_DOCUMENTS_BY_REFERENCE_ID, asked)) == ["A"]


def test_another_status_finds_nothing(store: DmpStore) -> None:
    assert ask(store, queries.FIND_DOCUMENTS, ROSES | {"$XDSDocumentEntryStatus": f"('{ARCHIVED}')"}).entries == []
    either = f"('{ARCHIVED}','{APPROVED}')"
    assert titles(ask(store, queries.FIND_DOCUMENTS, ROSES | {"$XDSDocumentEntryStatus": either})) == ["A", "B"]


def test_the_queries_by_id_lead_to_one_another(store: DmpStore) -> None:
    lots = {"$XDSSubmissionSetPatientId": f"'{ROSE_CX}'", "$XDSSubmissionSetStatus": f"('{APPROVED}')"}
    found = ask(store, queries.FIND_SUBMISSION_SETS, lots | {"$XDSSubmissionSetSubmissionTimeFrom": "20300101101500"})
    assert len(found.lots) == 2
    late = lots | {"$XDSSubmissionSetSubmissionTimeFrom": "20300101101501"}
    assert ask(store, queries.FIND_SUBMISSION_SETS, late).lots == []
    assert (
        len(
            ask(
                store,
                queries.FIND_SUBMISSION_SETS,
                lots | {"$XDSSubmissionSetContentType": "('07^^1.2.250.1.213.2.2')"},
            ).lots
        )
        == 2
    )

    lot = found.lots[0]
    links = ask(store, queries.GET_ASSOCIATIONS, {"$uuid": f"('{lot.uuid}')"}).associations
    members = [one.target for one in links if one.type.endswith("HasMember")]
    assert len(members) == 2
    by_uuid = ask(store, queries.GET_DOCUMENTS, {"$XDSDocumentEntryEntryUUID": [f"('{one}')" for one in members]})
    assert titles(by_uuid) == ["A"]
    unique_id = by_uuid.entries[0].unique_id
    for name, value in (("UniqueId", unique_id), ("LogicalID", by_uuid.entries[0].lid)):
        assert (
            ask(store, queries.GET_DOCUMENTS, {f"$XDSDocumentEntry{name}": f"('{value}')"}).entries[0]
            == by_uuid.entries[0]
        )
    both = ask(store, queries.GET_DOCUMENTS_AND_ASSOCIATIONS, {"$XDSDocumentEntryUniqueId": f"('{unique_id}')"})
    assert (len(both.entries), [one.type.rpartition(":")[2] for one in both.associations]) == (1, ["HasMember"])
    back = ask(store, queries.GET_SUBMISSION_SETS, {"$uuid": f"('{members[0]}')"})
    assert back.lots == [lot]
    contents = ask(store, queries.GET_SUBMISSION_SET_AND_CONTENTS, {"$XDSSubmissionSetUniqueId": f"'{lot.unique_id}'"})
    assert (len(contents.lots), len(contents.entries), len(contents.associations)) == (1, 2, 2)
    related = {
        "$XDSDocumentEntryUniqueId": f"'{unique_id}'",
        "$AssociationTypes": "('urn:ihe:iti:2007:AssociationType:RPLC')",
    }
    assert ask(store, queries.GET_RELATED_DOCUMENTS, related).entries == []


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown query": ("urn:uuid:0", ROSES, "XDSUnknownStoredQuery"),
    "no patient": (
        queries.FIND_DOCUMENTS,
        {"$XDSDocumentEntryStatus": f"('{APPROVED}')"},
        "XDSStoredQueryMissingParam",
    ),
    "no status": (queries.FIND_DOCUMENTS, {"$XDSDocumentEntryPatientId": f"'{ROSE_CX}'"}, "XDSStoredQueryMissingParam"),
    "no id": (queries.GET_DOCUMENTS, {}, "XDSStoredQueryMissingParam"),
    "text without quotes": (
        queries.FIND_DOCUMENTS,
        ROSES | {"$XDSDocumentEntryStatus": APPROVED},
        "XDSStoredQueryParamNumber",
    ),
    "digits for text": (
        queries.FIND_DOCUMENTS,
        ROSES | {"$XDSDocumentEntryClassCode": "10"},
        "XDSStoredQueryParamNumber",
    ),
    "a list of patients": (
        queries.FIND_DOCUMENTS,
        ROSES | {"$XDSDocumentEntryPatientId": f"('{ROSE_CX}')"},
        "XDSStoredQueryParamNumber",
    ),
    "a quote that does not end": (
        queries.FIND_DOCUMENTS,
        ROSES | {"$XDSDocumentEntryStatus": f"('{APPROVED})"},
        "XDSStoredQueryParamNumber",
    ),
    "a time that is none": (
        queries.FIND_DOCUMENTS,
        ROSES | {"$XDSDocumentEntryCreationTimeFrom": "20301301"},
        "XDSStoredQueryParamNumber",
    ),
    "an empty value": (queries.FIND_DOCUMENTS, ROSES | {"$XDSDocumentEntryStatus": ""}, "XDSStoredQueryParamNumber"),
    "two ways to name": (
        queries.GET_DOCUMENTS,
        {"$XDSDocumentEntryEntryUUID": "'a'", "$XDSDocumentEntryUniqueId": "'b'"},
        "XDSStoredQueryParamNumber",
    ),
    "an unknown return type": (queries.FIND_DOCUMENTS, ROSES, "XDSRegistryError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_query_has_its_code(store: DmpStore, name: str) -> None:
    kind, parameters, code = WRONG[name]
    with pytest.raises(RegistryRefused) as refused:
        ask(store, kind, parameters, "Everything" if code == "XDSRegistryError" else "LeafClass")
    assert [one.code for one in refused.value.problems] == [code]
    assert ROSE_CX not in str(refused.value)
